//! Softmax over rows of scores, and the log-sum-exp of rows.

use std::ops::Range;

use pulp::Arch;

use crate::exp::exp;
use crate::reduce::{largest, sum_of};
use crate::rows::for_rows;

/// `e^(scale · score - maximum)` in place, and one over their sum.
#[inline(always)]
pub(crate) fn softmax(row: &mut [f32], scale: f32) -> f32 {
    let largest = largest(row) * scale;
    for score in row.iter_mut() {
        *score = exp(*score * scale - largest);
    }
    sum_of(row, row, |score, _| score).recip()
}

/// `log Σ exp(scale · score)` over two ranges of a row, of which the second may be empty and beyond the row.
#[inline(always)]
pub fn log_sum_exp(row: &[f32], ranges: [Range<usize>; 2], scale: f32) -> f32 {
    let [first, second] = ranges;
    let (first, second) = (&row[first], row.get(second).unwrap_or_default());
    let largest = largest(first).max(self::largest(second)) * scale;
    let sum = |part: &[f32]| sum_of(part, part, |score, _| exp(score * scale - largest));
    largest + (sum(first) + sum(second)).ln()
}

/// `log Σ exp` of a row.
pub fn log_sum_exp_row(row: &[f32]) -> f32 {
    Arch::new().dispatch(|| of_whole_row(row))
}

/// [`log_sum_exp_row`] of each row of `x` `[N, width]`.
pub fn log_sum_exp_rows(x: &[f32], width: usize) -> Vec<f32> {
    let mut sums = vec![0.0; x.len() / width];
    for_rows(&mut sums, 1, |row, sum| sum[0] = of_whole_row(&x[row * width..][..width]));
    sums
}

#[inline(always)]
fn of_whole_row(row: &[f32]) -> f32 {
    log_sum_exp(row, [0..row.len(), row.len()..row.len()], 1.0)
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

/// `exp(scale · score - log_sum)` in place for the keys of two ranges, the first one in front; 0 for all others.
#[inline(always)]
pub fn attention_probabilities(row: &mut [f32], seen: [Range<usize>; 2], scale: f32, log_sum: f32) {
    let ([first, second], end) = (seen, row.len());
    let parts = [
        (0..first.start, false),
        (first.clone(), true),
        (first.end..second.start, false),
        (second.clone(), true),
        (second.end..end, false),
    ];
    for (part, is_seen) in parts {
        for score in row.get_mut(part).unwrap_or_default() {
            *score = if is_seen { exp(*score * scale - log_sum) } else { 0.0 };
        }
    }
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
