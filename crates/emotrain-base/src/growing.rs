//! A file that grows part by part, and goes on where its process was killed.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::advice::{Advice, Complaint};
use crate::error::WriteError;
use crate::output::regular;
use crate::place::{folder_of, sync_folder};

const FORMAT_VERSION: u32 = 1;
/// At most this many bytes of a line of the journal are looked at.
const LINE: u64 = 1 << 20;

/// Why a file cannot grow.
#[derive(Debug, thiserror::Error)]
pub enum GrowError {
    /// What is there was begun by something else, or is in use.
    #[error(transparent)]
    Refused(#[from] Complaint),
    /// A file that cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl Advice for GrowError {
    fn passed_on(&self) -> Option<&dyn Advice> {
        Some(match self {
            Self::Refused(error) => error,
            Self::Write(error) => error,
        })
    }
}

/// How far a file is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reached {
    /// Parts that are written.
    pub parts: u64,
    /// Their bytes.
    bytes: u64,
    /// The caller's mark of what they were made from.
    pub mark: String,
}

/// What a file is made from, by name: a file that was begun with another value is not gone on with.
pub type FileOrigin = Vec<(String, String)>;

/// The first line of a journal.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    format_version: u32,
    origin: FileOrigin,
}

/// A file that is written as `NAME.partial` and renamed to `NAME` at the end. A journal beside it, `NAME.partial.journal`,
/// says what it is made from and how far it is: a process that is killed loses only the part that it was at, and the next
/// one goes on behind the last whole part.
#[derive(Debug)]
pub struct Growing {
    /// As the caller named it.
    path: PathBuf,
    place: PathBuf,
    rows: File,
    journal: File,
    reached: Reached,
}

impl Growing {
    /// Begins a file, or goes on with it; `None` where the path is no place for one: a pipe, a device.
    ///
    /// # Errors
    /// A file that was begun from something else, that is in use, or that cannot be written.
    pub fn open(path: &Path, origin: FileOrigin) -> Result<Option<Self>, GrowError> {
        let fail = |error: io::Error| WriteError::new(path, &error);
        let Some(place) = regular(path).map_err(fail)? else { return Ok(None) };
        let (partial, journal) = (partial_of(&place), journal_of(&place));
        let is_there = partial.symlink_metadata().is_ok();
        let options = || OpenOptions::new().read(true).write(true).create(true).truncate(false).to_owned();
        let mut journal = options().open(&journal).map_err(fail)?;
        if let Err(TryLockError::WouldBlock) = journal.try_lock() {
            let complaint = Complaint::output(format!("{}: another process writes it", path.display()));
            return Err(complaint.hint("wait for that process or stop it, or name another file").into());
        }
        let (head, reached, end) = read(&mut journal).map_err(fail)?;
        let was_begun = head.is_some();
        // A file without a whole part has nothing to lose: it is begun again, whatever it was begun from.
        let head = head.filter(|_| is_there && reached.is_some());
        match &head {
            Some(head) => check_origin(head, &origin, &partial)?,
            None if is_there && !was_begun => {
                let message = format!("{}: is there, and nothing says how it was begun", partial.display());
                let hint = format!("remove {}, or name another file", both(&partial));
                return Err(Complaint::output(message).hint(hint).into());
            }
            None => begin(&mut journal, origin).map_err(fail)?,
        }
        let mut rows = options().open(&partial).map_err(fail)?;
        let mut reached = reached.filter(|_| head.is_some()).unwrap_or_default();
        if rows.metadata().map_err(fail)?.len() < reached.bytes {
            // The system failed before it had written what the journal says.
            reached = Reached::default();
        }
        rows.set_len(reached.bytes).and_then(|()| rows.seek(SeekFrom::End(0))).map_err(fail)?;
        if head.is_some() {
            journal.set_len(end).and_then(|()| journal.seek(SeekFrom::End(0))).map_err(fail)?;
        }
        Ok(Some(Self { path: path.to_owned(), place, rows, journal, reached }))
    }

    /// How far it is.
    pub fn reached(&self) -> &Reached {
        &self.reached
    }

    /// Where it grows.
    pub fn partial(&self) -> PathBuf {
        partial_of(&self.place)
    }

    /// What is removed to begin again, in words.
    pub fn files(&self) -> String {
        both(&self.partial())
    }

    /// Leaves what is written so far, for a process that goes on behind it; a file without a whole part is removed.
    ///
    /// # Errors
    /// A system error.
    pub fn leave(&self) -> Result<(), WriteError> {
        if self.reached.parts > 0 {
            return Ok(());
        }
        let removed = fs_err::remove_file(self.partial());
        let removed = removed.and_then(|()| fs_err::remove_file(journal_of(&self.place)));
        removed.map_err(|error| WriteError::new(&self.path, &error))
    }

    /// Adds parts; `mark` stands for all that the file is made from so far.
    ///
    /// # Errors
    /// A system error.
    pub fn append(&mut self, bytes: &[u8], parts: u64, mark: String) -> Result<(), WriteError> {
        let reached = Reached {
            parts: self.reached.parts + parts,
            bytes: self.reached.bytes + bytes.len() as u64,
            mark,
        };
        let line = format!("{}\n", serde_json::json!(reached));
        let written = self.rows.write_all(bytes).and_then(|()| self.rows.sync_data());
        let written = written.and_then(|()| self.journal.write_all(line.as_bytes()));
        written.map_err(|error| WriteError::new(&self.path, &error))?;
        self.reached = reached;
        Ok(())
    }

    /// Gives the file its name, and removes the journal.
    ///
    /// # Errors
    /// A system error.
    pub fn finish(self) -> Result<(), WriteError> {
        let finish = || {
            if let Ok(before) = fs_err::metadata(&self.place) {
                self.rows.set_permissions(before.permissions())?;
            }
            self.rows.sync_all()?;
            fs_err::rename(partial_of(&self.place), &self.place)?;
            sync_folder(folder_of(&self.place))?;
            fs_err::remove_file(journal_of(&self.place))
        };
        finish().map_err(|error| WriteError::new(&self.path, &error))
    }
}

fn with(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(ending);
    path.with_file_name(name)
}

fn partial_of(path: &Path) -> PathBuf {
    with(path, ".partial")
}

fn journal_of(path: &Path) -> PathBuf {
    with(path, ".partial.journal")
}

/// An unfinished file and its journal, in words.
fn both(partial: &Path) -> String {
    format!("{} and {}", partial.display(), with(partial, ".journal").display())
}

/// Writes the first line of a journal.
fn begin(journal: &mut File, origin: FileOrigin) -> io::Result<()> {
    journal.set_len(0)?;
    journal.seek(SeekFrom::Start(0))?;
    let head = Head { format_version: FORMAT_VERSION, origin };
    journal.write_all(format!("{}\n", serde_json::json!(head)).as_bytes())?;
    journal.sync_data()
}

/// The head of a journal, its last whole line, and where that ends. A line that was cut off is none.
fn read(journal: &mut File) -> io::Result<(Option<Head>, Option<Reached>, u64)> {
    let mut lines = BufReader::new(journal);
    let (mut head, mut reached, mut end, mut line) = (None, None, 0, Vec::new());
    loop {
        line.clear();
        (&mut lines).take(LINE).read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            return Ok((head, reached, end));
        }
        if head.is_none() {
            head = serde_json::from_slice::<Head>(&line).ok();
            if head.is_none() {
                return Ok((None, None, 0));
            }
        } else {
            match serde_json::from_slice(&line) {
                Ok(further) => reached = Some(further),
                Err(_) => return Ok((head, reached, end)),
            }
        }
        end += line.len() as u64;
    }
}

/// Refuses a file that was begun from something else.
fn check_origin(head: &Head, origin: &FileOrigin, partial: &Path) -> Result<(), Complaint> {
    let is_same = |one: &&(String, String)| head.origin.contains(one);
    let others: Vec<&str> =
        origin.iter().filter(|one| !is_same(one)).map(|(name, _)| name.as_str()).collect();
    if head.format_version == FORMAT_VERSION && others.is_empty() && head.origin.len() == origin.len() {
        return Ok(());
    }
    let what =
        if others.is_empty() { "another version of the program".to_owned() } else { others.join(", ") };
    let message = format!("{}: was begun with another {what}", partial.display());
    let hint = format!("give the command as it was given then, or remove {} to begin again", both(partial));
    Err(Complaint::usage(message).hint(hint))
}

#[cfg(test)]
mod tests;
