//! The choices of `[prompt]`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::WrongForm;

/// The template of prompts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum PromptTemplate {
    /// `recipes/prompts/plain.jinja`: instruction, history, demonstrations, labels.
    Plain,
    /// `recipes/prompts/prc_emo.jinja`: the paper's slots.
    PrcEmo,
    /// A user's file.
    File(PathBuf),
}

impl PromptTemplate {
    /// The names of the built-in templates.
    pub const NAMES: &'static [&'static str] = &["plain", "prc_emo"];
}

impl From<String> for PromptTemplate {
    fn from(text: String) -> Self {
        match text.as_str() {
            "" | "plain" => Self::Plain,
            "prc_emo" => Self::PrcEmo,
            _ => Self::File(PathBuf::from(text)),
        }
    }
}

impl From<PromptTemplate> for String {
    fn from(template: PromptTemplate) -> Self {
        match template {
            PromptTemplate::Plain => "plain".to_owned(),
            PromptTemplate::PrcEmo => "prc_emo".to_owned(),
            PromptTemplate::File(path) => path.to_string_lossy().into_owned(),
        }
    }
}

/// The parts of a prompt that are shown; the question and the utterance always are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "toml::Value", into = "toml::Value")]
pub enum PromptSlots {
    /// Every part that the template has.
    All,
    /// These: some of [`PromptSlots::NAMES`] and of the names of knowledge sources.
    List(Vec<String>),
}

impl PromptSlots {
    /// The name of [`PromptSlots::All`].
    pub const ALL: &'static str = "all";

    /// The parts that a prompt can have without knowledge sources.
    pub const NAMES: &'static [&'static str] =
        &["instruction", "note", "history", "future", "demonstrations", "label_statement"];

    /// Whether the part of this name is shown.
    pub fn has(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::List(names) => names.iter().any(|shown| shown == name),
        }
    }
}

impl TryFrom<toml::Value> for PromptSlots {
    type Error = WrongForm;

    fn try_from(value: toml::Value) -> Result<Self, WrongForm> {
        if value.as_str() == Some(Self::ALL) {
            return Ok(Self::All);
        }
        let names = value.as_array().into_iter().flatten();
        let names: Option<Vec<_>> = names.map(|name| name.as_str().map(str::to_owned)).collect();
        match names {
            Some(names) if value.is_array() => Ok(Self::List(names)),
            _ => Err(WrongForm { expected: "\"all\" or a list of slots" }),
        }
    }
}

impl From<PromptSlots> for toml::Value {
    fn from(slots: PromptSlots) -> Self {
        match slots {
            PromptSlots::All => PromptSlots::ALL.into(),
            PromptSlots::List(names) => names.into(),
        }
    }
}
