//! Reading files, with a place for every error, and JSON lines.

mod json;
mod kind;
mod lines;
mod write;

use std::io;
use std::iter::Enumerate;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::str::Lines;

use emotrain_base::{Limit, limits, sha256_hex, system_words};
use emotrain_recipe::StandIn;
use serde::Deserialize;

use crate::error::{DataError, DataProblem, Place};

pub(crate) use self::json::{json_problem, line_problem, mend_surrogates};
pub(crate) use self::kind::foreign;
pub(crate) use self::lines::LineReader;
pub use self::write::{JsonlWriter, write_jsonl};

/// A text file read into memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextFile {
    /// As the caller named it.
    pub path: PathBuf,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// Without a byte order mark.
    pub text: String,
}

impl TextFile {
    /// Reads a UTF-8 file of lines.
    ///
    /// # Errors
    /// A missing file, a folder, a special file, a file or line that is too large, a system error, or bytes that are
    /// not UTF-8 (with their line).
    pub fn read(path: &Path) -> Result<Self, DataError> {
        Self::read_within(path, limits::LINES)
    }

    fn read_within(path: &Path, limit: Limit) -> Result<Self, DataError> {
        let fail = |problem| DataError::new(Place::file(path), problem);
        check_present(path)?;
        let metadata = fs_err::metadata(path).map_err(|error| fail(read_problem(&error)))?;
        if metadata.is_dir() {
            return Err(fail(DataProblem::IsFolder));
        }
        let bytes = emotrain_base::read(path, limit).map_err(|error| fail(read_problem(&error)))?;
        let sha256 = sha256_hex(&bytes);
        if let Some(kind) = foreign(&bytes) {
            return Err(fail(DataProblem::OtherKind(kind)));
        }
        let mut text = String::from_utf8(bytes).map_err(|error| {
            let (bytes, sound) = (error.as_bytes(), error.utf8_error().valid_up_to());
            let problem = DataProblem::NotUtf8(bytes[sound]);
            DataError::new(Place::line(path, line_after(&bytes[..sound])), problem)
        })?;
        if text.starts_with('\u{feff}') {
            text.drain(..'\u{feff}'.len_utf8());
        }
        Ok(Self { path: path.to_owned(), sha256, text })
    }

    /// Reads a UTF-8 file of JSON, one value or one per line; unpaired surrogates are replaced.
    ///
    /// # Errors
    /// The errors of [`TextFile::read`].
    pub(crate) fn read_json(path: &Path, limit: Limit) -> Result<Self, DataError> {
        let file = Self::read_within(path, limit)?;
        let mut bytes = file.text.into_bytes();
        mend_surrogates(&mut bytes);
        let text = String::from_utf8(bytes).expect("ASCII took the place of ASCII");
        Ok(Self { text, ..file })
    }

    /// The line, counted from 1, of a byte offset.
    pub(crate) fn line_at(&self, offset: usize) -> usize {
        line_after(&self.text.as_bytes()[..offset.min(self.text.len())])
    }

    /// The byte offset of a slice borrowed from the text.
    pub(crate) fn offset_of(&self, part: &str) -> usize {
        (part.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize)
    }

    /// An error of the JSON value `part`, a slice of this text, with its line.
    pub(crate) fn json_error(&self, part: &str, error: &serde_json::Error) -> DataError {
        self.json_error_of(part, error, json_problem(error, part))
    }

    /// The problem with the JSON value `part` that the parser reported as `error`.
    pub(crate) fn json_error_of(
        &self,
        part: &str,
        error: &serde_json::Error,
        problem: DataProblem,
    ) -> DataError {
        let line = self.line_at(self.offset_of(part)) + error.line().saturating_sub(1);
        DataError::new(Place::line(&self.path, line), problem)
    }
}

/// The line, counted from 1, of the byte after `bytes`.
fn line_after(bytes: &[u8]) -> usize {
    bytes.split(|&byte| byte == b'\n').count()
}

/// The values of a JSONL file with their lines, counted from 1. Blank lines are skipped.
pub struct JsonlReader<'a, T> {
    file: &'a TextFile,
    lines: Enumerate<Lines<'a>>,
    value: PhantomData<T>,
}

impl<'a, T> JsonlReader<'a, T> {
    /// Reads from the start.
    pub fn new(file: &'a TextFile) -> Self {
        Self { file, lines: file.text.lines().enumerate(), value: PhantomData }
    }
}

impl<'a, T: Deserialize<'a>> Iterator for JsonlReader<'a, T> {
    type Item = Result<(usize, T), DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (index, line) = self.lines.find(|(_, line)| !line.trim().is_empty())?;
        let value = serde_json::from_str(line)
            .map_err(|error| self.file.json_error_of(line, &error, line_problem(&error, line)));
        Some(value.map(|value| (index + 1, value)))
    }
}

/// Refuses paths that are not regular files.
fn check_present(path: &Path) -> Result<(), DataError> {
    match StandIn::at(path) {
        None => Ok(()),
        Some(stand_in) => Err(DataError::new(Place::file(path), DataProblem::StandIn(stand_in))),
    }
}

/// The SHA-256 of a file of any size, in hexadecimal.
///
/// # Errors
/// A missing file, a folder, a system error.
pub fn sha256_file(path: &Path) -> Result<String, DataError> {
    emotrain_base::sha256_file(path).map_err(|error| DataError::new(Place::file(path), read_problem(&error)))
}

pub(crate) fn read_problem(error: &io::Error) -> DataProblem {
    if error.kind() == io::ErrorKind::NotFound {
        DataProblem::NotFound
    } else if error.kind() == io::ErrorKind::IsADirectory {
        DataProblem::IsFolder
    } else {
        DataProblem::Read(system_words(error))
    }
}

#[cfg(test)]
mod tests;
