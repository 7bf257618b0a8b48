//! Asking a language model: one form for a server and for a model in this process.
//!
//! A [`ChatModel`] pulls questions from an [`Inquiry`] as it has room for them and hands each answer back as
//! it comes, in whatever order. So the one who asks keeps all state in one thread, a server is kept busy
//! with several questions at once, a local model fills its batches, and a question that has to be put again
//! goes through the same door. Nothing here knows what the questions are about.

mod local;
mod openai;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use emotrain_base::Complaint;
use emotrain_recipe::{InterpretSection, Provider, Recipe};

use crate::printer::Printer;
use crate::shell::Shell;

/// The model that `[interpret]` names; a local one runs on the device of `[model]`. `wish` is the user's wish to stop.
///
/// # Errors
/// A section that does not say enough, a key that is not there, a local model that cannot be loaded.
pub(crate) fn open<'s>(
    recipe: &Recipe,
    wish: Arc<AtomicBool>,
    shell: &'s Shell,
) -> anyhow::Result<Box<dyn ChatModel + 's>> {
    let section = &recipe.interpret;
    Ok(match section.provider {
        Provider::Openai => Box::new(openai::Server::new(section, wish, &shell.printer)?),
        Provider::Local => Box::new(local::Local::load(section, &recipe.model, wish, shell)?),
    })
}

/// Who would answer, as far as the section says: without the revision, and none where it names no model.
pub(crate) fn named(section: &InterpretSection) -> Option<ModelIdentity> {
    let model = section.model.clone()?;
    Some(ModelIdentity { provider: section.provider.to_string(), model, revision: String::new() })
}

/// Warns of the reasons for which questions got no reply, and counts the questions.
pub(crate) fn tell_silent(reasons: &BTreeMap<String, usize>, printer: &Printer) -> usize {
    for (reason, count) in reasons {
        printer.warn(format_args!("{count} questions got no reply: {reason}"));
    }
    reasons.values().sum()
}

/// The error of a session in which so many questions got no reply.
///
/// # Errors
/// If there are any.
pub(crate) fn refuse_silence(silent: usize) -> anyhow::Result<()> {
    if silent == 0 {
        return Ok(());
    }
    let complaint = Complaint::input(format!("{silent} questions got no reply and are still open"));
    Err(complaint.hint("see that the server of interpret.base_url runs, then run the same command again: what was answered is kept").into())
}

/// A chat that waits for the model's reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    /// The asker's own number, which the answer bears again.
    pub(crate) number: usize,
    /// The message of the system; empty = there is none.
    pub(crate) system: String,
    /// The message of the user.
    pub(crate) user: String,
    /// The keys of the JSON object of texts that the reply is to be; none where it has another form.
    pub(crate) keys: Vec<String>,
    /// Seed of this reply. Another attempt at the same question has another.
    pub(crate) seed: u64,
}

/// Why a reply ends where it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    /// The model ended it.
    Stop,
    /// It was cut off at the longest length.
    Length,
    /// Anything else, in the server's word.
    Other(String),
}

/// What the model replied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    /// The text, as it came.
    pub(crate) text: String,
    /// Why it ends.
    pub(crate) finish: Finish,
}

/// What became of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A reply, good or bad.
    Reply(Reply),
    /// The model cannot answer this question and never will, as it is longer than its context.
    Refused(String),
    /// No reply for now: the question may be put again another time.
    Unanswered(String),
}

/// Who has questions.
pub(crate) trait Inquiry {
    /// The next question; none when there is none for now. An answer may bring further ones.
    fn next(&mut self) -> Option<Question>;

    /// Hears what became of a question.
    ///
    /// # Errors
    /// When it cannot be kept: no more questions are put.
    fn hear(&mut self, number: usize, answer: Answer) -> anyhow::Result<()>;
}

/// A language model for chats.
pub(crate) trait ChatModel {
    /// Answers questions until there are none and none is under way.
    ///
    /// # Errors
    /// What ends all asking: a refusal that holds for every question, a server that does not answer any
    /// more, or an error of the inquiry. Replies that had come by then were heard.
    fn answer(&mut self, inquiry: &mut dyn Inquiry) -> anyhow::Result<()>;

    /// Who answers, for records: a name and where it runs. Holds no key.
    fn identity(&self) -> ModelIdentity;
}

/// Who answers.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModelIdentity {
    /// `openai` or `local`.
    pub(crate) provider: String,
    /// The model's name, as the recipe has it.
    pub(crate) model: String,
    /// What tells apart models of one name: a commit or a digest; empty for a server, and where it is not known yet.
    pub(crate) revision: String,
}
