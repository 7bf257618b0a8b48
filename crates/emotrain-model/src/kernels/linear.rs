//! The product of a linear layer, `x · Wᵀ`.

use burn::tensor::Tensor;
use emotrain_kernels::product;

use super::Form;
use super::host::{read, slice, tensor};

/// # Shapes
/// `x` `[M, in]`, `weight` `[out, in]` → `[M, out]`.
pub(crate) fn linear(x: Tensor<2>, weight: &Tensor<2>) -> Tensor<2> {
    match Form::of(&x) {
        Form::Host => {
            let ([rows, width], [columns, _]) = (x.dims(), weight.dims());
            let (x, weight) = (read(x), read(weight.clone()));
            tensor(product(slice(&x), slice(&weight), width), [rows, columns])
        }
        Form::Fused | Form::Tensor => x.matmul(weight.clone().transpose()),
    }
}
