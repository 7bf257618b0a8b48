//! Dot products of many queries with many rows: the scores of similarity search.

use pulp::{Arch, Simd, WithSimd};

use crate::dot::products;

/// An instruction set whose sums are the same to the last bit on every x86-64 machine of the last ten years: AVX-512 is
/// not used, because its wider sums round differently.
pub fn portable_arch() -> Arch {
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
#[inline]
pub fn each_product(
    arch: Arch,
    queries: &[f32],
    rows: &[f32],
    width: usize,
    found: &mut impl FnMut(usize, usize, f32),
) {
    arch.dispatch(Scan { queries, rows, width, found });
}

/// One pair's score, as [`each_product`] computes it.
pub fn similarity(arch: Arch, query: &[f32], row: &[f32]) -> f32 {
    let mut score = 0.0;
    each_product(arch, query, row, row.len(), &mut |_, _, found| score = found);
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
    fn with_simd<S: Simd>(mut self, simd: S) {
        let width = self.width;
        let (groups, single) = groups::<QUERIES>(self.queries, width);
        for (at, group) in groups.chunks_exact(QUERIES * width).enumerate() {
            self.against::<S, QUERIES, ROWS>(simd, at * QUERIES, group);
        }
        let first = groups.len() / width;
        for (at, query) in single.chunks_exact(width).enumerate() {
            self.against::<S, 1, { QUERIES * ROWS }>(simd, first + at, query);
        }
    }
}

/// The vectors in complete groups of `N`, and the rest.
fn groups<const N: usize>(vectors: &[f32], width: usize) -> (&[f32], &[f32]) {
    let whole = vectors.len() / width / N * N;
    vectors.split_at(whole * width)
}

impl<F: FnMut(usize, usize, f32)> Scan<'_, F> {
    /// `Q` queries, starting with number `first`, against all rows, `R` at a time.
    #[inline(always)]
    fn against<S: Simd, const Q: usize, const R: usize>(&mut self, simd: S, first: usize, queries: &[f32]) {
        let Self { rows, width, .. } = *self;
        let (groups, single) = groups::<R>(rows, width);
        let mut row = 0;
        for group in groups.chunks_exact(R * width) {
            let scores = products::<S, Q, R>(simd, queries, group, width);
            for (query, scores) in scores.iter().enumerate() {
                for (offset, score) in scores.iter().enumerate() {
                    (self.found)(first + query, row + offset, *score);
                }
            }
            row += R;
        }
        for vector in single.chunks_exact(width) {
            let scores = products::<S, Q, 1>(simd, queries, vector, width);
            for (query, [score]) in scores.iter().enumerate() {
                (self.found)(first + query, row, *score);
            }
            row += 1;
        }
    }
}
