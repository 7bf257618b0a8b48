//! Memory-mapped files.

use std::ops::Deref;
use std::path::Path;

use emotrain_base::limits;
use memmap2::Mmap;

use crate::error::{BankProblem, RetrievalError};

/// The bytes of a file, read on access.
#[derive(Debug)]
pub(crate) struct MappedFile {
    map: Mmap,
    #[cfg(unix)]
    file: fs_err::File,
}

impl MappedFile {
    /// # Errors
    /// A missing or unreadable file, or something that is no file.
    pub(crate) fn open(path: &Path) -> Result<Self, RetrievalError> {
        let fail = |problem| RetrievalError::bank(path, problem);
        // Checked before it is opened, because opening a pipe would wait for a writer.
        let metadata = fs_err::metadata(path).map_err(|error| fail(BankProblem::of_io(&error)))?;
        if !metadata.is_file() {
            return Err(fail(BankProblem::NotAFile));
        }
        let file =
            emotrain_base::open(path, limits::WEIGHTS).map_err(|error| fail(BankProblem::of_io(&error)))?;
        #[expect(unsafe_code, reason = "mapping a file cannot be expressed in safe Rust")]
        // SAFETY: the map is read-only and private to this value, and every byte pattern is a valid `u8`. This program
        // never changes such a file in place: it replaces files atomically. No length read from the file is used
        // without a check against the mapped length. Another process that truncates the file meanwhile ends this one
        // with a bus error.
        let map = unsafe { Mmap::map(file.file()) }.map_err(|error| fail(BankProblem::of_io(&error)))?;
        Ok(Self {
            map,
            #[cfg(unix)]
            file,
        })
    }

    /// Reads `bytes` at an offset of the file without mapping it; returns whether that succeeded.
    #[cfg(unix)]
    pub(crate) fn read_at(&self, start: usize, bytes: &mut [u8]) -> bool {
        use std::os::unix::fs::FileExt as _;
        self.file.file().read_exact_at(bytes, start as u64).is_ok()
    }

    /// Reads `bytes` at an offset of the file without mapping it; returns whether that succeeded.
    #[cfg(not(unix))]
    pub(crate) fn read_at(&self, _start: usize, _bytes: &mut [u8]) -> bool {
        false
    }
}

impl Deref for MappedFile {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map
    }
}
