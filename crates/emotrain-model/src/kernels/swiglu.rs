//! The gated activation of the feed-forward block (Shazeer 2020): `silu(gate) · up`.

use burn::tensor::{Tensor, activation};

use super::host::{exp, for_rows, is_host, read, slice, tensor};

/// # Shapes
/// `gate_up` `[N, 2·I]`, gate first → `[N, I]`.
pub(crate) fn swiglu(gate_up: Tensor<2>) -> Tensor<2> {
    let [rows, double] = gate_up.dims();
    let width = double / 2;
    if !is_host(&gate_up) {
        let (gate, up) = halves(gate_up);
        return activation::silu(gate) * up;
    }
    let gate_up = read(gate_up);
    let gate_up = slice(&gate_up);
    let mut out = vec![0.0; rows * width];
    for_rows(&mut out, width, |row, out| {
        swiglu_row(&gate_up[row * double..(row + 1) * double], out);
    });
    tensor(out, [rows, width])
}

/// One row, gate first.
#[expect(clippy::inline_always, reason = "compiled with the vector instructions of its caller")]
#[inline(always)]
pub(crate) fn swiglu_row(gate_up: &[f32], out: &mut [f32]) {
    let (gate, up) = gate_up.split_at(out.len());
    for ((out, &gate), up) in out.iter_mut().zip(gate).zip(up) {
        *out = gate * sigmoid(gate) * up;
    }
}

/// The gradient for `gate_up`, given that of the result.
///
/// # Shapes
/// `grad` `[N, I]`, `gate_up` `[N, 2·I]` → `[N, 2·I]`.
pub(crate) fn swiglu_backward(grad: Tensor<2>, gate_up: Tensor<2>) -> Tensor<2> {
    let [rows, double] = gate_up.dims();
    let width = double / 2;
    if !is_host(&gate_up) {
        let (gate, up) = halves(gate_up);
        let sigmoid = activation::sigmoid(gate.clone());
        let silu = gate.clone() * sigmoid.clone();
        let slope = sigmoid.clone() + silu.clone() * (sigmoid.neg() + 1.0);
        return Tensor::cat(vec![grad.clone() * up * slope, grad * silu], 1);
    }
    let (grad, gate_up) = (read(grad), read(gate_up));
    let (grad, gate_up) = (slice(&grad), slice(&gate_up));
    let mut out = vec![0.0; rows * double];
    for_rows(&mut out, double, |row, out| {
        let grad = &grad[row * width..(row + 1) * width];
        let (gate, up) = gate_up[row * double..(row + 1) * double].split_at(width);
        let (gate_out, up_out) = out.split_at_mut(width);
        for i in 0..width {
            let sigmoid = sigmoid(gate[i]);
            let silu = gate[i] * sigmoid;
            gate_out[i] = grad[i] * up[i] * (sigmoid + silu * (1.0 - sigmoid));
            up_out[i] = grad[i] * silu;
        }
    });
    tensor(out, [rows, double])
}

#[expect(clippy::inline_always, reason = "compiled with the vector instructions of its caller")]
#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

fn halves(gate_up: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
    let [_, double] = gate_up.dims();
    let width = double / 2;
    (gate_up.clone().narrow(1, 0, width), gate_up.narrow(1, width, width))
}
