//! The keys of one JSON object, read with their complaints.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Map, Value};

use super::check::problem;
use super::keys::{Neutral, Only, is_off};
use crate::error::ConfigProblem;

/// A value for a message, objects and lists cut short.
pub(crate) fn brief(value: &Value) -> String {
    const LONGEST: usize = 60;
    let text = value.to_string();
    if text.chars().count() <= LONGEST {
        return text;
    }
    format!("{}…", text.chars().take(LONGEST).collect::<String>())
}

/// One JSON object, the keys asked for so far, and what was wrong with their values.
pub(crate) struct Fields<'a> {
    pub(crate) object: &'a Map<String, Value>,
    /// Put before a key in messages: the path of this object in the file.
    prefix: &'static str,
    known: BTreeSet<&'static str>,
    /// Keys that have a meaning in this family and none in others.
    own: BTreeSet<&'static str>,
    pub(crate) problems: Vec<ConfigProblem>,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(object: &'a Map<String, Value>, prefix: &'static str) -> Self {
        Self { object, prefix, known: BTreeSet::new(), own: BTreeSet::new(), problems: Vec::new() }
    }

    pub(crate) fn report(&mut self, key: &str, message: impl Into<String>) {
        self.problems.push(problem(&format!("{}{key}", self.prefix), message));
    }

    pub(crate) fn report_with_hint(
        &mut self,
        key: &str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let hint = Some(hint.into());
        self.problems.push(ConfigProblem { hint, ..problem(&format!("{}{key}", self.prefix), message) });
    }

    /// Whether a key was asked for.
    pub(crate) fn knows(&self, key: &str) -> bool {
        self.known.contains(key)
    }

    /// The value; null counts as absent.
    pub(crate) fn get(&mut self, key: &'static str) -> Option<&'a Value> {
        self.known.insert(key);
        self.object.get(key).filter(|value| !value.is_null())
    }

    fn typed<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Option<T> {
        let value = self.get(key)?;
        let read = read(value);
        if read.is_none() {
            self.report(key, format!("expected {expected}, found {}", brief(value)));
        }
        read
    }

    fn required<T: Default>(&mut self, key: &'static str, value: Option<T>) -> T {
        if value.is_none() && self.object.get(key).is_none_or(Value::is_null) {
            self.report(key, "missing");
        }
        value.unwrap_or_default()
    }

    pub(crate) fn size(&mut self, key: &'static str) -> Option<usize> {
        self.typed(key, "a whole number", |value| value.as_u64().and_then(|size| usize::try_from(size).ok()))
    }

    pub(crate) fn required_size(&mut self, key: &'static str) -> usize {
        let value = self.size(key);
        self.required(key, value)
    }

    pub(crate) fn number(&mut self, key: &'static str) -> Option<f64> {
        self.typed(key, "a number", Value::as_f64)
    }

    pub(crate) fn required_number(&mut self, key: &'static str) -> f64 {
        let value = self.number(key);
        self.required(key, value)
    }

    /// Says that a key has a meaning in this family.
    pub(crate) fn own(&mut self, key: &'static str) {
        self.known.insert(key);
        self.own.insert(key);
    }

    /// As [`Fields::number`], where the family has the key at all.
    pub(crate) fn own_number(&mut self, is_own: bool, key: &'static str) -> Option<f64> {
        if !is_own {
            return None;
        }
        self.own(key);
        self.number(key)
    }

    pub(crate) fn required_numbers(&mut self, key: &'static str) -> Vec<f64> {
        let numbers = |value: &Value| value.as_array()?.iter().map(Value::as_f64).collect();
        let value = self.typed(key, "a list of numbers", numbers);
        self.required(key, value)
    }

    pub(crate) fn flag(&mut self, key: &'static str) -> Option<bool> {
        self.typed(key, "true or false", Value::as_bool)
    }

    pub(crate) fn text(&mut self, key: &'static str) -> Option<String> {
        self.typed(key, "a string", |value| value.as_str().map(str::to_owned))
    }

    pub(crate) fn texts(&mut self, key: &'static str) -> Option<Vec<String>> {
        let texts = |value: &Value| -> Option<Vec<String>> {
            value.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect()
        };
        self.typed(key, "a list of strings", texts)
    }

    pub(crate) fn object(&mut self, key: &'static str) -> Option<&'a Map<String, Value>> {
        self.typed(key, "an object", Value::as_object)
    }

    /// Reports every key of the list that is there with another value than the one it has no influence at, but for the
    /// family's own.
    pub(crate) fn neutral_keys(&mut self, list: &[Only]) {
        let foreign: Vec<&Only> = list.iter().filter(|only| !self.own.contains(only.key)).collect();
        for only in foreign {
            let Some(value) = self.get(only.key) else { continue };
            let (is_neutral, wanted) = match only.neutral {
                Neutral::False => (*value == Value::Bool(false), "false".to_owned()),
                Neutral::True => (*value == Value::Bool(true), "true".to_owned()),
                Neutral::Off => (is_off(value), "absent".to_owned()),
                Neutral::Number(number) => (value.as_f64() == Some(number), number.to_string()),
                Neutral::Text(text) => (value == text, format!("\"{text}\"")),
                Neutral::Empty => (value.as_object().is_some_and(Map::is_empty), "absent".to_owned()),
            };
            if !is_neutral {
                let message =
                    format!("{} is not supported: {} (must be {wanted})", brief(value), only.effect);
                self.report(only.key, message);
            }
        }
    }

    /// Every key with a value that was neither asked for nor is in one of `ignored`.
    fn others(&self, ignored: &[&[&str]]) -> impl Iterator<Item = (&'a str, &'a Value)> {
        let is_ignored = |key: &str| ignored.iter().any(|keys| keys.contains(&key));
        let others = self
            .object
            .iter()
            .filter(move |(key, value)| !self.knows(key) && !is_ignored(key) && !value.is_null());
        others.map(|(key, value)| (key.as_str(), value))
    }

    /// Reports the keys that this program does not know.
    pub(crate) fn unknown_keys(&mut self, ignored: &[&[&str]], message: &str) {
        let others: Vec<_> = self.others(ignored).collect();
        for (key, value) in others {
            self.report_with_hint(
                key,
                format!("{message}: {}", brief(value)),
                "remove the key from a copy of the file if it does not change what the model computes",
            );
        }
    }

    /// A warning for each key that this program does not know.
    pub(crate) fn unknown(&self, ignored: &[&[&str]], origin: &Path) -> Vec<String> {
        let warning = |(key, value)| {
            let (path, prefix, value) = (origin.display(), self.prefix, brief(value));
            format!("{path}: {prefix}{key}: {value} is left aside: this program does not know the key")
        };
        self.others(ignored).map(warning).collect()
    }
}
