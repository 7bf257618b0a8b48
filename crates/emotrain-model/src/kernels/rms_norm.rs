//! Root-mean-square normalisation (Zhang and Sennrich 2019): `y = w · x / √(mean(x²) + ε)`, of whole rows or of each
//! of the first `heads` heads of a row on its own, behind which the row stays as it is.

use burn::tensor::{DType, Tensor};
use emotrain_kernels::{HeadRows, rms_norm_to};

use super::host::{read, restore, slice, tensor, write};
use super::{Form, Inputs, Masks, add, fused, sum_rows};

/// # Shapes
/// `x` `[N, D]`, `weight` `[1, D]` → `[N, D]`.
pub(crate) fn rms_norm(x: Tensor<2>, weight: &Tensor<2>, epsilon: f32) -> Tensor<2> {
    match Form::of(&x) {
        Form::Host => {
            let shape = x.dims();
            let (x, weight) = (read(x), read(weight.clone()));
            let mut out = Vec::new();
            rms_norm_to(&mut out, slice(&x), slice(&weight), epsilon);
            tensor(out, shape)
        }
        Form::Fused => fused::head_norm(&x, head_rows(&x, 1, weight), weight, epsilon)
            .unwrap_or_else(|| in_tensors(x, weight, epsilon)),
        Form::Tensor => in_tensors(x, weight, epsilon),
    }
}

/// The same, for linear layers with these masks.
///
/// # Shapes
/// As [`rms_norm`].
pub(crate) fn normed_inputs(x: Tensor<2>, weight: &Tensor<2>, epsilon: f32, masks: Masks) -> Inputs {
    if Form::of(&x) == Form::Fused
        && let Some([rows, copies]) = fused::dropped_norm(&x, weight, epsilon, masks)
    {
        return Inputs::with(rows, x.dims()[0], &copies, masks);
    }
    Inputs::plain(rms_norm(x, weight, epsilon), masks.of.len())
}

/// The sum of an update and of what it is added to, and the same of that sum.
///
/// # Shapes
/// `update` and `x` `[N, D]`, `weight` `[1, D]` → `[N, D]`, twice.
pub(crate) fn sum_normed_inputs(
    [update, x]: [Tensor<2>; 2],
    weight: &Tensor<2>,
    epsilon: f32,
    masks: Masks,
) -> (Tensor<2>, Inputs) {
    if Form::of(&x) == Form::Fused
        && let Some([sum, rows, copies]) = fused::sum_norm([&x, &update], weight, epsilon, masks)
    {
        return (sum, Inputs::with(rows, x.dims()[0], &copies, masks));
    }
    let sum = add(update, &x);
    (sum.clone(), Inputs::plain(rms_norm(sum, weight, epsilon), masks.of.len()))
}

/// The same of each of the first `heads` heads.
///
/// # Shapes
/// `x` `[N, W]`, `weight` `[1, d]` with `heads · d <= W` → `[N, W]`.
pub(crate) fn head_norm(x: Tensor<2>, heads: usize, weight: &Tensor<2>, epsilon: f32) -> Tensor<2> {
    let layout = head_rows(&x, heads, weight);
    match Form::of(&x) {
        Form::Host => {
            let (mut x, weight) = (write(x), read(weight.clone()));
            emotrain_kernels::head_norm(x.storage_mut(), layout, slice(&weight), epsilon);
            restore(x)
        }
        Form::Fused => fused::head_norm(&x, layout, weight, epsilon)
            .unwrap_or_else(|| heads_in_tensors(x, layout, weight, epsilon)),
        Form::Tensor => heads_in_tensors(x, layout, weight, epsilon),
    }
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
    let layout = head_rows(&x, heads, weight);
    match Form::of(&x) {
        Form::Host => {
            let (mut grad, x, weight) = (write(grad), read(x), read(weight.clone()));
            let (x, weight) = (slice(&x), slice(&weight));
            emotrain_kernels::head_norm_backward(grad.storage_mut(), x, layout, weight, epsilon);
            restore(grad)
        }
        Form::Fused => fused::head_norm_backward([&grad, &x], layout, weight, epsilon, None)
            .unwrap_or_else(|| backward_in_tensors([grad, x], layout, weight, epsilon)),
        Form::Tensor => backward_in_tensors([grad, x], layout, weight, epsilon),
    }
}

/// The gradient for `x` of [`rms_norm`], and beside it another.
///
/// # Shapes
/// `grad`, `x` and `other` `[N, D]`, `weight` `[1, D]` → `[N, D]`.
pub(crate) fn norm_backward_beside(
    [grad, x]: [Tensor<2>; 2],
    weight: &Tensor<2>,
    epsilon: f32,
    other: &Tensor<2>,
) -> Tensor<2> {
    let layout = head_rows(&x, 1, weight);
    if Form::of(&x) == Form::Fused
        && let Some(both) = fused::head_norm_backward([&grad, &x], layout, weight, epsilon, Some(other))
    {
        return both;
    }
    add(head_norm_backward(grad, x, 1, weight, epsilon), other)
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
    match Form::of(x) {
        Form::Host => {
            let (grad, x) = (read(grad.clone()), read(x.clone()));
            let layout = HeadRows { width, heads, dim };
            let sums = emotrain_kernels::norm_weight_gradient(slice(&grad), slice(&x), layout, epsilon);
            tensor(sums, [1, dim])
        }
        Form::Fused | Form::Tensor => {
            let head_rows = |x: &Tensor<2>| x.clone().narrow(1, 0, heads * dim).reshape([rows * heads, dim]);
            let (grad, x) = (head_rows(grad).cast(DType::F32), head_rows(x).cast(DType::F32));
            let inverse = inverse_rms(&x, epsilon);
            sum_rows(grad * x * inverse)
        }
    }
}

fn head_rows(x: &Tensor<2>, heads: usize, weight: &Tensor<2>) -> HeadRows {
    let ([_, width], [_, dim]) = (x.dims(), weight.dims());
    HeadRows { width, heads, dim }
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

/// The form of [`head_norm`] in tensor operations.
pub(super) fn heads_in_tensors(
    x: Tensor<2>,
    layout: HeadRows,
    weight: &Tensor<2>,
    epsilon: f32,
) -> Tensor<2> {
    over_heads([x], layout, |[x]| in_tensors(x, weight, epsilon))
}

/// The form of [`head_norm_backward`] in tensor operations, given the gradient and `x`.
pub(super) fn backward_in_tensors(
    both: [Tensor<2>; 2],
    layout: HeadRows,
    weight: &Tensor<2>,
    epsilon: f32,
) -> Tensor<2> {
    over_heads(both, layout, |[grad, x]| {
        let dtype = x.dtype();
        let (x, scaled) = (x.cast(DType::F32), weighted(grad, weight).cast(DType::F32));
        let inverse = inverse_rms(&x, epsilon);
        let normal = x * inverse.clone();
        let mean = (scaled.clone() * normal.clone()).mean_dim(1);
        ((scaled - normal * mean) * inverse).cast(dtype)
    })
}

/// `x · weight`, in f32 where the weight is.
fn weighted(x: Tensor<2>, weight: &Tensor<2>) -> Tensor<2> {
    x.cast(weight.dtype()) * weight.clone()
}

/// `1 / √(mean(x²) + ε)` of each row, `[N, D]` → `[N, 1]`.
fn inverse_rms(x: &Tensor<2>, epsilon: f32) -> Tensor<2> {
    (x.clone().square().mean_dim(1) + epsilon).sqrt().recip()
}

/// `work` on the heads in rows of their own; the other columns of the first tensor stay as they are.
fn over_heads<const K: usize>(
    tensors: [Tensor<2>; K],
    layout: HeadRows,
    work: impl FnOnce([Tensor<2>; K]) -> Tensor<2>,
) -> Tensor<2> {
    let [rows, _] = tensors[0].dims();
    let HeadRows { width, heads, dim } = layout;
    let turned = heads * dim;
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
