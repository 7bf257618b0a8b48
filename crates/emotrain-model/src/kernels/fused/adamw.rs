//! What the optimizer does with each number: its update, and the square for the norm.

use burn::tensor::{DType, Tensor};
use burn_cubecl::Cube;
use burn_cubecl::tensor::CubeTensor;
use cubecl::ir::ElemType;
use cubecl::prelude::*;
use emotrain_kernels::AdamWStep;

use super::gpu::{Spread, contiguous, elem_type, empty, one_cube_a_row, spread, vector_size};
use super::reduce;

/// Threads of a cube that adds up squares.
pub(super) const UNITS: usize = 256;
/// Cubes for the squares of one tensor at most.
const MOST_CUBES: usize = 64;
/// Vectors that a thread should have to square.
const VECTORS: usize = 4;

/// [`AdamWStep`] on the device.
#[derive(CubeLaunch, CubeType, Clone, Copy)]
pub(super) struct Step {
    pub(super) beta_1: f32,
    pub(super) beta_2: f32,
    pub(super) epsilon: f32,
    pub(super) keep: f32,
    pub(super) learning_rate: f32,
    pub(super) first_correction: f32,
    pub(super) second_correction: f32,
}

/// The parameter, its gradient and its two moments → the new parameter and moments.
#[cube(launch)]
pub(super) fn adamw_update<N: Size>(
    parameter: &[Vector<f32, N>],
    gradient: &[Vector<f32, N>],
    first: &[Vector<f32, N>],
    second: &[Vector<f32, N>],
    new_parameter: &mut [Vector<f32, N>],
    new_first: &mut [Vector<f32, N>],
    new_second: &mut [Vector<f32, N>],
    step: &Step,
) {
    let at = ABSOLUTE_POS;
    if at >= parameter.len() {
        terminate!();
    }
    let gradient = gradient[at];
    let first = first[at] * Vector::new(step.beta_1) + gradient * Vector::new(1.0 - step.beta_1);
    let second = second[at] * Vector::new(step.beta_2) + gradient * gradient * Vector::new(1.0 - step.beta_2);
    let spread = (second / Vector::new(step.second_correction)).sqrt() + Vector::new(step.epsilon);
    let delta = first / Vector::new(step.first_correction) / spread;
    new_parameter[at] = parameter[at] * Vector::new(step.keep) - delta * Vector::new(step.learning_rate);
    new_first[at] = first;
    new_second[at] = second;
}

/// The sum of the squares that each cube meets, at its place from `first` on.
#[cube(launch)]
pub(super) fn squares<F: Float, N: Size>(
    x: &[Vector<F, N>],
    sums: &mut [f32],
    first: u32,
    #[comptime] units: usize,
    #[define(F)] _dtype: ElemType,
) {
    let mut squares = Vector::<f32, N>::new(0.0f32);
    for at in range_stepped(ABSOLUTE_POS, x.len(), CUBE_COUNT * units) {
        let value = Vector::<f32, N>::cast_from(x[at]);
        squares += value * value;
    }
    let sum = reduce::sum_of_units(reduce::sum_of_lanes::<N>(squares), units);
    if UNIT_POS == 0 {
        sums[first as usize + CUBE_POS] = sum;
    }
}

/// See [`super::adamw`].
pub(super) fn update(tensors: [&Tensor<2>; 4], step: AdamWStep) -> Option<[Tensor<2>; 3]> {
    let [rows, width] = tensors[0].dims();
    if tensors.iter().any(|tensor| tensor.dtype() != DType::F32 || tensor.dims() != [rows, width]) {
        return None;
    }
    let size = vector_size(rows * width, DType::F32.size());
    let Spread { cubes, units } = spread(rows * width / size)?;
    let new = || empty([rows, width], tensors[0]);
    let new = [new()?, new()?, new()?];
    let [parameter, gradient, first, second] = tensors.map(contiguous);
    let [new_parameter, new_first, new_second] = new.clone().map(CubeTensor::into_buffer_arg);
    let AdamWStep { beta_1, beta_2, epsilon, keep, learning_rate, corrections } = step;
    adamw_update::launch(
        &new[0].client,
        cubes,
        units,
        size,
        parameter?.into_buffer_arg(),
        gradient?.into_buffer_arg(),
        first?.into_buffer_arg(),
        second?.into_buffer_arg(),
        new_parameter,
        new_first,
        new_second,
        StepLaunch::new(beta_1, beta_2, epsilon, keep, learning_rate, corrections[0], corrections[1]),
    );
    Some(new.map(Tensor::from_primitive::<Cube>))
}

/// See [`super::squares`].
pub(super) fn sums_of_squares(tensors: &[&Tensor<2>]) -> Option<Tensor<1>> {
    let cubes = |tensor: &Tensor<2>| {
        let numbers = tensor.shape().num_elements();
        let vectors = numbers / vector_size(numbers, tensor.dtype().size());
        vectors.div_ceil(UNITS * VECTORS).min(MOST_CUBES)
    };
    let all: usize = tensors.iter().map(|tensor| cubes(tensor)).sum();
    let sums = Tensor::<1>::empty([all], (&tensors.first()?.device(), DType::F32));
    let mut first = 0;
    for tensor in tensors {
        let (numbers, dtype, cubes) = (tensor.shape().num_elements(), tensor.dtype(), cubes(tensor));
        let source = contiguous(tensor)?;
        squares::launch(
            &source.client.clone(),
            one_cube_a_row(cubes),
            CubeDim::new_1d(u32::try_from(UNITS).ok()?),
            vector_size(numbers, dtype.size()),
            source.into_buffer_arg(),
            contiguous(&sums)?.into_buffer_arg(),
            u32::try_from(first).ok()?,
            UNITS,
            elem_type(dtype)?,
        );
        first += cubes;
    }
    Some(sums)
}
