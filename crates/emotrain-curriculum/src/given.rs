//! Difficulties that do not come from labels: from a file, a model or a loss.

use std::collections::BTreeMap;
use std::path::Path;

use emotrain_data::TextFile;

use crate::error::CurriculumError;

/// One number for each dialogue of a split.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    /// The file, or the kind of numbers.
    origin: String,
    /// By dialogue id.
    entries: BTreeMap<String, Entry>,
}

#[derive(Clone, Debug, PartialEq)]
struct Entry {
    value: f64,
    /// The line in the file, from 1.
    line: Option<usize>,
    /// Whether a dialogue had this id.
    is_taken: bool,
}

impl Given {
    /// Reads JSON lines with `id` and `dif`, such as a score file. Other keys are ignored.
    ///
    /// # Errors
    /// A file that cannot be read, an invalid line, a repeated id: all with `path:line`.
    pub fn read(path: &Path) -> Result<Self, CurriculumError> {
        let file = TextFile::read_rows(path)?;
        let origin = path.display().to_string();
        let mut entries = BTreeMap::new();
        for row in file.rows("`id` and `dif`") {
            let mut row = row?;
            let (id, value, line) = (row.name("id")?.trim().to_owned(), row.number("dif")?, row.line());
            let entry = Entry { value, line: Some(line), is_taken: false };
            if let Some(Entry { line: Some(first_line), .. }) = entries.insert(id.clone(), entry) {
                let at = format!("{origin}:{line}");
                return Err(CurriculumError::Duplicate { origin: at, id, first_line });
            }
        }
        Ok(Self { origin, entries })
    }

    /// Numbers that were computed for the dialogues of these distinct ids; `what` names them in errors, for example
    /// `loss`.
    ///
    /// # Errors
    /// [`CurriculumError::LengthMismatch`], or [`CurriculumError::NotFinite`].
    pub fn new<'i>(
        what: &str,
        ids: impl ExactSizeIterator<Item = &'i str>,
        values: &[f64],
    ) -> Result<Self, CurriculumError> {
        if ids.len() != values.len() {
            return Err(CurriculumError::LengthMismatch { given: values.len(), dialogues: ids.len() });
        }
        let mut entries = BTreeMap::new();
        for (id, &value) in ids.zip(values) {
            if !value.is_finite() {
                return Err(CurriculumError::NotFinite { origin: what.to_owned(), id: id.to_owned(), value });
            }
            entries.insert(id.to_owned(), Entry { value, line: None, is_taken: false });
        }
        Ok(Self { origin: what.to_owned(), entries })
    }

    pub(crate) fn take(&mut self, id: &str) -> Result<f64, CurriculumError> {
        let Some(entry) = self.entries.get_mut(id) else {
            return Err(CurriculumError::Missing { origin: self.origin.clone(), ids: vec![id.to_owned()] });
        };
        entry.is_taken = true;
        Ok(entry.value)
    }

    pub(crate) fn check_complete<'i>(
        &self,
        ids: impl Iterator<Item = &'i str>,
    ) -> Result<(), CurriculumError> {
        let missing: Vec<String> =
            ids.filter(|id| !self.entries.contains_key(*id)).map(str::to_owned).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(CurriculumError::Missing { origin: self.origin.clone(), ids: missing })
    }

    pub(crate) fn check_taken(&self) -> Result<(), CurriculumError> {
        let mut left: Vec<_> = self.entries.iter().filter(|(_, entry)| !entry.is_taken).collect();
        left.sort_by_key(|(_, entry)| entry.line);
        let Some((_, first)) = left.first() else { return Ok(()) };
        let line = first.line.map_or_else(String::new, |line| format!(":{line}"));
        let origin = format!("{}{line}", self.origin);
        Err(CurriculumError::Unknown { origin, ids: left.iter().map(|(id, _)| (*id).clone()).collect() })
    }
}

#[cfg(test)]
mod tests;
