//! A folder, published whole.
//!
//! It is filled beside its place, under the name `.NAME.building`. A folder that it replaces is `.NAME.replaced` for a
//! moment: a process that is killed between the two renames leaves its place empty, and whoever comes next puts the old
//! one back before anything else. So at every moment the old folder or the new one is there, under one of two names.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::WriteError;
use crate::lock::{LOCK, Lock, LockError};
use crate::manifest::{self, MANIFEST};
use crate::output::{folder_of, is_part, sweep_one, sync_folder};

const BUILDING: &str = "building";
const REPLACED: &str = "replaced";
const REMOVED: &str = "removed";
/// What earlier versions called the first two.
const EARLIER: [&str; 2] = ["partial", "old"];
/// So often somebody who finds a place empty may put the old folder back while the new one is on its way.
const TRIES: usize = 4;

/// A folder that is being made.
#[derive(Debug)]
pub struct Stage {
    folder: PathBuf,
    target: PathBuf,
    /// The files that such a folder may hold; `None`: whatever is in it.
    ours: Option<&'static [&'static str]>,
    lock: Option<Lock>,
}

impl Stage {
    /// Begins a folder whose place is `target` (what it leads to, if it is a link), and finishes or takes back what a
    /// killed process has left of it.
    ///
    /// # Errors
    /// A place that another process is making a folder for, or that cannot be written to.
    pub fn open(target: &Path) -> Result<Self, LockError> {
        Self::begin(target, None)
    }

    /// Begins a folder that has its own manifest and holds files of these names. What others put beside them stays, and
    /// so does, of a stage that was left behind, what is called otherwise.
    ///
    /// # Errors
    /// As [`Stage::open`].
    pub fn reopen(target: &Path, ours: &'static [&'static str]) -> Result<Self, LockError> {
        Self::begin(target, Some(ours))
    }

    fn begin(target: &Path, ours: Option<&'static [&'static str]>) -> Result<Self, LockError> {
        let fail = |error: io::Error| WriteError::new(target, &error);
        let place = resolve(target).map_err(fail)?;
        let folder = beside(&place, BUILDING);
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

    /// Writes a file into it.
    ///
    /// # Errors
    /// Any of the system's, with the path.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), WriteError> {
        let path = self.folder.join(name);
        fs_err::write(&path, bytes).map_err(|error| WriteError::new(&path, &error))
    }

    /// Puts the folder in its place, in that of the one that is there. All is on disk by then, and a manifest of the
    /// files' digests is written last, unless the folder has one already.
    ///
    /// # Errors
    /// Any of the system's; what was in the place is still there.
    pub fn publish(mut self) -> Result<(), WriteError> {
        let fail = |error: io::Error| WriteError::new(&self.target, &error);
        if self.ours.is_none() {
            manifest::write(&self.folder)?;
        }
        sync_folder(&self.folder).map_err(fail)?;
        if cfg!(windows) {
            // There a folder with an open file cannot be renamed.
            self.lock = None;
        }
        self.take_place().map_err(fail)?;
        remove_if_there(&self.target.join(LOCK)).map_err(fail)?;
        self.lock = None;
        finish(&self.target, &beside(&self.target, REPLACED), self.ours).map_err(fail)
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
        for end in [REPLACED, EARLIER[1]] {
            take_up(&self.target, &beside(&self.target, end), self.ours)?;
        }
        if self.ours.is_none() {
            remove_all(&beside(&self.target, EARLIER[0]))?;
        }
        Ok(())
    }

    /// Removes what a stage that was left behind holds.
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
        // What is not published is of no use, and may be large; a leftover is harmless.
        if self.lock.is_some() && self.ours.is_none() {
            let _ = fs_err::remove_dir_all(&self.folder);
        }
    }
}

/// Puts the folder back whose place is `target`, if a process was killed while it replaced it. Does nothing where the
/// place is not empty, and so may be asked before every reading.
///
/// # Errors
/// A folder that cannot be renamed.
pub fn recover(target: &Path) -> Result<(), WriteError> {
    let Ok(place) = resolve(target) else { return Ok(()) };
    for end in [REPLACED, EARLIER[1]] {
        let replaced = beside(&place, end);
        if !place.exists() && holds_something(&replaced).unwrap_or(false) {
            fs_err::rename(&replaced, &place).map_err(|error| WriteError::new(target, &error))?;
        }
    }
    Ok(())
}

/// Finishes or takes back everything that killed processes have left in a folder whose parts are folders that are
/// wholly ours. It has to be locked.
///
/// # Errors
/// A folder that cannot be read or written to.
pub fn recover_all(parent: &Path) -> Result<(), WriteError> {
    let recover = || -> io::Result<()> {
        for entry in fs_err::read_dir(parent)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let parts = name.strip_prefix('.').and_then(|rest| rest.rsplit_once('.'));
            match parts {
                Some((of, end)) if [REPLACED, EARLIER[1]].contains(&end) && path.is_dir() => {
                    take_up(&parent.join(of), &path, None)?;
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

/// Removes a folder so that it is there whole or not at all.
///
/// # Errors
/// Any of the system's.
pub fn remove_folder(folder: &Path) -> Result<(), WriteError> {
    let removed = beside(folder, REMOVED);
    remove_all(&removed)
        .and_then(|()| fs_err::rename(folder, &removed))
        .and_then(|()| remove_all(&removed))
        .map_err(|error| WriteError::new(folder, &error))
}

/// Creates a folder and those above it, where they are not there, so that it survives a power failure.
///
/// # Errors
/// Any of the system's.
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

/// Where a folder is or will be: links are followed.
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

fn beside(target: &Path, end: &str) -> PathBuf {
    target.with_file_name(format!(".{}.{end}", target.file_name().unwrap_or_default().to_string_lossy()))
}

/// Goes on where a process was killed that replaced `target`: an old folder without a new one is put back.
fn take_up(target: &Path, replaced: &Path, ours: Option<&[&str]>) -> io::Result<()> {
    if !replaced.is_dir() {
        return Ok(());
    }
    if holds_something(target)? {
        return finish(target, replaced, ours);
    }
    fs_err::rename(replaced, target)?;
    sync_folder(folder_of(target))
}

/// Removes an old folder in whose place the new one is; what others put into it moves there.
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

/// Whether a path holds anything; an empty folder may be replaced like none.
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

/// Removes a file or a folder with all that is in it, if it is there.
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
