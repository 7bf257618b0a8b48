//! Folders that one process at a time may use.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::WriteError;

/// The locked file. It is never removed; the system releases the lock when the process ends.
pub(crate) const LOCK: &str = ".lock";
/// How often, and after how long, a lock is tried again that is taken.
const PROBES: u32 = 5;
const PROBE: Duration = Duration::from_millis(10);

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

/// Exclusive use of a folder, as long as this value lives.
#[derive(Debug)]
pub struct Lock {
    /// `None` if the file system does not support locks.
    file: Option<File>,
}

impl Lock {
    /// Locks a folder, which must exist.
    ///
    /// # Errors
    /// A folder that another process uses, or that is not writable.
    pub fn take(folder: &Path) -> Result<Self, LockError> {
        let path = folder.join(LOCK);
        let fail = |error: io::Error| WriteError::new(&path, &error);
        let options = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path);
        let mut file = options.map_err(fail)?;
        let mut locked = file.try_lock();
        for _ in 0..PROBES {
            if !matches!(locked, Err(TryLockError::WouldBlock)) {
                break;
            }
            // It may be someone who only looks: see `is_taken`.
            std::thread::sleep(PROBE);
            locked = file.try_lock();
        }
        match locked {
            Ok(()) => {
                sign(&mut file).map_err(fail)?;
                Ok(Self { file: Some(file) })
            }
            Err(TryLockError::WouldBlock) => {
                Err(LockError::Taken { folder: folder.to_owned(), owner: owner(&mut file) })
            }
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                Ok(Self { file: None })
            }
            Err(TryLockError::Error(error)) => Err(fail(error).into()),
        }
    }

    /// Whether a process uses a folder at this moment; false where the file system does not support locks.
    pub fn is_taken(folder: &Path) -> bool {
        let Ok(file) = fs_err::File::open(folder.join(LOCK)).map(fs_err::File::into_file) else {
            return false;
        };
        // Dropping the file releases what this takes, within microseconds.
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }

    /// Whether other processes are excluded; some file systems do not support that.
    pub fn holds(&self) -> bool {
        self.file.is_some()
    }
}

fn sign(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.write_all(format!("process {}{}\n", std::process::id(), host()).as_bytes())
}

fn owner(file: &mut File) -> String {
    let mut text = String::new();
    // If a lock also prevents reading, its owner is unknown.
    let read = file.rewind().and_then(|()| file.read_to_string(&mut text));
    let text = text.trim();
    if read.is_err() || text.is_empty() { "another process".to_owned() } else { text.to_owned() }
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
