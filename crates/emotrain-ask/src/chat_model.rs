//! Asking a language model: one form for a server and for a model in this process.
//!
//! A [`ChatModel`] pulls questions from an [`Inquiry`] as it has room for them and hands each answer back as
//! it comes, in whatever order. So the one who asks keeps all state in one thread, a server is kept busy
//! with several questions at once, a local model fills its batches, and a question that has to be put again
//! goes through the same door. Nothing here knows what the questions are about.

mod local;
mod openai;

use std::ffi::OsString;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use emotrain_hub::Hub;
use emotrain_recipe::{InterpretSection, Provider, Recipe};

use crate::error::AskError;

/// What asking takes from the program.
#[derive(Clone, Copy)]
pub struct AskContext<'c> {
    /// Where local models come from, and the listener for progress.
    pub hub: Hub<'c>,
    /// The user's request to stop.
    pub stop: &'c Arc<AtomicBool>,
    /// The value of an environment variable; none that is empty.
    pub variable: fn(&str) -> Option<OsString>,
}

/// The model that `[interpret]` names; a local one runs on the device of `[model]`.
///
/// # Errors
/// A section that does not say enough, a key that is not there, a local model that cannot be loaded.
pub fn open<'c>(recipe: &Recipe, context: AskContext<'c>) -> Result<Box<dyn ChatModel + 'c>, AskError> {
    let section = &recipe.interpret;
    Ok(match section.provider {
        Provider::Openai => Box::new(openai::Server::new(section, context)?),
        Provider::Local => Box::new(local::Local::load(section, recipe, context)?),
    })
}

/// The model that the section names, without its revision; `None` if it names none.
pub fn named(section: &InterpretSection) -> Option<ModelIdentity> {
    let model = section.model.clone()?;
    Some(ModelIdentity { provider: section.provider.to_string(), model, revision: String::new() })
}

/// A chat that waits for the model's reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatQuestion {
    /// The asker's own number, which the answer bears again.
    pub number: usize,
    /// The message of the system; empty = there is none.
    pub system: String,
    /// The message of the user.
    pub user: String,
    /// The keys of the JSON object of texts that the reply is to be; none where it has another form.
    pub keys: Vec<String>,
    /// Seed of this reply. Another attempt at the same question has another.
    pub seed: u64,
}

/// Why a reply ends where it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplyEnd {
    /// The model ended it.
    Stop,
    /// It was cut off at the longest length.
    Length,
    /// Anything else, in the server's word.
    Other(String),
}

/// What the model replied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The text, as it came.
    pub text: String,
    /// Why it ends.
    pub finish: ReplyEnd,
}

/// What became of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A reply, good or bad.
    Reply(Reply),
    /// The model cannot answer this question and never will, as it is longer than its context.
    Refused(String),
    /// No reply for now: the question may be put again another time.
    Unanswered(String),
}

/// Who has questions.
pub trait Inquiry {
    /// The next question; none when there is none for now. An answer may bring further ones.
    fn next(&mut self) -> Option<ChatQuestion>;

    /// Hears what became of a question.
    ///
    /// # Errors
    /// When it cannot be kept: no more questions are put.
    fn receive(&mut self, number: usize, answer: Answer) -> Result<(), AskError>;
}

/// A language model for chats.
pub trait ChatModel {
    /// Answers questions until there are none and none is under way.
    ///
    /// # Errors
    /// What ends all asking: a refusal that holds for every question, a server that does not answer any
    /// more, or an error of the inquiry. Replies that had come by then were heard.
    fn answer(&mut self, inquiry: &mut dyn Inquiry) -> Result<(), AskError>;

    /// Who answers, for records: a name and where it runs. Holds no key.
    fn identity(&self) -> ModelIdentity;
}

/// Who answers.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelIdentity {
    /// `openai` or `local`.
    pub provider: String,
    /// The model's name, as the recipe has it.
    pub model: String,
    /// Distinguishes models of one name: a commit or a digest; empty for a server, and if not known yet.
    pub revision: String,
}
