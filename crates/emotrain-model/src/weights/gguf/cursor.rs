//! Reading a GGUF header front to back; nothing is believed before it is compared with what is left.

use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use crate::error::ModelError;

/// A position in a file.
pub(super) struct Cursor {
    path: PathBuf,
    file: BufReader<fs_err::File>,
    len: usize,
    position: usize,
}

impl Cursor {
    /// At the beginning of a file of `len` bytes.
    pub(super) fn open(path: &Path, len: usize) -> Result<Self, ModelError> {
        let file = BufReader::with_capacity(1 << 16, fs_err::File::open(path)?);
        Ok(Self { path: path.to_path_buf(), file, len, position: 0 })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// An error about the place that was just read.
    pub(super) fn error(&self, message: &str) -> ModelError {
        ModelError::file(&self.path, format!("{message} (before byte {})", self.position))
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), ModelError> {
        self.file.read_exact(bytes)?;
        self.position += bytes.len();
        Ok(())
    }

    /// The number of bytes, after checking that the file has this many left.
    fn available(&self, length: u64) -> Result<usize, ModelError> {
        let left = self.len - self.position;
        usize::try_from(length).ok().filter(|length| *length <= left).ok_or_else(|| {
            let position = self.position;
            let message = format!("truncated: {length} bytes expected at byte {position}, {left} left");
            ModelError::file_with_hint(&self.path, message, "download the file again")
        })
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], ModelError> {
        self.available(N as u64)?;
        let mut array = [0; N];
        self.fill(&mut array)?;
        Ok(array)
    }

    pub(super) fn u32(&mut self) -> Result<u32, ModelError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, ModelError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(super) fn text(&mut self) -> Result<String, ModelError> {
        let length = self.u64()?;
        let mut bytes = vec![0; self.available(length)?];
        self.fill(&mut bytes)?;
        String::from_utf8(bytes).map_err(|_| self.error("a string is not UTF-8"))
    }
}
