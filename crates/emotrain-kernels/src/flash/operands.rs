//! Tiles of numbers as products take them.

use std::ops::Range;

use pulp::Arch;

use super::products::Products;
use super::{FlashAttention, Square, TILE, ZEROS};
use crate::fresh;

/// Columns of a head lie in tiles behind one another, the last one filled up with zeros.
pub(super) fn panels(dim: usize) -> usize {
    dim.div_ceil(TILE)
}

/// A head's columns that are in a panel.
pub(super) fn columns(dim: usize, panel: usize) -> Range<usize> {
    panel * TILE..((panel + 1) * TILE).min(dim)
}

/// A panel of rows of a head, of rows that begin `stride` numbers after one another; zeros below and behind them.
#[inline(always)]
pub(super) fn load(out: &mut Square, rows: &[f32], stride: usize, columns: Range<usize>) {
    let count = columns.len();
    let mut rows = rows.chunks(stride);
    for out in out {
        match rows.next() {
            Some(row) => {
                out[..count].copy_from_slice(&row[columns.clone()]);
                out[count..].fill(0.0);
            }
            None => *out = [0.0; TILE],
        }
    }
}

/// One tile of keys or values in one form after the other, for all tiles and heads: each form has the numbers of all panels.
pub(super) struct Prepared<P: Products> {
    numbers: Vec<P::Number>,
    heads: usize,
    /// Of one tile of a head.
    each: usize,
}

/// The forms of the right side of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// The sum goes over columns, for scores: what is a row becomes a column.
    Turned,
    /// The sum goes over rows.
    Rows,
}

impl<P: Products> Prepared<P> {
    /// Keys (`which` 0) or values (1) of all tiles.
    pub(super) fn new(of: FlashAttention, kv: &[f32], which: usize, form: Form) -> Self {
        let FlashAttention { heads, tiles, .. } = of;
        let (dim, width) = (heads.dim, heads.key_value_width());
        let each = panels(dim) * P::NUMBERS;
        let mut numbers = Vec::new();
        let arch = Arch::new();
        fresh::in_pieces(&mut numbers, tiles.keys.len() * heads.kv * each, each, |number, out| {
            let (rows, head) = (&tiles.keys[number / heads.kv], number % heads.kv);
            let first = (which * heads.kv + head) * dim;
            let rows = &kv[rows.start * width + first..rows.end * width];
            arch.dispatch(|| {
                let mut square = ZEROS;
                for (panel, out) in out.chunks_exact_mut(P::NUMBERS).enumerate() {
                    load(&mut square, rows, width, columns(dim, panel));
                    match form {
                        Form::Turned => P::turned(&square, out),
                        Form::Rows => P::rows(&square, out),
                    }
                }
            });
        });
        Self { numbers, heads: heads.kv, each }
    }

    /// The panels of a tile.
    pub(super) fn panels(&self, tile: usize, head: usize) -> impl Iterator<Item = &[P::Number]> {
        let start = (tile * self.heads + head) * self.each;
        self.numbers[start..start + self.each].chunks_exact(P::NUMBERS)
    }
}

/// What queries do not see of a tile of keys, by its mask.
#[inline(always)]
pub(super) fn hide(scores: &mut Square, mask: &[u64]) {
    for (scores, mask) in scores.iter_mut().zip(mask) {
        for (part, scores) in scores.as_chunks_mut::<16>().0.iter_mut().enumerate() {
            #[expect(clippy::cast_possible_truncation, reason = "sixteen bits of them")]
            let bits = (mask >> (16 * part)) as u16;
            for (at, score) in scores.iter_mut().enumerate() {
                *score = if bits & (1 << at) == 0 { f32::NEG_INFINITY } else { *score };
            }
        }
    }
}
