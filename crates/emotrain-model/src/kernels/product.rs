//! The matrix product of inference on the CPU: `x · Wᵀ` for few rows, where reading the weights is what takes time, and
//! for many.
//!
//! Each number of the result is one dot product, added up in an order that depends on the width alone: a row gives
//! the same numbers to the bit alone as in company, on one core as on many.

#![expect(clippy::inline_always, reason = "what is not inlined loses the vector instructions")]

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Rows of `x` and of `W` that are multiplied together: as many sums as sixteen registers hold.
const ROWS: usize = 4;
const COLUMNS: usize = 3;
/// Rows of `x` that stay in a core's cache while `W` passes by.
const BLOCK: usize = 64;
/// Multiplications below which a piece of work is not worth another core's attention.
const GRAIN: usize = 1 << 16;
/// Pieces per core, so that one that was held up does not hold up all.
const PIECES: usize = 4;

/// # Shapes
/// `x` `[M, width]`, `weight` `[N, width]` → `[M, N]`, all row-major.
pub(crate) fn product(x: &[f32], weight: &[f32], width: usize) -> Vec<f32> {
    let (rows, columns) = (x.len() / width, weight.len() / width);
    let mut out = vec![0.0; rows * columns];
    if out.is_empty() {
        return out;
    }
    let pieces = (rayon::current_num_threads() * PIECES).min(out.len() * width / GRAIN).max(1);
    let piece = columns.div_ceil(pieces).next_multiple_of(ROWS * COLUMNS);
    let arch = Arch::new();
    if rows == 1 || piece >= columns {
        let work = |(out, weight): (&mut [f32], &[f32])| arch.dispatch(Product { x, weight, width, out });
        if piece >= columns {
            work((&mut out, weight));
        } else {
            out.par_chunks_mut(piece).zip(weight.par_chunks(piece * width)).for_each(work);
        }
        return out;
    }
    let mut parts = vec![0.0; rows * columns];
    parts
        .par_chunks_mut(rows * piece)
        .zip(weight.par_chunks(piece * width))
        .for_each(|(out, weight)| arch.dispatch(Product { x, weight, width, out }));
    for (number, part) in parts.chunks(rows * piece).enumerate() {
        let length = part.len() / rows;
        for (row, part) in part.chunks_exact(length).enumerate() {
            let start = row * columns + number * piece;
            out[start..start + length].copy_from_slice(part);
        }
    }
    out
}

struct Product<'a> {
    x: &'a [f32],
    weight: &'a [f32],
    width: usize,
    out: &'a mut [f32],
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { x, weight, width, out } = self;
        let columns = weight.len() / width;
        for (x, out) in x.chunks(BLOCK * width).zip(out.chunks_mut(BLOCK * columns)) {
            match x.len() / width % ROWS {
                0 => {}
                1 => rows::<S, 1, { 2 * COLUMNS }>(simd, (x, weight), width, out),
                2 => rows::<S, 2, { 2 * COLUMNS }>(simd, (x, weight), width, out),
                _ => rows::<S, 3, COLUMNS>(simd, (x, weight), width, out),
            }
            rows::<S, ROWS, COLUMNS>(simd, (x, weight), width, out);
        }
    }
}

/// The last rows of the block where `R` is what `ROWS` leaves over, else all the groups of `ROWS` before them; `C`
/// columns at a time.
#[inline(always)]
fn rows<S: Simd, const R: usize, const C: usize>(
    simd: S,
    (x, weight): (&[f32], &[f32]),
    width: usize,
    out: &mut [f32],
) {
    let (count, columns) = (x.len() / width, weight.len() / width);
    let whole = count / ROWS * ROWS;
    let (first, end) = if R == ROWS { (0, whole) } else { (whole, count) };
    let mut column = 0;
    while column + C <= columns {
        let group = &weight[column * width..(column + C) * width];
        for row in (first..end).step_by(R) {
            let sums = products::<S, R, C>(simd, &x[row * width..(row + R) * width], group, width);
            for (offset, sums) in sums.iter().enumerate() {
                let start = (row + offset) * columns + column;
                out[start..start + C].copy_from_slice(sums);
            }
        }
        column += C;
    }
    for column in column..columns {
        let single = &weight[column * width..(column + 1) * width];
        for row in (first..end).step_by(R) {
            let sums = products::<S, R, 1>(simd, &x[row * width..(row + R) * width], single, width);
            for (offset, [sum]) in sums.iter().enumerate() {
                out[(row + offset) * columns + column] = *sum;
            }
        }
    }
}

/// The products of `R` rows of `x` with `C` of `W`.
#[inline(always)]
fn products<S: Simd, const R: usize, const C: usize>(
    simd: S,
    x: &[f32],
    weight: &[f32],
    width: usize,
) -> [[f32; C]; R] {
    let steps = width / S::F32_LANES;
    let x: [_; R] = std::array::from_fn(|at| S::as_simd_f32s(&x[at * width..(at + 1) * width]));
    let weight: [_; C] = std::array::from_fn(|at| S::as_simd_f32s(&weight[at * width..(at + 1) * width]));
    let x_heads: [_; R] = std::array::from_fn(|at| &x[at].0[..steps]);
    let weight_heads: [_; C] = std::array::from_fn(|at| &weight[at].0[..steps]);
    let mut sums = [[simd.splat_f32s(0.0); C]; R];
    for step in 0..steps {
        // Plain loops: a closure that is not inlined would lose the vector instructions.
        let mut weight_parts = [simd.splat_f32s(0.0); C];
        for column in 0..C {
            weight_parts[column] = weight_heads[column][step];
        }
        for row in 0..R {
            let part = x_heads[row][step];
            for column in 0..C {
                sums[row][column] = simd.mul_add_f32s(part, weight_parts[column], sums[row][column]);
            }
        }
    }
    let mut totals = [[0.0; C]; R];
    for row in 0..R {
        for column in 0..C {
            let mut total = simd.reduce_sum_f32s(sums[row][column]);
            for (one, other) in x[row].1.iter().zip(weight[column].1) {
                total += one * other;
            }
            totals[row][column] = total;
        }
    }
    totals
}
