//! Lines of JSON that are no dialogues, such as difficulties, queries and annotations, read as dialogues are: numbers for
//! names, text for numbers, and values of the wrong type named with their keys.

use std::path::Path;

use emotrain_base::limits;
use emotrain_recipe::has_control;

use crate::cell::Cell;
use crate::error::{DataError, DataProblem, Place};
use crate::fields::Fields;
use crate::io::TextFile;
use crate::label::{Label, LabelSet};

/// A line of JSON with keys.
pub struct JsonRow<'a> {
    path: &'a Path,
    line: usize,
    fields: Fields<'a>,
}

impl TextFile {
    /// Reads a file of such lines; unpaired surrogates are replaced.
    ///
    /// # Errors
    /// The errors of [`TextFile::read`].
    pub fn read_rows(path: &Path) -> Result<Self, DataError> {
        Self::read_json(path, limits::LINES)
    }

    /// The lines that are not blank; `has` says in words what each has.
    pub fn rows<'a>(&'a self, has: &str) -> impl Iterator<Item = Result<JsonRow<'a>, DataError>> {
        let lines = self.text.lines().enumerate().filter(|(_, text)| !text.trim().is_empty());
        lines.map(move |(index, text)| {
            let (path, line) = (self.path.as_path(), index + 1);
            let fields = Fields::of_line(text, has).map_err(|problem| fail(path, line, problem))?;
            Ok(JsonRow { path, line, fields })
        })
    }
}

impl JsonRow<'_> {
    /// Counted from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// A name that must be there: text, or a whole number.
    ///
    /// # Errors
    /// Another value, or none.
    pub fn name(&mut self, key: &str) -> Result<String, DataError> {
        let name = self.fields.name(key);
        self.needed(key, name.map(|name| name.map(Into::into)))
    }

    /// A name, which is empty where it is null. The key must be there.
    ///
    /// # Errors
    /// Another value, or no such key.
    pub fn name_or_none(&mut self, key: &str) -> Result<String, DataError> {
        if self.fields.is_null(key) {
            self.fields.take(key);
            return Ok(String::new());
        }
        self.name(key)
    }

    /// A text that must be there.
    ///
    /// # Errors
    /// Another value, or none.
    pub fn text(&mut self, key: &str) -> Result<String, DataError> {
        let text = self.fields.text(key);
        self.needed(key, text.map(|text| text.map(Into::into)))
    }

    /// Texts, which must be there.
    ///
    /// # Errors
    /// Another value, or none.
    pub fn texts(&mut self, key: &str) -> Result<Vec<String>, DataError> {
        let texts = self.fields.texts(key);
        self.needed(key, texts)
    }

    /// A finite number that must be there.
    ///
    /// # Errors
    /// Another value, or none.
    pub fn number(&mut self, key: &str) -> Result<f64, DataError> {
        let number = self.fields.number(key);
        self.needed(key, number)
    }

    /// A label, as the name or the number of one; `None` where there is none yet. The key must be there.
    ///
    /// # Errors
    /// Another value, or no such key; a label that is not in the set.
    pub fn label(&mut self, key: &str, labels: &LabelSet) -> Result<Option<Label>, DataError> {
        if self.fields.is_null(key) {
            self.fields.take(key);
            return Ok(None);
        }
        let cell = self.fields.label(key);
        let label = match self.needed(key, cell)? {
            Cell::Text(name) if name.trim().is_empty() => return Ok(None),
            Cell::Text(name) if has_control(&name) => Err(DataProblem::ControlInLabel(name.into_owned())),
            Cell::Text(name) => labels.resolve(&name).ok_or_else(|| labels.unknown(&name)),
            Cell::Number(number) => labels.numbered(number),
        };
        label.map(Some).map_err(|problem| fail(self.path, self.line, problem))
    }

    /// Refuses other keys than these.
    ///
    /// # Errors
    /// A key that was not read.
    pub fn finish(self, known: &[&str]) -> Result<(), DataError> {
        self.fields.finish(known).map_err(|problem| fail(self.path, self.line, problem))
    }

    /// # Errors
    /// What is wrong with the value, or that there is none.
    fn needed<T>(&self, key: &str, value: Result<Option<T>, DataProblem>) -> Result<T, DataError> {
        let value = value.and_then(|value| value.ok_or_else(|| self.fields.missing(key, &[])));
        value.map_err(|problem| fail(self.path, self.line, problem))
    }
}

fn fail(path: &Path, line: usize, problem: DataProblem) -> DataError {
    DataError::new(Place::line(path, line), problem)
}

#[cfg(test)]
mod tests;
