//! Writing that leaves no half file behind.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use tempfile::NamedTempFile;

use super::system_words;
use crate::error::{DataError, DataProblem, Place};

/// Writes one value a line, through [`JsonlWriter`].
///
/// # Errors
/// A value without a JSON form, or those of [`write_atomic`].
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

/// Writes a file so that at every moment the path holds either what it held before or all of
/// `bytes`: a temporary file in the same folder, synchronised, then renamed.
///
/// # Errors
/// Any of the system's, with the path: disk full, read-only, no such folder, ...
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), DataError> {
    let mut part = Part::create(path)?;
    part.file.write_all(bytes).map_err(|error| failed(path, &error))?;
    part.finish()
}

/// Writes a JSONL file one value at a time. The path holds what it held before until
/// [`JsonlWriter::finish`]; without that, nothing is left behind.
pub struct JsonlWriter(Part);

impl JsonlWriter {
    /// Begins a file.
    ///
    /// # Errors
    /// Any of the system's, with the path.
    pub fn create(path: &Path) -> Result<Self, DataError> {
        Part::create(path).map(Self)
    }

    /// Writes one value as a line.
    ///
    /// # Errors
    /// A value without a JSON form, or any of the system's.
    pub fn write<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), DataError> {
        serde_json::to_writer(&mut self.0.file, value).map_err(|error| {
            if error.is_io() {
                failed(&self.0.path, &error.into())
            } else {
                DataError::new(Place::file(&self.0.path), DataProblem::NotJson(error.to_string()))
            }
        })?;
        self.0.file.write_all(b"\n").map_err(|error| failed(&self.0.path, &error))
    }

    /// Puts the file in its place, as [`write_atomic`] does.
    ///
    /// # Errors
    /// Any of the system's, with the path.
    pub fn finish(self) -> Result<(), DataError> {
        self.0.finish()
    }
}

/// A file that is not in its place yet.
struct Part {
    file: BufWriter<NamedTempFile<File>>,
    path: PathBuf,
}

impl Part {
    fn create(path: &Path) -> Result<Self, DataError> {
        let create = || {
            let Some(name) = path.file_name() else {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path names no file"));
            };
            let prefix = format!(".{}.", name.to_string_lossy());
            // Opened by ourselves: tempfile's own files are private to their owner even after the rename.
            let open = |path: &Path| OpenOptions::new().write(true).create_new(true).open(path);
            tempfile::Builder::new().prefix(&prefix).suffix(".part").make_in(folder(path), open)
        };
        let file = create().map_err(|error| failed(path, &error))?;
        Ok(Self { file: BufWriter::new(file), path: path.to_owned() })
    }

    fn finish(self) -> Result<(), DataError> {
        let Self { file, path } = self;
        let finish = || {
            let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|error| error.error)?;
            sync_folder(folder(&path))
        };
        finish().map_err(|error| failed(&path, &error))
    }
}

fn failed(path: &Path, error: &io::Error) -> DataError {
    DataError::new(Place::file(path), DataProblem::Write(system_words(error)))
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes the rename itself survive a power failure.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    let synced = fs_err::File::open(folder)?.sync_all();
    // Some network file systems cannot synchronise a folder; the file itself is safe by now.
    match synced {
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
            Ok(())
        }
        other => other,
    }
}

#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}
