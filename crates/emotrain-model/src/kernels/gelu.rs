//! The Gaussian error linear unit (Hendrycks and Gimpel 2016) in its exact form, BERT's "gelu": `x · Φ(x)`.

use burn::tensor::Tensor;

use super::host::{read, restore, slice, write};
use super::{Form, fused};

/// `gelu(x + bias)`.
///
/// # Shapes
/// `x` `[N, D]`, `bias` `[1, D]` → `[N, D]`.
pub(crate) fn bias_gelu(x: Tensor<2>, bias: &Tensor<2>) -> Tensor<2> {
    match Form::of(&x) {
        Form::Host => {
            let (mut x, bias) = (write(x), read(bias.clone()));
            emotrain_kernels::bias_gelu(x.storage_mut(), slice(&bias));
            restore(x)
        }
        Form::Fused => fused::bias_gelu(&x, bias).unwrap_or_else(|| in_tensors(x, bias)),
        Form::Tensor => in_tensors(x, bias),
    }
}

/// The form of [`bias_gelu`] in tensor operations.
pub(super) fn in_tensors(x: Tensor<2>, bias: &Tensor<2>) -> Tensor<2> {
    let x = x + bias.clone();
    let twice = (x.clone() * std::f32::consts::FRAC_1_SQRT_2).erf() + 1.0;
    x * twice * 0.5
}
