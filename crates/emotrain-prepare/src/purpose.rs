//! What the samples of a file are for, and what that makes of them.

use emotrain_data::SplitKind;
use emotrain_model::random::Key;
use emotrain_prompt::Answers;
use emotrain_recipe::Recipe;

use crate::auxiliary::Auxiliary;
use crate::sample_maker::Selection;

/// What the samples of a file are for. It alone, not the name of the split, decides what they hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be trained on: with their answers, and with auxiliary questions in addition.
    Training,
    /// To be answered by a model.
    Answering,
}

/// Training samples are drawn with the run's seed, and auxiliary ones come with them; what is measured is the same
/// whatever the seed, and whatever the split is called.
pub fn selection<'a>(
    recipe: &Recipe,
    (name, purpose): (SplitKind, Purpose),
    auxiliary: &'a [Auxiliary],
) -> Selection<'a> {
    let (limit, completion_only) = (name.limit(&recipe.data), recipe.train.completion_only_loss);
    match purpose {
        Purpose::Training => {
            let key = Key::new(recipe.train.seed).named(SplitKind::Train.as_str());
            Selection { answers: Answers::Given, labelled_only: true, limit, key, completion_only, auxiliary }
        }
        Purpose::Answering => {
            let key = Key::new(0).named(SplitKind::Test.as_str());
            Selection {
                answers: Answers::Withheld,
                labelled_only: true,
                limit,
                key,
                completion_only,
                auxiliary: &[],
            }
        }
    }
}
