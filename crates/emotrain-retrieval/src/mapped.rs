//! A file's bytes, memory-mapped.

use std::ops::Deref;
use std::path::Path;

use memmap2::Mmap;

use crate::error::{BankProblem, RetrievalError};

/// The bytes of a file, read as they are touched.
#[derive(Debug)]
pub(crate) struct MappedFile(Mmap);

impl MappedFile {
    /// # Errors
    /// A missing or unreadable file, or something that is no file.
    pub(crate) fn open(path: &Path) -> Result<Self, RetrievalError> {
        let fail = |problem| RetrievalError::bank(path, problem);
        let file = fs_err::File::open(path).map_err(|error| fail(BankProblem::of_io(&error)))?;
        if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
            return Err(fail(BankProblem::NoFile));
        }
        #[expect(unsafe_code, reason = "mapping a file cannot be expressed in safe Rust")]
        // SAFETY: the map is read-only and private to this value, and every byte pattern is a valid `u8`.
        // This program never changes such a file in place: it writes beside and renames. No length read
        // from the file is trusted without a check against the mapped length. A foreign process that
        // truncates the file meanwhile ends the program with a bus error.
        let map = unsafe { Mmap::map(file.file()) }.map_err(|error| fail(BankProblem::of_io(&error)))?;
        Ok(Self(map))
    }
}

impl Deref for MappedFile {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}
