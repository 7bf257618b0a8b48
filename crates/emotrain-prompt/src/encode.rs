//! From an utterance to token ids, in the same way for training and evaluation.

use emotrain_data::{Dialogue, LabelSet, ShownDemonstration, UtteranceId};
use emotrain_recipe::{DemonstrationOrder, PromptSection, RetrievalSection};
use serde::{Deserialize, Serialize};

use crate::budget::{Fitted, PromptLengths, Window, fit};
use crate::chat::Thinking;
use crate::completion::{Completions, SystemText};
use crate::error::PromptError;
use crate::example;
use crate::sample::Sample;
use crate::task::Task;
use crate::template::{Prompt, PromptInput, Template};
use crate::tokenizer::ChatTokenizer;

/// Encodes utterances as samples, with the one question of its template.
///
/// A sample is the tokens of the prompt, encoded independently of the answer, followed by those of the answer:
/// training, evaluation and prediction share every token of the prompt. Room for the longest label is always reserved,
/// so that the true label does not influence what the prompt shows.
#[derive(Clone, Debug)]
pub struct Encoder {
    chat: ChatTokenizer,
    template: Template,
    labels: LabelSet,
    window: Window,
    slot: Option<DemonstrationSlot>,
    thinking: Thinking,
    max_seq_length: usize,
    completions: Completions,
}

/// How a prompt shows demonstrations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DemonstrationSlot {
    /// The maximum number.
    pub k: usize,
    /// Which one comes first.
    pub order: DemonstrationOrder,
    /// Whether each shows its similarity.
    pub show_score: bool,
    /// Whether each shows its data set.
    pub show_source: bool,
}

/// An utterance to encode, and what is shown in addition to its dialogue.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The conversation.
    pub dialogue: &'a Dialogue,
    /// The target utterance, counted from 0.
    pub position: usize,
    /// Demonstrations, the most similar first, whatever the order in the prompt.
    pub demonstrations: &'a [ShownDemonstration],
    /// A text for each of [`Template::sources`], empty if there is none.
    pub knowledge: &'a [&'a str],
}

impl<'a> Question<'a> {
    /// An utterance with only its dialogue.
    pub fn new(dialogue: &'a Dialogue, position: usize) -> Self {
        Self { dialogue, position, demonstrations: &[], knowledge: &[] }
    }
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
    /// Combines a model's tokenizer with a prompt template, and checks with an example that they fit.
    ///
    /// # Errors
    /// [`PromptError::NoChatTemplate`] and [`PromptError::UnfitChat`] for a chat template that cannot represent our
    /// messages, [`PromptError::UnusedWindow`], [`PromptError::EmptyLabel`], [`PromptError::EqualLabels`].
    pub fn new(
        chat: ChatTokenizer,
        template: Template,
        labels: LabelSet,
        section: &PromptSection,
        max_seq_length: usize,
    ) -> Result<Self, PromptError> {
        template.check_windows(section.history_window, section.future_window)?;
        let task = template.task();
        let shown = |part: &str, most: usize| if section.slots.has(part) { most } else { 0 };
        let history = shown("history", section.history_window).saturating_sub(task.least_history());
        let future = if task == Task::Emotion { shown("future", section.future_window) } else { 0 };
        let window = Window { demonstrations: 0, history, future };
        let thinking = if section.enable_thinking { Thinking::On } else { Thinking::Off };
        let dialogue = example::dialogue();
        let texts = example::knowledge(template.sources());
        let prompt = template.render(&PromptInput {
            dialogue: &dialogue,
            position: example::POSITION,
            labels: &labels,
            history: history + task.least_history(),
            future,
            demonstrations: &[],
            knowledge: &texts.iter().map(String::as_str).collect::<Vec<_>>(),
        })?;
        let completions = Completions::new(&chat, &prompt, &labels, thinking)?;
        Ok(Self { chat, template, labels, window, slot: None, thinking, max_seq_length, completions })
    }

    /// Enables demonstrations: at most `retrieval.k`, in `retrieval.order`. Without this call, or without a bank in the
    /// section, prompts equal those without demonstrations, to the byte.
    ///
    /// # Errors
    /// [`PromptError::UnusedDemonstrations`].
    pub fn with_demonstrations(mut self, section: &RetrievalSection) -> Result<Self, PromptError> {
        let RetrievalSection { k, order, show_score, show_source, .. } = *section;
        if section.bank.is_some() && self.template.shows("demonstrations") {
            self.template.check_demonstrations()?;
            self.slot = Some(DemonstrationSlot { k, order, show_score, show_source });
            self.window.demonstrations = k;
        }
        Ok(self)
    }

    /// Encodes an utterance, with its true label as the answer if it is [given](Answers::Given). Demonstrations beyond
    /// `retrieval.k` are not shown, and without [`Encoder::with_demonstrations`] none are.
    ///
    /// # Errors
    /// [`PromptError::NoUtterance`], [`PromptError::TooLong`], [`PromptError::SpecialToken`], errors of template and
    /// tokenizer; with the answer also [`PromptError::MissingLabel`].
    pub fn encode_question(&self, answers: Answers, question: Question<'_>) -> Result<Sample, PromptError> {
        let (mut sample, answer) = self.sample(question)?;
        if answers == Answers::Given {
            let Some(answer) = answer else {
                return Err(PromptError::MissingLabel(sample.id));
            };
            sample.ids.extend_from_slice(&answer);
        }
        Ok(sample)
    }

    /// The sample of a question without its answer, and the answer's tokens if it is known.
    fn sample(&self, question: Question<'_>) -> Result<(Sample, Option<Vec<u32>>), PromptError> {
        let Question { dialogue, position, .. } = question;
        let id = dialogue.utterance_id(position);
        let Some(utterance) = dialogue.utterances.get(position) else {
            return Err(PromptError::NoUtterance { id, utterances: dialogue.utterances.len() });
        };
        let task = self.template.task();
        if !task.suits(dialogue, position) {
            return Err(PromptError::Unsuited { id, task: task.as_str() });
        }
        let widest = self.available(question);
        let (truth, answer) = self.answer(dialogue, position)?;
        let mut shortest = 0;
        let fitted = fit(widest, |window| {
            let ids = self.chat.encode(&self.prompt_text(question, window)?)?;
            shortest = ids.len();
            Ok::<_, PromptError>((ids.len() + answer <= self.max_seq_length).then_some(ids))
        })?;
        let Some(Fitted { made: ids, window }) = fitted else {
            let knowledge = question.knowledge.iter().zip(self.template.sources());
            let knowledge = knowledge.filter(|(text, _)| !text.is_empty());
            let knowledge = knowledge.map(|(text, _)| Ok(self.chat.encode(text)?.len()));
            let lengths = PromptLengths {
                prompt: shortest,
                knowledge: knowledge.sum::<Result<_, PromptError>>()?,
                answer,
                max_seq_length: self.max_seq_length,
            };
            return Err(PromptError::TooLong { id, lengths });
        };
        let sample = Sample {
            id,
            task: Some(task),
            prompt_len: ids.len(),
            ids,
            label: utterance.label,
            dropped_history: widest.history - window.history,
            dropped_future: widest.future - window.future,
            demonstrations: window.demonstrations,
            dropped_demonstrations: widest.demonstrations - window.demonstrations,
        };
        Ok((sample, truth))
    }

    /// The tokens of the true answer, if known, and the token count of the longest possible one.
    fn answer(&self, dialogue: &Dialogue, position: usize) -> Result<(Option<Vec<u32>>, usize), PromptError> {
        let utterance = &dialogue.utterances[position];
        if self.template.task() != Task::SpeakerIdentification {
            let truth = utterance.label.map(|label| self.completions.ids[label.index()].clone());
            return Ok((truth, self.completions.longest()));
        }
        let (mut truth, mut longest) = (None, 0);
        for name in dialogue.speakers() {
            if self.chat.encode(name)?.is_empty() {
                let (id, name) = (dialogue.utterance_id(position), name.to_owned());
                return Err(PromptError::EmptyName { id, name });
            }
            let ids = self.completions.form.complete(&self.chat, name)?.ids;
            longest = longest.max(ids.len());
            if name == utterance.speaker {
                truth = Some(ids);
            }
        }
        Ok((truth, longest))
    }

    /// The completion's tokens for each label, by label index: the label and the end-of-turn token.
    pub fn label_completions(&self) -> &[Vec<u32>] {
        &self.completions.ids
    }

    /// The texts of an utterance's prompt with the whole window, as the template renders them.
    ///
    /// # Errors
    /// The errors of [`Template::render`].
    pub fn prompt(&self, question: Question<'_>) -> Result<Prompt, PromptError> {
        self.rendered(question, self.window)
    }

    /// The messages that a sample's prompt was rendered from, with the window that fitted, as the chat template is given
    /// them: without a system role, the system text is part of the user's.
    ///
    /// # Errors
    /// The errors of [`Template::render`].
    pub fn messages(&self, question: Question<'_>, sample: &Sample) -> Result<Prompt, PromptError> {
        let widest = self.available(question);
        let window = Window {
            demonstrations: sample.demonstrations,
            history: widest.history - sample.dropped_history,
            future: widest.future - sample.dropped_future,
        };
        let prompt = self.rendered(question, window)?;
        Ok(self.completions.form.system.folded(prompt))
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

    /// The token limit of a sample.
    pub fn max_seq_length(&self) -> usize {
        self.max_seq_length
    }

    /// The id of the token that ends every answer.
    pub fn end_of_turn(&self) -> u32 {
        self.completions.end_of_turn
    }

    /// Peculiarities of the chat template, for display.
    pub fn remarks(&self) -> Vec<String> {
        let origin = self.chat.origin();
        let folded = self.folds_system().then(|| {
            format!("{origin}: the chat template has no system role: the system text goes before the user's")
        });
        let date = self
            .chat
            .date()
            .map(|date| format!("{origin}: the chat template prints a date, fixed to {date}"));
        folded.into_iter().chain(date).collect()
    }

    pub(crate) fn folds_system(&self) -> bool {
        self.completions.form.system == SystemText::BeforeUser
    }

    pub(crate) fn window(&self) -> Window {
        self.window
    }

    /// What the chat template is told of reasoning.
    pub fn thinking(&self) -> Thinking {
        self.thinking
    }

    pub(crate) fn completions(&self) -> &Completions {
        &self.completions
    }

    pub(crate) fn slot(&self) -> Option<DemonstrationSlot> {
        self.slot
    }

    /// The chat's text up to the answer.
    pub(crate) fn prompt_text(&self, question: Question<'_>, window: Window) -> Result<String, PromptError> {
        let prompt = self.rendered(question, window)?;
        self.refuse_control_tokens(&prompt, || question.dialogue.utterance_id(question.position))?;
        self.completions.form.system.render(&self.chat, &prompt, self.thinking)
    }

    fn rendered(&self, question: Question<'_>, window: Window) -> Result<Prompt, PromptError> {
        let Question { dialogue, position, demonstrations, knowledge } = question;
        let mut shown = demonstrations[..window.demonstrations.min(demonstrations.len())].to_vec();
        if self.slot.is_some_and(|slot| slot.order == DemonstrationOrder::MostSimilarLast) {
            shown.reverse();
        }
        let Window { history, future, .. } = window;
        let history = history + self.template.task().least_history();
        let labels = &self.labels;
        let demonstrations = &shown;
        self.template.render(&PromptInput {
            dialogue,
            position,
            labels,
            history,
            future,
            demonstrations,
            knowledge,
        })
    }

    /// The window, limited by the dialogue and its demonstrations.
    fn available(&self, question: Question<'_>) -> Window {
        let Question { dialogue, position, demonstrations, .. } = question;
        Window {
            demonstrations: self.window.demonstrations.min(demonstrations.len()),
            history: self.window.history.min(position - self.template.task().least_history()),
            future: self.window.future.min(dialogue.utterances.len() - position - 1),
        }
    }

    /// A text such as `<|im_end|>` inside a message would end the message.
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

#[cfg(test)]
mod tests;
