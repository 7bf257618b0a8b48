//! The effect of a curriculum on a split, for inspection before training.

mod svg;
mod text;

use emotrain_data::{Dialogue, LabelSet};
use emotrain_recipe::{CurriculumSection, Difficulty, Direction, PhaseScheduler};

use crate::curriculum::Curriculum;
use crate::difficulty::{Components, DifficultyScorer, Shift};

/// Dialogues listed at each end of the order.
const EXAMPLES: usize = 3;
/// Bars of a histogram.
const BINS: usize = 20;

/// A curriculum's overview. Displayed as text; [`Overview::svg`] draws the histogram.
#[derive(Clone, Debug, PartialEq)]
pub struct Overview {
    /// The curriculum's name.
    pub name: String,
    /// The kind of difficulty.
    pub difficulty: Difficulty,
    /// Which end comes first.
    pub direction: Direction,
    /// When dialogues are added.
    pub scheduler: PhaseScheduler,
    /// The label set's names, in its order.
    pub labels: Vec<String>,
    /// In training order.
    pub buckets: Vec<BucketSummary>,
    /// Over all dialogues.
    pub histogram: Histogram,
    /// The easiest dialogues, the easiest first.
    pub easiest: Vec<Example>,
    /// The hardest dialogues, the hardest first.
    pub hardest: Vec<Example>,
    /// The run's epochs.
    pub epochs: Vec<EpochSummary>,
}

/// The contents of a bucket.
#[derive(Clone, Debug, PartialEq)]
pub struct BucketSummary {
    /// Number of dialogues, at least 1.
    pub dialogues: usize,
    /// Number of utterances.
    pub utterances: usize,
    /// The lowest difficulty.
    pub least: f64,
    /// The mean difficulty of its dialogues.
    pub mean: f64,
    /// The highest difficulty.
    pub most: f64,
    /// Utterances of each label, in the label set's order.
    pub labels: Vec<usize>,
    /// Shifts within a speaker.
    pub shifts_same: usize,
    /// Shifts between neighbouring speakers.
    pub shifts_diff: usize,
}

/// The number of dialogues of each bucket in equal ranges of difficulty.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// The lowest difficulty.
    pub least: f64,
    /// The highest difficulty.
    pub most: f64,
    /// By range, then by bucket. A single range if all difficulties are equal.
    pub bins: Vec<Vec<usize>>,
}

/// A dialogue with its shifts.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// The dialogue's id.
    pub id: String,
    /// The components of its difficulty.
    pub components: Components,
    /// In the order of the later utterance.
    pub shifts: Vec<SpelledShift>,
}

/// A shift with its speakers and labels.
#[derive(Clone, Debug, PartialEq)]
pub struct SpelledShift {
    /// Positions and weight.
    pub shift: Shift,
    /// The speaker of the earlier position.
    pub from_speaker: String,
    /// The earlier label.
    pub from_label: String,
    /// The speaker of the later position.
    pub to_speaker: String,
    /// The later label.
    pub to_label: String,
}

/// What an epoch trains on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EpochSummary {
    /// From 0; a new phase has other dialogues.
    pub phase: usize,
    /// Number of dialogues.
    pub dialogues: usize,
    /// Number of utterances.
    pub utterances: usize,
    /// Fraction of all utterances.
    pub share: f64,
    /// Mean difficulty of the dialogues.
    pub mean: f64,
}

impl Overview {
    /// The overview of a split with its curriculum for this many epochs.
    ///
    /// # Panics
    /// If the curriculum is of other dialogues, or a label is not in the set.
    pub fn new(
        section: &CurriculumSection,
        curriculum: &Curriculum,
        dialogues: &[Dialogue],
        scorer: &DifficultyScorer,
        epochs: usize,
    ) -> Self {
        assert_eq!(curriculum.scores.len(), dialogues.len(), "a curriculum of other dialogues");
        let buckets = curriculum.schedule.buckets();
        let summary =
            |bucket| BucketSummary::of(buckets.bucket(bucket), curriculum, dialogues, scorer.labels());
        let mut by_difficulty: Vec<usize> = (0..dialogues.len()).collect();
        by_difficulty
            .sort_by(|&one, &other| curriculum.scores[one].dif.total_cmp(&curriculum.scores[other].dif));
        let example = |&index: &usize| Example::of(&dialogues[index], curriculum.scores[index], scorer);
        Self {
            name: section.name.clone(),
            difficulty: scorer.difficulty(),
            direction: section.direction,
            scheduler: section.scheduler,
            labels: scorer.labels().names().to_vec(),
            buckets: (0..buckets.len()).map(summary).collect(),
            histogram: Histogram::of(curriculum),
            easiest: by_difficulty.iter().take(EXAMPLES).map(example).collect(),
            hardest: by_difficulty.iter().rev().take(EXAMPLES).map(example).collect(),
            epochs: (0..epochs).map(|epoch| EpochSummary::of(epoch, curriculum)).collect(),
        }
    }
}

/// The mean difficulty of some dialogues, at least one.
fn mean(part: &[usize], curriculum: &Curriculum) -> f64 {
    part.iter().map(|&index| curriculum.scores[index].dif).sum::<f64>() / part.len() as f64
}

impl BucketSummary {
    fn of(part: &[usize], curriculum: &Curriculum, dialogues: &[Dialogue], labels: &LabelSet) -> Self {
        let scores = || part.iter().map(|&index| curriculum.scores[index]);
        let mut counts = vec![0; labels.len()];
        for utterance in part.iter().flat_map(|&index| &dialogues[index].utterances) {
            utterance.label.into_iter().for_each(|label| counts[label.index()] += 1);
        }
        Self {
            dialogues: part.len(),
            utterances: scores().map(|score| score.n_utt).sum(),
            least: scores().map(|score| score.dif).fold(f64::INFINITY, f64::min),
            mean: mean(part, curriculum),
            most: scores().map(|score| score.dif).fold(f64::NEG_INFINITY, f64::max),
            labels: counts,
            shifts_same: scores().map(|score| score.n_shift_same).sum(),
            shifts_diff: scores().map(|score| score.n_shift_diff).sum(),
        }
    }
}

impl Histogram {
    fn of(curriculum: &Curriculum) -> Self {
        let difficulties = || curriculum.scores.iter().map(|score| score.dif);
        let least = difficulties().fold(f64::INFINITY, f64::min);
        let most = difficulties().fold(f64::NEG_INFINITY, f64::max);
        let buckets = curriculum.schedule.buckets();
        let width = (most - least) / BINS as f64;
        let count = if width > 0.0 { BINS } else { 1 };
        // The number of boundaries at or below: the highest difficulty is in the last range.
        let bin = |dif: f64| (1..count).filter(|&border| dif >= width.mul_add(border as f64, least)).count();
        let mut bins = vec![vec![0; buckets.len()]; count];
        for (bucket, part) in (0..buckets.len()).map(|bucket| (bucket, buckets.bucket(bucket))) {
            for &index in part {
                bins[bin(curriculum.scores[index].dif)][bucket] += 1;
            }
        }
        Self { least, most, bins }
    }

    /// The boundaries of a range.
    ///
    /// # Panics
    /// If there is no such range.
    pub fn range(&self, bin: usize) -> (f64, f64) {
        assert!(bin < self.bins.len(), "no such range");
        let width = (self.most - self.least) / self.bins.len() as f64;
        (width.mul_add(bin as f64, self.least), width.mul_add((bin + 1) as f64, self.least))
    }

    /// The number of dialogues in the fullest range.
    fn tallest(&self) -> usize {
        self.bins.iter().map(|bin| bin.iter().sum()).max().unwrap_or(0).max(1)
    }
}

impl Example {
    fn of(dialogue: &Dialogue, components: Components, scorer: &DifficultyScorer) -> Self {
        let label = |position: usize| {
            let label = dialogue.utterances[position].label;
            label.map_or_else(String::new, |label| scorer.labels().name(label).to_owned())
        };
        let speaker = |position: usize| dialogue.utterances[position].speaker.clone();
        let spelled = |shift: Shift| SpelledShift {
            from_speaker: speaker(shift.from),
            from_label: label(shift.from),
            to_speaker: speaker(shift.to),
            to_label: label(shift.to),
            shift,
        };
        let shifts = scorer.shifts(dialogue).into_iter().map(spelled).collect();
        Self { id: dialogue.id.clone(), components, shifts }
    }
}

impl EpochSummary {
    fn of(epoch: usize, curriculum: &Curriculum) -> Self {
        let epoch = curriculum.schedule.epoch(epoch);
        Self {
            phase: epoch.phase,
            dialogues: epoch.dialogues.len(),
            utterances: epoch.dialogues.iter().map(|&index| curriculum.utterances[index]).sum(),
            share: epoch.share,
            mean: mean(epoch.dialogues, curriculum),
        }
    }
}

#[cfg(test)]
mod tests;
