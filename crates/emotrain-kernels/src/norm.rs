//! Root-mean-square normalisation (Zhang and Sennrich 2019), `w · x / √(mean(x²) + ε)`, of rows or of each of their
//! first heads, and layer normalisation (Ba et al. 2016).

use crate::reduce::sum_of;
use crate::rows::{column_sums, for_rows, of_rows, put_rows};

/// What is added to each row before its layer norm.
#[derive(Clone, Copy, Debug)]
pub struct Residual<'a> {
    /// One row for all.
    pub bias: &'a [f32],
    /// A row for each.
    pub rows: &'a [f32],
}

/// Weight, bias and ε of a layer norm.
#[derive(Clone, Copy, Debug)]
pub struct RowNorm<'a> {
    /// `[D]`.
    pub weight: &'a [f32],
    /// `[D]`.
    pub bias: &'a [f32],
    /// Added to the variance.
    pub epsilon: f32,
}

/// Normalises one row in place.
#[inline(always)]
pub fn rms_norm_row(row: &mut [f32], weight: &[f32], epsilon: f32) {
    let inverse = inverse_rms(row, epsilon);
    for (x, w) in row.iter_mut().zip(weight) {
        *x = *x * inverse * w;
    }
}

/// `1 / √(mean(x²) + ε)`.
#[inline(always)]
fn inverse_rms(x: &[f32], epsilon: f32) -> f32 {
    (sum_of(x, x, |a, b| a * b) / x.len() as f32 + epsilon).sqrt().recip()
}

/// Normalises each row in place; rows are as wide as the weight.
pub fn rms_norm(x: &mut [f32], weight: &[f32], epsilon: f32) {
    for_rows(x, weight.len(), |_, row| rms_norm_row(row, weight, epsilon));
}

/// As [`rms_norm`], into a buffer.
pub fn rms_norm_to(out: &mut Vec<f32>, x: &[f32], weight: &[f32], epsilon: f32) {
    let width = weight.len();
    put_rows(out, x.len() / width, width, |row, out| {
        out.copy_from_slice(&x[row * width..][..width]);
        rms_norm_row(out, weight, epsilon);
    });
}

/// Rows that begin with heads.
#[derive(Clone, Copy, Debug)]
pub struct HeadRows {
    /// The width of a row.
    pub width: usize,
    /// The number of heads that are normalised; what follows them in a row stays as it is.
    pub heads: usize,
    /// The width of a head.
    pub dim: usize,
}

/// Normalises the heads of each row in place.
pub fn head_norm(x: &mut [f32], layout: HeadRows, weight: &[f32], epsilon: f32) {
    let HeadRows { width, heads, dim } = layout;
    for_rows(x, width, |_, x| {
        x[..heads * dim].chunks_exact_mut(dim).for_each(|head| rms_norm_row(head, weight, epsilon));
    });
}

/// The gradient for `x` of [`head_norm`], in place of that of its result.
pub fn head_norm_backward(grad: &mut [f32], x: &[f32], layout: HeadRows, weight: &[f32], epsilon: f32) {
    let HeadRows { width, heads, dim } = layout;
    for_rows(grad, width, |row, grad| {
        let heads = grad[..heads * dim].chunks_exact_mut(dim).zip(x[row * width..].chunks_exact(dim));
        for (grad, x) in heads {
            let inverse = inverse_rms(x, epsilon);
            for (grad, w) in grad.iter_mut().zip(weight) {
                *grad *= w;
            }
            let mean = sum_of(grad, x, |a, b| a * b) * inverse * inverse / dim as f32;
            for (grad, x) in grad.iter_mut().zip(x) {
                *grad = (*grad - x * mean) * inverse;
            }
        }
    });
}

/// The gradient for the weight of [`head_norm`]: the sum over rows and heads of `grad · x / rms(x)`.
pub fn norm_weight_gradient(grad: &[f32], x: &[f32], layout: HeadRows, epsilon: f32) -> Vec<f32> {
    let HeadRows { width, heads, dim } = layout;
    let head = |at: usize| at / heads * width + at % heads * dim;
    let inverses = of_rows(x.len() / width * heads, dim, |at| inverse_rms(&x[head(at)..][..dim], epsilon));
    column_sums(dim, |start, sums| {
        for (at, inverse) in inverses.iter().enumerate() {
            let (grad, x) = (&grad[head(at) + start..], &x[head(at) + start..]);
            for ((sum, grad), x) in sums.iter_mut().zip(grad).zip(x) {
                *sum += grad * x * inverse;
            }
        }
    })
}

/// Adds the residual to each row of `x` `[N, D]` and normalises the sum `s`, in place:
/// `w · (s - mean(s)) / √(var(s) + ε) + b`.
pub fn add_layer_norm(x: &mut [f32], residual: Residual, norm: RowNorm) {
    let RowNorm { weight, bias, epsilon } = norm;
    let width = weight.len();
    for_rows(x, width, |row, x| {
        let rest = &residual.rows[row * width..(row + 1) * width];
        for ((x, add), rest) in x.iter_mut().zip(residual.bias).zip(rest) {
            *x += add + rest;
        }
        let mean = sum_of(x, x, |a, _| a) / width as f32;
        for x in x.iter_mut() {
            *x -= mean;
        }
        let inverse = (sum_of(x, x, |a, b| a * b) / width as f32 + epsilon).sqrt().recip();
        for ((x, w), b) in x.iter_mut().zip(weight).zip(bias) {
            *x = *x * inverse * w + b;
        }
    });
}
