//! One repository in the cache, as other tools lay it out: `refs` name commits, `snapshots` have a folder for each
//! commit, whose files are links to `blobs`.

use std::fmt;
use std::path::PathBuf;

use emotrain_base::limits;
use hf_hub::{Cache, Repo};

use super::names::{is_commit, short};
use super::wanted::{Lack, Wanted};

/// The branch that a repository has by default.
const MAIN: &str = "main";
/// More than a commit's id in a file of `refs` is none.
const LONGEST_REF: u64 = 4096;

/// A repository at a revision, in the cache.
pub(super) struct CachedRepo {
    cache: Cache,
    repo: Repo,
}

/// Why a cache does not have a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Gap {
    /// It knows no such repository.
    Unknown,
    /// No commit is known for the revision; this many snapshots exist.
    NoRef { revision: String, snapshots: usize },
    /// What should name a commit does not.
    BadRef { revision: String },
    /// There is no folder for the commit.
    NoSnapshot { revision: String, commit: String },
    /// The folder lacks a file.
    Lack { file: String, how: &'static str, commit: String },
}

/// Continues a sentence that begins with the model's name.
impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => write!(f, "not a path here, not in the cache"),
            Self::NoRef { revision, snapshots: 0 } => {
                write!(f, "in the cache, but refs/{revision} is missing")
            }
            Self::NoRef { revision, snapshots } => {
                write!(f, "in the cache, but refs/{revision} is missing (snapshots there are {snapshots})")
            }
            Self::BadRef { revision } => write!(f, "in the cache, but refs/{revision} holds no commit's id"),
            Self::NoSnapshot { revision, commit } => {
                write!(
                    f,
                    "in the cache, but the snapshot {} that refs/{revision} names is missing",
                    short(commit)
                )
            }
            Self::Lack { file, how, commit } => {
                write!(f, "in the cache, but {file} of snapshot {} {how}", short(commit))
            }
        }
    }
}

/// What a snapshot without a name of its own refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnlySnapshot {
    /// Nothing: the hub is asked which commit is meant.
    IsAny,
    /// The default branch, as nobody can be asked.
    IsMain,
}

/// A folder of the cache that has everything.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) folder: PathBuf,
    /// Whether it was taken because it is the only one.
    pub(super) is_guess: bool,
}

impl CachedRepo {
    /// Touches nothing yet.
    pub(super) fn new(cache: Cache, repo: Repo) -> Self {
        Self { cache, repo }
    }

    pub(super) fn cache(&self) -> &Cache {
        &self.cache
    }

    pub(super) fn repo(&self) -> &Repo {
        &self.repo
    }

    /// The folder with the wanted files.
    ///
    /// # Errors
    /// What the cache lacks.
    pub(super) fn find(&self, wanted: Wanted, only: OnlySnapshot) -> Result<Found, Gap> {
        let revision = self.repo.revision();
        if !self.folder().is_dir() {
            return Err(Gap::Unknown);
        }
        let (commit, is_guess) = match self.commit()? {
            Some(commit) => (commit, false),
            None if is_commit(revision) && self.snapshot(revision).is_dir() => (revision.to_owned(), false),
            None => match &self.snapshots()[..] {
                [commit] if only == OnlySnapshot::IsMain && revision == MAIN => (commit.clone(), true),
                several => {
                    return Err(Gap::NoRef { revision: revision.to_owned(), snapshots: several.len() });
                }
            },
        };
        let folder = self.snapshot(&commit);
        if !folder.is_dir() {
            return Err(Gap::NoSnapshot { revision: revision.to_owned(), commit });
        }
        match wanted.lack(&folder) {
            None => Ok(Found { folder, is_guess }),
            Some(Lack { file, how }) => Err(Gap::Lack { file, how, commit }),
        }
    }

    /// The commit that `refs` names for the revision; `None` where it knows no such revision.
    fn commit(&self) -> Result<Option<String>, Gap> {
        let revision = self.repo.revision();
        let path = self.folder().join("refs").join(revision);
        let bad = || Gap::BadRef { revision: revision.to_owned() };
        match fs_err::metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Ok(found) if found.is_file() && found.len() <= LONGEST_REF => {}
            Ok(_) | Err(_) => return Err(bad()),
        }
        let text = emotrain_base::read_to_string(&path, limits::CONFIG).map_err(|_| bad())?;
        // Editors and shells leave a line break behind it, and some a mark before it.
        let commit = text.trim_start_matches('\u{feff}').trim();
        if is_commit(commit) { Ok(Some(commit.to_owned())) } else { Err(bad()) }
    }

    /// The commits that have a folder.
    fn snapshots(&self) -> Vec<String> {
        let entries = fs_err::read_dir(self.folder().join("snapshots")).into_iter().flatten().flatten();
        let folders = entries.filter(|entry| entry.path().is_dir());
        let names = folders.filter_map(|entry| entry.file_name().into_string().ok());
        names.filter(|name| is_commit(name)).collect()
    }

    fn folder(&self) -> PathBuf {
        self.cache.path().join(self.repo.folder_name())
    }

    fn snapshot(&self, commit: &str) -> PathBuf {
        self.cache.repo(self.repo.clone()).pointer_path(commit)
    }
}

#[cfg(test)]
mod tests {
    use hf_hub::RepoType;
    use tempfile::TempDir;

    use super::*;

    const COMMIT: &str = "89abcdef0123456789abcdef0123456789abcdef";

    fn look(cache: &TempDir, revision: &str, only: OnlySnapshot) -> Result<Found, String> {
        let repo = Repo::with_revision("acme/tiny".to_owned(), RepoType::Model, revision.to_owned());
        let repo = CachedRepo::new(Cache::new(cache.path().to_path_buf()), repo);
        repo.find(Wanted::Texts, only).map_err(|gap| gap.to_string())
    }

    fn snapshot(cache: &TempDir, commit: &str) -> PathBuf {
        let folder = cache.path().join("models--acme--tiny/snapshots").join(commit);
        fs_err::create_dir_all(&folder).unwrap();
        for file in ["config.json", "tokenizer.json"] {
            fs_err::write(folder.join(file), "{}").unwrap();
        }
        folder
    }

    fn name(cache: &TempDir, branch: &str, text: &[u8]) {
        let path = cache.path().join("models--acme--tiny/refs").join(branch);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }

    fn found(folder: PathBuf) -> Found {
        Found { folder, is_guess: false }
    }

    #[test]
    fn a_branch_is_found_by_its_commit_whatever_stands_around_it() {
        let cache = tempfile::tempdir().unwrap();
        let folder = snapshot(&cache, COMMIT);
        for text in ["{}", "{}\n", "{}\r\n", " {}\t\n\n", "\u{feff}{}\n"] {
            name(&cache, "main", text.replace("{}", COMMIT).as_bytes());
            assert_eq!(look(&cache, "main", OnlySnapshot::IsAny), Ok(found(folder.clone())), "{text:?}");
        }
        name(&cache, "refs/pr/1", COMMIT.as_bytes());
        assert_eq!(look(&cache, "refs/pr/1", OnlySnapshot::IsAny), Ok(found(folder.clone())));
        assert_eq!(look(&cache, COMMIT, OnlySnapshot::IsAny), Ok(found(folder)));
        let utf16 = COMMIT.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        let two = [COMMIT, COMMIT].join("\n");
        for text in [b"", &b"\n"[..], b"../../..", b"/etc", &utf16, two.as_bytes(), &[b'a'; 5000]] {
            name(&cache, "main", text);
            let gap = look(&cache, "main", OnlySnapshot::IsMain).unwrap_err();
            assert_eq!(gap, "in the cache, but refs/main holds no commit's id");
        }
    }

    #[test]
    fn without_refs_one_snapshot_is_main_where_nobody_can_be_asked() {
        let cache = tempfile::tempdir().unwrap();
        assert_eq!(
            look(&cache, "main", OnlySnapshot::IsMain).unwrap_err(),
            "not a path here, not in the cache"
        );
        let folder = snapshot(&cache, COMMIT);
        let gap = "in the cache, but refs/main is missing (snapshots there are 1)";
        assert_eq!(look(&cache, "main", OnlySnapshot::IsAny).unwrap_err(), gap);
        assert_eq!(look(&cache, "main", OnlySnapshot::IsMain), Ok(Found { folder, is_guess: true }));
        let gap = "in the cache, but refs/v1.0 is missing (snapshots there are 1)";
        assert_eq!(look(&cache, "v1.0", OnlySnapshot::IsMain).unwrap_err(), gap);
        snapshot(&cache, &"e".repeat(40));
        let gap = "in the cache, but refs/main is missing (snapshots there are 2)";
        assert_eq!(look(&cache, "main", OnlySnapshot::IsMain).unwrap_err(), gap);
    }

    #[test]
    fn what_a_snapshot_lacks_is_named() {
        let cache = tempfile::tempdir().unwrap();
        name(&cache, "main", COMMIT.as_bytes());
        let gap = look(&cache, "main", OnlySnapshot::IsAny).unwrap_err();
        assert_eq!(gap, "in the cache, but the snapshot 89abcde… that refs/main names is missing");
        let folder = snapshot(&cache, COMMIT);
        fs_err::remove_file(folder.join("tokenizer.json")).unwrap();
        let gap = look(&cache, "main", OnlySnapshot::IsAny).unwrap_err();
        assert_eq!(gap, "in the cache, but tokenizer.json of snapshot 89abcde… is missing");
    }
}
