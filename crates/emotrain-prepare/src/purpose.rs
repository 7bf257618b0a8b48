//! What the samples of a file are for, and what that makes of them.

use std::collections::BTreeSet;

use emotrain_base::random::Key;
use emotrain_data::{SplitKind, UtteranceId};
use emotrain_prompt::Answers;
use emotrain_recipe::Recipe;

use crate::auxiliary::Auxiliary;

/// What the samples of a file are for. It alone, not the name of the split, decides what they hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be trained on: with their answers, and with auxiliary questions in addition.
    Training,
    /// To be answered by a model.
    Answering,
}

/// Which samples of a file, and in which form.
#[derive(Clone, Copy, Debug)]
pub struct Selection<'a> {
    /// What they are for.
    pub purpose: Purpose,
    /// Whether utterances without a label are left out.
    pub labelled_only: bool,
    /// At most this many, drawn by the key.
    pub limit: Option<usize>,
    /// What is drawn is a function of it.
    pub key: Key,
    /// Whether the loss counts the answer alone.
    pub completion_only: bool,
    /// What is asked of some utterances besides.
    pub auxiliary: &'a [Auxiliary],
    /// Only these utterances, whose demonstrations are those that the run kept: nothing is searched.
    pub recalled: Option<&'a BTreeSet<UtteranceId>>,
}

impl<'a> Selection<'a> {
    /// What a purpose makes of a split. Training samples are drawn with the run's seed, and auxiliary ones come with
    /// them; what is measured is the same whatever the seed, and whatever the split is called.
    pub fn new(recipe: &Recipe, name: SplitKind, purpose: Purpose, auxiliary: &'a [Auxiliary]) -> Self {
        let (key, auxiliary) = match purpose {
            Purpose::Training => (Key::new(recipe.train.seed).named(SplitKind::Train.as_str()), auxiliary),
            Purpose::Answering => (Key::new(0).named(SplitKind::Test.as_str()), &[][..]),
        };
        let (limit, completion_only) = (name.limit(&recipe.data), recipe.train.completion_only_loss);
        let recalled = None;
        Self { purpose, labelled_only: true, limit, key, completion_only, auxiliary, recalled }
    }

    /// What was asked of these utterances when a run answered a split, and nothing of others.
    pub fn recalled(recipe: &Recipe, name: SplitKind, utterances: &'a BTreeSet<UtteranceId>) -> Self {
        let answering = Self::new(recipe, name, Purpose::Answering, &[]);
        Self { limit: None, recalled: Some(utterances), ..answering }
    }

    /// Whether samples hold their answers.
    pub(crate) fn answers(&self) -> Answers {
        match self.purpose {
            Purpose::Training => Answers::Given,
            Purpose::Answering => Answers::Withheld,
        }
    }
}
