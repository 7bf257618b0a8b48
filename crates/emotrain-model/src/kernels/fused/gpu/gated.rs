//! The gated activation, forward and backward: each number is read and written once.

use burn::tensor::Tensor;
use burn_cubecl::Cube;
use cubecl::ir::ElemType;
use cubecl::prelude::*;
use emotrain_kernels::{GELU_CUBIC, GELU_SLOPE};

use super::buffers::{Spread, contiguous, elem_type, empty, empty_if, given, spread, vector_size};
use super::dropout::{Mask, kept, on_device};
use crate::kernels::Masks;
use crate::spec::Activation;

/// One of `act(x) = x · σ(g(x))`, and its slope `σ + x · σ · (1 - σ) · g'(x)`, in f32.
#[cube]
fn activated<N: Size>(x: Vector<f32, N>, #[comptime] kind: Activation) -> (Vector<f32, N>, Vector<f32, N>) {
    let one = Vector::<f32, N>::new(1.0f32);
    let mut inner = x;
    let mut inner_slope = one;
    if comptime!(kind == Activation::GeluTanh) {
        let (cubic, slope) = (Vector::<f32, N>::new(GELU_CUBIC), Vector::<f32, N>::new(GELU_SLOPE));
        inner = (x * x * x * cubic + x) * slope;
        inner_slope = (x * x * cubic * Vector::new(3.0f32) + one) * slope;
    }
    let sigmoid = one / (one + (-inner).exp());
    let active = x * sigmoid;
    (active, sigmoid + active * (one - sigmoid) * inner_slope)
}

/// What is written of an activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Kept {
    pub(crate) rows: bool,
    /// What dropout leaves of them.
    pub(crate) dropped: bool,
}

/// `[N, 2·I]` → `[N, I]`, `vectors` to a row of the result, and what dropout leaves of it.
#[cube(launch)]
pub(crate) fn gated_forward<F: Float, N: Size>(
    gate_up: &[Vector<F, N>],
    out: &mut [Vector<F, N>],
    dropped: &mut [Vector<F, N>],
    mask: &Mask,
    #[comptime] written: Kept,
    #[comptime] vectors: usize,
    #[comptime] kind: Activation,
    #[define(F)] _dtype: ElemType,
) {
    let at = ABSOLUTE_POS;
    if at >= gate_up.len() / 2 {
        terminate!();
    }
    let gate_at = at + at / vectors * vectors;
    let (active, _) = activated::<N>(Vector::cast_from(gate_up[gate_at]), kind);
    let up = Vector::<f32, N>::cast_from(gate_up[gate_at + vectors]);
    let number = Vector::<F, N>::cast_from(active * up);
    if comptime!(written.rows) {
        out[at] = number;
    }
    if comptime!(written.dropped) {
        dropped[at] = Vector::cast_from(kept::<N>(Vector::cast_from(number), at, mask));
    }
}

/// `[N, I]` and `[N, 2·I]` → `[N, 2·I]`, `vectors` to a row of the first.
#[cube(launch)]
pub(crate) fn gated_backward<F: Float, N: Size>(
    grad: &[Vector<F, N>],
    gate_up: &[Vector<F, N>],
    out: &mut [Vector<F, N>],
    #[comptime] vectors: usize,
    #[comptime] kind: Activation,
    #[define(F)] _dtype: ElemType,
) {
    let at = ABSOLUTE_POS;
    if at >= grad.len() {
        terminate!();
    }
    let gate_at = at + at / vectors * vectors;
    let (active, slope) = activated::<N>(Vector::cast_from(gate_up[gate_at]), kind);
    let up = Vector::<f32, N>::cast_from(gate_up[gate_at + vectors]);
    let grad = Vector::<f32, N>::cast_from(grad[at]);
    out[gate_at] = Vector::cast_from(grad * up * slope);
    out[gate_at + vectors] = Vector::cast_from(grad * active);
}

/// See [`super::super::gated`].
pub(crate) fn forward(gate_up: &Tensor<2>, kind: Activation, masks: Masks) -> Option<[Tensor<2>; 2]> {
    let mask = given(masks).first().copied();
    let written = Kept { rows: masks.rows, dropped: mask.is_some() };
    let [rows, double] = gate_up.dims();
    let (width, dtype) = (double / 2, gate_up.dtype());
    let (element, source) = (elem_type(dtype)?, contiguous(gate_up)?);
    let size = vector_size(width, dtype.size());
    let Spread { cubes, units } = spread(rows * width / size)?;
    let out = empty_if(written.rows, [rows, width], gate_up)?;
    let dropped = empty_if(written.dropped, [rows, width], gate_up)?;
    gated_forward::launch(
        &source.client.clone(),
        cubes,
        units,
        size,
        source.into_buffer_arg(),
        out.clone().into_buffer_arg(),
        dropped.clone().into_buffer_arg(),
        on_device(mask),
        written,
        width / size,
        kind,
        element,
    );
    Some([out, dropped].map(Tensor::from_primitive::<Cube>))
}

/// See [`super::super::gated_backward`].
pub(crate) fn backward(grad: &Tensor<2>, gate_up: &Tensor<2>, kind: Activation) -> Option<Tensor<2>> {
    let [rows, width] = grad.dims();
    let dtype = gate_up.dtype();
    if grad.dtype() != dtype {
        return None;
    }
    let (element, grad, source) = (elem_type(dtype)?, contiguous(grad)?, contiguous(gate_up)?);
    let size = vector_size(width, dtype.size());
    let Spread { cubes, units } = spread(rows * width / size)?;
    let out = empty([rows, 2 * width], gate_up)?;
    gated_backward::launch(
        &source.client.clone(),
        cubes,
        units,
        size,
        grad.into_buffer_arg(),
        source.into_buffer_arg(),
        out.clone().into_buffer_arg(),
        width / size,
        kind,
        element,
    );
    Some(Tensor::from_primitive::<Cube>(out))
}
