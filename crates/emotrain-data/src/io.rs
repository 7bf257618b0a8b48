//! Files: reading with a place for every error, and JSON lines.

mod lines;
mod write;

use std::io;
use std::iter::Enumerate;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::str::Lines;

use emotrain_base::{sha256_hex, system_words};
use serde::Deserialize;

use crate::error::{DataError, DataProblem, Place};

pub(crate) use self::lines::LineReader;
pub use self::write::{JsonlWriter, write_jsonl};

/// A text file read whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextFile {
    /// As it was given.
    pub path: PathBuf,
    /// Of the file's bytes, in hexadecimal.
    pub sha256: String,
    /// Without a byte order mark.
    pub text: String,
}

impl TextFile {
    /// Reads a UTF-8 file.
    ///
    /// # Errors
    /// A missing file, a folder, a system error, or bytes that are not UTF-8 (with their line).
    pub fn read(path: &Path) -> Result<Self, DataError> {
        let fail = |problem| DataError::new(Place::file(path), problem);
        let metadata = fs_err::metadata(path).map_err(|error| fail(read_problem(&error)))?;
        if metadata.is_dir() {
            return Err(fail(DataProblem::IsFolder));
        }
        let bytes = fs_err::read(path).map_err(|error| fail(read_problem(&error)))?;
        let sha256 = sha256_hex(&bytes);
        let mut text = String::from_utf8(bytes).map_err(|error| {
            let sound = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            DataError::new(Place::line(path, line_after(sound)), DataProblem::NotUtf8)
        })?;
        if text.starts_with('\u{feff}') {
            text.drain(..'\u{feff}'.len_utf8());
        }
        Ok(Self { path: path.to_owned(), sha256, text })
    }

    /// The line, counted from 1, of a byte of the text.
    pub(crate) fn line_at(&self, offset: usize) -> usize {
        line_after(&self.text.as_bytes()[..offset.min(self.text.len())])
    }

    /// Where in the text a slice borrowed from it begins, in bytes.
    pub(crate) fn offset_of(&self, part: &str) -> usize {
        (part.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize)
    }

    /// An error of the JSON value `part`, a slice of this text, with the line it is on.
    pub(crate) fn json_error(&self, part: &str, error: &serde_json::Error) -> DataError {
        let line = self.line_at(self.offset_of(part)) + error.line().saturating_sub(1);
        DataError::new(Place::line(&self.path, line), json_problem(error))
    }
}

/// The line, counted from 1, on which the byte after `bytes` stands.
fn line_after(bytes: &[u8]) -> usize {
    bytes.split(|&byte| byte == b'\n').count()
}

/// What the parser says, without the position that it counts from its own beginning.
pub(crate) fn json_problem(error: &serde_json::Error) -> DataProblem {
    let position = format!(" at line {} column {}", error.line(), error.column());
    let message = error.to_string();
    let message = message.strip_suffix(&position).unwrap_or(&message).to_owned();
    if error.is_data() { DataProblem::WrongForm(message) } else { DataProblem::InvalidJson(message) }
}

/// The values of a JSONL file with their lines, counted from 1. Blank lines are passed over.
pub struct JsonlReader<'a, T> {
    file: &'a TextFile,
    lines: Enumerate<Lines<'a>>,
    value: PhantomData<T>,
}

impl<'a, T> JsonlReader<'a, T> {
    /// Reads from the beginning.
    pub fn new(file: &'a TextFile) -> Self {
        Self { file, lines: file.text.lines().enumerate(), value: PhantomData }
    }
}

impl<'a, T: Deserialize<'a>> Iterator for JsonlReader<'a, T> {
    type Item = Result<(usize, T), DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (index, line) = self.lines.find(|(_, line)| !line.trim().is_empty())?;
        let value = serde_json::from_str(line).map_err(|error| self.file.json_error(line, &error));
        Some(value.map(|value| (index + 1, value)))
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
