//! A file that is written to where it was sent, and takes its place when it is whole.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::WriteError;

/// Links that are followed before they are taken for a circle, as many as Linux follows.
const MOST_LINKS: usize = 40;
/// What the name of an unfinished file ends with.
const PART: &str = ".part";

/// Writes a file so that at every moment the path holds either what it held before or all of `bytes`; what is no
/// regular file gets them as they are. See [`Output`].
///
/// # Errors
/// Any of the system's, with the path: disk full, read-only, no such folder, ...
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    let mut output = Output::create(path)?;
    output.write_all(bytes).map_err(|error| WriteError::new(path, &error))?;
    output.finish()
}

/// A file on its way to a path.
///
/// A regular file, or one that is not there yet, is written beside its place, synchronised and renamed in
/// [`Output::finish`]; without that nothing is left behind. A link is followed: what it points to is replaced, the link
/// stays. A pipe, a device or a stream of this process such as `/dev/stdout` is written to as it is.
#[derive(Debug)]
pub struct Output {
    /// As it was asked for.
    path: PathBuf,
    to: To,
}

#[derive(Debug)]
enum To {
    /// A temporary file and its later place.
    Place(BufWriter<NamedTempFile<File>>, PathBuf),
    Stream(BufWriter<File>),
}

impl Output {
    /// Begins a file.
    ///
    /// # Errors
    /// Any of the system's, with the path.
    pub fn create(path: &Path) -> Result<Self, WriteError> {
        let to = destination(path).and_then(|destination| match destination {
            Destination::Place(place) => {
                sweep(&place);
                Ok(To::Place(BufWriter::with_capacity(1 << 20, part_of(&place)?), place))
            }
            // Appended, since a file behind /dev/stdout may hold something already.
            Destination::Stream => {
                Ok(To::Stream(BufWriter::new(OpenOptions::new().append(true).open(path)?)))
            }
        });
        let to = to.map_err(|error| WriteError::new(path, &error))?;
        Ok(Self { path: path.to_owned(), to })
    }

    /// The path, as it was asked for.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts the file in its place, or hands the last bytes to the stream.
    ///
    /// # Errors
    /// Any of the system's, with the path.
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

/// What a path leads to.
#[derive(Debug, PartialEq, Eq)]
enum Destination {
    /// A regular file, or a place for one.
    Place(PathBuf),
    /// Something that cannot be replaced: a pipe, a device, an open file of a process.
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
    Err(io::Error::new(io::ErrorKind::InvalidInput, "the path is a link that leads in a circle"))
}

/// Whether a link is the system's name of a file that a process has open: `/dev/stdout`, `/dev/fd/3`.
fn leads_to_open_file(link: &Path) -> bool {
    fs_err::canonicalize(folder_of(link))
        .is_ok_and(|folder| folder == Path::new("/dev") || folder.starts_with("/proc"))
}

/// Makes an unfinished file beside `place`. It is locked for as long as its process lives.
fn part_of(place: &Path) -> io::Result<NamedTempFile<File>> {
    let prefix = format!(".{}.", name_of(place));
    // Opened by ourselves: tempfile's own files are private to their owner even after the rename.
    let open = |path: &Path| {
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        // File systems without locks leave what a killed process has begun.
        let _ = file.try_lock();
        // Whoever swept before the lock was there has removed the name: another one then.
        if path.exists() { Ok(file) } else { Err(io::ErrorKind::AlreadyExists.into()) }
    };
    tempfile::Builder::new().prefix(&prefix).suffix(PART).make_in(folder_of(place), open)
}

/// Removes what processes that were killed have left of the file at `place`. That nothing is left is no condition for
/// writing, so what goes wrong here is passed over.
fn sweep(place: &Path) {
    let prefix = format!(".{}.", name_of(place));
    let Ok(entries) = fs_err::read_dir(folder_of(place)) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let middle = name.strip_prefix(&prefix).and_then(|rest| rest.strip_suffix(PART));
        if middle.is_some_and(|middle| middle.len() == RANDOM && !middle.contains('.')) {
            sweep_one(&entry.path());
        }
    }
}

/// Letters that tempfile puts between prefix and suffix.
const RANDOM: usize = 6;

/// Removes an unfinished file unless a process holds it.
pub(crate) fn sweep_one(part: &Path) {
    if let Ok(file) = OpenOptions::new().write(true).open(part)
        && file.try_lock().is_ok()
    {
        let _ = fs_err::remove_file(part);
    }
}

/// Whether a name is that of an unfinished file.
pub(crate) fn is_part(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(PART)
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes what happened to the names in a folder survive a power failure.
#[cfg(unix)]
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
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
pub(crate) fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests;
