//! A split once it is encoded.

use std::collections::BTreeSet;

use emotrain_base::{Complaint, Problems};
use emotrain_data::{Dialogue, SplitKind};
use emotrain_prompt::{Encoder, Prompt, Question, Sample, Task, TokenCounts};

use crate::content::Content;
use crate::demonstrations::RetrievedDemonstrations;
use crate::error::PrepareError;
use crate::knowledge::KnowledgeTexts;
use crate::purpose::Purpose;

/// A data file with its samples.
pub struct EncodedSplit {
    /// Which of the recipe's files it is.
    pub name: SplitKind,
    /// What its samples are for.
    pub purpose: Purpose,
    /// What the file holds.
    pub content: Content,
    /// What its prompts show, where the recipe has a bank.
    pub found: Option<RetrievedDemonstrations>,
    /// What is known about its utterances.
    pub known: KnowledgeTexts,
    /// What the model gets.
    pub samples: Vec<Sample>,
}

impl EncodedSplit {
    /// Counts of the samples.
    pub fn counts(&self) -> TokenCounts {
        TokenCounts::of(&self.samples)
    }

    /// The messages that one of the samples was encoded from; `None` for plain text, or for a sample of another split.
    ///
    /// # Errors
    /// A template that fails.
    pub fn messages(&self, encoder: &Encoder, sample: &Sample) -> Result<Option<Prompt>, PrepareError> {
        let Content::Dialogues(split) = &self.content else { return Ok(None) };
        let turns = split.dialogues.iter().flat_map(|one| (0..one.utterances.len()).map(move |at| (one, at)));
        let is_it = |dialogue: &Dialogue, position| dialogue.utterance_id(position) == sample.id;
        let found = turns.enumerate().find(|(_, (dialogue, position))| is_it(dialogue, *position));
        let Some((turn, (dialogue, position))) = found else { return Ok(None) };
        let demonstrations = self.found.as_ref().map_or(&[][..], |found| &found.shown[turn]);
        let knowledge = &self.known.texts(dialogue, position);
        let question = Question { dialogue, position, demonstrations, knowledge };
        Ok(Some(encoder.messages(question, sample)?))
    }

    /// How many of the samples ask for something else than an emotion.
    pub(crate) fn auxiliary(&self) -> usize {
        let counts = Sample::tasks(&self.samples);
        Task::AUXILIARY.iter().filter_map(|task| counts.get(task)).sum()
    }

    /// The counts for people; questions without answers supervise nothing by their nature.
    pub fn counted(&self) -> String {
        self.counts().to_string().replace(" (0 supervised)", "")
    }
}

/// Refuses a file of texts that serves several splits in which the same ids name different dialogues.
///
/// # Errors
/// The first dialogue of each source whose texts are ambiguous.
pub(crate) fn check_apart(materials: &[EncodedSplit]) -> Result<(), PrepareError> {
    let mut problems = Problems::default();
    for (number, later) in materials.iter().enumerate() {
        for earlier in &materials[..number] {
            let (Content::Dialogues(one), Content::Dialogues(other)) = (&earlier.content, &later.content)
            else {
                continue;
            };
            let ids: BTreeSet<&str> = one.dialogues.iter().map(|dialogue| dialogue.id.as_str()).collect();
            let Some(shared) = other.dialogues.iter().find(|dialogue| ids.contains(dialogue.id.as_str()))
            else {
                continue;
            };
            for (first, second) in earlier.known.sources().zip(later.known.sources()) {
                if first.path == second.path && !first.is_by_split {
                    let (path, id) = (first.path.display(), &shared.id);
                    let (one, other) = (earlier.name.as_str(), later.name.as_str());
                    let message = format!("{path}: dialogue {id} is one of {one} and another of {other}");
                    let hint =
                        "give each split its own file, with {split} in the path, or each row a \"split\"";
                    problems.add(Complaint::input(message).hint(hint));
                }
            }
        }
    }
    Ok(problems.finish()?)
}
