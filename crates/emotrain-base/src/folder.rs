//! Folders that are published atomically.
//!
//! A folder is filled next to its destination, as `.NAME.building`. The folder that it replaces is `.NAME.replaced` for
//! a moment: a process killed between the two renames leaves the destination empty, and the next process restores the
//! old folder before anything else. So at every moment either the old or the new folder exists, under one of two names.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::WriteError;
use crate::lock::{LOCK, Lock, LockError};
use crate::manifest::{self, MANIFEST};
use crate::output::{folder_of, is_part, sweep_one, sync_folder};

const BUILDING: &str = "building";
const REPLACED: &str = "replaced";
const REMOVED: &str = "removed";
/// The names that earlier versions used for the first two.
const EARLIER: [&str; 2] = ["partial", "old"];
/// How often another process may restore the old folder into the empty destination while the new one is being renamed.
const TRIES: usize = 4;

/// A folder that is being written.
#[derive(Debug)]
pub struct Stage {
    folder: PathBuf,
    target: PathBuf,
    /// The only files that the folder may hold; `None` for any.
    ours: Option<&'static [&'static str]>,
    lock: Option<Lock>,
}

impl Stage {
    /// Starts a folder whose destination is `target` (a link is followed), and completes or reverts what a killed
    /// process left of it.
    ///
    /// # Errors
    /// Another process is writing to this destination, or it is not writable.
    pub fn open(target: &Path) -> Result<Self, LockError> {
        Self::begin(target, None)
    }

    /// Starts a folder that has its own manifest and holds only files of these names. Other files in the destination
    /// are kept, and so are other files of an abandoned stage.
    ///
    /// # Errors
    /// As [`Stage::open`].
    pub fn reopen(target: &Path, ours: &'static [&'static str]) -> Result<Self, LockError> {
        Self::begin(target, Some(ours))
    }

    fn begin(target: &Path, ours: Option<&'static [&'static str]>) -> Result<Self, LockError> {
        let fail = |error: io::Error| WriteError::new(target, &error);
        let place = resolve(target).map_err(fail)?;
        let folder = sibling(&place, BUILDING);
        create_folder(&folder)?;
        let lock = Lock::take(&folder).map_err(|error| match error {
            LockError::Taken { owner, .. } => LockError::Taken { folder: target.to_owned(), owner },
            LockError::Write(_) => error,
        })?;
        let stage = Self { folder, target: place, ours, lock: Some(lock) };
        stage.recover().and_then(|()| stage.clear()).map_err(fail)?;
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
        if self.ours.is_none() {
            manifest::write(&self.folder)?;
        }
        sync_folder(&self.folder).map_err(fail)?;
        if cfg!(windows) {
            // On Windows a folder with an open file cannot be renamed.
            self.lock = None;
        }
        self.take_place().map_err(fail)?;
        remove_if_there(&self.target.join(LOCK)).map_err(fail)?;
        self.lock = None;
        finish(&self.target, &sibling(&self.target, REPLACED), self.ours).map_err(fail)
    }

    fn take_place(&self) -> io::Result<()> {
        let replaced = sibling(&self.target, REPLACED);
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
        for end in [REPLACED, EARLIER[1]] {
            complete_exchange(&self.target, &sibling(&self.target, end), self.ours)?;
        }
        if self.ours.is_none() {
            remove_all(&sibling(&self.target, EARLIER[0]))?;
        }
        Ok(())
    }

    /// Removes the contents of an abandoned stage.
    fn clear(&self) -> io::Result<()> {
        if let Some(ours) = self.ours {
            return ours.iter().try_for_each(|name| remove_if_there(&self.folder.join(name)));
        }
        for entry in fs_err::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.file_name() != LOCK {
                remove_all(&entry.path())?;
            }
        }
        Ok(())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // An unpublished folder is useless and may be large; if it cannot be removed, it does no harm.
        if self.lock.is_some() && self.ours.is_none() {
            let _ = fs_err::remove_dir_all(&self.folder);
        }
    }
}

/// Restores the folder at `target` if a process was killed while replacing it. Does nothing if the destination is not
/// empty, so it can be called before every read.
///
/// # Errors
/// A folder that cannot be renamed.
pub fn recover(target: &Path) -> Result<(), WriteError> {
    let Ok(place) = resolve(target) else { return Ok(()) };
    for end in [REPLACED, EARLIER[1]] {
        let replaced = sibling(&place, end);
        if !place.exists() && holds_something(&replaced).unwrap_or(false) {
            fs_err::rename(&replaced, &place).map_err(|error| WriteError::new(target, &error))?;
        }
    }
    Ok(())
}

/// Completes or reverts everything that killed processes left in a folder whose subfolders are all ours. The folder has
/// to be locked.
///
/// # Errors
/// A folder that cannot be read or written.
pub fn recover_all(parent: &Path) -> Result<(), WriteError> {
    let recover = || -> io::Result<()> {
        for entry in fs_err::read_dir(parent)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let parts = name.strip_prefix('.').and_then(|rest| rest.rsplit_once('.'));
            match parts {
                Some((of, end)) if [REPLACED, EARLIER[1]].contains(&end) && path.is_dir() => {
                    complete_exchange(&parent.join(of), &path, None)?;
                }
                Some((_, end)) if [BUILDING, REMOVED, EARLIER[0]].contains(&end) && path.is_dir() => {
                    remove_all(&path)?;
                }
                _ if is_part(&name) => sweep_one(&path),
                _ => {}
            }
        }
        Ok(())
    };
    recover().map_err(|error| WriteError::new(parent, &error))
}

/// Removes a folder atomically.
///
/// # Errors
/// Any system error.
pub fn remove_folder(folder: &Path) -> Result<(), WriteError> {
    let removed = sibling(folder, REMOVED);
    remove_all(&removed)
        .and_then(|()| fs_err::rename(folder, &removed))
        .and_then(|()| remove_all(&removed))
        .map_err(|error| WriteError::new(folder, &error))
}

/// Creates a folder and its parents if they do not exist, so that they survive a power failure.
///
/// # Errors
/// Any system error.
pub fn create_folder(folder: &Path) -> Result<(), WriteError> {
    let create = || {
        if folder.is_dir() {
            return Ok(());
        }
        fs_err::create_dir_all(folder)?;
        sync_folder(folder_of(folder))
    };
    create().map_err(|error| WriteError::new(folder, &error))
}

/// Where a folder is or will be; links are followed.
fn resolve(target: &Path) -> io::Result<PathBuf> {
    if let Ok(place) = fs_err::canonicalize(target) {
        return Ok(place);
    }
    let place = fs_err::read_link(target).map_or_else(|_| target.to_owned(), |to| folder_of(target).join(to));
    if place.file_name().is_none() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path names no folder"));
    }
    Ok(place)
}

fn sibling(target: &Path, end: &str) -> PathBuf {
    target.with_file_name(format!(".{}.{end}", target.file_name().unwrap_or_default().to_string_lossy()))
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

fn is_taken(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists)
}

fn remove_if_there(file: &Path) -> io::Result<()> {
    match fs_err::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
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
