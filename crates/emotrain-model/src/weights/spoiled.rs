//! Files with numbers that emotrain does not write.

use std::path::Path;

/// Stands for NaN in what a test writes.
pub(crate) const NAN: f32 = 1234.567;

/// Puts NaN in the place of each.
pub(crate) fn spoil(path: &Path) {
    let mut bytes = fs_err::read(path).unwrap();
    let (from, to) = (NAN.to_le_bytes(), f32::NAN.to_le_bytes());
    let mut at = 0;
    while let Some(found) = bytes[at..].windows(4).position(|four| four == from) {
        bytes[at + found..][..4].copy_from_slice(&to);
        at += found + 4;
    }
    fs_err::write(path, bytes).unwrap();
}
