//! `[[knowledge]]`: sources of texts that prompts show.

use std::path::PathBuf;

use crate::blank;
use crate::key::Kind;
use crate::problem::Fault;
use crate::suggest::quoted;

section! {
    /// `[[knowledge]]`: one source of texts that prompts show.
    KnowledgeSection = "knowledge" {
        /// Its name, which is also the name of its slot in templates; unique within a recipe.
        name: String = Kind::Text, required;
        /// A file or folder; may hold [`KnowledgeSection::SPLIT`].
        #[serde(with = "blank::place")]
        path: PathBuf = Kind::InputPath, required;
        /// The level of its texts.
        level: KnowledgeLevel = Kind::Choice(KnowledgeLevel::NAMES);
        /// Refuse data that it does not cover completely.
        required: bool = Kind::Switch;
        /// The key of a row with the text; `None` = the source's name, or `text`.
        #[serde(with = "blank::text")]
        field: Option<String> = Kind::Text;
        /// Whether its texts needed later utterances.
        availability: Availability = Kind::Choice(Availability::NAMES);
        /// The query that generates it; `None` = it is made elsewhere.
        #[serde(with = "blank::text")]
        query: Option<String> = Kind::WordOrFile(QUERIES);
    }
}

choices! {
    /// The level of a knowledge source's texts.
    KnowledgeLevel {
        /// Each utterance has its own.
        Utterance = "utterance",
        /// Each speaker of a dialogue has one.
        Speaker = "speaker",
        /// Each dialogue has one.
        Dialogue = "dialogue",
    }
}

choices! {
    /// Whether a text could have been written when its utterance was said.
    Availability {
        /// As its manifest says; offline without one.
        Auto = "auto",
        /// From the utterance and those before it.
        Online = "online",
        /// With later utterances.
        Offline = "offline",
    }
}

impl KnowledgeSection {
    /// The placeholder for the name of a split in [`KnowledgeSection::path`].
    pub const SPLIT: &'static str = "{split}";

    /// The path for a split: `train`, `valid` or `test`.
    pub fn path_of(&self, split: &str) -> PathBuf {
        PathBuf::from(self.path.to_string_lossy().replace(Self::SPLIT, split))
    }
}

/// The values of `knowledge.query` besides the path of a file: none, or a built-in query.
pub const QUERIES: &[&str] = &["", "interpretation", "characteristic", "biography", "rationale"];

/// Names that a prompt template has without knowledge sources.
pub const TEMPLATE_NAMES: &[&str] =
    &["labels", "label_list", "speaker", "utterance", "history", "future", "demonstrations", "slots"];

/// Parts of a prompt that are not names in a template.
const PARTS: &[&str] = &["instruction", "note", "label_statement", "question", "answer", "all"];

/// Keywords of the template language.
const WORDS: &[&str] = &[
    "and",
    "block",
    "caller",
    "cycler",
    "debug",
    "dict",
    "else",
    "false",
    "for",
    "if",
    "in",
    "is",
    "joiner",
    "kwargs",
    "lipsum",
    "loop",
    "macro",
    "namespace",
    "none",
    "not",
    "or",
    "range",
    "recursive",
    "self",
    "set",
    "super",
    "system",
    "true",
    "user",
    "varargs",
];

/// The regular expression of a knowledge source's name.
pub(crate) const NAME_PATTERN: &str = "^[a-z][a-z0-9_]*$";

/// The names that match [`NAME_PATTERN`] and that no knowledge source can have.
pub(crate) fn reserved_names() -> Vec<&'static str> {
    [TEMPLATE_NAMES, PARTS, WORDS].concat()
}

/// Why a knowledge source cannot have this name, or `None`.
pub(crate) fn refused_name(name: &str) -> Option<Fault> {
    let mut characters = name.chars();
    let begins = characters.next().is_some_and(|first| first.is_ascii_lowercase());
    if !begins || !characters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_') {
        let fault = Fault::new(format!("{name:?} cannot be the name of a knowledge source"));
        return Some(fault.hint("a name has small letters, digits and \"_\", and starts with a letter"));
    }
    if [TEMPLATE_NAMES, PARTS].concat().contains(&name) {
        let fault =
            Fault::new(format!("{name:?} is a part of every prompt and cannot name a knowledge source"));
        return Some(
            fault.hint(format!("these names are reserved: {}", quoted(&[TEMPLATE_NAMES, PARTS].concat()))),
        );
    }
    WORDS.contains(&name).then(|| {
        Fault::new(format!(
            "{name:?} is a keyword of the template language and cannot name a knowledge source"
        ))
    })
}
