//! Overrides from the command line: `section.key=value`.

use toml::Value;
use toml::de::DeValue;

use crate::foreign::{self, Meaning};
use crate::key::Kind;
use crate::problem::Fault;
use crate::raw::plain;
use crate::section::{KNOWLEDGE, Section};
use crate::suggest::{did_you_mean, folded};
use crate::unknown::{self, Unknown};

/// How an override is written.
const FORM: &str = "write section.key=value";

/// One override that names a key of the vocabulary.
#[derive(Debug, PartialEq)]
pub(crate) struct Override {
    /// `section.key`, `knowledge.name.key`, or `knowledge` for all sources.
    pub(crate) path: String,
    pub(crate) value: Value,
}

/// Reads one `section.key=value`.
///
/// The value is TOML; anything that is not TOML is taken as text, so that words need no quotes. Keys of type text take
/// the value literally, so that `model.revision=1234567` is text, too.
///
/// # Errors
///
/// A missing value, an unknown name, or a quoted value, list or table that is not TOML.
pub(crate) fn parse(argument: &str) -> Result<Override, Unknown> {
    let Some((path, written)) = argument.split_once('=') else {
        let fault = Fault::new(format!("{argument:?} has no value")).hint(FORM);
        return Err(Unknown { fault, meant: Vec::new() });
    };
    let path = path.trim();
    if path.split('.').next() == Some(KNOWLEDGE.name) {
        return source(path, written.trim());
    }
    let Some((section, name)) = path.split_once('.') else {
        return Err(sectionless(path));
    };
    let Some(section) = Section::find(section) else {
        return Err(unknown::section(section));
    };
    let Some(key) = section.key(name) else {
        let value = value(Kind::Switch, written.trim()).ok();
        return Err(unknown::key(section, name, value.as_ref()));
    };
    read(path, key.kind, written.trim())
}

fn read(path: &str, kind: Kind, written: &str) -> Result<Override, Unknown> {
    match value(kind, written) {
        Ok(value) => Ok(Override { path: path.to_owned(), value }),
        Err(fault) => {
            let fault = Fault { message: format!("{path}: {}", fault.message), ..fault };
            Err(Unknown { fault, meant: vec![path.to_owned()] })
        }
    }
}

/// `knowledge.name.key=value` changes a source of the recipe; `knowledge=[]` removes all of them.
fn source(path: &str, written: &str) -> Result<Override, Unknown> {
    let refused = |message: String, hint: &str| {
        Err(Unknown { fault: Fault::new(message).hint(hint), meant: Vec::new() })
    };
    let parts: Vec<_> = path.split('.').collect();
    match parts[..] {
        [_] if written == "[]" => Ok(Override { path: path.to_owned(), value: Value::Array(Vec::new()) }),
        [_, _, "name"] => refused(
            format!("{path}: the name of a knowledge source cannot be overridden"),
            "change the name in the recipe",
        ),
        [_, _, name] => match KNOWLEDGE.key(name) {
            Some(key) => read(path, key.kind, written),
            None => Err(unknown::key(KNOWLEDGE, name, None)),
        },
        _ => refused(
            format!("{path:?} names no key of a knowledge source"),
            "write knowledge.NAME.KEY=VALUE, or knowledge=[] to remove all sources",
        ),
    }
}

fn value(kind: Kind, written: &str) -> Result<Value, Fault> {
    let is_quoted = written.starts_with(['"', '\'']);
    let is_nested = written.starts_with(['[', '{']);
    if kind.holds_text() && !is_quoted {
        return Ok(Value::String(written.to_owned()));
    }
    match DeValue::parse(written) {
        Ok(value) => plain(value.get_ref()),
        Err(error) if is_quoted || is_nested => {
            let fault = Fault::new(format!("not valid TOML: {}", error.message()));
            let hint = "words in lists and tables need quotes: '[\"a\", \"b\"]'";
            Err(fault.maybe_hint(is_nested.then(|| hint.to_owned())))
        }
        Err(_) => Ok(Value::String(written.to_owned())),
    }
}

/// A key given without its section.
fn sectionless(name: &str) -> Unknown {
    let meant = match foreign::key(&folded(name)) {
        Some(Meaning::Key(ours) | Meaning::Value(ours, _) | Meaning::Remark(ours, _)) => {
            vec![ours.to_owned()]
        }
        Some(Meaning::Absent(_)) | None => unknown::near_anywhere(name),
    };
    let near: Vec<_> = meant.iter().map(String::as_str).collect();
    let hint = did_you_mean(&near).unwrap_or_else(|| FORM.to_owned());
    Unknown { fault: Fault::new(format!("{name:?} names no section")).hint(hint), meant }
}
