//! The gated activation of the feed-forward block (Shazeer 2020): `act(gate) · up`.
//!
//! Both activations have the form `x · σ(g(x))`: `g(x) = x` for `silu`, and `g(x) = 2·√(2/π)·(x + 0.044715·x³)` for
//! `gelu_pytorch_tanh`, whose `(1 + tanh(u)) / 2` is `σ(2u)`. The derivative is `σ + x·σ·(1 - σ)·g'(x)`.

use burn::tensor::{Tensor, activation};

use super::host::{exp, for_rows, is_host, read, slice, tensor};
use crate::spec::Activation;

/// `2·√(2/π)`.
const GELU: f32 = 1.595_769;
const CUBIC: f32 = 0.044_715;

/// # Shapes
/// `gate_up` `[N, 2·I]`, gate first → `[N, I]`.
pub(crate) fn gated(gate_up: Tensor<2>, kind: Activation) -> Tensor<2> {
    let [rows, double] = gate_up.dims();
    let width = double / 2;
    if !is_host(&gate_up) {
        let (gate, up) = halves(gate_up);
        return gate.clone() * activation::sigmoid(inner_tensor(gate, kind)) * up;
    }
    let gate_up = read(gate_up);
    let gate_up = slice(&gate_up);
    let mut out = vec![0.0; rows * width];
    for_rows(&mut out, width, |row, out| {
        gated_row(&gate_up[row * double..(row + 1) * double], out, kind);
    });
    tensor(out, [rows, width])
}

/// One row, gate first.
#[expect(clippy::inline_always, reason = "compiled with the vector instructions of its caller")]
#[inline(always)]
pub(crate) fn gated_row(gate_up: &[f32], out: &mut [f32], kind: Activation) {
    match kind {
        Activation::Silu => row(gate_up, out, |x| x),
        Activation::GeluTanh => row(gate_up, out, gelu_inner),
    }
}

#[expect(clippy::inline_always, reason = "compiled with the vector instructions of its caller")]
#[inline(always)]
fn row(gate_up: &[f32], out: &mut [f32], inner: impl Fn(f32) -> f32) {
    let (gate, up) = gate_up.split_at(out.len());
    for ((out, &gate), up) in out.iter_mut().zip(gate).zip(up) {
        *out = gate * sigmoid(inner(gate)) * up;
    }
}

/// The gradient for `gate_up`, given that of the result.
///
/// # Shapes
/// `grad` `[N, I]`, `gate_up` `[N, 2·I]` → `[N, 2·I]`.
pub(crate) fn gated_backward(grad: Tensor<2>, gate_up: Tensor<2>, kind: Activation) -> Tensor<2> {
    let [rows, double] = gate_up.dims();
    if !is_host(&gate_up) {
        let (gate, up) = halves(gate_up);
        let sigmoid = activation::sigmoid(inner_tensor(gate.clone(), kind));
        let active = gate.clone() * sigmoid.clone();
        let bend = active.clone() * (sigmoid.clone().neg() + 1.0);
        let slope = sigmoid
            + match kind {
                Activation::Silu => bend,
                Activation::GeluTanh => bend * ((gate.square() * (3.0 * CUBIC) + 1.0) * GELU),
            };
        return Tensor::cat(vec![grad.clone() * up * slope, grad * active], 1);
    }
    let (grad, gate_up) = (read(grad), read(gate_up));
    let (grad, gate_up) = (slice(&grad), slice(&gate_up));
    let mut out = vec![0.0; rows * double];
    for_rows(&mut out, double, |row, out| {
        let grad = &grad[row * double / 2..][..double / 2];
        let gate_up = &gate_up[row * double..][..double];
        match kind {
            Activation::Silu => backward_row(grad, gate_up, out, |x| (x, 1.0)),
            Activation::GeluTanh => {
                backward_row(grad, gate_up, out, |x| (gelu_inner(x), GELU * (1.0 + 3.0 * CUBIC * x * x)));
            }
        }
    });
    tensor(out, [rows, double])
}

/// `inner` gives `g(x)` and `g'(x)`.
#[expect(clippy::inline_always, reason = "compiled with the vector instructions of its caller")]
#[inline(always)]
fn backward_row(grad: &[f32], gate_up: &[f32], out: &mut [f32], inner: impl Fn(f32) -> (f32, f32)) {
    let width = grad.len();
    let (gate, up) = gate_up.split_at(width);
    let (gate_out, up_out) = out.split_at_mut(width);
    for i in 0..width {
        let (inner, slope) = inner(gate[i]);
        let sigmoid = sigmoid(inner);
        let active = gate[i] * sigmoid;
        gate_out[i] = grad[i] * up[i] * (sigmoid + active * (1.0 - sigmoid) * slope);
        up_out[i] = grad[i] * active;
    }
}

#[expect(clippy::inline_always, reason = "compiled with the vector instructions of its caller")]
#[inline(always)]
fn gelu_inner(x: f32) -> f32 {
    GELU * (x + CUBIC * x * x * x)
}

#[expect(clippy::inline_always, reason = "compiled with the vector instructions of its caller")]
#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

fn inner_tensor(x: Tensor<2>, kind: Activation) -> Tensor<2> {
    match kind {
        Activation::Silu => x,
        Activation::GeluTanh => (x.clone().powi_scalar(3) * CUBIC + x) * GELU,
    }
}

fn halves(gate_up: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
    let [_, double] = gate_up.dims();
    let width = double / 2;
    (gate_up.clone().narrow(1, 0, width), gate_up.narrow(1, width, width))
}
