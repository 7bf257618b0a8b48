//! Heads of packed rows, from token-major to head-major and back.

use std::ops::Range;

use crate::elementwise::add_row;
use crate::rows::for_rows;

/// Head counts of grouped-query attention: `kv · group` query heads of width `dim` share `kv` key and value heads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heads {
    /// Key and value heads.
    pub kv: usize,
    /// Query heads that share a key head.
    pub group: usize,
    /// The width of a head.
    pub dim: usize,
}

impl Heads {
    /// The width of a row of queries.
    pub fn query_width(self) -> usize {
        self.kv * self.group * self.dim
    }

    /// The width of a row of keys and values.
    pub fn key_value_width(self) -> usize {
        2 * self.kv * self.dim
    }
}

/// Rows of queries head by head, heads that share keys below one another.
///
/// # Shapes
/// `x` `[Q, kv·group·d]` → `[kv, group·Q, d]`.
pub fn head_major(heads: Heads, x: &[f32]) -> Vec<f32> {
    let (dim, width) = (heads.dim, heads.query_width());
    let queries = x.len() / width;
    let mut out = vec![0.0; x.len()];
    for_rows(&mut out, dim, |at, out| {
        let (head, row) = (at / queries, at % queries);
        out.copy_from_slice(&x[row * width + head * dim..][..dim]);
    });
    out
}

/// The inverse of [`head_major`].
///
/// # Shapes
/// `block` `[kv, group, Q, d]` → `[Q, kv·group·d]`.
pub fn token_major(heads: Heads, block: &[f32]) -> Vec<f32> {
    let (dim, width) = (heads.dim, heads.query_width());
    let queries = block.len() / width;
    let mut out = vec![0.0; block.len()];
    for_rows(&mut out, width, |row, out| {
        for (head, out) in out.chunks_exact_mut(dim).enumerate() {
            out.copy_from_slice(&block[(head * queries + row) * dim..][..dim]);
        }
    });
    out
}

/// Adds to some rows of keys and values what comes head by head.
///
/// # Shapes
/// `to` `[N, 2·kv·d]`, `keys` and `values` `[kv, T, d]` for the `T` rows, which are those of all ranges, one after the other.
pub fn add_key_values(heads: Heads, to: &mut [f32], [keys, values]: [&[f32]; 2], rows: &[Range<usize>]) {
    let Heads { kv, dim, .. } = heads;
    let width = heads.key_value_width();
    let all: usize = rows.iter().map(Range::len).sum();
    let mut first = 0;
    for rows in rows {
        for_rows(&mut to[rows.start * width..rows.end * width], width, |row, out| {
            for (head, out) in out.chunks_exact_mut(dim).enumerate() {
                let part = if head < kv { keys } else { values };
                add_row(out, &part[(head % kv * all + first + row) * dim..][..dim]);
            }
        });
        first += rows.len();
    }
}
