//! What the optimizer does with each number: its update, and the square for the norm.

use std::ops::Range;

use burn::tensor::{DType, Tensor};
use burn_cubecl::Cube;
use burn_cubecl::tensor::CubeTensor;
use cubecl::ir::ElemType;
use cubecl::prelude::*;
use emotrain_kernels::AdamWStep;

use super::buffers::{Spread, contiguous, elem_type, one_cube_a_row, spread, taken, vector_size};
use super::{reduce, sums};

/// Threads of a cube that adds up squares.
pub(crate) const UNITS: usize = 256;
/// Cubes for the squares of one tensor at most.
const MOST_CUBES: usize = 1024;
/// Vectors that a thread should have to square.
const VECTORS: usize = 4;

/// [`AdamWStep`] on the device.
#[derive(CubeLaunch, CubeType, Clone, Copy)]
pub(crate) struct Step {
    pub(crate) beta_1: f32,
    pub(crate) beta_2: f32,
    pub(crate) epsilon: f32,
    pub(crate) keep: f32,
    pub(crate) learning_rate: f32,
    pub(crate) first_correction: f32,
    pub(crate) second_correction: f32,
}

/// Parameters and their two moments, in place, from vector `first` on: `count` of them.
#[cube(launch)]
pub(crate) fn adamw_update<N: Size>(
    parameters: &mut [Vector<f32, N>],
    first_moments: &mut [Vector<f32, N>],
    second_moments: &mut [Vector<f32, N>],
    gradients: &[Vector<f32, N>],
    step: &Step,
    first: u32,
    count: u32,
) {
    if ABSOLUTE_POS >= count as usize {
        terminate!();
    }
    let at = ABSOLUTE_POS + first as usize;
    let gradient = gradients[at];
    let mean = first_moments[at] * Vector::new(step.beta_1) + gradient * Vector::new(1.0 - step.beta_1);
    let square =
        second_moments[at] * Vector::new(step.beta_2) + gradient * gradient * Vector::new(1.0 - step.beta_2);
    let spread = (square / Vector::new(step.second_correction)).sqrt() + Vector::new(step.epsilon);
    let delta = mean / Vector::new(step.first_correction) / spread;
    parameters[at] = parameters[at] * Vector::new(step.keep) - delta * Vector::new(step.learning_rate);
    first_moments[at] = mean;
    second_moments[at] = square;
}

/// The sum of the squares that each cube meets of so many vectors, at its place from `first` on.
#[cube(launch)]
pub(crate) fn squares<F: Float, N: Size>(
    x: &[Vector<F, N>],
    sums: &mut [f32],
    first: u32,
    vectors: u32,
    #[comptime] units: usize,
    #[define(F)] _dtype: ElemType,
) {
    let mut squares = Vector::<f32, N>::new(0.0f32);
    for at in range_stepped(ABSOLUTE_POS, vectors as usize, CUBE_COUNT * units) {
        let value = Vector::<f32, N>::cast_from(x[at]);
        squares += value * value;
    }
    let sum = reduce::sum_of_units(reduce::sum_of_lanes::<N>(squares), units);
    if UNIT_POS == 0 {
        sums[first as usize + CUBE_POS] = sum;
    }
}

/// See [`super::super::adamw`].
pub(crate) fn update(
    updated: [&mut Tensor<2>; 3],
    gradients: &Tensor<2>,
    numbers: &Range<usize>,
    step: AdamWStep,
) -> Option<()> {
    let shape = gradients.dims();
    let fits = |tensor: &Tensor<2>| tensor.dtype() == DType::F32 && tensor.dims() == shape;
    if !fits(gradients) || !updated.iter().all(|tensor| fits(tensor)) {
        return None;
    }
    let sizes = [numbers.start, numbers.len()].map(|numbers| vector_size(numbers, DType::F32.size()));
    let size = sizes.into_iter().min()?;
    let Spread { cubes, units } = spread(numbers.len() / size)?;
    let gradients = contiguous(gradients)?;
    let [parameters, first, second] = updated;
    let moved = 2 * numbers.len();
    let taken = [taken(parameters, moved)?, taken(first, moved)?, taken(second, moved)?];
    let [new_parameters, new_first, new_second] = taken.clone().map(CubeTensor::into_buffer_arg);
    let AdamWStep { beta_1, beta_2, epsilon, keep, learning_rate, corrections } = step;
    adamw_update::launch(
        &gradients.client.clone(),
        cubes,
        units,
        size,
        new_parameters,
        new_first,
        new_second,
        gradients.into_buffer_arg(),
        StepLaunch::new(beta_1, beta_2, epsilon, keep, learning_rate, corrections[0], corrections[1]),
        u32::try_from(numbers.start / size).ok()?,
        u32::try_from(numbers.len() / size).ok()?,
    );
    [*parameters, *first, *second] = taken.map(Tensor::from_primitive::<Cube>);
    Some(())
}

/// See [`super::super::squares`].
pub(crate) fn sum_of_squares(tensors: &[&Tensor<2>]) -> Option<Tensor<1>> {
    let cubes = |tensor: &Tensor<2>| {
        let numbers = tensor.shape().num_elements();
        let vectors = numbers / vector_size(numbers, tensor.dtype().size());
        vectors.div_ceil(UNITS * VECTORS).min(MOST_CUBES)
    };
    let all: usize = tensors.iter().map(|tensor| cubes(tensor)).sum();
    let parts = Tensor::<1>::empty([all], (&tensors.first()?.device(), DType::F32));
    let mut first = 0;
    for tensor in tensors {
        let (numbers, dtype, cubes) = (tensor.shape().num_elements(), tensor.dtype(), cubes(tensor));
        let source = contiguous(tensor)?;
        let size = vector_size(numbers, dtype.size());
        squares::launch(
            &source.client.clone(),
            one_cube_a_row(cubes),
            CubeDim::new_1d(u32::try_from(UNITS).ok()?),
            size,
            source.into_buffer_arg(),
            contiguous(&parts)?.into_buffer_arg(),
            u32::try_from(first).ok()?,
            u32::try_from(numbers / size).ok()?,
            UNITS,
            elem_type(dtype)?,
        );
        first += cubes;
    }
    sums::of_all(&parts)
}
