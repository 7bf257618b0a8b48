//! The folder of a task: who may write in it, and what is in it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use emotrain_base::{Complaint, Lock, LockError, WriteError, create_folder, sha256_hex, write_atomic};
use emotrain_data::{SplitKind, TextFile};
use serde_json::{Map, Value};

use super::journal::{self, Head, Journal, Lines, Place};
use super::record::{Identity, Manifest, SplitRecord, VERSION};
use super::session::Session;
use super::standing::{FailedRow, Numbers, Outlook, QuestionState, SessionState, lines};
use crate::error::AskError;

const MANIFEST: &str = "manifest.json";
const SPLITS: [SplitKind; 3] = [SplitKind::Train, SplitKind::Valid, SplitKind::Test];

/// A task's folder and, if it is to be written to, the right to do so.
pub(super) struct Folder {
    path: PathBuf,
    manifest: Option<Manifest>,
    /// Held as long as the folder is.
    _lock: Option<Lock>,
}

/// The state of a session's questions, and the journal for further replies.
pub(super) struct SavedReplies {
    pub(super) standing: SessionState,
    lines: Option<Lines>,
}

impl Folder {
    /// Looks into a folder, which need not be there, without changing anything.
    ///
    /// # Errors
    /// A manifest that is not one of ours.
    pub(super) fn look(path: &Path) -> Result<Self, AskError> {
        let manifest = read_manifest(&path.join(MANIFEST))?;
        Ok(Self { path: path.to_path_buf(), manifest, _lock: None })
    }

    /// Makes the folder where it is not there, and keeps other processes out of it.
    ///
    /// # Errors
    /// A folder that another process works in or that cannot be written to.
    pub(super) fn take(path: &Path) -> Result<Self, AskError> {
        create_folder(path)?;
        let lock = lock(path)?;
        Ok(Self { _lock: Some(lock), ..Self::look(path)? })
    }

    /// Removes everything that such a folder holds, the manifest first.
    ///
    /// # Errors
    /// A file that cannot be removed.
    pub(super) fn clear(&mut self) -> Result<(), AskError> {
        self.manifest = None;
        remove(&self.path.join(MANIFEST))?;
        for split in SPLITS {
            for file in [self.journal(split), self.done(split), self.failed(split)] {
                remove(&file)?;
            }
        }
        Ok(())
    }

    /// Refuses to mix texts of different origins.
    ///
    /// # Errors
    /// What differs, and the mend.
    pub(super) fn check(&self, identity: &Identity) -> Result<(), AskError> {
        self.manifest.as_ref().map_or(Ok(()), |manifest| self.same(identity, &manifest.identity()))
    }

    fn same(&self, identity: &Identity, before: &Identity) -> Result<(), AskError> {
        let differences = identity.differences(before);
        if differences.is_empty() {
            return Ok(());
        }
        let message =
            format!("{} holds texts of another origin: {}", self.path.display(), differences.join("; "));
        let hint = "give the source another path, restore the earlier settings, or ask everything again with --fresh";
        Err(Complaint::usage(message).hint(hint).into())
    }

    fn same_data(&self, session: &Session<'_>, before: &str) -> Result<(), AskError> {
        if session.data_sha256 == before {
            return Ok(());
        }
        let (folder, split) = (self.path.display(), session.split.as_str());
        let message = format!("{folder} holds texts about other dialogues than those of data.{split}");
        let hint = "give the source another path, restore that data, or ask everything again with --fresh";
        Err(Complaint::usage(message).hint(hint).into())
    }

    /// Whether a split is finished, with no journal on top.
    pub(super) fn is_finished(&self, split: SplitKind) -> bool {
        self.record(split).is_some() && !self.journal(split).exists()
    }

    /// The state of a session's questions.
    ///
    /// # Errors
    /// Texts about other data or, with an identity, of another origin; files that were changed.
    pub(super) fn find(
        &self,
        session: &Session<'_>,
        identity: Option<&Identity>,
    ) -> Result<SavedReplies, AskError> {
        let (split, numbers) = (session.split, Numbers::of(session));
        let (done, failed, journal) = (self.done(split), self.failed(split), self.journal(split));
        let mut standing = SessionState::new(session);
        let lines = journal::read(&journal)?;
        match self.record(split) {
            Some(record) => {
                self.same_data(session, &record.data_sha256)?;
                standing.read_done(&done, session.task.query.keys(), &numbers)?;
                standing.read_failed(&failed, &numbers)?;
                standing.replies = record.replies;
            }
            None if lines.is_none() && (done.exists() || failed.exists()) => {
                let message = format!(
                    "{} exists, but its folder has no manifest that says how it was made",
                    done.display()
                );
                let hint = "give the source another path, or ask everything again with --fresh";
                return Err(Complaint::usage(message).hint(hint).into());
            }
            None => {}
        }
        if let Some(lines) = &lines {
            self.same_data(session, &lines.head.data_sha256)?;
            if let Some(identity) = identity {
                self.same(identity, &lines.head.identity)?;
            }
            if lines.head.retries_failed {
                standing.known.iter_mut().for_each(QuestionState::reopen);
            }
            standing.read_entries(&lines.entries, &numbers, &journal)?;
            standing.replies = lines.head.earlier_replies + lines.entries.len();
        }
        Ok(SavedReplies { standing, lines })
    }

    /// Opens the journal that further replies of a session go to.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub(super) fn journal_of(
        &self,
        session: &Session<'_>,
        identity: &Identity,
        found: &SavedReplies,
        retries_failed: bool,
    ) -> Result<Journal, AskError> {
        let path = self.journal(session.split);
        if let Some(lines) = &found.lines {
            return Journal::go_on(&path, lines);
        }
        let head = Head {
            format_version: VERSION,
            identity: identity.clone(),
            data_sha256: session.data_sha256.clone(),
            earlier_replies: found.standing.replies,
            retries_failed,
        };
        Journal::begin(&path, &head)
    }

    /// Turns what is known into files, then names the split in the manifest, then removes the journal.
    ///
    /// # Errors
    /// Files that cannot be written.
    pub(super) fn finish(
        &mut self,
        session: &Session<'_>,
        identity: &Identity,
        standing: &SessionState,
        outlook: &Outlook,
    ) -> Result<(), AskError> {
        let split = session.split;
        let questions = || session.questions.iter().zip(&standing.known);
        let keys = session.task.query.keys();
        let done = lines(questions().filter_map(|(asked, known)| {
            let texts = known.texts.as_ref()?;
            let place = serde_json::to_value(Place::new(asked.dialogue, &asked.target)).ok()?;
            let mut row: Map<String, Value> = place.as_object()?.clone();
            row.extend(keys.iter().cloned().zip(texts.iter().map(|text| Value::from(text.as_str()))));
            Some(row)
        }))?;
        let failed: Vec<FailedRow> = questions()
            .filter(|(_, known)| known.texts.is_none())
            .map(|(asked, known)| {
                let (reason, reply) = known.last.clone().unwrap_or_default();
                let of = Place::new(asked.dialogue, &asked.target);
                FailedRow { of, attempts: known.attempts, reason, reply }
            })
            .collect();
        write_atomic(&self.done(split), &done)?;
        write_atomic(&self.failed(split), &lines(failed.iter())?)?;
        let record = SplitRecord {
            data_sha256: session.data_sha256.clone(),
            sha256: sha256_hex(&done),
            questions: outlook.questions,
            replies: outlook.replies,
            done: outlook.done,
            failed: outlook.failed,
            naming_labels: outlook.naming_labels,
            length_outside: outlook.length_outside,
        };
        let mut manifest = self.manifest.take().unwrap_or_else(|| Manifest::new(session.task, identity));
        manifest.splits.insert(split.as_str().to_owned(), record);
        let mut text = serde_json::to_string_pretty(&manifest)?;
        text.push('\n');
        write_atomic(&self.path.join(MANIFEST), text.as_bytes())?;
        self.manifest = Some(manifest);
        remove(&self.journal(split))
    }

    fn record(&self, split: SplitKind) -> Option<&SplitRecord> {
        self.manifest.as_ref()?.splits.get(split.as_str())
    }

    fn done(&self, split: SplitKind) -> PathBuf {
        self.path.join(format!("{}.jsonl", split.as_str()))
    }

    fn failed(&self, split: SplitKind) -> PathBuf {
        self.path.join(format!("{}.failed.jsonl", split.as_str()))
    }

    fn journal(&self, split: SplitKind) -> PathBuf {
        self.path.join(format!("{}.journal.jsonl", split.as_str()))
    }
}

fn read_manifest(path: &Path) -> Result<Option<Manifest>, AskError> {
    if !path.exists() {
        return Ok(None);
    }
    let file = TextFile::read(path)?;
    let hint = "give the source another path, or ask everything again with --fresh";
    let complain = |what: String| Complaint::input(format!("{}: {what}", path.display())).hint(hint);
    let manifest: Manifest = serde_json::from_str(&file.text)
        .map_err(|error| complain(format!("not a manifest of emotrain interpret: {error}")))?;
    if manifest.format_version != VERSION {
        let version = manifest.format_version;
        return Err(
            complain(format!("format_version {version}, this version of emotrain reads {VERSION}")).into()
        );
    }
    Ok(Some(manifest))
}

/// The right to write in a folder.
///
/// # Errors
/// A folder that another process works in, or that cannot be written to.
pub(crate) fn lock(folder: &Path) -> Result<Lock, AskError> {
    Lock::take(folder).map_err(|error| match error {
        LockError::Taken { .. } => {
            Complaint::input(error.to_string()).hint("wait for it, or stop it; its replies are kept").into()
        }
        LockError::Write(error) => error.into(),
    })
}

fn remove(path: &Path) -> Result<(), AskError> {
    match fs_err::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(|error| WriteError::new(path, &error).into()),
    }
}
