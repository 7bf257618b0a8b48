//! Where files and folders are put, and the names beside them.

use std::io;
use std::path::{Component, Path, PathBuf};

use crate::error::WriteError;

/// The folder that a path is in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
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

/// One name for each place, however it is spelled, of what need not exist: links of what exists are followed, and beyond it
/// `..` takes the folder before it away.
pub fn one_name(path: &Path) -> PathBuf {
    let mut place = fs_err::canonicalize(".").unwrap_or_default();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(place.pop()),
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => place.push(part),
        }
        place = fs_err::canonicalize(&place).unwrap_or(place);
    }
    place
}

/// Where a folder is or will be; links are followed.
pub(crate) fn resolve(target: &Path) -> io::Result<PathBuf> {
    if let Ok(place) = fs_err::canonicalize(target) {
        return Ok(place);
    }
    let place = fs_err::read_link(target).map_or_else(|_| target.to_owned(), |to| folder_of(target).join(to));
    if place.file_name().is_none() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path names no folder"));
    }
    Ok(place)
}

/// A name beside `target` that belongs to it: `.NAME.END`.
pub(crate) fn beside(target: &Path, end: &str) -> PathBuf {
    target.with_file_name(format!(".{}.{end}", name_of(target)))
}

/// The last part of a path.
pub(crate) fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Makes renames in a folder survive a power failure.
#[cfg(unix)]
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    let synced = fs_err::File::open(folder)?.sync_all();
    // Some network file systems cannot sync a folder; the file itself is synced already.
    match synced {
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
            Ok(())
        }
        other => other,
    }
}

#[cfg(not(unix))]
pub(crate) fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_one_name() {
        let folder = tempfile::tempdir().unwrap();
        let there = fs_err::canonicalize(folder.path()).unwrap();
        fs_err::create_dir(there.join("a")).unwrap();
        for (spelled, place) in
            [("a/../b", "b"), ("./a//c/./d", "a/c/d"), ("none/../a/c", "a/c"), ("a/", "a")]
        {
            assert_eq!(one_name(&folder.path().join(spelled)), there.join(place), "{spelled}");
        }
        let here = fs_err::canonicalize(".").unwrap();
        assert_eq!(
            [one_name(Path::new("none")), one_name(Path::new("./none/"))],
            [here.join("none"), here.join("none")]
        );
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(there.join("a"), there.join("link")).unwrap();
            assert_eq!(one_name(&folder.path().join("link/c")), there.join("a/c"));
        }
    }
}
