//! Root-mean-square normalisation (Zhang and Sennrich 2019): `y = w · x / √(mean(x²) + ε)` per row.

use burn::tensor::{DType, Tensor};

use super::fused;
use super::host::{for_rows, is_host, read, slice, sum_of, tensor};

/// # Shapes
/// `x` `[N, D]`, `weight` `[1, D]` → `[N, D]`.
pub(crate) fn rms_norm(x: Tensor<2>, weight: &Tensor<2>, epsilon: f32) -> Tensor<2> {
    let [rows, width] = x.dims();
    if !is_host(&x) {
        return fused::rms_norm(&x, weight, epsilon).unwrap_or_else(|| in_tensors(x, weight, epsilon));
    }
    let (x, weight) = (read(x), read(weight.clone()));
    let (x, weight) = (slice(&x), slice(&weight));
    let mut out = vec![0.0; rows * width];
    for_rows(&mut out, width, |row, y| {
        y.copy_from_slice(&x[row * width..(row + 1) * width]);
        rms_norm_row(y, weight, epsilon);
    });
    tensor(out, [rows, width])
}

/// The form in tensor operations.
pub(super) fn in_tensors(x: Tensor<2>, weight: &Tensor<2>, epsilon: f32) -> Tensor<2> {
    let dtype = x.dtype();
    let x = x.cast(DType::F32);
    let inverse = inverse_rms(&x, epsilon);
    (x * inverse).cast(dtype) * weight.clone()
}

/// One row in place.
#[expect(clippy::inline_always, reason = "compiled with the vector instructions of its caller")]
#[inline(always)]
pub(crate) fn rms_norm_row(row: &mut [f32], weight: &[f32], epsilon: f32) {
    let inverse = (sum_of(row, row, |a, b| a * b) / row.len() as f32 + epsilon).sqrt().recip();
    for (x, w) in row.iter_mut().zip(weight) {
        *x = *x * inverse * w;
    }
}

/// The gradient for `x`, given that of `y`.
///
/// # Shapes
/// `grad` and `x` `[N, D]`, `weight` `[1, D]` → `[N, D]`.
pub(crate) fn rms_norm_backward(
    grad: Tensor<2>,
    x: Tensor<2>,
    weight: &Tensor<2>,
    epsilon: f32,
) -> Tensor<2> {
    let [rows, width] = x.dims();
    if !is_host(&x) {
        let dtype = x.dtype();
        let (x, scaled) = (x.cast(DType::F32), (grad * weight.clone()).cast(DType::F32));
        let inverse = inverse_rms(&x, epsilon);
        let normal = x * inverse.clone();
        let mean = (scaled.clone() * normal.clone()).mean_dim(1);
        return ((scaled - normal * mean) * inverse).cast(dtype);
    }
    let (grad, x, weight) = (read(grad), read(x), read(weight.clone()));
    let (grad, x, weight) = (slice(&grad), slice(&x), slice(&weight));
    let mut out = vec![0.0; rows * width];
    for_rows(&mut out, width, |row, dx| {
        let (grad, x) = (&grad[row * width..(row + 1) * width], &x[row * width..(row + 1) * width]);
        let inverse = (sum_of(x, x, |a, b| a * b) / width as f32 + epsilon).sqrt().recip();
        for ((dx, grad), w) in dx.iter_mut().zip(grad).zip(weight) {
            *dx = grad * w;
        }
        let mean = sum_of(dx, x, |a, b| a * b) * inverse * inverse / width as f32;
        for (dx, x) in dx.iter_mut().zip(x) {
            *dx = (*dx - x * mean) * inverse;
        }
    });
    tensor(out, [rows, width])
}

/// `1 / √(mean(x²) + ε)`, `[N, D]` → `[N, 1]`.
fn inverse_rms(x: &Tensor<2>, epsilon: f32) -> Tensor<2> {
    (x.clone().square().mean_dim(1) + epsilon).sqrt().recip()
}

/// The gradient for `weight`: the sum over rows of `grad · x / rms(x)`.
///
/// # Shapes
/// `grad` and `x` `[N, D]` → `[1, D]`.
pub(crate) fn rms_norm_weight_gradient(grad: Tensor<2>, x: &Tensor<2>, epsilon: f32) -> Tensor<2> {
    let x = x.clone().cast(DType::F32);
    let inverse = inverse_rms(&x, epsilon);
    (grad.cast(DType::F32) * x * inverse).sum_dim(0)
}
