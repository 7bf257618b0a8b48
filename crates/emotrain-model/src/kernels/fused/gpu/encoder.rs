//! What an encoder's layer does beside products and attention: layer normalisation of a sum, a row to a cube, and the exact
//! GELU.

use burn::tensor::{DType, Tensor};
use burn_cubecl::Cube;
use cubecl::ir::ElemType;
use cubecl::prelude::*;

use super::buffers::{Spread, contiguous, elem_type, empty, one_cube_a_row, spread, vector_size};
use super::reduce;

/// How a kernel goes over rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Plan {
    /// Vectors of a row.
    pub(crate) vectors: usize,
    /// Threads of a cube.
    pub(crate) units: usize,
}

/// `x + bias + residual` at a place of a row, in f32.
#[cube]
fn sum_at<F: Float, N: Size>(
    x: &[Vector<F, N>],
    bias: &[Vector<F, N>],
    residual: &[Vector<F, N>],
    start: usize,
    at: usize,
) -> Vector<f32, N> {
    let sum = Vector::<f32, N>::cast_from(x[start + at]) + Vector::cast_from(bias[at]);
    sum + Vector::cast_from(residual[start + at])
}

/// `weight · (s - mean(s)) / √(var(s) + ε) + shift` of each row of `s = x + bias + residual`, in f32 until it is written.
#[cube(launch)]
pub(crate) fn layer_norm_of_sum<F: Float, N: Size>(
    x: &[Vector<F, N>],
    bias: &[Vector<F, N>],
    residual: &[Vector<F, N>],
    weight: &[Vector<F, N>],
    shift: &[Vector<F, N>],
    out: &mut [Vector<F, N>],
    epsilon: f32,
    #[comptime] plan: Plan,
    #[define(F)] _dtype: ElemType,
) {
    let start = CUBE_POS * plan.vectors;
    if start >= x.len() {
        terminate!();
    }
    let unit = UNIT_POS as usize;
    let width = f32::cast_from(plan.vectors * N::value());
    let mut sums = Vector::<f32, N>::new(0.0f32);
    for at in range_stepped(unit, plan.vectors, plan.units) {
        sums += sum_at::<F, N>(x, bias, residual, start, at);
    }
    let mean = reduce::sum_of_units(reduce::sum_of_lanes::<N>(sums), plan.units) / width;
    let mut squares = Vector::<f32, N>::new(0.0f32);
    for at in range_stepped(unit, plan.vectors, plan.units) {
        let centred = sum_at::<F, N>(x, bias, residual, start, at) - Vector::new(mean);
        squares += centred * centred;
    }
    let squares = reduce::sum_of_units(reduce::sum_of_lanes::<N>(squares), plan.units);
    let inverse = (squares / width + epsilon).inverse_sqrt();
    for at in range_stepped(unit, plan.vectors, plan.units) {
        let centred = sum_at::<F, N>(x, bias, residual, start, at) - Vector::new(mean);
        let normed = centred * Vector::new(inverse) * Vector::cast_from(weight[at]);
        out[start + at] = Vector::cast_from(normed + Vector::cast_from(shift[at]));
    }
}

/// `(x + bias) · Φ(x + bias)`, in f32 until it is written.
#[cube(launch)]
pub(crate) fn gelu_of_sum<F: Float, N: Size>(
    x: &[Vector<F, N>],
    bias: &[Vector<F, N>],
    out: &mut [Vector<F, N>],
    #[comptime] vectors: usize,
    #[define(F)] _dtype: ElemType,
) {
    let at = ABSOLUTE_POS;
    if at >= out.len() {
        terminate!();
    }
    let sum = Vector::<f32, N>::cast_from(x[at]) + Vector::cast_from(bias[at % vectors]);
    let twice = (sum * Vector::new(std::f32::consts::FRAC_1_SQRT_2)).erf() + Vector::new(1.0f32);
    out[at] = Vector::cast_from(sum * twice * Vector::new(0.5f32));
}

/// See [`super::super::add_layer_norm`].
pub(crate) fn layer_norm(
    [x, residual]: [&Tensor<2>; 2],
    rows: [&Tensor<2>; 3],
    epsilon: f32,
) -> Option<Tensor<2>> {
    let (shape, dtype) = (x.dims(), x.dtype());
    let [count, width] = shape;
    if count * width == 0 || residual.dtype() != dtype || rows.iter().any(|row| row.dtype() != dtype) {
        return None;
    }
    let (element, size) = (elem_type(dtype)?, vector_size(width, DType::F32.size()));
    let plan = Plan { vectors: width / size, units: reduce::units(width / size) };
    let (source, out) = (contiguous(x)?, empty(shape, x)?);
    let [bias, weight, shift] = rows.map(contiguous);
    layer_norm_of_sum::launch(
        &source.client.clone(),
        one_cube_a_row(count),
        CubeDim::new_1d(u32::try_from(plan.units).ok()?),
        size,
        source.into_buffer_arg(),
        bias?.into_buffer_arg(),
        contiguous(residual)?.into_buffer_arg(),
        weight?.into_buffer_arg(),
        shift?.into_buffer_arg(),
        out.clone().into_buffer_arg(),
        epsilon,
        plan,
        element,
    );
    Some(Tensor::from_primitive::<Cube>(out))
}

/// See [`super::super::bias_gelu`].
pub(crate) fn gelu(x: &Tensor<2>, bias: &Tensor<2>) -> Option<Tensor<2>> {
    let ([rows, width], dtype) = (x.dims(), x.dtype());
    if bias.dtype() != dtype {
        return None;
    }
    let (element, size) = (elem_type(dtype)?, vector_size(width, dtype.size()));
    let Spread { cubes, units } = spread(rows * width / size)?;
    let (source, out) = (contiguous(x)?, empty([rows, width], x)?);
    gelu_of_sum::launch(
        &source.client.clone(),
        cubes,
        units,
        size,
        source.into_buffer_arg(),
        contiguous(bias)?.into_buffer_arg(),
        out.clone().into_buffer_arg(),
        width / size,
        element,
    );
    Some(Tensor::from_primitive::<Cube>(out))
}
