//! Streaming JSON lines.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use emotrain_base::limits;

use super::{check_present, foreign, line_problem, mend_surrogates, read_problem};
use crate::error::{DataError, DataProblem, Place};

/// Reads one line at a time; [`JsonlReader`](super::JsonlReader) reads all.
pub(crate) struct LineReader {
    file: BufReader<Box<dyn Read>>,
    path: PathBuf,
    /// The last line read, counted from 1.
    line: usize,
    /// Its bytes; kept to reuse the memory.
    bytes: Vec<u8>,
}

impl LineReader {
    /// # Errors
    /// A missing file, a folder, a system error.
    pub(crate) fn open(path: &Path) -> Result<Self, DataError> {
        let fail = |problem| DataError::new(Place::file(path), problem);
        check_present(path)?;
        let metadata = fs_err::metadata(path).map_err(|error| fail(read_problem(&error)))?;
        if metadata.is_dir() {
            return Err(fail(DataProblem::IsFolder));
        }
        let file = emotrain_base::open(path, limits::STREAM).map_err(|error| fail(read_problem(&error)))?;
        Ok(Self::of(Box::new(file), path))
    }

    /// Reads a stream, which messages call by this name.
    pub(crate) fn of(stream: Box<dyn Read>, name: &Path) -> Self {
        Self { file: BufReader::new(stream), path: name.to_owned(), line: 0, bytes: Vec::new() }
    }

    /// The last line read.
    pub(crate) fn place(&self) -> Place {
        Place::line(&self.path, self.line)
    }

    /// The next line that is not blank; `None` at the end of the file.
    ///
    /// # Errors
    /// A system error, bytes that are not UTF-8.
    pub(crate) fn next_line(&mut self) -> Result<Option<&str>, DataError> {
        loop {
            self.bytes.clear();
            let longest = limits::STREAM.line.unwrap_or(u64::MAX);
            let count = (&mut self.file).take(longest + 1).read_until(b'\n', &mut self.bytes);
            if count.map_err(|error| DataError::new(Place::file(&self.path), read_problem(&error)))? == 0 {
                return Ok(None);
            }
            self.line += 1;
            if self.bytes.len() as u64 > longest {
                let words = emotrain_base::long_line(self.line, longest);
                return Err(DataError::new(Place::file(&self.path), DataProblem::Read(words)));
            }
            mend_surrogates(&mut self.bytes);
            if self.line == 1
                && let Some(kind) = foreign(&self.bytes)
            {
                return Err(DataError::new(Place::file(&self.path), DataProblem::OtherKind(kind)));
            }
            if !self.text()?.trim().is_empty() {
                break;
            }
        }
        self.text().map(Some)
    }

    /// The last line read, without a byte order mark and line ending.
    fn text(&self) -> Result<&str, DataError> {
        let text = std::str::from_utf8(&self.bytes);
        let text = text.map_err(|error| {
            let problem = DataProblem::NotUtf8(self.bytes[error.valid_up_to()]);
            DataError::new(self.place(), problem)
        })?;
        let text = if self.line == 1 { text.strip_prefix('\u{feff}').unwrap_or(text) } else { text };
        Ok(text.trim_end_matches(['\r', '\n']))
    }

    /// An error in the JSON of the last line read.
    pub(crate) fn json_error(&self, error: &serde_json::Error) -> DataError {
        DataError::new(self.place(), line_problem(error, self.text().unwrap_or_default()))
    }
}
