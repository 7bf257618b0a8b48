//! A split with a curriculum over it.

use emotrain_data::Dialogue;
use emotrain_recipe::CurriculumSection;

use crate::buckets::Buckets;
use crate::difficulty::{Components, DifficultyScorer};
use crate::error::CurriculumError;
use crate::schedule::Schedule;

/// How hard each dialogue of a split is, and what each epoch trains on.
#[derive(Clone, Debug, PartialEq)]
pub struct Curriculum {
    /// Of each dialogue, in the split's order.
    pub scores: Vec<Components>,
    /// Utterances of each dialogue that are trained on.
    pub utterances: Vec<usize>,
    /// Of the run.
    pub schedule: Schedule,
}

impl Curriculum {
    /// Scores, orders and cuts a split as a recipe says.
    ///
    /// # Errors
    /// Those of [`DifficultyScorer::all`] and [`Buckets::new`].
    pub fn new(
        section: &CurriculumSection,
        scorer: &mut DifficultyScorer,
        dialogues: &[Dialogue],
    ) -> Result<Self, CurriculumError> {
        let scores = scorer.all(dialogues)?;
        let labelled =
            |dialogue: &Dialogue| dialogue.utterances.iter().filter(|one| one.label.is_some()).count();
        Self::from_scores(section, scores, dialogues.iter().map(labelled).collect())
    }

    /// Orders and cuts a split that has been scored. `utterances` holds how many utterances of each
    /// dialogue are trained on, which `data.max_train_samples` may make fewer than there are; a dialogue
    /// with none is left out.
    ///
    /// # Errors
    /// Those of [`Buckets::new`].
    pub fn from_scores(
        section: &CurriculumSection,
        scores: Vec<Components>,
        utterances: Vec<usize>,
    ) -> Result<Self, CurriculumError> {
        let difficulties: Vec<f64> = scores.iter().map(|score| score.dif).collect();
        let buckets = Buckets::new(section, &difficulties, &utterances)?;
        let schedule = Schedule::new(section, buckets, &utterances);
        Ok(Self { scores, utterances, schedule })
    }
}
