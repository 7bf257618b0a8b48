//! A split together with its curriculum.

use emotrain_data::Dialogue;
use emotrain_recipe::CurriculumSection;

use crate::buckets::Buckets;
use crate::difficulty::{Components, DifficultyScorer};
use crate::error::CurriculumError;
use crate::schedule::Schedule;

/// The difficulty of each dialogue of a split, and what each epoch trains on.
#[derive(Clone, Debug, PartialEq)]
pub struct Curriculum {
    /// One per dialogue, in the split's order.
    pub scores: Vec<Components>,
    /// The number of utterances of each dialogue that are trained on.
    pub utterances: Vec<usize>,
    /// The run's epochs.
    pub schedule: Schedule,
}

impl Curriculum {
    /// Scores, sorts and buckets a split according to the recipe.
    ///
    /// # Errors
    /// The errors of [`DifficultyScorer::all`] and [`Buckets::new`].
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

    /// Sorts and buckets a scored split. `utterances` is the number of utterances of each dialogue that are trained on,
    /// which `data.max_train_samples` may limit; a dialogue with none is left out.
    ///
    /// # Errors
    /// The errors of [`Buckets::new`].
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
