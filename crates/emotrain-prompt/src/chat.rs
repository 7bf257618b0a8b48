//! Chat templates: from messages to the text that the base model was trained on.
//!
//! A chat template is a Jinja program that comes with the tokenizer. It is rendered here exactly as
//! transformers' `apply_chat_template` renders it (golden values: `tests/golden/chat_template`).

mod date;
mod json;

use std::borrow::Cow;

use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value};

use crate::error::PromptError;
use crate::jinja;
use crate::template::source::tags;
pub use date::{ChatDate, DEFAULT_DATE};

const FILE: &str = "chat template";

/// Who speaks in a chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Instruction and context.
    System,
    /// The question.
    User,
    /// The model's answer.
    Assistant,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// One turn of a chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: &'a str,
}

/// What stands at the end of a rendered chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The last message.
    Closed,
    /// The opening of the assistant's turn, so that the model goes on with the answer.
    GenerationPrompt,
}

/// Whether a reasoning model may reason before it answers (`enable_thinking` of Qwen3's template).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thinking {
    /// The answer comes at once.
    Off,
    /// The template leaves room for reasoning.
    On,
}

/// A compiled chat template with the special tokens that it may print.
#[derive(Clone, Debug)]
pub(crate) struct ChatTemplate {
    origin: String,
    source: String,
    environment: Environment<'static>,
    special_tokens: Vec<(&'static str, String)>,
}

impl ChatTemplate {
    pub(crate) fn new(
        origin: String,
        source: String,
        special_tokens: Vec<(&'static str, String)>,
        date: ChatDate,
    ) -> Result<Self, PromptError> {
        let mut environment = jinja::environment(UndefinedBehavior::Lenient);
        environment.add_filter("tojson", json::tojson);
        environment.add_function("raise_exception", |message: String| -> Result<Value, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, message))
        });
        environment.add_function("strftime_now", move |format: String| {
            date.format(&format).map_err(|directive| {
                let message = format!("strftime_now: unknown directive \"%{directive}\"");
                Error::new(ErrorKind::InvalidOperation, message)
            })
        });
        let unix = source.replace("\r\n", "\n").replace('\r', "\n"); // as Jinja2 does
        let runnable = without_generation_tags(&unix).into_owned();
        environment.add_template_owned(FILE, runnable).map_err(|error| failed(&origin, &error))?;
        Ok(Self { origin, source, environment, special_tokens })
    }

    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    pub(crate) fn render(
        &self,
        messages: &[Message<'_>],
        ending: Ending,
        thinking: Thinking,
    ) -> Result<String, PromptError> {
        let message = |message: &Message<'_>| {
            Value::from_pairs([("role", message.role.name()), ("content", message.content)])
        };
        let settings = [
            ("messages", messages.iter().map(message).collect()),
            ("tools", Value::from(())),
            ("documents", Value::from(())),
            ("add_generation_prompt", Value::from(ending == Ending::GenerationPrompt)),
            ("enable_thinking", Value::from(thinking == Thinking::On)),
        ];
        let tokens = self.special_tokens.iter().map(|(name, token)| (*name, Value::from(token)));
        let values = Value::from_pairs(settings.into_iter().chain(tokens));
        self.environment
            .get_template(FILE)
            .and_then(|template| template.render(values))
            .map_err(|error| failed(&self.origin, &error))
    }
}

fn failed(origin: &str, error: &Error) -> PromptError {
    PromptError::Chat { origin: origin.to_owned(), line: error.line(), message: jinja::message(error) }
}

/// transformers' `{% generation %}` marks the assistant's tokens and prints nothing of its own: the
/// engine here does not know the tag, so a condition that always holds takes its place.
fn without_generation_tags(source: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(source);
    for tag in tags(source).into_iter().rev() {
        match tag.keyword() {
            Some("generation") => text.to_mut().replace_range(tag.range, "if true"),
            Some("endgeneration") => text.to_mut().replace_range(tag.range, "endif"),
            _ => {}
        }
    }
    text
}

#[cfg(test)]
mod tests;
