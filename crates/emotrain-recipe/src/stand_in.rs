//! Placeholders found instead of a file. They are in this crate because every crate that reads files depends on it.

use std::path::{Path, PathBuf};

use emotrain_base::limits;
use fs_err as fs;

/// The first line of a pointer of Git LFS, in every version of its format so far.
const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/v1";

/// The maximum length of a pointer according to the format.
const LONGEST_POINTER: u64 = 1024;

/// A placeholder for a file that has to be fetched first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StandIn {
    /// The three lines that a clone without Git LFS has instead of a large file.
    LfsPointer,
    /// A link to this path, which does not exist.
    DanglingLink(PathBuf),
}

impl StandIn {
    /// Examines a path; `None` for the file itself, and if there is nothing.
    pub fn at(path: &Path) -> Option<Self> {
        if !path.exists() {
            let target = fs::read_link(path).ok()?;
            return Some(Self::DanglingLink(target));
        }
        let metadata = fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
        if metadata.len() > LONGEST_POINTER {
            return None;
        }
        emotrain_base::read(path, limits::CONFIG)
            .ok()
            .filter(|bytes| bytes.starts_with(POINTER))
            .map(|_| Self::LfsPointer)
    }

    /// The message, to follow the path.
    pub fn message(&self) -> String {
        match self {
            Self::LfsPointer => "is a Git LFS pointer, not the file itself".to_owned(),
            Self::DanglingLink(target) => format!("is a link to {}, which does not exist", target.display()),
        }
    }

    /// How to fix it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::LfsPointer => "run `git lfs pull` in its folder, or download the file again",
            Self::DanglingLink(_) => "download the file again, or fix the link",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_and_links_are_told_from_files() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).expect("a file");
            path
        };
        let oid = "0".repeat(64);
        let pointer = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 7\n");
        assert_eq!(StandIn::at(&write("pointer", &pointer)), Some(StandIn::LfsPointer));
        for text in ["", "version 1", "{\"version\": \"https://git-lfs.github.com/spec/v1\"}"] {
            assert_eq!(StandIn::at(&write("file", text)), None, "{text}");
        }
        let about = format!("{pointer}{}", "What these lines mean is told below.\n".repeat(40));
        assert_eq!(StandIn::at(&write("long", &about)), None);
        assert_eq!(StandIn::at(folder.path()), None);
        assert_eq!(StandIn::at(&folder.path().join("nothing")), None);
        #[cfg(unix)]
        {
            let link = folder.path().join("link");
            std::os::unix::fs::symlink("gone/blob", &link).expect("a link");
            assert_eq!(StandIn::at(&link), Some(StandIn::DanglingLink("gone/blob".into())));
        }
    }
}
