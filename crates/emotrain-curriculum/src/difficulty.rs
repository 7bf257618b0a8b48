//! The difficulty of a dialogue: weighted emotional shifts and counts (PRC-Emo, Eq. 2-5).

use emotrain_data::{Dialogue, LabelSet};
use emotrain_recipe::{CurriculumSection, Difficulty, NeutralShifts};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::error::CurriculumError;
use crate::given::Given;
use crate::wheel::Wheel;

/// The components of a difficulty, named as in the score files.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Components {
    /// The requested difficulty: for PRC-Emo `(wes_same + wes_diff + n_spk) / (n_utt + n_spk)` (Eq. 5), for the others
    /// as in [`Difficulty`].
    pub dif: f64,
    /// Sum of the weights of shifts within a speaker (Eq. 3); `None` if the wheel lacks a label and the difficulty does
    /// not need it.
    pub wes_same: Option<f64>,
    /// Sum of the weights of shifts between neighbouring speakers (Eq. 4); `None` as above.
    pub wes_diff: Option<f64>,
    /// Shifts within a speaker.
    pub n_shift_same: usize,
    /// Shifts between neighbouring speakers.
    pub n_shift_diff: usize,
    /// Utterances.
    pub n_utt: usize,
    /// Distinct speakers.
    pub n_spk: usize,
}

/// A dialogue's id and components: a line of a score file.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Score<'d> {
    /// The dialogue's id.
    pub id: &'d str,
    /// The components.
    #[serde(flatten)]
    pub components: Components,
}

/// Whose emotion changes in a shift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShiftKind {
    /// One speaker's, from one of their utterances to their next.
    SameSpeaker,
    /// From an utterance to the next one, by another speaker.
    CrossSpeaker,
}

/// A change of label that counts as a shift.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shift {
    /// Whose emotion changes.
    pub kind: ShiftKind,
    /// Position of the earlier utterance, from 0.
    pub from: usize,
    /// Position of the later utterance.
    pub to: usize,
    /// `k·s + b` (Eq. 2); `None` if the wheel lacks a label.
    pub weight: Option<f64>,
}

/// The source of difficulties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DifficultySource {
    /// None needed: everything is shuffled.
    Unneeded,
    /// Labels and speakers, or random draws: computed by [`DifficultyScorer`].
    Computed,
    /// `curriculum.difficulty_file`: read by [`Given::read`].
    File,
    /// The base model's loss: passed to [`Given::new`].
    Loss,
}

/// The source of a recipe's difficulties.
pub fn source(section: &CurriculumSection) -> DifficultySource {
    if section.scheduler == emotrain_recipe::PhaseScheduler::None && section.shuffle {
        return DifficultySource::Unneeded;
    }
    match section.difficulty {
        Difficulty::File => DifficultySource::File,
        Difficulty::Loss => DifficultySource::Loss,
        Difficulty::PrcEmo
        | Difficulty::Wes
        | Difficulty::Es
        | Difficulty::Random
        | Difficulty::Length
        | Difficulty::Speakers => DifficultySource::Computed,
    }
}

/// Scores dialogues. Created once per recipe; scoring allocates nothing.
#[derive(Clone, Debug)]
pub struct DifficultyScorer {
    difficulty: Difficulty,
    labels: LabelSet,
    seed: u64,
    given: Option<Given>,
    shifts: Shifts,
    /// Each speaker's last position; kept to reuse its memory.
    last: Vec<usize>,
}

/// The weight of a change from one label to another.
#[derive(Clone, Debug)]
struct Shifts {
    labels: usize,
    /// Row-major: the weight, or `None` if the change is no shift.
    weights: Vec<Option<f64>>,
    /// Whether the weights are those of Eq. 2, not zeros for lack of a wheel.
    weighted: bool,
}

impl Shifts {
    fn new(section: &CurriculumSection, labels: &LabelSet, wheel: &Wheel) -> Result<Self, CurriculumError> {
        let similarity = match wheel.similarity(labels, section.num_labels) {
            Err(unknown) if needs_wheel(section.difficulty) => return Err(unknown),
            other => other.ok(),
        };
        let ignored =
            |label| section.neutral_shifts == NeutralShifts::Ignore && wheel.is_neutral(labels.name(label));
        let weight = |one, other| {
            let counts = one != other && !ignored(one) && !ignored(other);
            let similarity = similarity.as_ref().map_or(0.0, |table| table.of(one, other));
            counts.then_some(section.k * similarity + section.b)
        };
        let weights = labels.iter().flat_map(|one| labels.iter().map(move |other| (one, other)));
        let weights = weights.map(|(one, other)| weight(one, other)).collect();
        Ok(Self { labels: labels.len(), weights, weighted: similarity.is_some() })
    }

    /// Calls `found` for each shift, in the order of the later utterance, and returns the number of distinct speakers.
    /// An utterance without a label is in no shift; its speaker's shifts skip it.
    fn walk(
        &self,
        dialogue: &Dialogue,
        last: &mut Vec<usize>,
        mut found: impl FnMut(ShiftKind, usize, usize, f64),
    ) -> usize {
        last.clear();
        let utterances = &dialogue.utterances;
        let label = |position: usize| {
            let label = utterances[position].label?.index();
            assert!(label < self.labels, "a label of another set");
            Some(label)
        };
        let weight = |from: usize, to: usize| self.weights[label(from)? * self.labels + label(to)?];
        for (to, utterance) in utterances.iter().enumerate() {
            match last.iter_mut().find(|from| utterances[**from].speaker == utterance.speaker) {
                Some(from) => {
                    if let Some(weight) = weight(*from, to) {
                        found(ShiftKind::SameSpeaker, *from, to, weight);
                    }
                    // A speaker's last emotion is that of their last utterance with a label.
                    if label(to).is_some() || label(*from).is_none() {
                        *from = to;
                    }
                }
                None => last.push(to),
            }
            if to > 0
                && utterances[to - 1].speaker != utterance.speaker
                && let Some(weight) = weight(to - 1, to)
            {
                found(ShiftKind::CrossSpeaker, to - 1, to, weight);
            }
        }
        last.len()
    }
}

fn needs_wheel(difficulty: Difficulty) -> bool {
    matches!(difficulty, Difficulty::PrcEmo | Difficulty::Wes)
}

impl DifficultyScorer {
    /// A scorer for the recipe's difficulty. `seed` determines the draws of [`Difficulty::Random`].
    ///
    /// # Errors
    /// [`CurriculumError::UnknownEmotions`] if the difficulty needs the wheel and the wheel lacks a label.
    pub fn new(
        section: &CurriculumSection,
        labels: &LabelSet,
        wheel: &Wheel,
        seed: u64,
    ) -> Result<Self, CurriculumError> {
        let shifts = Shifts::new(section, labels, wheel)?;
        Ok(Self {
            difficulty: section.difficulty,
            labels: labels.clone(),
            seed,
            given: None,
            shifts,
            last: Vec::new(),
        })
    }

    /// The labels of the dialogues that it scores.
    pub(crate) fn labels(&self) -> &LabelSet {
        &self.labels
    }

    /// Sets the numbers for [`Difficulty::File`] or [`Difficulty::Loss`]; other difficulties ignore them.
    #[must_use]
    pub fn with_given(self, given: Given) -> Self {
        Self { given: Some(given), ..self }
    }

    /// The components of one dialogue.
    ///
    /// # Errors
    /// A difficulty that was not provided.
    ///
    /// # Panics
    /// If a label is not in the scorer's set.
    pub fn components(&mut self, dialogue: &Dialogue) -> Result<Components, CurriculumError> {
        let (mut wes, mut counts) = ([0.0; 2], [0; 2]);
        let n_spk = self.shifts.walk(dialogue, &mut self.last, |kind, _, _, weight| {
            wes[kind as usize] += weight;
            counts[kind as usize] += 1;
        });
        let ([wes_same, wes_diff], [n_shift_same, n_shift_diff]) = (wes, counts);
        let n_utt = dialogue.utterances.len();
        let per_turn = |shifts: f64| (shifts + n_spk as f64) / (n_utt + n_spk) as f64;
        let dif = match self.difficulty {
            Difficulty::PrcEmo => per_turn(wes_same + wes_diff),
            Difficulty::Wes => per_turn(wes_same),
            Difficulty::Es => per_turn(n_shift_same as f64),
            Difficulty::Length => n_utt as f64,
            Difficulty::Speakers => n_spk as f64,
            Difficulty::Random => draw(self.seed, &dialogue.id),
            difficulty @ (Difficulty::File | Difficulty::Loss) => match &mut self.given {
                Some(given) => given.take(&dialogue.id)?,
                None => return Err(CurriculumError::NotGiven { difficulty }),
            },
        };
        let known = |sum| self.shifts.weighted.then_some(sum);
        let (wes_same, wes_diff) = (known(wes_same), known(wes_diff));
        Ok(Components { dif, wes_same, wes_diff, n_shift_same, n_shift_diff, n_utt, n_spk })
    }

    /// The components of all dialogues of a split.
    ///
    /// # Errors
    /// The errors of [`DifficultyScorer::components`]; provided difficulties of other dialogues.
    pub fn all(&mut self, dialogues: &[Dialogue]) -> Result<Vec<Components>, CurriculumError> {
        if let Some(given) = self.given_in_use() {
            given.check_complete(dialogues.iter().map(|dialogue| dialogue.id.as_str()))?;
        }
        let scores = dialogues.iter().map(|dialogue| self.components(dialogue)).collect();
        self.finish()?;
        scores
    }

    /// Call after the last dialogue of a split: checks that all provided difficulties had a dialogue.
    ///
    /// # Errors
    /// [`CurriculumError::Unknown`] with those that had none.
    pub fn finish(&self) -> Result<(), CurriculumError> {
        self.given_in_use().map_or(Ok(()), Given::check_taken)
    }

    fn given_in_use(&self) -> Option<&Given> {
        self.given.as_ref().filter(|_| matches!(self.difficulty, Difficulty::File | Difficulty::Loss))
    }

    /// The shifts of a dialogue, in the order of the later utterance.
    ///
    /// # Panics
    /// If a label is not in the scorer's set.
    pub fn shifts(&self, dialogue: &Dialogue) -> Vec<Shift> {
        let mut shifts = Vec::new();
        self.shifts.walk(dialogue, &mut Vec::new(), |kind, from, to, weight| {
            let weight = self.shifts.weighted.then_some(weight);
            shifts.push(Shift { kind, from, to, weight });
        });
        shifts
    }

    /// The kind of difficulty.
    pub fn difficulty(&self) -> Difficulty {
        self.difficulty
    }
}

/// A uniform draw from [0, 1) that depends only on the seed and the dialogue's id, not on its place in the file: the
/// first 53 bits of a SHA-256.
fn draw(seed: u64, id: &str) -> f64 {
    let digest = Sha256::new().chain_update(seed.to_le_bytes()).chain_update("difficulty").chain_update(id);
    let first = digest.finalize().iter().take(8).fold(0, |bits: u64, byte| bits << 8 | u64::from(*byte));
    (first >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests;
