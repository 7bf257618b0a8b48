//! Softmax over rows of scores, and the log-sum-exp of rows.

use std::ops::Range;

use pulp::Arch;

use crate::exp::exp;
use crate::reduce::{largest, sum_of};
use crate::rows::{for_rows, of_rows};

/// `e^(scale · score - maximum)` in place, and one over their sum.
#[inline(always)]
pub(crate) fn softmax(row: &mut [f32], scale: f32) -> f32 {
    let largest = largest(row) * scale;
    for score in row.iter_mut() {
        *score = exp(*score * scale - largest);
    }
    sum_of(row, row, |score, _| score).recip()
}

/// `log Σ exp(scale · score)` over ranges of a row.
#[inline(always)]
pub fn log_sum_exp(row: &[f32], ranges: impl Iterator<Item = Range<usize>> + Clone, scale: f32) -> f32 {
    // Loops and no adaptors: what is not inlined would be compiled for any CPU.
    let mut maximum = f32::NEG_INFINITY;
    for range in ranges.clone() {
        maximum = maximum.max(largest(&row[range]));
    }
    let maximum = maximum * scale;
    let mut sum = 0.0;
    for range in ranges {
        let part = &row[range];
        sum += sum_of(part, part, |score, _| exp(score * scale - maximum));
    }
    maximum + sum.ln()
}

/// `log Σ exp` of a row.
pub fn log_sum_exp_row(row: &[f32]) -> f32 {
    Arch::new().dispatch(|| of_whole_row(row))
}

/// [`log_sum_exp_row`] of each row of `x` `[N, width]`.
pub fn log_sum_exp_rows(x: &[f32], width: usize) -> Vec<f32> {
    of_rows(x.len() / width, width, |row| of_whole_row(&x[row * width..][..width]))
}

#[inline(always)]
fn of_whole_row(row: &[f32]) -> f32 {
    log_sum_exp(row, std::iter::once(0..row.len()), 1.0)
}

/// Each row's softmax, given its log-sum-exp, times the row's factor, in place.
pub fn softmax_rows(x: &mut [f32], width: usize, log_sums: &[f32], factors: &[f32]) {
    for_rows(x, width, |row, x| {
        let (log_sum, factor) = (log_sums[row], factors[row]);
        for x in x {
            *x = exp(*x - log_sum) * factor;
        }
    });
}

/// `exp(scale · score - log_sum)` in place for the keys of these ranges, which ascend; 0 for all others.
#[inline(always)]
pub fn attention_probabilities(
    row: &mut [f32],
    seen: impl Iterator<Item = Range<usize>>,
    scale: f32,
    log_sum: f32,
) {
    let mut end = 0;
    for range in seen {
        row[end..range.start].fill(0.0);
        end = range.end;
        for score in &mut row[range] {
            *score = exp(*score * scale - log_sum);
        }
    }
    row[end..].fill(0.0);
}

/// The gradient of scores, given the probabilities and, in `grad`, their gradient: `scale · p ⊙ (grad - Σ grad ⊙ p)`.
///
/// # Shapes
/// `grad` and `probabilities` `[N, width]`.
pub fn attention_scores_backward(grad: &mut [f32], probabilities: &[f32], width: usize, scale: f32) {
    for_rows(grad, width, |row, grad| {
        let p = &probabilities[row * width..(row + 1) * width];
        let sum = sum_of(p, grad, |p, g| p * g);
        for (grad, p) in grad.iter_mut().zip(p) {
            *grad = p * (*grad - sum) * scale;
        }
    });
}
