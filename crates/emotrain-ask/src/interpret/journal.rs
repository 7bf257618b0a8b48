//! A file that only grows: a head that names the origin of the replies, and a line for each reply.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use emotrain_base::{Complaint, WriteError, limits};
use emotrain_prompt::QueryTarget;
use serde::{Deserialize, Serialize};

use super::record::Identity;
use crate::error::AskError;

/// The first line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head {
    pub(super) format_version: u32,
    pub(super) identity: Identity,
    pub(super) data_sha256: String,
    /// Replies of earlier journals, which have become files.
    pub(super) earlier_replies: usize,
    /// Whether what had failed then is asked again.
    pub(super) retries_failed: bool,
}

/// What a text or a reply belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Place {
    pub(super) dialogue: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) position: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) speaker: Option<String>,
}

impl Place {
    pub(super) fn new(dialogue: &str, target: &QueryTarget) -> Self {
        let (position, speaker) = match target {
            QueryTarget::Utterance(position) => (Some(*position), None),
            QueryTarget::Speaker(name) => (None, Some(name.clone())),
            QueryTarget::Dialogue => (None, None),
        };
        Self { dialogue: dialogue.to_owned(), position, speaker }
    }
}

/// A further line: a reply and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub(super) of: Place,
    /// Which reply to its question it is, counted from 1.
    pub(super) attempt: usize,
    pub(super) outcome: Outcome,
}

/// What came of a reply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum Outcome {
    /// Its texts, in the order of the query's keys.
    Taken(Vec<String>),
    /// It could not be used.
    Bad { reason: String, reply: String },
    /// The model cannot answer the question.
    Refused { reason: String },
}

/// The lines of a journal.
pub(super) struct Lines {
    pub(super) head: Head,
    pub(super) entries: Vec<Entry>,
    /// The length of all whole lines, in bytes.
    whole: u64,
}

/// Reads a journal; `None` if there is none, or one whose head was cut off. A last line that was cut off counts as
/// not written.
///
/// # Errors
/// A line that is not one of ours.
pub(super) fn read(path: &Path) -> Result<Option<Lines>, AskError> {
    let bytes = match emotrain_base::read(path, limits::LINES) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        read => read?,
    };
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let mut lines = bytes[..whole].split_inclusive(|byte| *byte == b'\n').zip(1..);
    let wrong = |line: usize, error: serde_json::Error| {
        let complaint = Complaint::input(format!("{}:{line}: {error}", path.display()));
        complaint.hint("the file was changed: remove that line, or ask everything again with --fresh")
    };
    let Some((first, _)) = lines.next() else { return Ok(None) };
    let head: Head = serde_json::from_slice(first).map_err(|error| wrong(1, error))?;
    let entry = |(line, number)| serde_json::from_slice(line).map_err(|error| wrong(number, error));
    let entries = lines.map(entry).collect::<Result<_, _>>()?;
    Ok(Some(Lines { head, entries, whole: whole as u64 }))
}

/// A journal that is written.
pub(super) struct Journal {
    file: File,
    path: PathBuf,
}

impl Journal {
    /// Begins a journal with its head.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub(super) fn begin(path: &Path, head: &Head) -> Result<Self, AskError> {
        emotrain_data::write_jsonl(path, [head])?;
        let file = OpenOptions::new().append(true).open(path);
        let file = file.map_err(|error| WriteError::new(path, &error))?;
        Ok(Self { file, path: path.to_path_buf() })
    }

    /// Goes on with a journal behind its last whole line.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub(super) fn go_on(path: &Path, lines: &Lines) -> Result<Self, AskError> {
        let open = || {
            let file = OpenOptions::new().append(true).open(path)?;
            file.set_len(lines.whole)?;
            Ok(file)
        };
        let file = open().map_err(|error: std::io::Error| WriteError::new(path, &error))?;
        Ok(Self { file, path: path.to_path_buf() })
    }

    /// Adds a line; when it returns, the line is on disk.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub(super) fn add(&mut self, entry: &Entry) -> Result<(), AskError> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        let write = self.file.write_all(&line).and_then(|()| self.file.sync_data());
        Ok(write.map_err(|error| WriteError::new(&self.path, &error))?)
    }
}
