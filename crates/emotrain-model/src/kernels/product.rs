//! The product of a linear layer, `x · Wᵀ`: on the CPU one kernel for few rows, where reading the weights is what takes
//! time, and for many.
//!
//! There each number of the result is one dot product, added up in an order that depends on the width alone: a row gives
//! bitwise identical numbers whatever rows come with it, on one core as on many (batch-invariant).

#![expect(clippy::inline_always, reason = "what is not inlined loses the vector instructions")]

mod bf16;

use burn::tensor::Tensor;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::host::{is_host, read, slice, tensor};

pub(crate) use bf16::product_bf16_to;

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

/// # Shapes
/// `x` `[M, in]`, `weight` `[out, in]` → `[M, out]`.
pub(crate) fn linear(x: Tensor<2>, weight: &Tensor<2>) -> Tensor<2> {
    if !is_host(&x) {
        return x.matmul(weight.clone().transpose());
    }
    let ([rows, width], [columns, _]) = (x.dims(), weight.dims());
    let (x, weight) = (read(x), read(weight.clone()));
    tensor(product(slice(&x), slice(&weight), width), [rows, columns])
}

/// The same of memory, for the CPU.
///
/// # Shapes
/// `x` `[M, width]`, `weight` `[N, width]` → `[M, N]`, all row-major.
pub(crate) fn product(x: &[f32], weight: &[f32], width: usize) -> Vec<f32> {
    let mut out = Vec::new();
    product_to(&mut out, x, weight, width);
    out
}

/// As [`product`], in place of what `out` holds: a buffer that is used again costs no new memory.
pub(crate) fn product_to(out: &mut Vec<f32>, x: &[f32], weight: &[f32], width: usize) {
    out.resize(x.len() / width * (weight.len() / width), 0.0);
    let arch = Arch::new();
    in_pieces(out, weight, (width, 2 * WIDE_COLUMNS), |out, weight| {
        arch.dispatch(Product { x, weight, width, out });
    });
}

/// Calls `work` for pieces of `W`, whose rows are a multiple of `unit`, with their columns of the result, on all cores.
fn in_pieces(
    out: &mut [f32],
    weight: &[f32],
    (width, unit): (usize, usize),
    work: impl Fn(&mut [&mut [f32]], &[f32]) + Sync,
) {
    if out.is_empty() {
        return;
    }
    let columns = weight.len() / width;
    let pieces = (rayon::current_num_threads() * PIECES).min(out.len() * width / GRAIN).max(1);
    let piece = columns.div_ceil(pieces).next_multiple_of(unit);
    if piece >= columns {
        work(&mut out.chunks_exact_mut(columns).collect::<Vec<_>>(), weight);
        return;
    }
    let rows = out.len() / columns;
    let mut parts: Vec<Vec<&mut [f32]>> =
        weight.chunks(piece * width).map(|_| Vec::with_capacity(rows)).collect();
    for row in out.chunks_exact_mut(columns) {
        for (part, row) in parts.iter_mut().zip(row.chunks_mut(piece)) {
            part.push(row);
        }
    }
    let pieces = parts.into_par_iter().zip(weight.par_chunks(piece * width));
    pieces.for_each(|(mut out, weight)| work(&mut out, weight));
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
            rows::<S, ROWS, C>(simd, (x, weight), width, out);
            match last.len() {
                0 => {}
                1 => rows::<S, 1, { 2 * COLUMNS }>(simd, (rest, weight), width, last),
                2 => rows::<S, 2, { 2 * COLUMNS }>(simd, (rest, weight), width, last),
                _ => rows::<S, 3, C>(simd, (rest, weight), width, last),
            }
        }
    }
}

/// Groups of `R` rows, of which there are whole ones only; `C` columns at a time.
#[inline(always)]
fn rows<S: Simd, const R: usize, const C: usize>(
    simd: S,
    (x, weight): (&[f32], &[f32]),
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
            totals[row][column] = simd.reduce_sum_f32s(sums[row][column]);
        }
    }
    // Asked once: most widths leave nothing over.
    if steps * S::F32_LANES < width {
        for row in 0..R {
            for column in 0..C {
                for (one, other) in x[row].1.iter().zip(weight[column].1) {
                    totals[row][column] += one * other;
                }
            }
        }
    }
    totals
}
