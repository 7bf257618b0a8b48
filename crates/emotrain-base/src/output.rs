//! Files that are written atomically.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::WriteError;
use crate::place::{folder_of, name_of, sync_folder};

/// Links that are followed before they count as a cycle, as many as on Linux.
const MOST_LINKS: usize = 40;
/// The ending of an unfinished file's name.
const PART: &str = ".part";

/// Writes a file atomically: at every moment the path holds either its old contents or all of `bytes`. A pipe or device
/// is written directly. See [`Output`].
///
/// # Errors
/// Any system error, with the path: disk full, read-only, no such folder.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    let mut output = Output::create(path)?;
    output.write_all(bytes).map_err(|error| WriteError::new(path, &error))?;
    output.finish()
}

/// A file that is being written.
///
/// A regular file, or a new one, is written next to its destination, synced, and renamed by [`Output::finish`]; without
/// that call nothing is left behind. A link is followed: its target is replaced, and the link stays. A pipe, a device
/// or a stream of this process such as `/dev/stdout` is written directly.
#[derive(Debug)]
pub struct Output {
    /// As the caller named it.
    path: PathBuf,
    to: To,
}

#[derive(Debug)]
enum To {
    /// A temporary file and its destination.
    Place(BufWriter<NamedTempFile<File>>, PathBuf),
    Stream(BufWriter<File>),
}

impl Output {
    /// Opens a file.
    ///
    /// # Errors
    /// Any system error, with the path.
    pub fn create(path: &Path) -> Result<Self, WriteError> {
        let to = destination(path).and_then(|destination| match destination {
            Destination::Place(place) => {
                sweep(&place);
                Ok(To::Place(BufWriter::with_capacity(1 << 20, part_of(&place)?), place))
            }
            // Appended, because a file behind /dev/stdout may have contents already.
            Destination::Stream => {
                Ok(To::Stream(BufWriter::new(OpenOptions::new().append(true).open(path)?)))
            }
        });
        let to = to.map_err(|error| WriteError::new(path, &error))?;
        Ok(Self { path: path.to_owned(), to })
    }

    /// The path, as the caller named it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Moves the file to its destination, or flushes the stream.
    ///
    /// # Errors
    /// Any system error, with the path.
    pub fn finish(self) -> Result<(), WriteError> {
        let finish = || match self.to {
            To::Stream(mut stream) => stream.flush(),
            To::Place(file, place) => {
                let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
                if let Ok(before) = fs_err::metadata(&place) {
                    file.as_file().set_permissions(before.permissions())?;
                }
                file.as_file().sync_all()?;
                file.persist(&place).map_err(|error| error.error)?;
                sync_folder(folder_of(&place))
            }
        };
        finish().map_err(|error| WriteError::new(&self.path, &error))
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.to {
            To::Place(file, _) => file.write(bytes),
            To::Stream(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.to {
            To::Place(file, _) => file.flush(),
            To::Stream(stream) => stream.flush(),
        }
    }
}

/// What a path refers to.
#[derive(Debug, PartialEq, Eq)]
enum Destination {
    /// A regular file, or a path where one can be created.
    Place(PathBuf),
    /// Something that cannot be replaced: a pipe, a device, a process's open file.
    Stream,
}

fn destination(path: &Path) -> io::Result<Destination> {
    let mut place = path.to_owned();
    for _ in 0..MOST_LINKS {
        if place.file_name().is_none() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path names no file"));
        }
        let Ok(target) = fs_err::read_link(&place) else {
            return match fs_err::metadata(&place) {
                Ok(there) if there.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
                Ok(there) if !there.is_file() => Ok(Destination::Stream),
                _ => Ok(Destination::Place(place)),
            };
        };
        if leads_to_open_file(&place) {
            return Ok(Destination::Stream);
        }
        place = folder_of(&place).join(target);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "the path is a link that points to itself"))
}

/// The place that a path leads to; `None` for a pipe, a device or a process's open file.
///
/// # Errors
/// A folder, or links that lead nowhere.
pub(crate) fn regular(path: &Path) -> io::Result<Option<PathBuf>> {
    Ok(match destination(path)? {
        Destination::Place(place) => Some(place),
        Destination::Stream => None,
    })
}

/// Whether a link is the system's name for a process's open file: `/dev/stdout`, `/dev/fd/3`.
fn leads_to_open_file(link: &Path) -> bool {
    fs_err::canonicalize(folder_of(link))
        .is_ok_and(|folder| folder == Path::new("/dev") || folder.starts_with("/proc"))
}

/// Creates an unfinished file next to `place`, locked while its process lives.
fn part_of(place: &Path) -> io::Result<NamedTempFile<File>> {
    let prefix = format!(".{}.", name_of(place));
    // Created here, because tempfile's own files stay private to their owner after the rename.
    let open = |path: &Path| {
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        // Without lock support, unfinished files of killed processes are not removed.
        let is_swept = matches!(file.try_lock(), Err(TryLockError::WouldBlock)) || !path.exists();
        // Another process took the file for one that was left, before it was locked: create another one.
        if is_swept { Err(io::ErrorKind::AlreadyExists.into()) } else { Ok(file) }
    };
    tempfile::Builder::new().prefix(&prefix).suffix(PART).make_in(folder_of(place), open)
}

/// Removes unfinished files that killed processes left for `place`. Errors are ignored: the write does not depend on
/// it.
fn sweep(place: &Path) {
    let name = name_of(place);
    let Ok(entries) = fs_err::read_dir(folder_of(place)) else { return };
    for entry in entries.flatten() {
        if of_part(&entry.file_name().to_string_lossy()) == Some(&name) {
            sweep_one(&entry.path());
        }
    }
}

/// The random letters of tempfile between prefix and suffix.
const RANDOM: usize = 6;

/// Removes an unfinished file unless a process has locked it.
pub(crate) fn sweep_one(part: &Path) {
    if let Ok(file) = OpenOptions::new().write(true).open(part)
        && file.try_lock().is_ok()
    {
        let _ = fs_err::remove_file(part);
    }
}

/// The name of the file that an unfinished file of this name is to become.
pub(crate) fn of_part(name: &str) -> Option<&str> {
    let (of, random) = name.strip_prefix('.')?.strip_suffix(PART)?.rsplit_once('.')?;
    (random.len() == RANDOM).then_some(of)
}

#[cfg(test)]
mod tests;
