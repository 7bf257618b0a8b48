//! Digests of what runs read, each file read once.

use std::collections::HashMap;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use emotrain_base::{sha256_file, sha256_hex};

/// Larger files are weights: only their ends and their size are read.
const WHOLE: u64 = 64 << 20;
/// What is read of each end of a larger file.
const END: u64 = 1 << 20;

/// Digests by path.
#[derive(Debug, Default)]
pub(crate) struct Digests(HashMap<PathBuf, String>);

impl Digests {
    /// The digest of a file, or of all files in a folder by name. A file that is not there has one, too: that it is missing
    /// is told by its reader, before a run begins.
    ///
    /// Of files above 64 MiB the size and a mebibyte from each end count, so that a base model of many gigabytes is not
    /// read for an id. A run itself compares the digest of all weights when it is resumed.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(crate) fn of(&mut self, path: &Path) -> std::io::Result<String> {
        if let Some(known) = self.0.get(path) {
            return Ok(known.clone());
        }
        let digest = if path.is_dir() {
            let mut names: Vec<PathBuf> =
                fs_err::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
            names.retain(|path| path.is_file() && !is_hidden(path));
            names.sort();
            let mut all = String::new();
            for file in names {
                let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
                all = format!("{all}{name} {}\n", of_file(&file)?);
            }
            sha256_hex(all.as_bytes())
        } else if path.exists() {
            of_file(path)?
        } else {
            "missing".to_owned()
        };
        self.0.insert(path.to_owned(), digest.clone());
        Ok(digest)
    }
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

fn of_file(path: &Path) -> std::io::Result<String> {
    let size = fs_err::metadata(path)?.len();
    if size <= WHOLE {
        return sha256_file(path);
    }
    let mut file = fs_err::File::open(path)?;
    let mut ends = size.to_string().into_bytes();
    (&mut file).take(END).read_to_end(&mut ends)?;
    file.seek(SeekFrom::Start(size - END))?;
    file.take(END).read_to_end(&mut ends)?;
    Ok(sha256_hex(&ends))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_count_and_places_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs_err::write(path("a"), "text").unwrap();
        fs_err::write(path("b"), "text").unwrap();
        fs_err::write(path("c"), "other").unwrap();
        let of = |name: &str| Digests::default().of(&path(name)).unwrap();
        assert_eq!(of("a"), of("b"));
        assert_ne!(of("a"), of("c"));
        assert_eq!(of("gone"), "missing");
        fs_err::create_dir(path("model")).unwrap();
        fs_err::write(path("model/config.json"), "{}").unwrap();
        let before = of("model");
        let weights = fs_err::File::create(path("model/weights")).unwrap();
        weights.set_len(WHOLE + 1).unwrap();
        let sparse = of("model");
        assert_ne!(before, sparse);
        fs_err::write(path("model/.lock"), "process 1").unwrap();
        assert_eq!(sparse, of("model"));
        weights.set_len(WHOLE + 2).unwrap();
        assert_ne!(sparse, of("model"));
    }
}
