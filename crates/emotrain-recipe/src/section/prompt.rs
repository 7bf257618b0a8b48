//! `[prompt]`: how an utterance becomes a chat.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::WrongForm;
use crate::key::Kind;
use crate::problem::{Fault, Violations};

section! {
    /// `[prompt]`: how an utterance becomes a chat.
    PromptSection = "prompt" {
        /// The template.
        template: PromptTemplate = Kind::WordOrPath(PromptTemplate::NAMES);
        /// The parts of the prompt that are shown.
        slots: PromptSlots = Kind::WordOrTexts(PromptSlots::ALL);
        /// Refuse everything that comes from later utterances.
        causal: bool = Kind::Switch;
        /// Number of earlier utterances shown.
        history_window: usize = Kind::up_to(100_000);
        /// Number of later utterances shown.
        future_window: usize = Kind::up_to(100_000);
        /// Passed to chat templates that know it.
        enable_thinking: bool = Kind::Switch;
    }
}

impl PromptSection {
    /// With `causal` nothing may come from later utterances.
    pub(crate) fn check_window(&self, violated: &mut Violations) {
        if self.causal && self.future_window > 0 && self.slots.has("future") {
            let fault = Fault::new("prompt.causal = true does not allow a future_window");
            violated.add(&["prompt.future_window", "prompt.causal"], fault.hint("write future_window = 0"));
        }
    }
}

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
        WrongForm::unless_texts(&value, "\"all\" or a list of slots").map(Self::List)
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
