//! Writing JSON lines.

use std::io::Write;
use std::path::Path;

use emotrain_base::{Output, WriteError};
use serde::Serialize;

use crate::error::{DataError, DataProblem, Place};

/// Writes one value per line, with [`JsonlWriter`].
///
/// # Errors
/// A value that JSON cannot represent, or a system error.
pub fn write_jsonl<'a, T: Serialize + 'a>(
    path: &Path,
    values: impl IntoIterator<Item = &'a T>,
) -> Result<(), DataError> {
    let mut writer = JsonlWriter::create(path)?;
    for value in values {
        writer.write(value)?;
    }
    writer.finish()
}

/// Writes a JSONL file one value at a time through an [`Output`]: a regular file keeps its old contents until
/// [`JsonlWriter::finish`]; without that call, nothing is left behind.
pub struct JsonlWriter(Output);

impl JsonlWriter {
    /// Opens a file.
    ///
    /// # Errors
    /// Any system error, with the path.
    pub fn create(path: &Path) -> Result<Self, DataError> {
        Ok(Self(Output::create(path)?))
    }

    /// Writes one value as a line.
    ///
    /// # Errors
    /// A value that JSON cannot represent, or a system error.
    pub fn write<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), DataError> {
        let line = serde_json::to_vec(value).map_err(|error| {
            DataError::new(Place::file(self.0.path()), DataProblem::NotJson(error.to_string()))
        })?;
        let written = self.0.write_all(&line).and_then(|()| self.0.write_all(b"\n"));
        Ok(written.map_err(|error| WriteError::new(self.0.path(), &error))?)
    }

    /// Moves the file to its destination.
    ///
    /// # Errors
    /// Any system error, with the path.
    pub fn finish(self) -> Result<(), DataError> {
        Ok(self.0.finish()?)
    }
}
