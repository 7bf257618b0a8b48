//! An opened file of weights, read piece by piece. It is not mapped: the pages of a mapped file count as memory of the
//! process, and a model would seem to be there twice.

use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use emotrain_base::{limits, sha256_file};

use crate::error::ModelError;
use crate::files::check_present;

/// Values read at a time.
const PIECE: usize = 1 << 20;

/// A file and its length when it was opened.
#[derive(Debug)]
pub(super) struct OpenedFile {
    path: PathBuf,
    file: Mutex<fs_err::File>,
    len: usize,
}

impl OpenedFile {
    pub(super) fn open(path: &Path) -> Result<Self, ModelError> {
        check_present(path)?;
        let file = emotrain_base::open(path, limits::WEIGHTS)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(ModelError::file(path, "not a file"));
        }
        let len = usize::try_from(metadata.len())
            .map_err(|_| ModelError::file(path, "too large for this machine's addresses"))?;
        Ok(Self { path: path.to_path_buf(), file: Mutex::new(file), len })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Fills `bytes` from position `start` on; callers stay within the length.
    pub(super) fn read(&self, start: usize, bytes: &mut [u8]) -> Result<(), ModelError> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let done = file.seek(SeekFrom::Start(start as u64)).and_then(|_| file.read_exact(bytes));
        done.map_err(|error| self.failed(error))
    }

    /// Lower-case hexadecimal sha256 of the whole file.
    pub(super) fn sha256(&self) -> Result<String, ModelError> {
        Ok(sha256_file(&self.path)?)
    }

    fn failed(&self, error: io::Error) -> ModelError {
        if error.kind() == ErrorKind::UnexpectedEof {
            return ModelError::file(&self.path, "was cut short while it was read");
        }
        error.into()
    }
}

/// Visits the values of a tensor in order, some rows at a time, so that none is in memory twice.
///
/// `read` fills the rows of a range. A row is what the last dimension has.
pub(super) fn in_pieces(
    shape: &[usize],
    mut read: impl FnMut(Range<usize>, &mut [f32]) -> Result<(), ModelError>,
    visit: &mut dyn FnMut(&[f32]),
) -> Result<(), ModelError> {
    let width = shape.last().copied().unwrap_or(1);
    let rows: usize = shape.iter().rev().skip(1).product();
    let step = (PIECE / width.max(1)).clamp(1, rows.max(1));
    let mut values = vec![0.0; step * width];
    for start in (0..rows).step_by(step) {
        let range = start..rows.min(start + step);
        let piece = &mut values[..range.len() * width];
        read(range, piece)?;
        visit(piece);
    }
    Ok(())
}

/// All values of a tensor.
pub(super) fn whole(
    shape: &[usize],
    read: impl FnMut(Range<usize>, &mut [f32]) -> Result<(), ModelError>,
) -> Result<Vec<f32>, ModelError> {
    let mut values = Vec::with_capacity(shape.iter().product());
    in_pieces(shape, read, &mut |piece| values.extend_from_slice(piece))?;
    Ok(values)
}
