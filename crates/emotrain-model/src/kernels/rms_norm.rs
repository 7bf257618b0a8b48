//! Root-mean-square normalisation (Zhang and Sennrich 2019): `y = w · x / √(mean(x²) + ε)`, of whole rows or of each
//! of the first `heads` heads of a row on its own, behind which the row stays as it is.

use burn::tensor::{DType, Tensor};

use super::elementwise::column_sums;
use super::fused;
use super::host::{for_rows, is_host, read, restore, slice, sum_of, tensor, write};

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

/// The same of each of the first `heads` heads.
///
/// # Shapes
/// `x` `[N, W]`, `weight` `[1, d]` with `heads · d <= W` → `[N, W]`.
pub(crate) fn head_norm(x: Tensor<2>, heads: usize, weight: &Tensor<2>, epsilon: f32) -> Tensor<2> {
    let [_, dim] = weight.dims();
    if !is_host(&x) {
        return over_heads([x], heads * dim, dim, |[x]| rms_norm(x, weight, epsilon));
    }
    let [_, width] = x.dims();
    let (mut x, weight) = (write(x), read(weight.clone()));
    let weight = slice(&weight);
    for_rows(x.storage_mut(), width, |_, x| {
        x[..heads * dim].chunks_exact_mut(dim).for_each(|head| rms_norm_row(head, weight, epsilon));
    });
    restore(x)
}

/// The gradient for `x` of [`head_norm`]; with one head as wide as a row, of [`rms_norm`].
///
/// # Shapes
/// `grad` and `x` `[N, W]`, `weight` `[1, d]` → `[N, W]`.
pub(crate) fn head_norm_backward(
    grad: Tensor<2>,
    x: Tensor<2>,
    heads: usize,
    weight: &Tensor<2>,
    epsilon: f32,
) -> Tensor<2> {
    let [_, dim] = weight.dims();
    if !is_host(&x) {
        return over_heads([grad, x], heads * dim, dim, |[grad, x]| {
            let dtype = x.dtype();
            let (x, scaled) = (x.cast(DType::F32), weighted(grad, weight).cast(DType::F32));
            let inverse = inverse_rms(&x, epsilon);
            let normal = x * inverse.clone();
            let mean = (scaled.clone() * normal.clone()).mean_dim(1);
            ((scaled - normal * mean) * inverse).cast(dtype)
        });
    }
    let [_, width] = x.dims();
    let (mut grad, x, weight) = (write(grad), read(x), read(weight.clone()));
    let (x, weight) = (slice(&x), slice(&weight));
    for_rows(grad.storage_mut(), width, |row, grad| {
        let heads = grad[..heads * dim].chunks_exact_mut(dim).zip(x[row * width..].chunks_exact(dim));
        for (grad, x) in heads {
            let inverse = inverse_of(x, epsilon);
            for (grad, w) in grad.iter_mut().zip(weight) {
                *grad *= w;
            }
            let mean = sum_of(grad, x, |a, b| a * b) * inverse * inverse / dim as f32;
            for (grad, x) in grad.iter_mut().zip(x) {
                *grad = (*grad - x * mean) * inverse;
            }
        }
    });
    restore(grad)
}

/// The gradient for `weight` of [`head_norm`]: the sum over rows and heads of `grad · x / rms(x)`.
///
/// # Shapes
/// `grad` and `x` `[N, W]` → `[1, dim]` in f32.
pub(crate) fn norm_weight_gradient(
    grad: &Tensor<2>,
    x: &Tensor<2>,
    [heads, dim]: [usize; 2],
    epsilon: f32,
) -> Tensor<2> {
    let [rows, width] = x.dims();
    if !is_host(x) {
        let head_rows = |x: &Tensor<2>| x.clone().narrow(1, 0, heads * dim).reshape([rows * heads, dim]);
        let (grad, x) = (head_rows(grad).cast(DType::F32), head_rows(x).cast(DType::F32));
        let inverse = inverse_rms(&x, epsilon);
        return (grad * x * inverse).sum_dim(0);
    }
    let (grad, x) = (read(grad.clone()), read(x.clone()));
    let (grad, x) = (slice(&grad), slice(&x));
    let head = |at: usize| at / heads * width + at % heads * dim;
    let mut inverses = vec![0.0; rows * heads];
    for_rows(&mut inverses, 1, |at, inverse| inverse[0] = inverse_of(&x[head(at)..][..dim], epsilon));
    column_sums(dim, |start, sums| {
        for (at, inverse) in inverses.iter().enumerate() {
            let (grad, x) = (&grad[head(at) + start..], &x[head(at) + start..]);
            for ((sum, grad), x) in sums.iter_mut().zip(grad).zip(x) {
                *sum += grad * x * inverse;
            }
        }
    })
}

/// One row in place.
#[expect(clippy::inline_always, reason = "compiled with the vector instructions of its caller")]
#[inline(always)]
pub(crate) fn rms_norm_row(row: &mut [f32], weight: &[f32], epsilon: f32) {
    let inverse = inverse_of(row, epsilon);
    for (x, w) in row.iter_mut().zip(weight) {
        *x = *x * inverse * w;
    }
}

/// `1 / √(mean(x²) + ε)`.
#[expect(clippy::inline_always, reason = "compiled with the vector instructions of its caller")]
#[inline(always)]
fn inverse_of(x: &[f32], epsilon: f32) -> f32 {
    (sum_of(x, x, |a, b| a * b) / x.len() as f32 + epsilon).sqrt().recip()
}

/// The form of [`rms_norm`] in tensor operations.
pub(super) fn in_tensors(x: Tensor<2>, weight: &Tensor<2>, epsilon: f32) -> Tensor<2> {
    let dtype = x.dtype();
    let x = x.cast(DType::F32);
    let inverse = inverse_rms(&x, epsilon);
    let normal = x * inverse;
    if weight.dtype() == dtype {
        normal.cast(dtype) * weight.clone()
    } else {
        weighted(normal, weight).cast(dtype)
    }
}

/// `x · weight`, in f32 where the weight is.
fn weighted(x: Tensor<2>, weight: &Tensor<2>) -> Tensor<2> {
    x.cast(weight.dtype()) * weight.clone()
}

/// [`inverse_of`] of each row, `[N, D]` → `[N, 1]`.
fn inverse_rms(x: &Tensor<2>, epsilon: f32) -> Tensor<2> {
    (x.clone().square().mean_dim(1) + epsilon).sqrt().recip()
}

/// `work` on the first `turned` columns in rows of `dim`; the other columns of the first tensor stay as they are.
fn over_heads<const K: usize>(
    tensors: [Tensor<2>; K],
    turned: usize,
    dim: usize,
    work: impl FnOnce([Tensor<2>; K]) -> Tensor<2>,
) -> Tensor<2> {
    let [rows, width] = tensors[0].dims();
    if turned == width && dim == width {
        return work(tensors);
    }
    let kept = (turned < width).then(|| tensors[0].clone().narrow(1, turned, width - turned));
    let heads = tensors.map(|x| x.narrow(1, 0, turned).reshape([rows * turned / dim, dim]));
    let normed = work(heads).reshape([rows, turned]);
    match kept {
        Some(kept) => Tensor::cat(vec![normed, kept], 1),
        None => normed,
    }
}
