//! Samples of a micro-batch as rows for the model.

use emotrain_model::{Batch, Sequence};
use emotrain_prompt::Sample;
use emotrain_recipe::{Recipe, SharedPrefix, TrainMethod};

/// Whether the samples of a micro-batch share the rows of what they begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// Each has all of its rows.
    Apart,
    /// They share them ([`Batch::trees`]).
    Shared,
}

impl Packing {
    /// That of a recipe's training (`train.shared_prefix`).
    pub fn of(recipe: &Recipe) -> Self {
        let train = &recipe.train;
        let drops = train.method == TrainMethod::Lora && recipe.lora.lora_dropout > 0.0;
        let is_random = drops || train.neftune_noise_alpha > 0.0;
        match train.shared_prefix {
            SharedPrefix::Always => Self::Shared,
            SharedPrefix::Auto if !is_random => Self::Shared,
            SharedPrefix::Auto | SharedPrefix::Never => Self::Apart,
        }
    }

    /// The batch of these samples.
    pub(crate) fn batch<'a>(self, samples: impl IntoIterator<Item = &'a Sample>) -> Batch {
        let sequences = sequences(samples);
        match self {
            Self::Apart => Batch::sequences(&sequences),
            Self::Shared => Batch::trees(&sequences),
        }
    }

    /// How many tokens of these samples are not computed because they are another's, too.
    pub(crate) fn saved<'a>(self, samples: impl IntoIterator<Item = &'a Sample>) -> usize {
        match self {
            Self::Apart => 0,
            Self::Shared => Batch::shared_rows(&sequences(samples)),
        }
    }
}

fn sequences<'a>(samples: impl IntoIterator<Item = &'a Sample>) -> Vec<Sequence<'a>> {
    let sequence = |sample: &'a Sample| Sequence { ids: &sample.ids, supervised_from: sample.prompt_len };
    samples.into_iter().map(sequence).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn what_changes_with_sharing_is_shared_only_if_that_is_asked_for() {
        let packing = |set: &[&str]| {
            let text =
                "[model]\nmodel_name_or_path = \"owner/tiny\"\n[data]\ntrain = \"/a\"\nvalid = \"/b\"\n";
            let set: Vec<String> = set.iter().map(|set| (*set).to_owned()).collect();
            Packing::of(&emotrain_recipe::parse(text, Path::new("/erc.toml"), &set).unwrap())
        };
        let (dropout, noise) = ("lora.lora_dropout=0", "train.neftune_noise_alpha=5");
        assert_eq!(packing(&[]), Packing::Apart);
        assert_eq!(packing(&[dropout]), Packing::Shared);
        assert_eq!(packing(&["train.method=full"]), Packing::Shared);
        assert_eq!(packing(&[dropout, noise]), Packing::Apart);
        assert_eq!(packing(&["train.shared_prefix=always", noise]), Packing::Shared);
        assert_eq!(packing(&["train.shared_prefix=never", dropout]), Packing::Apart);
    }
}
