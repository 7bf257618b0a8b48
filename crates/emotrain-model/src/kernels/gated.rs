//! The gated activation of the feed-forward block (Shazeer 2020): `act(gate) · up`.

use burn::tensor::{Tensor, activation};
use emotrain_kernels::{
    GELU_CUBIC, GELU_SLOPE, gelu_tanh_gate, gelu_tanh_gate_backward, new_rows, put_rows, silu_gate,
    silu_gate_backward,
};

use super::host::{read, slice, tensor};
use super::{Form, Inputs, Masks, fused};
use crate::spec::Activation;

/// # Shapes
/// `gate_up` `[N, 2·I]`, gate first → `[N, I]`.
pub(crate) fn gated(gate_up: Tensor<2>, kind: Activation) -> Tensor<2> {
    let [rows, double] = gate_up.dims();
    match Form::of(&gate_up) {
        Form::Host => {
            let gate_up = read(gate_up);
            let mut out = Vec::new();
            gated_rows(&mut out, slice(&gate_up), double / 2, kind);
            tensor(out, [rows, double / 2])
        }
        Form::Fused => match fused::gated(&gate_up, kind, Masks::beside(&[])) {
            Some([active, _]) => active,
            None => in_tensors(gate_up, kind),
        },
        Form::Tensor => in_tensors(gate_up, kind),
    }
}

/// The same, for a linear layer with the one of these masks.
///
/// # Shapes
/// As [`gated`].
pub(crate) fn gated_inputs(gate_up: Tensor<2>, kind: Activation, masks: Masks) -> Inputs {
    if Form::of(&gate_up) == Form::Fused
        && let Some([rows, dropped]) = fused::gated(&gate_up, kind, masks)
    {
        return Inputs::with(rows, gate_up.dims()[0], &dropped, masks);
    }
    Inputs::plain(gated(gate_up, kind), 1)
}

/// [`gated`] of memory, for the CPU, in place of what `out` holds.
///
/// # Shapes
/// `gate_up` `[N, 2·width]` → `out` `[N, width]`.
pub(crate) fn gated_rows(out: &mut Vec<f32>, gate_up: &[f32], width: usize, kind: Activation) {
    let rows = gate_up.len() / (2 * width);
    let row = |row: usize| &gate_up[2 * row * width..][..2 * width];
    match kind {
        Activation::Silu => put_rows(out, rows, width, |at, out| silu_gate(row(at), out)),
        Activation::GeluTanh => put_rows(out, rows, width, |at, out| gelu_tanh_gate(row(at), out)),
    }
}

/// The gradient for `gate_up`, given that of the result.
///
/// # Shapes
/// `grad` `[N, I]`, `gate_up` `[N, 2·I]` → `[N, 2·I]`.
pub(crate) fn gated_backward(grad: Tensor<2>, gate_up: Tensor<2>, kind: Activation) -> Tensor<2> {
    match Form::of(&gate_up) {
        Form::Host => backward_in_memory(grad, gate_up, kind),
        Form::Fused => fused::gated_backward(&grad, &gate_up, kind)
            .unwrap_or_else(|| backward_in_tensors(grad, gate_up, kind)),
        Form::Tensor => backward_in_tensors(grad, gate_up, kind),
    }
}

fn backward_in_memory(grad: Tensor<2>, gate_up: Tensor<2>, kind: Activation) -> Tensor<2> {
    let [rows, double] = gate_up.dims();
    let (grad, gate_up) = (read(grad), read(gate_up));
    let (grad, gate_up) = (slice(&grad), slice(&gate_up));
    let out = new_rows(rows, double, |row, out| {
        let grad = &grad[row * double / 2..][..double / 2];
        let gate_up = &gate_up[row * double..][..double];
        match kind {
            Activation::Silu => silu_gate_backward(grad, gate_up, out),
            Activation::GeluTanh => gelu_tanh_gate_backward(grad, gate_up, out),
        }
    });
    tensor(out, [rows, double])
}

/// The form of [`gated`] in tensor operations.
pub(super) fn in_tensors(gate_up: Tensor<2>, kind: Activation) -> Tensor<2> {
    let (gate, up) = halves(gate_up);
    gate.clone() * activation::sigmoid(inner_tensor(gate, kind)) * up
}

/// The form of [`gated_backward`] in tensor operations.
pub(super) fn backward_in_tensors(grad: Tensor<2>, gate_up: Tensor<2>, kind: Activation) -> Tensor<2> {
    let (gate, up) = halves(gate_up);
    let sigmoid = activation::sigmoid(inner_tensor(gate.clone(), kind));
    let active = gate.clone() * sigmoid.clone();
    let bend = active.clone() * (sigmoid.clone().neg() + 1.0);
    let slope = sigmoid
        + match kind {
            Activation::Silu => bend,
            Activation::GeluTanh => bend * ((gate.square() * (3.0 * GELU_CUBIC) + 1.0) * GELU_SLOPE),
        };
    Tensor::cat(vec![grad.clone() * up * slope, grad * active], 1)
}

fn inner_tensor(x: Tensor<2>, kind: Activation) -> Tensor<2> {
    match kind {
        Activation::Silu => x,
        Activation::GeluTanh => (x.clone().powi_scalar(3) * GELU_CUBIC + x) * GELU_SLOPE,
    }
}

fn halves(gate_up: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
    let [_, double] = gate_up.dims();
    let width = double / 2;
    (gate_up.clone().narrow(1, 0, width), gate_up.narrow(1, width, width))
}
