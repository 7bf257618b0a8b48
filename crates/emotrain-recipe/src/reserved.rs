//! Names that are reserved in templates, so that knowledge sources cannot have them.

use crate::problem::Fault;
use crate::suggest::quoted;

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

/// Why a knowledge source cannot have this name, or `None`.
pub(crate) fn refusal(name: &str) -> Option<Fault> {
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
