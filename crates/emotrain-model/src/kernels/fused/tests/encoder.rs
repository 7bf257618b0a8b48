//! What an encoder's layer does beside products and attention.

use super::*;
use crate::kernels::{LayerNorm, gelu, layer_norm};

#[test]
fn layer_norms_on_a_gpu_are_those_of_tensor_operations() {
    for on in types() {
        for [rows, width] in [[1, 1], [5, 7], [9, 100], [3, 384], [2, 4096], [70_000, 8]] {
            let (x, residual) = (on.draw(1, [rows, width]), on.draw(2, [rows, width]));
            let [bias, weight, shift] = [3, 4, 5].map(|purpose| on.draw(purpose, [1, width]));
            let rows = [&bias, &weight, &shift];
            let fused = super::super::add_layer_norm([&x, &residual], rows, 1e-3).expect("a kernel for rows");
            assert_eq!(fused.dtype(), on.dtype);
            let norm = LayerNorm { weight: wide(&weight), bias: wide(&shift), epsilon: 1e-3 };
            let expected = layer_norm::in_tensors(wide(&x), &wide(&bias), wide(&residual), &norm);
            on.check(&fused, expected, 20.0);
        }
    }
}

#[test]
fn gelu_on_a_gpu_is_that_of_tensor_operations() {
    for on in types() {
        for [rows, width] in [[1, 1], [5, 7], [3, 1536], [70_000, 8]] {
            let (x, bias) = (on.draw(1, [rows, width]) * 2.0, on.draw(2, [1, width]));
            let fused = super::super::bias_gelu(&x, &bias).expect("a kernel for every width");
            assert_eq!(fused.dtype(), on.dtype);
            on.check(&fused, gelu::in_tensors(wide(&x), &wide(&bias)), 10.0);
        }
    }
}
