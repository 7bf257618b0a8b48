//! Loops over the rows or columns of a matrix, on all cores.

use pulp::Arch;
use rayon::prelude::*;

use crate::fresh;

/// Rows are handed to a core in pieces of about this many numbers.
const GRAIN: usize = 1 << 14;
/// Columns that one piece of a sum over rows is made of.
const COLUMNS: usize = 256;

/// Calls `work(row number, row)` for each row of `out` on all cores, compiled for the widest vector
/// instructions of this machine. The result does not depend on the number of cores.
#[inline]
pub fn for_rows(out: &mut [f32], width: usize, work: impl Fn(usize, &mut [f32]) + Sync) {
    in_pieces(out, width, width, work);
}

/// So many rows, which `work` writes as in [`for_rows`] and finds zero.
#[inline]
pub fn new_rows(rows: usize, width: usize, work: impl Fn(usize, &mut [f32]) + Sync) -> Vec<f32> {
    let mut out = Vec::new();
    put_rows(&mut out, rows, width, work);
    out
}

/// As [`new_rows`], in place of what `out` holds: a buffer that is used again costs no new memory.
#[inline]
pub fn put_rows(out: &mut Vec<f32>, rows: usize, width: usize, work: impl Fn(usize, &mut [f32]) + Sync) {
    let (arch, each) = (Arch::new(), rows_of_a_piece(width));
    fresh::in_pieces(out, rows * width, each * width, |piece, chunk| {
        arch.dispatch(|| rows_of(chunk, width, piece * each, &work));
    });
}

/// A number of each of so many rows of `width` numbers, `work(row number)`, on all cores as [`for_rows`].
#[inline]
pub fn of_rows(rows: usize, width: usize, work: impl Fn(usize) -> f32 + Sync) -> Vec<f32> {
    let mut out = vec![0.0; rows];
    in_pieces(&mut out, 1, width, |row, out| out[0] = work(row));
    out
}

/// As [`for_rows`], where a row costs as much as so many numbers.
#[inline]
fn in_pieces(out: &mut [f32], width: usize, cost: usize, work: impl Fn(usize, &mut [f32]) + Sync) {
    let (arch, each) = (Arch::new(), rows_of_a_piece(cost));
    out.par_chunks_mut(each * width).enumerate().for_each(|(piece, chunk)| {
        arch.dispatch(|| rows_of(chunk, width, piece * each, &work));
    });
}

/// How many rows a core is handed, of which each costs as much as so many numbers.
fn rows_of_a_piece(cost: usize) -> usize {
    (GRAIN / cost.max(1)).max(1)
}

/// Calls `work` for each row of a piece that begins with row `first`.
#[inline(always)]
fn rows_of(piece: &mut [f32], width: usize, first: usize, work: &impl Fn(usize, &mut [f32])) {
    for (index, row) in piece.chunks_exact_mut(width).enumerate() {
        work(first + index, row);
    }
}

/// A row of sums, piece by piece on all cores: `work` gets the first column of its piece, and adds to the piece row
/// after row, so that the result does not depend on the number of cores.
pub(crate) fn column_sums(width: usize, work: impl Fn(usize, &mut [f32]) + Sync) -> Vec<f32> {
    let mut sums = vec![0.0; width];
    let arch = Arch::new();
    sums.par_chunks_mut(COLUMNS).enumerate().for_each(|(piece, sums)| {
        arch.dispatch(|| work(piece * COLUMNS, sums));
    });
    sums
}
