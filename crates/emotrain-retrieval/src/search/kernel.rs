//! Dot products of a few queries with a few rows at a time, with SIMD.
//!
//! The summation order of a product does not depend on what is computed with it: scores are batch-invariant.

#![expect(clippy::inline_always, reason = "what is not inlined loses the vector instructions")]

use pulp::{Arch, Simd, WithSimd};

/// The instruction set for searching. AVX-512 is not used: its wider sums round differently, and scores should be the
/// same to the last bit on every x86-64 machine of the last ten years.
pub(super) fn arch() -> Arch {
    #[cfg(target_arch = "x86_64")]
    if let Arch::V4(simd) = Arch::new() {
        return Arch::V3(*simd);
    }
    Arch::new()
}

/// Queries and rows per tile: as many sums as there are registers.
const QUERIES: usize = 4;
const ROWS: usize = 3;

/// Calls `found(query, row, score)` for every pair, for each query in ascending order of the rows.
///
/// # Shapes
/// `queries` `[Q × width]`, `rows` `[N × width]`, row-major.
pub(super) fn scan(
    arch: Arch,
    (queries, rows): (&[f32], &[f32]),
    width: usize,
    found: &mut impl FnMut(usize, usize, f32),
) {
    arch.dispatch(Scan { queries, rows, width, found });
}

/// One pair's score.
pub(super) fn product(arch: Arch, query: &[f32], row: &[f32]) -> f32 {
    let mut score = 0.0;
    scan(arch, (query, row), row.len(), &mut |_, _, found| score = found);
    score
}

struct Scan<'a, F> {
    queries: &'a [f32],
    rows: &'a [f32],
    width: usize,
    found: &'a mut F,
}

impl<F: FnMut(usize, usize, f32)> WithSimd for Scan<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { queries, rows, width, found } = self;
        let (groups, single) = groups::<QUERIES>(queries, width);
        for (at, group) in groups.chunks_exact(QUERIES * width).enumerate() {
            against::<S, QUERIES, ROWS>(simd, at * QUERIES, group, rows, width, found);
        }
        let first = groups.len() / width;
        for (at, query) in single.chunks_exact(width).enumerate() {
            against::<S, 1, { QUERIES * ROWS }>(simd, first + at, query, rows, width, found);
        }
    }
}

/// The vectors in complete groups of `N`, and the rest.
fn groups<const N: usize>(vectors: &[f32], width: usize) -> (&[f32], &[f32]) {
    let whole = vectors.len() / width / N * N;
    vectors.split_at(whole * width)
}

/// `Q` queries, starting with number `first`, against all rows, `R` at a time.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "inlined into a loop; a struct would only name them again")]
fn against<S: Simd, const Q: usize, const R: usize>(
    simd: S,
    first: usize,
    queries: &[f32],
    rows: &[f32],
    width: usize,
    found: &mut impl FnMut(usize, usize, f32),
) {
    let (groups, single) = groups::<R>(rows, width);
    let mut row = 0;
    for group in groups.chunks_exact(R * width) {
        let scores = products::<S, Q, R>(simd, queries, group, width);
        for (query, scores) in scores.iter().enumerate() {
            for (offset, score) in scores.iter().enumerate() {
                found(first + query, row + offset, *score);
            }
        }
        row += R;
    }
    for vector in single.chunks_exact(width) {
        let scores = products::<S, Q, 1>(simd, queries, vector, width);
        for (query, [score]) in scores.iter().enumerate() {
            found(first + query, row, *score);
        }
        row += 1;
    }
}

/// Each query's products with each row.
#[inline(always)]
fn products<S: Simd, const Q: usize, const R: usize>(
    simd: S,
    queries: &[f32],
    rows: &[f32],
    width: usize,
) -> [[f32; R]; Q] {
    let steps = width / S::F32_LANES;
    let queries: [_; Q] = std::array::from_fn(|at| S::as_simd_f32s(&queries[at * width..(at + 1) * width]));
    let rows: [_; R] = std::array::from_fn(|at| S::as_simd_f32s(&rows[at * width..(at + 1) * width]));
    let query_heads: [_; Q] = std::array::from_fn(|at| &queries[at].0[..steps]);
    let row_heads: [_; R] = std::array::from_fn(|at| &rows[at].0[..steps]);
    let mut sums = [[simd.splat_f32s(0.0); R]; Q];
    for step in 0..steps {
        // Plain loops: a closure that is not inlined would lose the vector instructions.
        let mut row_parts = [simd.splat_f32s(0.0); R];
        for row in 0..R {
            row_parts[row] = row_heads[row][step];
        }
        for query in 0..Q {
            let part = query_heads[query][step];
            for row in 0..R {
                sums[query][row] = simd.mul_add_f32s(part, row_parts[row], sums[query][row]);
            }
        }
    }
    let mut scores = [[0.0; R]; Q];
    for query in 0..Q {
        for row in 0..R {
            let mut sum = simd.reduce_sum_f32s(sums[query][row]);
            for (one, other) in queries[query].1.iter().zip(rows[row].1) {
                sum += one * other;
            }
            scores[query][row] = sum;
        }
    }
    scores
}
