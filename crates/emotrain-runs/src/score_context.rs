//! What the prompts behind a score could know.

use std::fmt;

use emotrain_recipe::{Availability, KnowledgeLevel};
use serde::{Deserialize, Serialize};

/// With what a score was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScoreContext {
    /// Online, if nothing in the prompts came from later than the utterance; else offline.
    pub availability: Availability,
    /// Later utterances that prompts show at most.
    pub future_window: usize,
    /// The sources that prompts show.
    pub knowledge: Vec<SourceUse>,
}

/// A knowledge source as a score used it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceUse {
    /// Its name in the recipe.
    pub name: String,
    /// What its texts belong to.
    pub level: KnowledgeLevel,
    /// Whether its texts were written without what was said later.
    pub availability: Availability,
    /// Utterances, speakers or dialogues with a text.
    pub texts: usize,
    /// All of them.
    pub wanted: usize,
}

impl fmt::Display for ScoreContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.availability;
        let shown = self.knowledge.iter().map(|source| {
            let SourceUse { name, level, availability, texts, wanted } = source;
            format!("{name} ({availability}, {texts} of {wanted} by {level})")
        });
        let future = (self.future_window > 0).then(|| format!("{} later utterances", self.future_window));
        let shown: Vec<String> = future.into_iter().chain(shown).collect();
        match (self.availability, shown.is_empty()) {
            (_, true) => write!(f, "made {kind}: prompts show what was said until then and nothing else"),
            _ => write!(f, "made {kind}: prompts show {}", shown.join(", ")),
        }
    }
}
