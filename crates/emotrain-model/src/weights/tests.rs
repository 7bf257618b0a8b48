#![expect(clippy::needless_raw_string_hashes, reason = "expect-test writes snapshots with them")]

mod damage;
mod folders;
mod writing;

use std::path::{Path, PathBuf};

use super::Checkpoint;
use crate::error::ModelError;

/// A file or folder of `tests/golden`.
pub(super) fn golden(path: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden")).join(path)
}

/// All values of a tensor that must have the given shape, as a model reads them.
pub(super) fn whole(checkpoint: &Checkpoint, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
    let mut values = Vec::new();
    checkpoint.visit(name, shape, &mut |piece| values.extend_from_slice(piece))?;
    Ok(values)
}

/// Message and advice, with `folder` left out of paths and called FOLDER itself.
pub(super) fn complaint<T>(result: Result<T, ModelError>, folder: &Path) -> String {
    let Err(error) = result else { return "no error\n".to_owned() };
    let hint = error.hint().map(|hint| format!("  hint: {hint}\n")).unwrap_or_default();
    let folder = folder.display().to_string();
    format!("{error}\n{hint}").replace(&format!("{folder}/"), "").replace(&folder, "FOLDER")
}

/// `text` in place of `from`, which must occur once and be as long: offsets stay right.
pub(super) fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len(), "a header keeps its length");
    let places: Vec<usize> = bytes
        .windows(from.len())
        .enumerate()
        .filter(|(_, w)| *w == from.as_bytes())
        .map(|(at, _)| at)
        .collect();
    let [place] = places[..] else { panic!("{from} occurs {} times", places.len()) };
    let mut bytes = bytes.to_vec();
    bytes[place..place + from.len()].copy_from_slice(to.as_bytes());
    bytes
}
