//! What a server is asked: prompts in every form, and the place in the answer where labels differ.

use std::ops::Range;

use emotrain_data::{Label, LabelSet};
use emotrain_prepare::EncodedSplit;
use emotrain_prompt::{Encoder, Prompt, Thinking};
use emotrain_train::Questions;

use crate::error::VerifyError;

/// The prompts of a split.
///
/// A server reports log-probabilities of single tokens. So the labels are told apart by the first token in which their
/// completions differ; labels that share it count as one, a class.
pub(super) struct Probe {
    /// The prompts and the labels' whole completions.
    pub(super) labels: Questions,
    /// The prompts, followed by what all completions begin with, and a completion of one token for each class.
    pub(super) classes: Questions,
    /// The messages of each prompt.
    pub(super) messages: Vec<Prompt>,
    /// The text of each prompt in `classes`.
    pub(super) texts: Vec<String>,
    /// The texts of the classes' tokens.
    pub(super) class_texts: Vec<String>,
    /// What all completions begin with: its tokens are not in `labels`' prompts.
    pub(super) shared: Vec<u32>,
    /// The text of `shared`.
    pub(super) shared_text: String,
    /// The class of each label.
    class_of: Vec<usize>,
    /// The true label of each prompt.
    pub(super) truth: Vec<Label>,
    /// Passed to the chat template.
    pub(super) enable_thinking: bool,
    label_set: LabelSet,
}

impl Probe {
    /// Prepares the samples of a split for a server.
    ///
    /// # Errors
    /// A template or a tokenizer that fails.
    pub(super) fn new(encoder: &Encoder, split: &EncodedSplit) -> Result<Self, VerifyError> {
        let completions = encoder.label_completions().to_vec();
        let shared = shared(&completions).to_vec();
        let mut tokens: Vec<u32> = Vec::new();
        let class_of = completions.iter().map(|completion| {
            let token = completion.get(shared.len()).copied().unwrap_or_else(|| encoder.end_of_turn());
            tokens.iter().position(|&one| one == token).unwrap_or_else(|| {
                tokens.push(token);
                tokens.len() - 1
            })
        });
        let class_of: Vec<usize> = class_of.collect();
        let chat = encoder.chat();
        let class_texts: Result<_, _> = tokens.iter().map(|token| chat.decode(&[*token])).collect();
        let labelled = split.samples.iter().filter(|sample| sample.label.is_some());
        let samples: Vec<_> = labelled.cloned().collect();
        let messages = samples.iter().map(|sample| split.messages(encoder, sample));
        let messages = messages.filter_map(Result::transpose).collect::<Result<Vec<_>, _>>()?;
        let mut extended = samples.clone();
        for sample in &mut extended {
            sample.ids.extend_from_slice(&shared);
            sample.prompt_len = sample.ids.len();
        }
        let texts: Result<_, _> = extended.iter().map(|sample| chat.decode(&sample.ids)).collect();
        Ok(Self {
            truth: samples.iter().filter_map(|sample| sample.label).collect(),
            classes: Questions {
                samples: extended,
                completions: tokens.into_iter().map(|one| vec![one]).collect(),
            },
            labels: Questions { samples, completions },
            messages,
            texts: texts?,
            class_texts: class_texts?,
            shared_text: chat.decode(&shared)?,
            shared,
            class_of,
            enable_thinking: encoder.thinking() == Thinking::On,
            label_set: encoder.labels().clone(),
        })
    }

    /// The numbers of the prompts.
    pub(super) fn prompts(&self) -> Range<usize> {
        0..self.truth.len()
    }

    /// The class of a label, as a label of a set in which every class is one.
    pub(super) fn class(&self, label: Label) -> Label {
        Label::from_index(self.class_of[label.index()])
    }

    /// How many labels there are.
    pub(super) fn count(&self) -> usize {
        self.class_of.len()
    }

    /// The tokens of the longest completion.
    pub(super) fn longest(&self) -> usize {
        self.labels.completions.iter().map(Vec::len).max().unwrap_or(1)
    }

    /// The label that a text names.
    pub(super) fn label(&self, text: &str) -> Option<Label> {
        let text = text.trim_start();
        let answer = text.strip_prefix(self.shared_text.trim()).unwrap_or(text);
        self.label_set.resolve(answer.trim())
    }
}

/// What all completions begin with.
fn shared(completions: &[Vec<u32>]) -> &[u32] {
    let Some((first, rest)) = completions.split_first() else { return &[] };
    let is_shared = |at: usize| rest.iter().all(|one| one.get(at) == first.get(at));
    let length = (0..first.len()).take_while(|&at| is_shared(at)).count();
    &first[..length]
}

#[cfg(test)]
mod tests {
    use super::shared;

    #[test]
    fn completions_share_their_beginning() {
        assert_eq!(shared(&[vec![1, 2, 3], vec![1, 2, 4], vec![1, 2, 3, 5]]), [1, 2]);
        assert_eq!(shared(&[vec![1, 2], vec![1]]), [1]);
        assert!(shared(&[vec![1], vec![2]]).is_empty());
        assert!(shared(&[]).is_empty());
    }
}
