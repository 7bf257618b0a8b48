//! Writing into the cache, and nowhere else.
//!
//! Whatever a server says, a path is made of names that were checked, and a folder on the way is followed only when
//! it is in the cache: a link that leads out of it is an error, not a way.

use std::fs::{File, TryLockError};
use std::io::{Error, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use fs_err::OpenOptions;
use hf_hub::{Cache, Repo};
use sha2::{Digest, Sha256};

use super::names::{hex, is_plain_path};
use super::trouble::Trouble;

/// How often another process that fetches the same file is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// A file that has not grown for so long is not being fetched by anybody.
const STILL: Duration = Duration::from_mins(2);

/// The folder of one repository, for writing.
pub(super) struct Store {
    /// The cache, without links on the way to it: that way is the user's.
    root: PathBuf,
    folder: String,
}

/// A blob that is being fetched. It belongs to this process until it is dropped.
pub(super) struct Part {
    pub(super) file: fs_err::File,
    path: PathBuf,
}

impl Store {
    /// The cache's folder is made if there is none.
    ///
    /// # Errors
    /// A folder that cannot be made.
    pub(super) fn open(cache: &Cache, repo: &Repo) -> Result<Self, Trouble> {
        fs_err::create_dir_all(cache.path())?;
        Ok(Self { root: fs_err::canonicalize(cache.path())?, folder: repo.folder_name() })
    }

    /// Where a file of a commit is.
    pub(super) fn pointer(&self, commit: &str, file: &str) -> PathBuf {
        self.root.join(&self.folder).join("snapshots").join(commit).join(file)
    }

    /// The blob of this name, once it is whole.
    pub(super) fn blob(&self, blob: &str) -> PathBuf {
        self.root.join(&self.folder).join("blobs").join(blob)
    }

    /// The part of a blob that has come so far, for this process alone; waits for another that is at it.
    ///
    /// # Errors
    /// A file that cannot be opened; another process that does not get on with it.
    pub(super) fn part(&self, blob: &str, tell: impl FnOnce()) -> Result<Part, Trouble> {
        let path = self.make("blobs")?.join(format!("{blob}.emotrain-part"));
        // Nothing is written through a link, and a pipe would be waited for.
        if fs_err::symlink_metadata(&path).is_ok_and(|found| !found.is_file()) {
            fs_err::remove_file(&path)?;
        }
        let file = OpenOptions::new().read(true).append(true).create(true).open(&path)?;
        wait_for(file.file(), tell)?;
        Ok(Part { file, path })
    }

    /// Makes the part the blob of this name.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn publish(&self, part: &Part, blob: &str) -> Result<(), Trouble> {
        part.file.sync_all()?;
        Ok(fs_err::rename(&part.path, self.blob(blob))?)
    }

    /// Makes a blob the file of a commit.
    ///
    /// # Errors
    /// When it cannot be written; a folder on the way that leaves the cache.
    pub(super) fn link(&self, blob: &str, commit: &str, file: &str) -> Result<PathBuf, Trouble> {
        let pointer = self.pointer(commit, file);
        let (folder, _) = file.rsplit_once('/').unwrap_or(("", file));
        self.make(format!("snapshots/{commit}/{folder}").trim_end_matches('/'))?;
        if fs_err::symlink_metadata(&pointer).is_ok() {
            fs_err::remove_file(&pointer)?;
        }
        let depth = 2 + file.matches('/').count();
        let target = format!("{}blobs/{blob}", "../".repeat(depth));
        match symlink(Path::new(&target), &pointer) {
            Ok(()) => {}
            // Another process was faster, with the same blob.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(_) => fs_err::rename(self.blob(blob), &pointer)?,
        }
        Ok(pointer)
    }

    /// Notes the commit of a branch or tag.
    ///
    /// # Errors
    /// When it cannot be written; a folder on the way that leaves the cache.
    pub(super) fn name(&self, revision: &str, commit: &str) -> Result<(), Trouble> {
        let path = format!("refs/{revision}");
        let (folder, name) = path.rsplit_once('/').unwrap_or(("refs", revision));
        let folder = self.make(folder)?;
        let partial = folder.join(format!(".{name}.{}", std::process::id()));
        fs_err::write(&partial, commit)?;
        Ok(fs_err::rename(partial, folder.join(name))?)
    }

    /// A folder of the repository, which is made if there is none.
    fn make(&self, below: &str) -> Result<PathBuf, Trouble> {
        assert!(is_plain_path(below), "{below:?} is no path within a repository");
        let mut folder = self.root.clone();
        for part in [self.folder.as_str()].into_iter().chain(below.split('/')) {
            folder.push(part);
            match fs_err::create_dir(&folder) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error.into()),
                Ok(()) | Err(_) => {}
            }
            let real = fs_err::canonicalize(&folder)?;
            if !real.starts_with(&self.root) {
                return Err(Trouble::LeavesCache(folder));
            }
        }
        Ok(folder)
    }
}

impl Part {
    /// Takes it away, as its blob is there already.
    pub(super) fn discard(self) {
        // Left behind it would be in nobody's way.
        let _ = fs_err::remove_file(&self.path);
    }

    /// How many bytes of it are there.
    ///
    /// # Errors
    /// When the system does not say.
    pub(super) fn len(&self) -> Result<u64, Trouble> {
        Ok(self.file.metadata()?.len())
    }

    /// Throws away what has come.
    ///
    /// # Errors
    /// If the system refuses a handler.
    pub(super) fn clear(&mut self) -> Result<(), Trouble> {
        Ok(self.file.set_len(0)?)
    }

    /// The digest of what has come.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn sha256(&mut self) -> Result<String, Trouble> {
        self.file.seek(SeekFrom::Start(0))?;
        let mut digest = Sha256::new();
        let mut buffer = vec![0; 1 << 16];
        loop {
            match self.file.read(&mut buffer)? {
                0 => return Ok(hex(&digest.finalize())),
                count => digest.update(&buffer[..count]),
            }
        }
    }
}

/// Waits for the process that holds the file, as long as the file grows.
fn wait_for(file: &File, tell: impl FnOnce()) -> Result<(), Trouble> {
    let mut tell = Some(tell);
    let mut grown = (0, Instant::now());
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            // A file system without locks: each file is replaced whole all the same.
            Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(error.into()),
            Err(TryLockError::WouldBlock) => {}
        }
        if let Some(tell) = tell.take() {
            tell();
        }
        let length = file.metadata()?.len();
        if length != grown.0 {
            grown = (length, Instant::now());
        }
        if grown.1.elapsed() > STILL {
            return Err(Trouble::Hub(
                "another process holds the file and does not get on with it".to_owned(),
            ));
        }
        thread::sleep(LOOK);
    }
}

#[cfg(unix)]
fn symlink(target: &Path, link: &Path) -> Result<(), Error> {
    fs_err::os::unix::fs::symlink(target, link)
}

/// Links need a privilege on other systems.
#[cfg(not(unix))]
fn symlink(_target: &Path, _link: &Path) -> Result<(), Error> {
    Err(ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use hf_hub::RepoType;

    use super::*;

    struct Place {
        folder: tempfile::TempDir,
        store: Store,
    }

    fn place() -> Place {
        let folder = tempfile::tempdir().unwrap();
        let repo = Repo::with_revision("acme/tiny".to_owned(), RepoType::Model, "main".to_owned());
        let store = Store::open(&Cache::new(folder.path().join("hub")), &repo).unwrap();
        Place { folder, store }
    }

    impl Place {
        fn repo(&self) -> PathBuf {
            self.folder.path().join("hub/models--acme--tiny")
        }

        fn put(&self, file: &str) -> Result<PathBuf, Trouble> {
            let mut part = self.store.part("0a1b", || {})?;
            part.file.write_all(b"text").unwrap();
            self.store.publish(&part, "0a1b")?;
            self.store.link("0a1b", "c0ffee", file)
        }
    }

    #[test]
    fn the_layout_is_that_of_other_tools() {
        let place = place();
        place.put("config.json").unwrap();
        place.put("1_Pooling/config.json").unwrap();
        place.store.name("main", "c0ffee").unwrap();
        place.store.name("refs/pr/1", "c0ffee").unwrap();
        let read = |path: &str| fs_err::read_to_string(place.repo().join(path)).unwrap();
        for path in ["blobs/0a1b", "snapshots/c0ffee/config.json", "snapshots/c0ffee/1_Pooling/config.json"] {
            assert_eq!(read(path), "text", "{path}");
        }
        assert_eq!([read("refs/main"), read("refs/refs/pr/1")], ["c0ffee"; 2]);
        let names = fs_err::read_dir(place.repo().join("refs")).unwrap().count();
        assert_eq!(names, 2, "nothing is left behind");
    }

    #[cfg(unix)]
    #[test]
    fn links_that_leave_the_cache_are_not_followed() {
        let symlink = |target: &Path, link: &Path| {
            fs_err::create_dir_all(link.parent().unwrap()).unwrap();
            fs_err::os::unix::fs::symlink(target, link).unwrap();
        };
        let folders = ["", "blobs", "snapshots", "snapshots/c0ffee", "snapshots/c0ffee/1_Pooling"];
        for link in folders {
            let place = place();
            let outside = place.folder.path().join("outside");
            fs_err::create_dir(&outside).unwrap();
            symlink(&outside, Path::new(place.repo().join(link).to_str().unwrap().trim_end_matches('/')));
            let result = place.put("1_Pooling/config.json");
            assert!(matches!(result, Err(Trouble::LeavesCache(_))), "{link}: {result:?}");
            assert_eq!(fs_err::read_dir(&outside).unwrap().count(), 0, "{link}");
        }
        // Files that are links are replaced, not written through.
        let place = place();
        let outside = place.folder.path().join("outside");
        fs_err::write(&outside, "untouched").unwrap();
        let links = ["blobs/0a1b", "blobs/0a1b.emotrain-part", "snapshots/c0ffee/config.json", "refs/main"];
        for link in links {
            symlink(&outside, &place.repo().join(link));
        }
        place.put("config.json").unwrap();
        place.store.name("main", "c0ffee").unwrap();
        assert_eq!(fs_err::read_to_string(&outside).unwrap(), "untouched");
        let read = |path: &str| fs_err::read_to_string(place.repo().join(path)).unwrap();
        assert_eq!([read("snapshots/c0ffee/config.json"), read("refs/main")], ["text", "c0ffee"]);
    }

    #[test]
    fn two_processes_do_not_write_one_part() {
        let place = place();
        let first = place.store.part("0a1b", || {}).unwrap();
        let waited = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            let second = scope.spawn(|| {
                place
                    .store
                    .part("0a1b", || waited.store(true, std::sync::atomic::Ordering::SeqCst))
                    .map(|_| ())
            });
            std::thread::sleep(Duration::from_millis(300));
            drop(first);
            second.join().unwrap().unwrap();
        });
        assert!(waited.into_inner());
    }
}
