//! Streaming lines.

use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use emotrain_base::{Limit, limits};

use super::{check_present, foreign, mend_surrogates, read_problem};
use crate::error::{DataError, DataProblem, Place};

/// Reads one line at a time; [`JsonlReader`](super::JsonlReader) reads all.
pub(crate) struct LineReader {
    file: BufReader<Box<dyn Read + Send>>,
    path: PathBuf,
    /// The last line read, counted from 1.
    line: usize,
    /// Its bytes; kept to reuse the memory.
    bytes: Vec<u8>,
}

impl LineReader {
    /// # Errors
    /// A missing file, a folder, a pipe, a system error.
    pub(crate) fn open(path: &Path) -> Result<Self, DataError> {
        Self::open_with(path, emotrain_base::open)
    }

    /// Opens a pipe, too.
    ///
    /// # Errors
    /// A missing file, a folder, a system error.
    pub(crate) fn open_stream(path: &Path) -> Result<Self, DataError> {
        Self::open_with(path, emotrain_base::open_stream)
    }

    fn open_with(path: &Path, open: fn(&Path, Limit) -> io::Result<fs_err::File>) -> Result<Self, DataError> {
        let fail = |problem| DataError::new(Place::file(path), problem);
        check_present(path)?;
        let metadata = fs_err::metadata(path).map_err(|error| fail(read_problem(&error)))?;
        if metadata.is_dir() {
            return Err(fail(DataProblem::IsFolder));
        }
        let file = open(path, limits::STREAM).map_err(|error| fail(read_problem(&error)))?;
        Ok(Self::of(path, Box::new(file)))
    }

    /// Reads something that is no file; `name` stands for it in messages.
    pub(crate) fn of(name: &Path, from: Box<dyn Read + Send>) -> Self {
        Self { file: BufReader::new(from), path: name.to_owned(), line: 0, bytes: Vec::new() }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The last line read.
    pub(crate) fn place(&self) -> Place {
        Place::line(&self.path, self.line)
    }

    /// The next line of JSON that is not blank; `None` at the end of the file.
    ///
    /// # Errors
    /// A system error, bytes that are not UTF-8.
    pub(crate) fn next_line(&mut self) -> Result<Option<&str>, DataError> {
        loop {
            if !self.read()? {
                return Ok(None);
            }
            mend_surrogates(&mut self.bytes);
            if !self.text()?.trim().is_empty() {
                break;
            }
        }
        self.text().map(Some)
    }

    /// The next line as it is, with its ending; `None` at the end of the file.
    ///
    /// # Errors
    /// A system error, bytes that are not UTF-8.
    pub(crate) fn next_raw(&mut self) -> Result<Option<&str>, DataError> {
        if self.read()? { self.whole().map(Some) } else { Ok(None) }
    }

    /// Reads a line; `false` at the end of the file.
    fn read(&mut self) -> Result<bool, DataError> {
        self.bytes.clear();
        let longest = limits::STREAM.line.unwrap_or(u64::MAX);
        let count = (&mut self.file).take(longest + 1).read_until(b'\n', &mut self.bytes);
        if count.map_err(|error| DataError::new(Place::file(&self.path), read_problem(&error)))? == 0 {
            return Ok(false);
        }
        self.line += 1;
        if self.bytes.len() as u64 > longest {
            let words = emotrain_base::long_line(self.line, longest);
            return Err(DataError::new(Place::file(&self.path), DataProblem::Read(words)));
        }
        match foreign(&self.bytes).filter(|_| self.line == 1) {
            Some(kind) => Err(DataError::new(Place::file(&self.path), DataProblem::OtherKind(kind))),
            None => Ok(true),
        }
    }

    /// The last line read, without a byte order mark and line ending.
    fn text(&self) -> Result<&str, DataError> {
        Ok(self.whole()?.trim_end_matches(['\r', '\n']))
    }

    /// The last line read, without a byte order mark.
    fn whole(&self) -> Result<&str, DataError> {
        let text = std::str::from_utf8(&self.bytes);
        let text = text.map_err(|error| {
            let problem = DataProblem::NotUtf8(self.bytes[error.valid_up_to()]);
            DataError::new(self.place(), problem)
        })?;
        Ok(if self.line == 1 { text.strip_prefix('\u{feff}').unwrap_or(text) } else { text })
    }
}
