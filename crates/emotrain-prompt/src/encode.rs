//! From an utterance to token ids: the one way, in training and in evaluation.

use emotrain_data::{Dialogue, LabelSet, UtteranceId};
use emotrain_recipe::PromptSection;

use crate::budget::{Fitted, Lengths, Window, fit};
use crate::chat::Thinking;
use crate::completion::{Completions, render_prompt};
use crate::error::PromptError;
use crate::example;
use crate::sample::Sample;
use crate::template::{Prompt, PromptInput, Template};
use crate::tokenizer::ChatTokenizer;

/// Makes samples of utterances.
///
/// A sample is the tokens of the prompt, encoded without regard to an answer, followed by those of the
/// answer: training, evaluation and prediction share the prompt's tokens to the last one. Room for the
/// longest label is always kept, so that the true label has no say in what the prompt shows.
#[derive(Clone, Debug)]
pub struct Encoder {
    chat: ChatTokenizer,
    template: Template,
    labels: LabelSet,
    window: Window,
    thinking: Thinking,
    max_seq_length: usize,
    completions: Completions,
}

/// Whether samples end with the true label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// For training: every utterance needs a label.
    Given,
    /// For evaluation and prediction: the samples are prompts.
    Withheld,
}

impl Encoder {
    /// Joins a model's tokenizer with a prompt template and checks on an example that they fit.
    ///
    /// # Errors
    /// [`PromptError::NoChatTemplate`] and [`PromptError::UnfitChat`] for a chat template that cannot
    /// carry our messages, [`PromptError::UnusedWindow`], [`PromptError::EmptyLabel`],
    /// [`PromptError::EqualLabels`].
    pub fn new(
        chat: ChatTokenizer,
        template: Template,
        labels: LabelSet,
        section: &PromptSection,
        max_seq_length: usize,
    ) -> Result<Self, PromptError> {
        let window = Window { history: section.history_window, future: section.future_window };
        template.check_windows(window.history, window.future)?;
        let thinking = if section.enable_thinking { Thinking::On } else { Thinking::Off };
        let dialogue = example::dialogue();
        let prompt = template.render(&input(&dialogue, example::POSITION, &labels, window))?;
        let completions = Completions::new(&chat, &prompt, &labels, thinking)?;
        Ok(Self { chat, template, labels, window, thinking, max_seq_length, completions })
    }

    /// The sample of one utterance with its true label as the answer.
    ///
    /// # Errors
    /// [`PromptError::MissingLabel`] and those of [`Encoder::encode_prompt`].
    pub fn encode(&self, dialogue: &Dialogue, position: usize) -> Result<Sample, PromptError> {
        let mut sample = self.encode_prompt(dialogue, position)?;
        let Some(label) = sample.label else {
            return Err(PromptError::MissingLabel(sample.id));
        };
        sample.ids.extend_from_slice(&self.completions.ids[label.index()]);
        Ok(sample)
    }

    /// The sample of one utterance without an answer: what the model is asked in evaluation.
    ///
    /// # Errors
    /// [`PromptError::NoUtterance`], [`PromptError::TooLong`], [`PromptError::SpecialToken`], and what
    /// template and tokenizer report.
    pub fn encode_prompt(&self, dialogue: &Dialogue, position: usize) -> Result<Sample, PromptError> {
        let id = dialogue.utterance_id(position);
        let Some(utterance) = dialogue.utterances.get(position) else {
            return Err(PromptError::NoUtterance { id, utterances: dialogue.utterances.len() });
        };
        let widest = self.available(dialogue, position);
        let answer = self.completions.longest();
        let mut shortest = 0;
        let fitted = fit(widest, |window| {
            let ids = self.prompt_ids(dialogue, position, window)?;
            shortest = ids.len();
            Ok::<_, PromptError>((ids.len() + answer <= self.max_seq_length).then_some(ids))
        })?;
        let Some(Fitted { made: ids, window }) = fitted else {
            let lengths = Lengths { prompt: shortest, answer, max_seq_length: self.max_seq_length };
            return Err(PromptError::TooLong { id, lengths });
        };
        Ok(Sample {
            id,
            prompt_len: ids.len(),
            ids,
            label: utterance.label,
            dropped_history: widest.history - window.history,
            dropped_future: widest.future - window.future,
        })
    }

    /// [`Encoder::encode`] or [`Encoder::encode_prompt`].
    ///
    /// # Errors
    /// Theirs.
    pub fn encode_as(
        &self,
        answers: Answers,
        dialogue: &Dialogue,
        position: usize,
    ) -> Result<Sample, PromptError> {
        match answers {
            Answers::Given => self.encode(dialogue, position),
            Answers::Withheld => self.encode_prompt(dialogue, position),
        }
    }

    /// The tokens that follow a prompt for each label, by label index: the label's word and the token
    /// that ends the assistant's turn.
    pub fn label_completions(&self) -> &[Vec<u32>] {
        &self.completions.ids
    }

    /// The texts of one utterance's prompt with the whole window, as the template writes them.
    ///
    /// # Errors
    /// Those of [`Template::render`].
    pub fn prompt(&self, dialogue: &Dialogue, position: usize) -> Result<Prompt, PromptError> {
        self.template.render(&input(dialogue, position, &self.labels, self.window))
    }

    /// The tokenizer and its chat template.
    pub fn chat(&self) -> &ChatTokenizer {
        &self.chat
    }

    /// The prompt template.
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// The labels to choose from.
    pub fn labels(&self) -> &LabelSet {
        &self.labels
    }

    /// Most tokens that a sample has.
    pub fn max_seq_length(&self) -> usize {
        self.max_seq_length
    }

    /// The id of the token that ends every answer.
    pub fn end_of_turn(&self) -> u32 {
        self.completions.end_of_turn
    }

    pub(crate) fn window(&self) -> Window {
        self.window
    }

    pub(crate) fn thinking(&self) -> Thinking {
        self.thinking
    }

    pub(crate) fn completions(&self) -> &Completions {
        &self.completions
    }

    /// The chat's text up to where the model answers.
    pub(crate) fn prompt_text(
        &self,
        dialogue: &Dialogue,
        position: usize,
        window: Window,
    ) -> Result<String, PromptError> {
        let prompt = self.template.render(&input(dialogue, position, &self.labels, window))?;
        self.refuse_control_tokens(&prompt, || dialogue.utterance_id(position))?;
        render_prompt(&self.chat, &prompt, self.thinking)
    }

    fn prompt_ids(
        &self,
        dialogue: &Dialogue,
        position: usize,
        window: Window,
    ) -> Result<Vec<u32>, PromptError> {
        self.chat.encode(&self.prompt_text(dialogue, position, window)?)
    }

    /// The window as far as the dialogue reaches.
    fn available(&self, dialogue: &Dialogue, position: usize) -> Window {
        Window {
            history: self.window.history.min(position),
            future: self.window.future.min(dialogue.utterances.len() - position - 1),
        }
    }

    /// A text such as `<|im_end|>` inside a message would end it.
    fn refuse_control_tokens(
        &self,
        prompt: &Prompt,
        id: impl FnOnce() -> UtteranceId,
    ) -> Result<(), PromptError> {
        let holds =
            |token: &&String| prompt.system.contains(token.as_str()) || prompt.user.contains(token.as_str());
        match self.chat.control_tokens().iter().find(holds) {
            Some(token) => Err(PromptError::SpecialToken { id: id(), token: token.clone() }),
            None => Ok(()),
        }
    }
}

fn input<'a>(
    dialogue: &'a Dialogue,
    position: usize,
    labels: &'a LabelSet,
    window: Window,
) -> PromptInput<'a> {
    PromptInput { dialogue, position, labels, history: window.history, future: window.future }
}

#[cfg(test)]
mod tests;
