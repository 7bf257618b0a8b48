//! Layer normalisation (Ba et al. 2016) of a sum: `y = w · (s - mean(s)) / √(var(s) + ε) + b` per row, where `s` is
//! the row, a bias and what a block was given.

use burn::tensor::{DType, Tensor};

use super::host::{for_rows, is_host, read, restore, slice, sum_of, write};

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
    let [_, width] = x.dims();
    if !is_host(&x) {
        let dtype = x.dtype();
        let sum = (x + bias.clone() + residual).cast(DType::F32);
        let centred = sum.clone() - sum.mean_dim(1);
        let inverse = (centred.clone().square().mean_dim(1) + norm.epsilon).sqrt().recip();
        return (centred * inverse).cast(dtype) * norm.weight.clone() + norm.bias.clone();
    }
    let mut x = write(x);
    let (add, residual) = (read(bias.clone()), read(residual));
    let (weight, bias) = (read(norm.weight.clone()), read(norm.bias.clone()));
    let (add, residual, weight, bias) = (slice(&add), slice(&residual), slice(&weight), slice(&bias));
    for_rows(x.storage_mut(), width, |row, x| {
        let residual = &residual[row * width..(row + 1) * width];
        for ((x, add), residual) in x.iter_mut().zip(add).zip(residual) {
            *x += add + residual;
        }
        let mean = sum_of(x, x, |a, _| a) / width as f32;
        for x in x.iter_mut() {
            *x -= mean;
        }
        let inverse = (sum_of(x, x, |a, b| a * b) / width as f32 + norm.epsilon).sqrt().recip();
        for ((x, w), b) in x.iter_mut().zip(weight).zip(bias) {
            *x = *x * inverse * w + b;
        }
    });
    restore(x)
}
