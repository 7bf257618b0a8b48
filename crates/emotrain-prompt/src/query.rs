//! Queries that ask a language model for knowledge: about an utterance, a speaker, a dialogue.
//!
//! A query is a TOML file: what it is about, how much of the dialogue it shows, the keys of the JSON object that the
//! reply must be, and the messages of the chat as Jinja templates. Those of `recipes/queries` are built in; a user's
//! own file has the same format.

mod check;
mod measure;
mod reply;

use std::path::Path;

use emotrain_base::{limits, sha256_hex};
use emotrain_data::{Dialogue, Utterance};
use emotrain_recipe::{Availability, KnowledgeLevel};
use minijinja::{Environment, Value};
use serde::{Deserialize, Serialize};

use crate::error::PromptError;
use crate::jinja;

pub use self::measure::{Measures, label_words};
pub use self::reply::{BadReply, read_reply, unfenced};

const SYSTEM: &str = "system";
const USER: &str = "user";

/// The built-in queries, by name.
const BUILTIN: &[(&str, &str)] = &[
    ("interpretation", include_str!("../../../recipes/queries/interpretation.toml")),
    ("characteristic", include_str!("../../../recipes/queries/characteristic.toml")),
    ("biography", include_str!("../../../recipes/queries/biography.toml")),
    ("rationale", include_str!("../../../recipes/queries/rationale.toml")),
];

/// How much of the dialogue a query shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Reach {
    /// The utterance and those before it: the reply could have been written at that moment.
    History,
    /// The whole dialogue.
    Dialogue,
}

/// The contents of a query file, checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct QueryFile {
    level: KnowledgeLevel,
    reach: Reach,
    /// The maximum number of utterances before the target; only with [`Reach::History`].
    #[serde(default)]
    history_window: Option<usize>,
    /// The keys of a reply, in their order.
    keys: Vec<String>,
    #[serde(default)]
    min_words: Option<usize>,
    #[serde(default)]
    max_words: Option<usize>,
    #[serde(default)]
    system: String,
    user: String,
}

/// A checked query.
#[derive(Clone, Debug)]
pub struct Query {
    origin: String,
    file: QueryFile,
    environment: Environment<'static>,
}

/// The subject of one question, within its dialogue.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum QueryTarget {
    /// The utterance at this position, counted from 0.
    Utterance(usize),
    /// The speaker of this name.
    Speaker(String),
    /// The dialogue.
    Dialogue,
}

/// The messages of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryText {
    /// The system message; may be empty.
    pub system: String,
    /// The user's message.
    pub user: String,
}

impl Query {
    /// The names of the built-in queries.
    pub fn names() -> impl Iterator<Item = &'static str> {
        BUILTIN.iter().map(|(name, _)| *name)
    }

    /// The built-in query of this name, or the one in the file of this path, which ends in `.toml`.
    ///
    /// # Errors
    /// [`PromptError::UnknownQuery`], [`PromptError::Read`], or [`PromptError::Template`] with every problem.
    pub fn find(name: &str) -> Result<Self, PromptError> {
        if let Some((name, source)) = BUILTIN.iter().find(|(builtin, _)| *builtin == name) {
            return Self::from_source(format!("query {name}"), source);
        }
        let path = Path::new(name);
        if path.extension().is_none_or(|extension| extension != "toml") {
            let known = Self::names().collect();
            return Err(PromptError::UnknownQuery { name: name.to_owned(), known });
        }
        Self::from_source(path.display().to_string(), &emotrain_base::read_to_string(path, limits::RECIPE)?)
    }

    fn from_source(origin: String, source: &str) -> Result<Self, PromptError> {
        let source = source.trim_start_matches('\u{feff}').replace("\r\n", "\n");
        let (file, environment) = check::check(&origin, &source).map_err(PromptError::Template)?;
        Ok(Self { origin, file, environment })
    }

    /// What it asks about.
    pub fn level(&self) -> KnowledgeLevel {
        self.file.level
    }

    /// Whether a reply could have been written when its utterance was said.
    pub fn availability(&self) -> Availability {
        match self.file.reach {
            Reach::History => Availability::Online,
            Reach::Dialogue => Availability::Offline,
        }
    }

    /// The keys of a reply, in the order in which they are stored.
    pub fn keys(&self) -> &[String] {
        &self.file.keys
    }

    /// Its origin, for messages.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// A digest of everything that affects its questions, in hexadecimal; comments and order do not.
    ///
    /// # Panics
    /// Never: texts and numbers can be written as JSON.
    pub fn sha256(&self) -> String {
        let json = serde_json::to_vec(&self.file).unwrap_or_else(|error| panic!("a query is JSON: {error}"));
        sha256_hex(&json)
    }

    /// All its questions about a dialogue, in the dialogue's order.
    pub fn targets(&self, dialogue: &Dialogue) -> Vec<QueryTarget> {
        match self.file.level {
            KnowledgeLevel::Utterance => (0..dialogue.utterances.len()).map(QueryTarget::Utterance).collect(),
            KnowledgeLevel::Speaker => {
                dialogue.speakers().into_iter().map(|name| QueryTarget::Speaker(name.to_owned())).collect()
            }
            KnowledgeLevel::Dialogue => vec![QueryTarget::Dialogue],
        }
    }

    /// The messages of a question. The same input gives the same messages.
    ///
    /// # Errors
    /// [`PromptError::Query`].
    ///
    /// # Panics
    /// If the target is not in the dialogue.
    pub fn ask(&self, dialogue: &Dialogue, target: &QueryTarget) -> Result<QueryText, PromptError> {
        let values = values(&self.file, dialogue, target);
        let render = |name: &str| {
            let text = self.environment.get_template(name).and_then(|template| template.render(&values));
            text.map(|text| text.trim_matches('\n').to_owned()).map_err(|error| PromptError::Query {
                dialogue: dialogue.id.clone(),
                origin: self.origin.clone(),
                message: jinja::message(&error),
            })
        };
        Ok(QueryText { system: render(SYSTEM)?, user: render(USER)? })
    }

    /// The texts of a reply, in the order of the keys.
    ///
    /// # Errors
    /// Everything that does not exactly match the request.
    pub fn read(&self, reply: &str) -> Result<Vec<String>, BadReply> {
        read_reply(reply, &self.file.keys)
    }
}

/// What every query may show: its subject, the speaker, and the conversation.
fn slots(file: &QueryFile) -> Vec<&'static str> {
    let mut slots = match file.level {
        KnowledgeLevel::Utterance => vec!["speaker", "utterance", "history"],
        KnowledgeLevel::Speaker => vec!["speaker"],
        KnowledgeLevel::Dialogue => vec![],
    };
    if file.reach == Reach::Dialogue {
        slots.push("dialogue");
    }
    slots
}

/// The values of [`slots`].
fn values(file: &QueryFile, dialogue: &Dialogue, target: &QueryTarget) -> Value {
    let all = &dialogue.utterances;
    let value = |slot: &str| match (slot, target) {
        ("dialogue", _) => turns(all),
        ("utterance", QueryTarget::Utterance(position)) => Value::from(&all[*position].text),
        ("history", QueryTarget::Utterance(position)) => {
            let window = file.history_window.unwrap_or(*position);
            turns(&all[position.saturating_sub(window)..*position])
        }
        (_, QueryTarget::Utterance(position)) => Value::from(&all[*position].speaker),
        (_, QueryTarget::Speaker(name)) => Value::from(name),
        (_, QueryTarget::Dialogue) => Value::UNDEFINED,
    };
    Value::from_pairs(slots(file).into_iter().map(|slot| (slot, value(slot))))
}

fn turns(utterances: &[Utterance]) -> Value {
    let turn = |Utterance { speaker, text, .. }: &Utterance| {
        Value::from_pairs([("speaker", speaker), ("text", text)])
    };
    utterances.iter().map(turn).collect()
}

#[cfg(test)]
mod tests;
