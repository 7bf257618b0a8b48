//! The product of a linear layer, `x · Wᵀ`: one kernel for few rows, where reading the weights is what takes time, and
//! for many.
//!
//! Each number of the result is one dot product, added up in an order that depends on the width alone: a row gives
//! bitwise identical numbers whatever rows come with it, on one core as on many (batch-invariant). Products of matrices as they
//! lie in memory are another library's, and are not.

mod bf16;
mod dense;
mod frozen;
mod panel;

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use crate::dot::products;
use crate::fresh;

pub use bf16::product_bf16_to;
#[cfg(target_arch = "x86_64")]
pub(crate) use bf16::{amx::allowed as has_tiles, x86 as bf16_tiles, x86::has_dot_products};
pub use dense::{Dense, add_dense_product, dense_products};
pub use frozen::{Arithmetic, frozen_product, frozen_product_back, frozen_product_to};
pub(crate) use panel::add_line;

/// Rows of `x` that are multiplied together.
const ROWS: usize = 4;
/// Rows of `W` that are multiplied together with them, on processors with sixteen vector registers and with
/// thirty-two wide ones: as many sums as the registers hold in addition to the operands.
const COLUMNS: usize = 3;
const WIDE_COLUMNS: usize = 6;
/// Rows of `x` that stay in a core's cache while `W` passes by.
const BLOCK: usize = 64;
/// Multiplications below which a piece of work is not worth another core's attention.
const GRAIN: usize = 1 << 16;
/// Pieces per core, so that one that was held up does not hold up all.
const PIECES: usize = 4;

/// The product `x · weightᵀ`.
///
/// # Shapes
/// `x` `[M, width]`, `weight` `[N, width]` → `[M, N]`.
pub fn product(x: &[f32], weight: &[f32], width: usize) -> Vec<f32> {
    let mut out = Vec::new();
    product_to(&mut out, x, weight, width);
    out
}

/// As [`product`], in place of what `out` holds: a buffer that is used again costs no new memory.
pub fn product_to(out: &mut Vec<f32>, x: &[f32], weight: &[f32], width: usize) {
    let columns = weight.len() / width;
    let arch = Arch::new();
    in_pieces(out, [x.len() / width, columns], width, 2 * WIDE_COLUMNS, |out, columns| {
        let weight = &weight[columns.start * width..columns.end * width];
        arch.dispatch(Product { x, weight, width, out });
    });
}

/// Makes `out` a matrix of these rows and columns: `work` writes pieces of the columns, a multiple of `unit` each, on all
/// cores, with the piece of each row, which it finds zero. Each number is the sum of `terms` products.
fn in_pieces(
    out: &mut Vec<f32>,
    [rows, columns]: [usize; 2],
    terms: usize,
    unit: usize,
    work: impl Fn(&mut [&mut [f32]], Range<usize>) + Sync,
) {
    if rows * columns == 0 {
        return out.clear();
    }
    let pieces = (rayon::current_num_threads() * PIECES).min(rows * columns * terms / GRAIN).max(1);
    let piece = columns.div_ceil(pieces).next_multiple_of(unit);
    fresh::in_columns(out, [rows, columns], piece, work);
}

/// Columns of a panel.
const PANEL: usize = 64;

/// Where a panel is in its matrix.
struct Place {
    /// Its lines, of all that a sum has.
    depth: Range<usize>,
    /// Its columns, at most [`PANEL`], of the piece of the result.
    columns: Range<usize>,
}

/// Makes `out` so many rows, panel by panel, on all cores: `lay` fills at most `DEPTH` lines `L` of a panel, which stays in
/// a core's cache, and `multiply` adds the products of all rows with it to its columns, or begins with them. A result has as
/// many `columns`, each number a sum over all `lines`.
fn in_panels<L: Copy + Sync, const DEPTH: usize>(
    out: &mut Vec<f32>,
    [rows, lines, columns]: [usize; 3],
    empty: L,
    lay: impl Fn(Range<usize>, Range<usize>, &mut [L]) + Sync,
    multiply: impl Fn(&[L], &mut [&mut [f32]], Place) + Sync,
) {
    in_pieces(out, [rows, columns], lines, PANEL, |out, columns| {
        let mut panel = vec![empty; lines.min(DEPTH)];
        for start in columns.clone().step_by(PANEL) {
            let end = (start + PANEL).min(columns.end);
            for depth in (0..lines).step_by(DEPTH) {
                let depth = depth..(depth + DEPTH).min(lines);
                let panel = &mut panel[..depth.len()];
                lay(depth.clone(), start..end, panel);
                let columns = start - columns.start..end - columns.start;
                multiply(panel, out, Place { depth, columns });
            }
        }
    });
}

struct Product<'a, 'o> {
    x: &'a [f32],
    weight: &'a [f32],
    width: usize,
    /// The rows of the result.
    out: &'a mut [&'o mut [f32]],
}

impl WithSimd for Product<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if S::F32_LANES < 16 {
            self.blocks::<S, COLUMNS>(simd);
        } else {
            self.blocks::<S, WIDE_COLUMNS>(simd);
        }
    }
}

impl Product<'_, '_> {
    #[inline(always)]
    fn blocks<S: Simd, const C: usize>(self, simd: S) {
        let Self { x, weight, width, out } = self;
        for (x, out) in x.chunks(BLOCK * width).zip(out.chunks_mut(BLOCK)) {
            let whole = out.len() / ROWS * ROWS;
            let ((x, rest), (out, last)) = (x.split_at(whole * width), out.split_at_mut(whole));
            rows::<S, ROWS, C>(simd, x, weight, width, out);
            match last.len() {
                0 => {}
                1 => rows::<S, 1, { 2 * COLUMNS }>(simd, rest, weight, width, last),
                2 => rows::<S, 2, { 2 * COLUMNS }>(simd, rest, weight, width, last),
                _ => rows::<S, 3, C>(simd, rest, weight, width, last),
            }
        }
    }
}

/// Groups of `R` rows, of which there are whole ones only; `C` columns at a time.
#[inline(always)]
fn rows<S: Simd, const R: usize, const C: usize>(
    simd: S,
    x: &[f32],
    weight: &[f32],
    width: usize,
    out: &mut [&mut [f32]],
) {
    let columns = weight.len() / width;
    let mut column = 0;
    while column + C <= columns {
        let group = &weight[column * width..(column + C) * width];
        for (x, out) in x.chunks_exact(R * width).zip(out.chunks_exact_mut(R)) {
            let sums = products::<S, R, C>(simd, x, group, width);
            for (out, sums) in out.iter_mut().zip(&sums) {
                out[column..column + C].copy_from_slice(sums);
            }
        }
        column += C;
    }
    for column in column..columns {
        let single = &weight[column * width..(column + 1) * width];
        for (x, out) in x.chunks_exact(R * width).zip(out.chunks_exact_mut(R)) {
            let sums = products::<S, R, 1>(simd, x, single, width);
            for (out, [sum]) in out.iter_mut().zip(sums) {
                out[column] = sum;
            }
        }
    }
}
