//! Folders that are published atomically.
//!
//! A folder is filled next to its destination, as `.NAME.building`. The folder that it replaces is `.NAME.replaced` for
//! a moment: a process killed between the two renames leaves the destination empty, and the next process restores the
//! old folder before anything else. So at every moment either the old or the new folder exists, under one of two names.
//! From the first of this to the last, the destination is locked by `.NAME.lock`: both folders are one process's.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::WriteError;
use crate::lock::{BESIDE, LOCK, Lock, LockError};
use crate::manifest::{self, MANIFEST};
use crate::output::{of_part, sweep_one};
use crate::place::{beside, create_folder, folder_of, resolve, sync_folder};

const BUILDING: &str = "building";
const REPLACED: &str = "replaced";
const REMOVED: &str = "removed";
/// The names that earlier versions used for the first two.
const EARLIER_BUILDING: &str = "partial";
const EARLIER_REPLACED: &str = "old";
/// What a killed process may leave beside a destination.
const LEFT: [&str; 6] = [BUILDING, REPLACED, REMOVED, EARLIER_BUILDING, EARLIER_REPLACED, BESIDE];
/// How often another process may restore the old folder into the empty destination while the new one is being renamed.
const TRIES: usize = 4;

/// A folder that is being written.
#[derive(Debug)]
pub struct Stage {
    folder: PathBuf,
    target: PathBuf,
    kind: Kind,
    /// `None` once it is published.
    lock: Option<Lock>,
}

/// What becomes of what is at the destination.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// It is replaced.
    Replacing,
    /// Nothing may be there.
    New,
    /// Files of these names are replaced, the only ones that the new folder may hold; others are kept.
    Ours(&'static [&'static str]),
}

impl Kind {
    fn ours(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Ours(ours) => Some(ours),
            Self::Replacing | Self::New => None,
        }
    }
}

impl Stage {
    /// Starts a folder whose destination is `target` (a link is followed), and completes or reverts what a killed
    /// process left of it.
    ///
    /// # Errors
    /// Another process is writing to this destination, or it is not writable.
    pub fn open(target: &Path) -> Result<Self, LockError> {
        Self::begin(target, Kind::Replacing)
    }

    /// Starts a folder that replaces nothing: its destination does not exist, or is an empty folder.
    ///
    /// # Errors
    /// As [`Stage::open`], or something is there.
    pub fn create(target: &Path) -> Result<Self, LockError> {
        Self::begin(target, Kind::New)
    }

    /// Starts a folder that has its own manifest and holds only files of these names. Other files in the destination
    /// are kept, and so are other files of an abandoned stage.
    ///
    /// # Errors
    /// As [`Stage::open`].
    pub fn reopen(target: &Path, ours: &'static [&'static str]) -> Result<Self, LockError> {
        Self::begin(target, Kind::Ours(ours))
    }

    fn begin(target: &Path, kind: Kind) -> Result<Self, LockError> {
        let fail = |error: io::Error| WriteError::new(target, &error);
        let place = resolve(target).map_err(fail)?;
        let lock = Lock::beside(target)?;
        let folder = beside(&place, BUILDING);
        let stage = Self { folder, target: place, kind, lock: Some(lock) };
        stage.recover().map_err(fail)?;
        if matches!(kind, Kind::New) && is_occupied(&stage.target) {
            return Err(WriteError::occupied(target).into());
        }
        create_folder(&stage.folder)?;
        stage.clear().map_err(fail)?;
        Ok(stage)
    }

    /// The folder to fill.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes a file into the folder.
    ///
    /// # Errors
    /// Any system error, with the path.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), WriteError> {
        let path = self.folder.join(name);
        fs_err::write(&path, bytes).map_err(|error| WriteError::new(&path, &error))
    }

    /// Moves the folder to its destination, replacing the folder there. Everything is synced first, and a manifest with
    /// the files' digests is written last, unless the folder has its own.
    ///
    /// # Errors
    /// Any system error; the destination still has its old contents.
    pub fn publish(mut self) -> Result<(), WriteError> {
        let fail = |error: io::Error| WriteError::new(&self.target, &error);
        let ours = self.kind.ours();
        if ours.is_none() {
            manifest::write(&self.folder)?;
        }
        sync_folder(&self.folder).map_err(fail)?;
        if matches!(self.kind, Kind::New) {
            self.take_free_place()?;
        } else {
            self.take_place().map_err(fail)?;
        }
        finish(&self.target, &beside(&self.target, REPLACED), ours).map_err(fail)?;
        self.lock = None;
        Ok(())
    }

    /// Renames the folder; a rename replaces no folder that holds something.
    fn take_free_place(&self) -> Result<(), WriteError> {
        let renamed = fs_err::rename(&self.folder, &self.target);
        renamed.and_then(|()| sync_folder(folder_of(&self.target))).map_err(|error| {
            if is_occupied(&self.target) {
                WriteError::occupied(&self.target)
            } else {
                WriteError::new(&self.target, &error)
            }
        })
    }

    fn take_place(&self) -> io::Result<()> {
        let replaced = beside(&self.target, REPLACED);
        let mut tries = 0;
        loop {
            if holds_something(&self.target)? {
                fs_err::rename(&self.target, &replaced)?;
            }
            tries += 1;
            match fs_err::rename(&self.folder, &self.target) {
                Ok(()) => return sync_folder(folder_of(&self.target)),
                Err(error) if tries < TRIES && is_taken(&error) => {}
                Err(error) => {
                    if replaced.exists() && !self.target.exists() {
                        fs_err::rename(&replaced, &self.target)?;
                    }
                    return Err(error);
                }
            }
        }
    }

    fn recover(&self) -> io::Result<()> {
        let ours = self.kind.ours();
        for end in [REPLACED, EARLIER_REPLACED] {
            complete_exchange(&self.target, &beside(&self.target, end), ours)?;
        }
        if ours.is_none() {
            remove_all(&beside(&self.target, EARLIER_BUILDING))?;
        }
        Ok(())
    }

    /// Removes the contents of an abandoned stage.
    fn clear(&self) -> io::Result<()> {
        if let Some(ours) = self.kind.ours() {
            return ours.iter().chain(&[LOCK]).try_for_each(|name| remove_all(&self.folder.join(name)));
        }
        for entry in fs_err::read_dir(&self.folder)? {
            remove_all(&entry?.path())?;
        }
        Ok(())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if self.lock.is_none() {
            return;
        }
        // An unpublished folder is useless and may be large, but for what is kept for the next process; if it cannot be
        // removed, it does no harm.
        let _ = match self.kind {
            Kind::Ours(_) => fs_err::remove_dir(&self.folder),
            Kind::Replacing | Kind::New => fs_err::remove_dir_all(&self.folder),
        };
    }
}

/// Restores the folder at `target` if a process was killed while replacing it. Does nothing if the destination is not
/// empty, so it can be called before every read.
///
/// # Errors
/// A folder that cannot be renamed.
pub fn recover(target: &Path) -> Result<(), WriteError> {
    let Ok(place) = resolve(target) else { return Ok(()) };
    for end in [REPLACED, EARLIER_REPLACED] {
        let replaced = beside(&place, end);
        if place.exists() || !holds_something(&replaced).unwrap_or(false) {
            continue;
        }
        match fs_err::rename(&replaced, &place) {
            // The process that replaces it, or another one that reads it, was faster.
            Err(_) if place.exists() => {}
            renamed => renamed.map_err(|error| WriteError::new(target, &error))?,
        }
    }
    Ok(())
}

/// Completes or reverts what killed processes left in `parent` of the folders and files whose names are `ours`. What has
/// another name, and what a process is writing at this moment, stays as it is.
///
/// # Errors
/// A folder that cannot be read or written.
pub fn recover_all(parent: &Path, ours: impl Fn(&str) -> bool) -> Result<(), WriteError> {
    let names = || -> io::Result<Vec<String>> {
        let entries = fs_err::read_dir(parent)?;
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    };
    let fail = |error: io::Error| WriteError::new(parent, &error);
    for name in names().map_err(fail)? {
        if of_part(&name).is_some_and(&ours) {
            sweep_one(&parent.join(&name));
            continue;
        }
        let parts = name.strip_prefix('.').and_then(|rest| rest.rsplit_once('.'));
        let Some((of, end)) = parts.filter(|(of, end)| LEFT.contains(end) && ours(of)) else { continue };
        let (target, path) = (parent.join(of), parent.join(&name));
        if end != BESIDE && !path.is_dir() {
            continue;
        }
        // Dropped, it takes a lock file that was left along.
        let _lock = match Lock::beside(&target) {
            Ok(lock) => lock,
            Err(LockError::Taken { .. }) => continue,
            Err(LockError::Write(error)) => return Err(error),
        };
        let recovered = match end {
            BESIDE => Ok(()),
            REPLACED | EARLIER_REPLACED => complete_exchange(&target, &path, None),
            _ => remove_all(&path),
        };
        recovered.map_err(fail)?;
    }
    Ok(())
}

/// Removes a folder atomically.
///
/// # Errors
/// Any system error.
pub fn remove_folder(folder: &Path) -> Result<(), WriteError> {
    let removed = beside(folder, REMOVED);
    remove_all(&removed)
        .and_then(|()| fs_err::rename(folder, &removed))
        .and_then(|()| remove_all(&removed))
        .map_err(|error| WriteError::new(folder, &error))
}

/// Recovers from a process that was killed while replacing `target`: restores the old folder if there is no new one.
fn complete_exchange(target: &Path, replaced: &Path, ours: Option<&[&str]>) -> io::Result<()> {
    if !replaced.is_dir() {
        return Ok(());
    }
    if holds_something(target)? {
        return finish(target, replaced, ours);
    }
    fs_err::rename(replaced, target)?;
    sync_folder(folder_of(target))
}

/// Removes an old folder that has been replaced; files that others put into it move to the new one.
fn finish(target: &Path, replaced: &Path, ours: Option<&[&str]>) -> io::Result<()> {
    if let Some(ours) = ours.filter(|_| replaced.is_dir()) {
        for entry in fs_err::read_dir(replaced)? {
            let name = entry?.file_name();
            let is_theirs = name != LOCK && name != MANIFEST && !ours.iter().any(|ours| name == *ours);
            if is_theirs && !target.join(&name).exists() {
                fs_err::rename(replaced.join(&name), target.join(&name))?;
            }
        }
    }
    remove_all(replaced)
}

/// Whether a path holds anything; an empty folder counts as nothing.
fn holds_something(path: &Path) -> io::Result<bool> {
    match fs_err::read_dir(path) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether something is at a path that may not be replaced: anything but an empty folder.
fn is_occupied(path: &Path) -> bool {
    path.symlink_metadata().is_ok() && holds_something(path).unwrap_or(true)
}

fn is_taken(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists)
}

/// Removes a file, or a folder with its contents, if it exists.
fn remove_all(path: &Path) -> io::Result<()> {
    let removed = if path.is_dir() && !path.is_symlink() {
        fs_err::remove_dir_all(path)
    } else {
        fs_err::remove_file(path)
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
