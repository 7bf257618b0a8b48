//! Folders that one process at a time may use.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::WriteError;
use crate::place::{beside, create_folder, folder_of, resolve};

/// The locked file in a folder. It stays; the system releases the lock when the process ends.
pub(crate) const LOCK: &str = ".lock";
/// The end of the name of the file that is locked beside a place.
pub(crate) const BESIDE: &str = "lock";
/// How often, and after how long, a lock is tried again that is taken.
const PROBES: u32 = 5;
const PROBE: Duration = Duration::from_millis(10);
/// How often the file may be removed between its creation and its lock.
const TRIES: u32 = 1000;

/// Why a folder cannot be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process uses it.
    #[error("{}: in use by {owner}", folder.display())]
    Taken {
        /// The folder.
        folder: PathBuf,
        /// Its owner, if known.
        owner: String,
    },
    /// The lock file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl LockError {
    /// How to fix it, if that is known.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Taken { .. } => Some("wait for that process or stop it, or name another folder"),
            Self::Write(error) => error.hint(),
        }
    }
}

/// Exclusive use of a folder, or of the place for one, as long as this value lives.
#[derive(Debug)]
pub struct Lock {
    /// `None` if the file system does not support locks.
    file: Option<File>,
    /// Where it is, or would be.
    path: PathBuf,
    /// Whether the file goes with the lock.
    passing: bool,
}

impl Lock {
    /// Locks a folder, which is created if it does not exist.
    ///
    /// # Errors
    /// A folder that another process uses, or that is not writable.
    pub fn take(folder: &Path) -> Result<Self, LockError> {
        let path = folder.join(LOCK);
        Ok(Self { file: hold(&path, folder)?, path, passing: false })
    }

    /// Locks the place of a folder that is put there, replaced or changed as a whole; it need not exist. The locked file
    /// is beside it, because the folder itself is renamed.
    ///
    /// # Errors
    /// A place that another process writes to, or beside which nothing can be written.
    pub fn beside(target: &Path) -> Result<Self, LockError> {
        let place = resolve(target).map_err(|error| WriteError::new(target, &error))?;
        let path = beside(&place, BESIDE);
        Ok(Self { file: hold(&path, target)?, path, passing: true })
    }

    /// Whether a process uses a folder at this moment; false where the file system does not support locks.
    pub fn is_taken(folder: &Path) -> bool {
        let Ok(file) = fs_err::File::open(folder.join(LOCK)).map(fs_err::File::into_file) else {
            return false;
        };
        // Dropping the file releases what this takes, within microseconds.
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }

    /// Whether the locked file is still where it was: in a folder that was removed, moved or replaced, what is written is lost.
    /// True where that cannot be known.
    pub fn is_in_place(&self) -> bool {
        let Some(file) = &self.file else { return true };
        match fs_err::read_to_string(&self.path) {
            // Some network file systems number a file anew from time to time.
            Ok(text) => is_at(file, &self.path) || text == signature(),
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        }
    }

    /// Whether other processes are excluded; some file systems do not support that.
    pub fn holds(&self) -> bool {
        self.file.is_some()
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While it is locked: who waits for it sees that it is gone and makes another one.
        if self.passing {
            let _ = fs_err::remove_file(&self.path);
        }
    }
}

/// Locks the file at `path`, on behalf of `folder`.
fn hold(path: &Path, folder: &Path) -> Result<Option<File>, LockError> {
    let fail = |error: io::Error| WriteError::new(path, &error);
    let mut probes = 0;
    for _ in 0..TRIES {
        create_folder(folder_of(path))?;
        let opened = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path);
        let mut file = match opened {
            // Another process removed the folder again.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            opened => opened.map_err(fail)?,
        };
        match file.try_lock() {
            // A file that was removed meanwhile excludes no one.
            Ok(()) if !is_at(&file, path) => {}
            Ok(()) => {
                sign(&mut file).map_err(fail)?;
                return Ok(Some(file));
            }
            Err(TryLockError::WouldBlock) if probes < PROBES => {
                // It may be someone who only looks: see `is_taken`.
                std::thread::sleep(PROBE);
                probes += 1;
            }
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::Taken { folder: folder.to_owned(), owner: owner(&mut file) });
            }
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(fail(error).into()),
        }
    }
    Err(LockError::Taken { folder: folder.to_owned(), owner: ANYONE.to_owned() })
}

/// Whether an open file is still the one at its path.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;

    let there = fs_err::metadata(path).and_then(|there| Ok((there, file.metadata()?)));
    there.is_ok_and(|(there, open)| (there.dev(), there.ino()) == (open.dev(), open.ino()))
}

#[cfg(not(unix))]
fn is_at(_file: &File, path: &Path) -> bool {
    path.exists()
}

fn sign(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.write_all(signature().as_bytes())
}

fn signature() -> String {
    format!("process {}{}\n", std::process::id(), host())
}

/// An owner whose name is not known.
const ANYONE: &str = "another process";

fn owner(file: &mut File) -> String {
    let mut text = String::new();
    // If a lock also prevents reading, its owner is unknown.
    let read = file.rewind().and_then(|()| file.read_to_string(&mut text));
    let text = text.trim();
    if read.is_err() || text.is_empty() { ANYONE.to_owned() } else { text.to_owned() }
}

/// ` on NAME`, if the system provides the machine's name in a file.
fn host() -> String {
    let places = ["/proc/sys/kernel/hostname", "/etc/hostname"];
    let name = places.iter().find_map(|place| fs_err::read_to_string(place).ok());
    name.map_or(String::new(), |name| format!(" on {}", name.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_whose_file_is_removed_again_and_again_has_one_owner_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("a");
        let owners = std::sync::atomic::AtomicUsize::new(0);
        let order = std::sync::atomic::Ordering::SeqCst;
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..300 {
                        let Ok(lock) = Lock::beside(&place) else { continue };
                        assert_eq!(owners.fetch_add(1, order), 0);
                        std::thread::yield_now();
                        owners.fetch_sub(1, order);
                        drop(lock);
                    }
                });
            }
        });
        assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_lock_whose_folder_is_taken_away_is_not_in_place() {
        let folder = tempfile::tempdir().unwrap();
        let (run, moved) = (folder.path().join("run"), folder.path().join("moved"));
        let lock = Lock::take(&run).unwrap();
        assert!(lock.is_in_place());
        fs_err::rename(&run, &moved).unwrap();
        assert!(!lock.is_in_place());
        fs_err::create_dir(&run).unwrap();
        assert!(!lock.is_in_place());
        fs_err::write(run.join(LOCK), "process 7 on a host of another\n").unwrap();
        assert!(!lock.is_in_place());
        fs_err::write(run.join(LOCK), signature()).unwrap();
        assert!(lock.is_in_place());
        fs_err::remove_dir_all(&run).unwrap();
        fs_err::rename(&moved, &run).unwrap();
        assert!(lock.is_in_place());
    }

    #[test]
    fn a_folder_has_one_owner_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let lock = Lock::take(folder.path()).unwrap();
        assert!(lock.holds() && Lock::is_taken(folder.path()));
        let refused = Lock::take(folder.path()).unwrap_err().to_string();
        let owner = format!("in use by process {}", std::process::id());
        assert!(refused.contains(&owner), "{refused}");
        drop(lock);
        assert!(!Lock::is_taken(folder.path()));
        fs_err::write(
            folder.path().join(LOCK),
            "process 999999999 on a host that was switched off, long ago",
        )
        .unwrap();
        let again = Lock::take(folder.path()).unwrap();
        let said = fs_err::read_to_string(folder.path().join(LOCK)).unwrap();
        assert!(
            said.starts_with(&format!("process {}", std::process::id())) && !said.contains("ago"),
            "{said}"
        );
        drop(again);
    }
}
