//! A file's bytes, memory-mapped.

use std::ops::Deref;
use std::path::{Path, PathBuf};

use emotrain_base::{limits, sha256_hex};
use memmap2::Mmap;

use crate::error::ModelError;

/// The bytes of a file, read as they are touched.
#[derive(Debug)]
pub(super) struct MappedFile {
    path: PathBuf,
    map: Mmap,
}

impl MappedFile {
    pub(super) fn open(path: &Path) -> Result<Self, ModelError> {
        let file = emotrain_base::open(path, limits::WEIGHTS)?;
        if !file.metadata()?.is_file() {
            return Err(ModelError::file(path, "not a file"));
        }
        #[expect(unsafe_code, reason = "mapping a file cannot be expressed in safe Rust")]
        // SAFETY: the map is read-only and private to this value, and every byte pattern is a valid `u8`.
        // The bytes stay as they are as long as nobody changes the file in place; this program never does
        // (it writes beside and renames), and no length read from the file is trusted without a check
        // against the mapped length. A foreign process that truncates the file while a model is loading
        // ends the program with a bus error.
        let map = unsafe { Mmap::map(file.file()) }
            .map_err(|source| std::io::Error::new(source.kind(), format!("{}: {source}", path.display())))?;
        Ok(Self { path: path.to_path_buf(), map })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Lower-case hexadecimal sha256 of the whole file.
    pub(super) fn sha256(&self) -> String {
        sha256_hex(&self.map[..])
    }
}

impl Deref for MappedFile {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map
    }
}
