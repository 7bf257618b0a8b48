//! Dot products of a few rows with a few others, with SIMD: the tile of linear layers and of similarity search.
//!
//! The order of a product's sum depends on the width and on the instruction set alone, so a row gives bitwise identical
//! numbers whatever rows come with it (batch-invariant).

use pulp::Simd;

/// The dot products of `R` rows with `C` others.
///
/// # Shapes
/// `x` `[R, width]`, `others` `[C, width]` → `[R, C]`.
#[inline(always)]
pub(crate) fn products<S: Simd, const R: usize, const C: usize>(
    simd: S,
    x: &[f32],
    others: &[f32],
    width: usize,
) -> [[f32; C]; R] {
    let steps = width / S::F32_LANES;
    let x: [_; R] = std::array::from_fn(|at| S::as_simd_f32s(&x[at * width..(at + 1) * width]));
    let others: [_; C] = std::array::from_fn(|at| S::as_simd_f32s(&others[at * width..(at + 1) * width]));
    let x_heads: [_; R] = std::array::from_fn(|at| &x[at].0[..steps]);
    let other_heads: [_; C] = std::array::from_fn(|at| &others[at].0[..steps]);
    let mut sums = [[simd.splat_f32s(0.0); C]; R];
    for step in 0..steps {
        // Plain loops: a closure that is not inlined would lose the vector instructions.
        let mut other_parts = [simd.splat_f32s(0.0); C];
        for column in 0..C {
            other_parts[column] = other_heads[column][step];
        }
        for row in 0..R {
            let part = x_heads[row][step];
            for column in 0..C {
                sums[row][column] = simd.mul_add_f32s(part, other_parts[column], sums[row][column]);
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
                for (one, other) in x[row].1.iter().zip(others[column].1) {
                    totals[row][column] += one * other;
                }
            }
        }
    }
    totals
}
