//! Completions: the answer's tokens and the end-of-turn token.

mod reasoning;

use std::borrow::Cow;

use emotrain_data::LabelSet;

use crate::chat::{Ending, Message, Role, Thinking};
use crate::error::PromptError;
use crate::template::Prompt;
use crate::tokenizer::ChatTokenizer;

/// Answers with different first letters: what the chat template prints before both belongs to neither.
const WORDS: [&str; 2] = ["yes", "no"];

/// Where a prompt's system text goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SystemText {
    /// A message of its own.
    Message,
    /// Before the user's text, if the chat template refuses or drops a system message.
    BeforeUser,
}

impl SystemText {
    /// Probes the chat template with an example.
    fn of(chat: &ChatTokenizer, example: &Prompt, thinking: Thinking) -> Result<Self, PromptError> {
        if example.system.trim().is_empty() {
            return Ok(Self::Message);
        }
        let shown = |system: Self| {
            let rendered = system.render(chat, example, thinking)?;
            check_shown(chat, example, &rendered).map(|()| system)
        };
        shown(Self::Message).or_else(|refused| shown(Self::BeforeUser).map_err(|_| refused))
    }

    /// The chat up to the answer.
    pub(crate) fn render(
        self,
        chat: &ChatTokenizer,
        prompt: &Prompt,
        thinking: Thinking,
    ) -> Result<String, PromptError> {
        let user = self.user(prompt);
        chat.apply(&self.messages(prompt, &user, None), Ending::GenerationPrompt, thinking)
    }

    /// The user's message.
    fn user(self, prompt: &Prompt) -> Cow<'_, str> {
        match self {
            Self::BeforeUser if !prompt.system.is_empty() => {
                Cow::Owned(format!("{}\n\n{}", prompt.system, prompt.user))
            }
            Self::BeforeUser | Self::Message => Cow::Borrowed(&prompt.user),
        }
    }

    /// The prompt as the messages show it.
    pub(crate) fn folded(self, prompt: Prompt) -> Prompt {
        match self {
            Self::Message => prompt,
            Self::BeforeUser => {
                let user = self.user(&prompt).into_owned();
                Prompt { system: String::new(), user, ..prompt }
            }
        }
    }

    /// A prompt without a system text has no system message: the chat template may insert its own.
    fn messages<'a>(self, prompt: &'a Prompt, user: &'a str, answer: Option<&'a str>) -> Vec<Message<'a>> {
        let has_message = self == Self::Message && !prompt.system.is_empty();
        let system = has_message.then_some((Role::System, prompt.system.as_str()));
        let assistant = answer.map(|answer| (Role::Assistant, answer));
        let turns = [system, Some((Role::User, user)), assistant].into_iter().flatten();
        turns.map(|(role, content)| Message { role, content }).collect()
    }
}

/// How a chat template writes answers, found by rendering an example. Some print something before the answer, such as
/// an empty reasoning block: the model has to generate it.
#[derive(Clone, Debug)]
pub(crate) struct AnswerForm {
    example: Prompt,
    thinking: Thinking,
    pub(crate) system: SystemText,
    /// The chat up to the answer, and its tokens.
    prompt: String,
    prompt_ids: Vec<u32>,
    /// What the template prints between the two.
    before: String,
}

/// One answer.
#[derive(Clone, Debug)]
pub(crate) struct Completion {
    pub(crate) ids: Vec<u32>,
    pub(crate) text: String,
    /// The end-of-turn token, the last of `ids`.
    pub(crate) end_of_turn: u32,
    /// Whether prompt and answer encoded together give the tokens of both.
    pub(crate) has_clean_border: bool,
}

impl AnswerForm {
    /// Renders an example to see how the chat template writes an answer.
    pub(crate) fn new(
        chat: &ChatTokenizer,
        example: &Prompt,
        thinking: Thinking,
    ) -> Result<Self, PromptError> {
        let system = SystemText::of(chat, example, thinking)?;
        let prompt = system.render(chat, example, thinking)?;
        check_shown(chat, example, &prompt)?;
        let (example, prompt_ids) = (example.clone(), chat.encode(&prompt)?);
        let mut form = Self { example, thinking, system, prompt, prompt_ids, before: String::new() };
        let [one, other] = WORDS.map(|word| form.answered(chat, word));
        let (one, other) = (one?, other?);
        let shared = one.chars().zip(other.chars()).take_while(|(one, other)| one == other);
        form.before = shared.map(|(character, _)| character).collect();
        Ok(form)
    }

    /// The completion for this answer: from what the chat template prints before it up to and including the end-of-turn
    /// token.
    pub(crate) fn complete(&self, chat: &ChatTokenizer, answer: &str) -> Result<Completion, PromptError> {
        let rest = self.answered(chat, answer)?;
        let after = rest.strip_prefix(&self.before).and_then(|rest| rest.strip_prefix(answer));
        let Some(after) = after else {
            return Err(unfit(chat, format!("changes the answer \"{answer}\"")));
        };
        let first = chat
            .control_tokens()
            .iter()
            .filter_map(|token| Some((after.find(token.as_str())?, token)))
            .min_by_key(|(at, token)| (*at, std::cmp::Reverse(token.len())));
        let Some((at, token)) = first else {
            return Err(unfit(chat, "does not end the assistant's turn with a special token".to_owned()));
        };
        let Some(end_of_turn) = chat.token_id(token) else {
            return Err(unfit(chat, format!("ends the assistant's turn with \"{token}\", which has no id")));
        };
        let text = rest[..rest.len() - after.len() + at + token.len()].to_owned();
        let whole = chat.encode(&format!("{}{text}", self.prompt))?;
        let (ids, has_clean_border) = match whole.strip_prefix(self.prompt_ids.as_slice()) {
            Some(ids) => (ids.to_vec(), true),
            None => (chat.encode(&text)?, false),
        };
        Ok(Completion { ids, text, end_of_turn, has_clean_border })
    }

    /// The answered chat after the prompt.
    fn answered(&self, chat: &ChatTokenizer, answer: &str) -> Result<String, PromptError> {
        let user = self.system.user(&self.example);
        let messages = self.system.messages(&self.example, &user, Some(answer));
        let whole = chat.apply(&messages, Ending::Closed, self.thinking)?;
        if let Some(rest) = whole.strip_prefix(&self.prompt) {
            return Ok(rest.to_owned());
        }
        reasoning::closed(&self.prompt, &whole).ok_or_else(|| {
            let end = self
                .prompt
                .char_indices()
                .rev()
                .nth(39)
                .map_or(self.prompt.as_str(), |(at, _)| &self.prompt[at..]);
            let message = format!(
                "does not start an answered chat with its own generation prompt, which ends with {end:?}"
            );
            unfit(chat, message)
        })
    }
}

/// Text and tokens of every label's answer.
#[derive(Clone, Debug)]
pub(crate) struct Completions {
    /// How answers are written.
    pub(crate) form: AnswerForm,
    /// By label index.
    pub(crate) ids: Vec<Vec<u32>>,
    /// By label index.
    pub(crate) texts: Vec<String>,
    /// The token that ends each of them.
    pub(crate) end_of_turn: u32,
    /// Whether prompt and answer encoded together give the tokens of both, so that a tokenizer given the whole text
    /// produces the same ids.
    pub(crate) clean_border: bool,
}

impl Completions {
    /// Renders each label as the answer to an example.
    pub(crate) fn new(
        chat: &ChatTokenizer,
        example: &Prompt,
        labels: &LabelSet,
        thinking: Thinking,
    ) -> Result<Self, PromptError> {
        let form = AnswerForm::new(chat, example, thinking)?;
        let mut completions =
            Self { form, ids: Vec::new(), texts: Vec::new(), end_of_turn: 0, clean_border: true };
        for name in labels.names() {
            if chat.encode(name)?.is_empty() {
                return Err(PromptError::EmptyLabel(name.clone()));
            }
            let completion = completions.form.complete(chat, name)?;
            completions.clean_border &= completion.has_clean_border;
            completions.end_of_turn = completion.end_of_turn;
            completions.ids.push(completion.ids);
            completions.texts.push(completion.text);
        }
        completions.check_distinct(labels)?;
        Ok(completions)
    }

    /// The token count of the longest answer.
    pub(crate) fn longest(&self) -> usize {
        self.ids.iter().map(Vec::len).max().unwrap_or(0)
    }

    fn check_distinct(&self, labels: &LabelSet) -> Result<(), PromptError> {
        for (later, ids) in self.ids.iter().enumerate() {
            if let Some(earlier) = self.ids[..later].iter().position(|other| other == ids) {
                let name = |index: usize| labels.names()[index].clone();
                return Err(PromptError::EqualLabels(name(earlier), name(later)));
            }
        }
        Ok(())
    }
}

fn check_shown(chat: &ChatTokenizer, prompt: &Prompt, rendered: &str) -> Result<(), PromptError> {
    for (text, what) in [(&prompt.system, "system message"), (&prompt.user, "user's message")] {
        if !rendered.contains(text.trim()) {
            return Err(unfit(chat, format!("leaves out the {what}")));
        }
    }
    Ok(())
}

/// The end-of-turn token.
pub(crate) fn end_of_turn(chat: &ChatTokenizer) -> Result<u32, PromptError> {
    let example = Prompt { system: String::new(), user: "Is it raining?".to_owned(), answer: None };
    Ok(AnswerForm::new(chat, &example, Thinking::Off)?.complete(chat, WORDS[0])?.end_of_turn)
}

fn unfit(chat: &ChatTokenizer, message: String) -> PromptError {
    PromptError::UnfitChat { origin: chat.origin().to_owned(), message }
}
