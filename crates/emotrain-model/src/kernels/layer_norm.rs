//! Layer normalisation (Ba et al. 2016) of a sum: `y = w · (s - mean(s)) / √(var(s) + ε) + b` per row, where `s` is
//! the row, a bias and what a block was given.

use burn::tensor::{DType, Tensor};
use emotrain_kernels::{Residual, RowNorm};

use super::host::{read, restore, slice, write};
use super::{Form, fused};

/// Weight and bias, both `[1, D]`, and ε.
#[derive(Clone, Debug)]
pub(crate) struct LayerNorm {
    pub(crate) weight: Tensor<2>,
    pub(crate) bias: Tensor<2>,
    pub(crate) epsilon: f32,
}

/// The norm of `x + bias + residual`.
///
/// # Shapes
/// `x` and `residual` `[N, D]`, `bias` `[1, D]` → `[N, D]`.
pub(crate) fn add_layer_norm(
    x: Tensor<2>,
    bias: &Tensor<2>,
    residual: Tensor<2>,
    norm: &LayerNorm,
) -> Tensor<2> {
    match Form::of(&x) {
        Form::Host => {
            let mut x = write(x);
            let [add, residual, weight, shift] =
                [bias.clone(), residual, norm.weight.clone(), norm.bias.clone()].map(read);
            let residual = Residual { bias: slice(&add), rows: slice(&residual) };
            let row_norm = RowNorm { weight: slice(&weight), bias: slice(&shift), epsilon: norm.epsilon };
            emotrain_kernels::add_layer_norm(x.storage_mut(), residual, row_norm);
            restore(x)
        }
        Form::Fused => {
            let rows = [bias, &norm.weight, &norm.bias];
            fused::add_layer_norm([&x, &residual], rows, norm.epsilon)
                .unwrap_or_else(|| in_tensors(x, bias, residual, norm))
        }
        Form::Tensor => in_tensors(x, bias, residual, norm),
    }
}

/// The form of [`add_layer_norm`] in tensor operations.
pub(super) fn in_tensors(x: Tensor<2>, bias: &Tensor<2>, residual: Tensor<2>, norm: &LayerNorm) -> Tensor<2> {
    let dtype = x.dtype();
    let sum = (x + bias.clone() + residual).cast(DType::F32);
    let centred = sum.clone() - sum.mean_dim(1);
    let inverse = (centred.clone().square().mean_dim(1) + norm.epsilon).sqrt().recip();
    (centred * inverse).cast(dtype) * norm.weight.clone() + norm.bias.clone()
}
