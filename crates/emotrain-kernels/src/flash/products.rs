//! Products of tiles, in single precision and of pairs of bfloat16.

use pulp::Simd;

use super::{Square, TILE};
use crate::product::add_line;
#[cfg(target_arch = "x86_64")]
use crate::product::bf16_tiles;

/// Rows that are multiplied together.
pub(super) const ROWS: usize = 4;
/// Vectors of columns that are multiplied with them, on processors with sixteen vector registers and with thirty-two wide
/// ones.
const VECTORS: usize = 2;
const WIDE_VECTORS: usize = 4;

/// The left side of a product, a tile as [`Products`] has it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Left<'a, N> {
    /// By [`Products::left`]: the sum goes over its columns.
    Rows(&'a [N]),
    /// By [`Products::rows`]: the sum goes over its rows.
    Turned(&'a [N]),
}

/// In what tiles are multiplied; sums are single precision in both.
pub(super) trait Products: Copy + Send + Sync {
    /// One number, or two that are added up together.
    type Number: Copy + Default + Send + Sync;
    /// Numbers of a tile that are one here.
    const PER: usize;
    /// Of a tile.
    const NUMBERS: usize = TILE * TILE / Self::PER;

    /// A left side whose columns are added up: `out` row after row.
    fn left(tile: &Square, out: &mut [Self::Number]);

    /// A side whose rows are added up: `out` line after line, of [`TILE`] numbers each.
    fn rows(tile: &Square, out: &mut [Self::Number]);

    /// A right side whose columns are added up, in lines as of [`Products::rows`]: what is a row becomes a column.
    fn turned(tile: &Square, out: &mut [Self::Number]);

    /// Adds to rows, a multiple of [`ROWS`], the product of a left side and a right side in lines, a sum over so many `terms`,
    /// in so many columns.
    fn add<S: Simd>(
        simd: S,
        out: &mut [[f32; TILE]],
        left: Left<Self::Number>,
        right: &[Self::Number],
        sizes: Sizes,
    );
}

/// Of what is not zero.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub(super) terms: usize,
    pub(super) columns: usize,
}

/// Single precision.
#[derive(Clone, Copy, Debug)]
pub(super) struct Single;

impl Products for Single {
    type Number = f32;
    const PER: usize = 1;

    #[inline(always)]
    fn left(tile: &Square, out: &mut [f32]) {
        out.copy_from_slice(tile.as_flattened());
    }

    #[inline(always)]
    fn rows(tile: &Square, out: &mut [f32]) {
        out.copy_from_slice(tile.as_flattened());
    }

    #[inline(always)]
    fn turned(tile: &Square, out: &mut [f32]) {
        for (row, numbers) in tile.iter().enumerate() {
            for (line, number) in out.chunks_exact_mut(TILE).zip(numbers) {
                line[row] = *number;
            }
        }
    }

    #[inline(always)]
    fn add<S: Simd>(simd: S, out: &mut [[f32; TILE]], left: Left<f32>, right: &[f32], sizes: Sizes) {
        let lines = &right.as_chunks::<TILE>().0[..sizes.terms];
        if S::F32_LANES < 16 || sizes.columns <= TILE / 2 {
            add::<S, VECTORS>(simd, out, left, lines, sizes.columns);
        } else {
            add::<S, WIDE_VECTORS>(simd, out, left, lines, sizes.columns);
        }
    }
}

/// [`Products::add`] by `V` vectors of columns.
#[inline(always)]
fn add<S: Simd, const V: usize>(
    simd: S,
    out: &mut [[f32; TILE]],
    left: Left<f32>,
    lines: &[[f32; TILE]],
    columns: usize,
) {
    let span = V * S::F32_LANES;
    // Plain loops: a closure that is not inlined would lose the vector instructions.
    for (group, out) in out.as_chunks_mut::<ROWS>().0.iter_mut().enumerate() {
        let first = group * ROWS;
        for from in (0..columns).step_by(span) {
            let mut sums = [[simd.splat_f32s(0.0); V]; ROWS];
            for row in 0..ROWS {
                sums[row].copy_from_slice(S::as_simd_f32s(&out[row][from..from + span]).0);
            }
            match left {
                Left::Rows(numbers) => {
                    let mut rows: [&[f32]; ROWS] = [&[]; ROWS];
                    for row in 0..ROWS {
                        rows[row] = &numbers[(first + row) * TILE..][..lines.len()];
                    }
                    for (at, line) in lines.iter().enumerate() {
                        let numbers = [rows[0][at], rows[1][at], rows[2][at], rows[3][at]];
                        add_line::<S, ROWS, V>(simd, &mut sums, numbers, &line[from..from + span]);
                    }
                }
                Left::Turned(numbers) => {
                    for (line, numbers) in lines.iter().zip(numbers.as_chunks::<TILE>().0) {
                        let numbers =
                            [numbers[first], numbers[first + 1], numbers[first + 2], numbers[first + 3]];
                        add_line::<S, ROWS, V>(simd, &mut sums, numbers, &line[from..from + span]);
                    }
                }
            }
            for row in 0..ROWS {
                S::as_mut_simd_f32s(&mut out[row][from..from + span]).0.copy_from_slice(&sums[row]);
            }
        }
    }
}

/// Pairs of bfloat16, with AVX512-BF16.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Debug)]
pub(super) struct Halves;

#[cfg(target_arch = "x86_64")]
impl Products for Halves {
    type Number = u32;
    const PER: usize = 2;

    #[inline(always)]
    fn left(tile: &Square, out: &mut [u32]) {
        bf16_tiles::pairs_of_columns(tile, out);
    }

    #[inline(always)]
    fn rows(tile: &Square, out: &mut [u32]) {
        bf16_tiles::pairs_of_rows(tile, out);
    }

    #[inline(always)]
    fn turned(tile: &Square, out: &mut [u32]) {
        let mut pairs = [0; Self::NUMBERS];
        Self::left(tile, &mut pairs);
        for (row, pairs) in pairs.chunks_exact(TILE / 2).enumerate() {
            for (line, pair) in out.chunks_exact_mut(TILE).zip(pairs) {
                line[row] = *pair;
            }
        }
    }

    #[inline(always)]
    fn add<S: Simd>(_: S, out: &mut [[f32; TILE]], left: Left<u32>, right: &[u32], sizes: Sizes) {
        let lines = &right.as_chunks::<TILE>().0[..sizes.terms.div_ceil(2)];
        match left {
            Left::Rows(numbers) => bf16_tiles::add_products(out, numbers, lines),
            Left::Turned(numbers) => bf16_tiles::add_turned_products(out, numbers, lines),
        }
    }
}
