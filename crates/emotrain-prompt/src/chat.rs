//! Chat templates: from messages to the text format of the base model.
//!
//! A chat template is a Jinja program that comes with the tokenizer. It is rendered exactly as transformers'
//! `apply_chat_template` renders it (golden values: `tests/golden/chat_template`).

mod date;
mod json;

use std::borrow::Cow;

use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value};

use crate::error::PromptError;
use crate::jinja;
use crate::template::source::tags;
pub use date::{ChatDate, DEFAULT_DATE};
#[cfg(test)]
pub(crate) use json::tojson;

const FILE: &str = "chat template";
/// transformers' name of the function that gives templates the date.
const STRFTIME: &str = "strftime_now";

/// The role of a message.
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
    /// The role.
    pub role: Role,
    /// The text.
    pub content: &'a str,
}

/// How a rendered chat ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With the last message.
    Closed,
    /// With the opening of the assistant's turn, so that the model continues with the answer.
    GenerationPrompt,
}

/// Whether a reasoning model may reason before it answers (`enable_thinking` of Qwen3's template).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thinking {
    /// The model answers directly.
    Off,
    /// The template leaves room for reasoning.
    On,
}

/// A compiled chat template with the special tokens it may print.
#[derive(Clone, Debug)]
pub(crate) struct ChatTemplate {
    origin: String,
    source: String,
    environment: Environment<'static>,
    special_tokens: Vec<(&'static str, String)>,
    date: ChatDate,
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
        environment.add_function(STRFTIME, move |format: String| {
            date.format(&format).map_err(|directive| {
                let message = format!("strftime_now: unknown directive \"%{directive}\"");
                Error::new(ErrorKind::InvalidOperation, message)
            })
        });
        let unix = source.replace("\r\n", "\n").replace('\r', "\n"); // as Jinja2 does
        let runnable = without_generation_tags(&unix).into_owned();
        jinja::add(&mut environment, FILE, runnable).map_err(|error| failed(&origin, &error))?;
        let template = Self { origin, source, environment, special_tokens, date };
        template.try_out()?;
        Ok(template)
    }

    /// Renders a chat once: whatever else a template does, it has to terminate.
    fn try_out(&self) -> Result<(), PromptError> {
        let this = self.clone();
        let render = move || {
            let said =
                [(Role::System, "Be brief."), (Role::User, "Is it raining?"), (Role::Assistant, "Yes.")];
            let said = said.map(|(role, content)| Message { role, content });
            for (messages, ending) in [(&said[1..2], Ending::GenerationPrompt), (&said[..], Ending::Closed)] {
                match this.rendered(messages, ending, Thinking::Off) {
                    Err(error) if error.kind() == ErrorKind::OutOfFuel => return Err(error),
                    _ => {} // a template that refuses these messages may accept others
                }
            }
            Ok(())
        };
        jinja::tried(render).map_err(|error| failed(&self.origin, &error))
    }

    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// The date that it may print, if it asks for one.
    pub(crate) fn date(&self) -> Option<ChatDate> {
        self.source.contains(STRFTIME).then_some(self.date)
    }

    pub(crate) fn render(
        &self,
        messages: &[Message<'_>],
        ending: Ending,
        thinking: Thinking,
    ) -> Result<String, PromptError> {
        self.rendered(messages, ending, thinking).map_err(|error| failed(&self.origin, &error))
    }

    fn rendered(
        &self,
        messages: &[Message<'_>],
        ending: Ending,
        thinking: Thinking,
    ) -> Result<String, Error> {
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
        self.environment.get_template(FILE)?.render(values)
    }
}

fn failed(origin: &str, error: &Error) -> PromptError {
    PromptError::Chat { origin: origin.to_owned(), line: error.line(), message: jinja::message(error) }
}

/// transformers' `{% generation %}` marks the assistant's tokens and prints nothing: the engine does not know the tag,
/// so it is replaced by a condition that is always true.
fn without_generation_tags(source: &str) -> Cow<'_, str> {
    let (mut text, mut done) = (String::new(), 0);
    for tag in tags(source) {
        let instead = match tag.keyword() {
            Some("generation") => "if true",
            Some("endgeneration") => "endif",
            _ => continue,
        };
        text.push_str(&source[done..tag.range.start]);
        text.push_str(instead);
        done = tag.range.end;
    }
    if done == 0 {
        return Cow::Borrowed(source);
    }
    text.push_str(&source[done..]);
    Cow::Owned(text)
}

#[cfg(test)]
mod tests;
