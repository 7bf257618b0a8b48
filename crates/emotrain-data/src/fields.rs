//! The keys of a JSON object, read one by one, so that a value of the wrong type is named with its key.
//!
//! Numbers stand for names, and text for numbers, wherever it is clear what is meant. What no reader asks for is kept as
//! it is written.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::cell::{Cell, whole, whole_number};
use crate::error::{DataProblem, Found, Wanted, WrongValue};
use crate::io::line_problem;
use crate::metadata::Metadata;
use crate::split_kind::SplitKind;

/// The keys of an object that were not read yet, in the order of the file.
pub(crate) struct Fields<'a> {
    keys: Vec<(Cow<'a, str>, &'a RawValue)>,
    /// Stands before messages: `utterance 3: `, or nothing.
    place: String,
}

impl<'a> Fields<'a> {
    /// The object of a line; `has` says in words what it should have.
    ///
    /// # Errors
    /// A line that is no JSON, or no object; a key that is there twice.
    pub(crate) fn of_line(line: &'a str, has: &str) -> Result<Self, DataProblem> {
        let keys = serde_json::from_str::<Keys<'a>>(line).map_err(|error| {
            let is_other = error.is_data() && !line.trim_start().starts_with(['{', '[']);
            let other = serde_json::from_str::<&RawValue>(line).ok().filter(|_| is_other);
            match other {
                Some(other) => not_an_object("", has, other),
                None => line_problem(&error, line),
            }
        })?;
        Ok(Self { keys: keys.0, place: String::new() })
    }

    /// The object that a value should be.
    ///
    /// # Errors
    /// Another value; a key that is there twice.
    pub(crate) fn of_value(value: &'a RawValue, place: String, has: &str) -> Result<Self, DataProblem> {
        match serde_json::from_str::<Keys<'a>>(value.get()) {
            Ok(keys) => Ok(Self { keys: keys.0, place }),
            Err(_) if Found::of(value) != Found::Object => Err(not_an_object(&place, has, value)),
            Err(error) => {
                let problem = line_problem(&error, value.get());
                Err(if let DataProblem::WrongForm(message) = problem {
                    DataProblem::WrongForm(format!("{place}{message}"))
                } else {
                    problem
                })
            }
        }
    }

    /// What stands before messages.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// Whether a key is there and was not read yet.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.keys.iter().any(|(name, _)| name == key)
    }

    /// Whether a key is there, and null.
    pub(crate) fn is_null(&self, key: &str) -> bool {
        self.keys.iter().any(|(name, value)| name == key && Found::of(value) == Found::Null)
    }

    /// The keys that were not read yet.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|(name, _)| &**name)
    }

    /// Calls keys otherwise: those for which `new` has a name.
    pub(crate) fn rename(&mut self, new: impl Fn(&str) -> Option<String>) {
        for (name, _) in &mut self.keys {
            if let Some(new) = new(name) {
                *name = Cow::Owned(new);
            }
        }
    }

    /// Drops these keys where they are null, which says as much as if they were not there.
    pub(crate) fn without_nulls(mut self, keys: &[&str]) -> Self {
        self.keys.retain(|(name, value)| !keys.contains(&&**name) || Found::of(value) != Found::Null);
        self
    }

    /// The value of a key as it is written.
    pub(crate) fn take(&mut self, key: &str) -> Option<&'a RawValue> {
        let at = self.keys.iter().position(|(name, _)| name == key)?;
        Some(self.keys.remove(at).1)
    }

    /// A text.
    ///
    /// # Errors
    /// Another value.
    pub(crate) fn text(&mut self, key: &str) -> Result<Option<Cow<'a, str>>, DataProblem> {
        self.read(key, Wanted::Text, text_of)
    }

    /// A name: text, or a whole number of any length.
    ///
    /// # Errors
    /// Another value.
    pub(crate) fn name(&mut self, key: &str) -> Result<Option<Cow<'a, str>>, DataProblem> {
        self.read(key, Wanted::Name, |value| match whole_number(value.get()) {
            Some(digits) => Some(digits),
            None => Cell::of(value).map(Cell::into_text),
        })
    }

    /// The name or the number of a label.
    ///
    /// # Errors
    /// Another value.
    pub(crate) fn label(&mut self, key: &str) -> Result<Option<Cell<'a>>, DataProblem> {
        self.read(key, Wanted::Label, |value| {
            Cell::of(value).or_else(|| whole_number(value.get()).map(Cell::Text))
        })
    }

    /// A whole number from 0, as a number or text.
    ///
    /// # Errors
    /// Another value.
    pub(crate) fn position(&mut self, key: &str) -> Result<Option<usize>, DataProblem> {
        self.read(key, Wanted::Position, |value| {
            let text = number_of(value)?;
            let float = || text.parse().ok().and_then(whole).and_then(|number| usize::try_from(number).ok());
            text.parse().ok().or_else(float)
        })
    }

    /// A finite number, as a number or text.
    ///
    /// # Errors
    /// Another value.
    pub(crate) fn number(&mut self, key: &str) -> Result<Option<f64>, DataProblem> {
        self.read(key, Wanted::Number, |value| {
            number_of(value)?.parse().ok().filter(|number: &f64| number.is_finite())
        })
    }

    /// The name of a split, as others call it, too.
    ///
    /// # Errors
    /// Another value.
    pub(crate) fn split(&mut self, key: &str) -> Result<Option<SplitKind>, DataProblem> {
        self.read(key, Wanted::Split, |value| SplitKind::of_word(&text_of(value)?))
    }

    /// Texts.
    ///
    /// # Errors
    /// Another value.
    pub(crate) fn texts(&mut self, key: &str) -> Result<Option<Vec<String>>, DataProblem> {
        self.read(key, Wanted::Texts, |value| serde_json::from_str(value.get()).ok())
    }

    /// A list.
    ///
    /// # Errors
    /// Another value.
    pub(crate) fn list(&mut self, key: &str) -> Result<Option<Vec<&'a RawValue>>, DataProblem> {
        self.read(key, Wanted::List, |value| serde_json::from_str(value.get()).ok())
    }

    fn read<T>(
        &mut self,
        key: &str,
        wanted: Wanted,
        as_wanted: impl FnOnce(&'a RawValue) -> Option<T>,
    ) -> Result<Option<T>, DataProblem> {
        let Some(value) = self.take(key) else { return Ok(None) };
        as_wanted(value).map(Some).ok_or_else(|| self.wrong(key, wanted, value))
    }

    /// A value of the wrong type.
    pub(crate) fn wrong(&self, key: &str, wanted: Wanted, value: &RawValue) -> DataProblem {
        let (place, key) = (self.place.clone(), key.to_owned());
        DataProblem::WrongValue(Box::new(WrongValue { place, key, wanted, found: Found::of(value) }))
    }

    /// A key that is not there, or is misspelt: one of those left is near to it, or to one of the `others` that are
    /// missing with it.
    pub(crate) fn missing(&self, key: &str, others: &[&str]) -> DataProblem {
        let known: Vec<&str> = [key].into_iter().chain(others.iter().copied()).collect();
        self.misspelt(&known)
            .unwrap_or_else(|| DataProblem::WrongForm(format!("{}missing field `{key}`", self.place)))
    }

    /// The first key left that is near to one of these.
    pub(crate) fn misspelt(&self, known: &[&str]) -> Option<DataProblem> {
        let near = |key: &str| emotrain_base::nearest(&key.to_lowercase(), known.iter().copied());
        self.names().find_map(|key| {
            let (place, near) = (self.place.clone(), near(key)?.to_owned());
            Some(DataProblem::UnknownKey { place, key: key.to_owned(), near })
        })
    }

    /// Refuses what was not read, where there is nothing but these keys.
    ///
    /// # Errors
    /// Any key that is left.
    pub(crate) fn finish(self, known: &[&str]) -> Result<(), DataProblem> {
        let Some(key) = self.names().next() else { return Ok(()) };
        if let Some(problem) = self.misspelt(known) {
            return Err(problem);
        }
        let known: Vec<String> = known.iter().map(|key| format!("`{key}`")).collect();
        let message = format!("{}unknown field `{key}`; the keys are {}", self.place, known.join(", "));
        Err(DataProblem::WrongForm(message))
    }

    /// What was not read.
    pub(crate) fn into_metadata(self) -> Metadata {
        self.keys.into_iter().map(|(key, value)| (key.into_owned(), value.to_owned())).collect()
    }
}

fn not_an_object(place: &str, has: &str, value: &RawValue) -> DataProblem {
    DataProblem::WrongForm(format!("{place}expected an object with {has}, not {}", Found::of(value)))
}

/// The text that a value is.
fn text_of(value: &RawValue) -> Option<Cow<'_, str>> {
    serde_json::from_str(value.get()).ok().map(|Text(text)| text)
}

/// The number that a value is or says.
fn number_of(value: &RawValue) -> Option<Cow<'_, str>> {
    match Found::of(value) {
        Found::Number(_) => Some(Cow::Borrowed(value.get())),
        Found::Text(_) => text_of(value).map(|text| Cow::Owned(text.trim().to_owned())),
        Found::Null | Found::Flag(_) | Found::List | Found::Object => None,
    }
}

/// A text, borrowed where it has no escapes.
#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// The keys and values of an object, as they are written.
struct Keys<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Keys<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeysVisitor;
        impl<'de> Visitor<'de> for KeysVisitor {
            type Value = Keys<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut keys: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::new();
                while let Some((Text(key), value)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
                    if keys.iter().any(|(other, _)| *other == key) {
                        return Err(A::Error::custom(format!("duplicate field `{key}`")));
                    }
                    keys.push((key, value));
                }
                Ok(Keys(keys))
            }
        }
        deserializer.deserialize_map(KeysVisitor)
    }
}

#[cfg(test)]
mod tests;
