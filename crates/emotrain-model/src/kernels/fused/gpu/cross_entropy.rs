//! The cross-entropy of rows of logits and its gradient: a row to a cube, and no probabilities in memory.

use burn::tensor::{DType, Int, Tensor};
use burn_cubecl::Cube;
use burn_cubecl::tensor::CubeTensor;
use cubecl::ir::ElemType;
use cubecl::prelude::*;

use super::buffers::{contiguous, elem_type, empty, empty_of, integers, one_cube_a_row, unread, vector_size};
use super::reduce;

/// Below every logit.
const LOWEST: f32 = -3.0e38;

/// How the kernel goes over rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Plan {
    /// Vectors of a row.
    pub(crate) vectors: usize,
    /// Threads of a cube.
    pub(crate) units: usize,
    /// Whether a part of the losses is the mean over the vocabulary.
    pub(crate) smooth: bool,
    /// Whether the gradient is written.
    pub(crate) grad: bool,
}

/// Of `rows` rows: the losses of their targets, and the gradient of these times their factors. `places` has the first
/// target of each row and the end of all, then the token of each target, then its number; `terms` the smoothing of each
/// row, then the factor of each target.
#[cube(launch)]
pub(crate) fn cross_entropy<F: Float, N: Size>(
    logits: &[Vector<F, N>],
    places: &[i32],
    terms: &[f32],
    losses: &mut [f32],
    grad: &mut [Vector<F, N>],
    rows: u32,
    #[comptime] plan: Plan,
    #[define(F)] _dtype: ElemType,
) {
    let row = CUBE_POS;
    let (rows, targets) = (rows as usize, losses.len());
    if row >= rows {
        terminate!();
    }
    let (start, unit) = (row * plan.vectors, UNIT_POS as usize);
    let mut largest = Vector::<f32, N>::new(LOWEST);
    let mut all = Vector::<f32, N>::new(0.0f32);
    for at in range_stepped(unit, plan.vectors, plan.units) {
        let logit = Vector::<f32, N>::cast_from(logits[start + at]);
        largest = max(largest, logit);
        if comptime!(plan.smooth) {
            all += logit;
        }
    }
    let largest = reduce::max_of_units(reduce::max_of_lanes::<N>(largest), plan.units);
    let mut sums = Vector::<f32, N>::new(0.0f32);
    for at in range_stepped(unit, plan.vectors, plan.units) {
        sums += (Vector::<f32, N>::cast_from(logits[start + at]) - Vector::new(largest)).exp();
    }
    let sum = reduce::sum_of_units(reduce::sum_of_lanes::<N>(sums), plan.units);
    let log_sum = sum.ln() + largest;
    let mut smoothing = 0.0f32;
    let mut mean = 0.0f32;
    let width = f32::cast_from(plan.vectors * N::value());
    if comptime!(plan.smooth) {
        smoothing = terms[row];
        mean = reduce::sum_of_units(reduce::sum_of_lanes::<N>(all), plan.units) / width;
    }

    let (first, end) = (places[row] as usize, places[row + 1] as usize);
    let mut scale = 0.0f32;
    for target in first..end {
        scale += terms[rows + target];
        if unit == 0 {
            let token = places[rows + 1 + target] as usize;
            let near = Vector::<f32, N>::cast_from(logits[start + token / N::value()]);
            let mut logit = 0.0f32;
            #[unroll]
            for lane in 0..N::value() {
                if token % N::value() == lane {
                    logit = near.extract(lane);
                }
            }
            let loss = (1.0f32 - smoothing) * (log_sum - logit) + smoothing * (log_sum - mean);
            losses[places[rows + 1 + targets + target] as usize] = loss;
        }
    }
    if comptime!(plan.grad) {
        let share = Vector::<f32, N>::new(scale * smoothing / width);
        for at in range_stepped(unit, plan.vectors, plan.units) {
            let logit = Vector::<f32, N>::cast_from(logits[start + at]);
            let mut change = (logit - Vector::new(log_sum)).exp() * Vector::new(scale) - share;
            for target in first..end {
                let token = places[rows + 1 + target] as usize;
                if token / N::value() == at {
                    let own = (1.0f32 - smoothing) * terms[rows + target];
                    #[unroll]
                    for lane in 0..N::value() {
                        if token % N::value() == lane {
                            let rest = change.extract(lane) - own;
                            change.insert(lane, rest);
                        }
                    }
                }
            }
            grad[start + at] = Vector::cast_from(change);
        }
    }
}

/// See [`super::super::cross_entropy`].
pub(crate) fn with_gradient(
    logits: &Tensor<2>,
    places: &Tensor<1, Int>,
    terms: &Tensor<1>,
    smooth: bool,
) -> Option<(Tensor<1>, Tensor<2>)> {
    let grad = empty(logits.dims(), logits)?;
    let launch = Launch::new(logits, [true, smooth])?;
    let losses = launch.losses(logits, places, terms, grad.clone())?;
    Some((losses, Tensor::from_primitive::<Cube>(grad)))
}

/// See [`super::super::target_losses`].
pub(crate) fn alone(logits: &Tensor<2>, places: &Tensor<1, Int>, terms: &Tensor<1>) -> Option<Tensor<1>> {
    Launch::new(logits, [false, false])?.losses(logits, places, terms, unread(logits)?)
}

/// What both launches have in common.
struct Launch {
    size: VectorSize,
    plan: Plan,
    element: ElemType,
}

impl Launch {
    /// `None` where there are no rows.
    fn new(logits: &Tensor<2>, [grad, smooth]: [bool; 2]) -> Option<Self> {
        let [rows, width] = logits.dims();
        let element = elem_type(logits.dtype())?;
        let size = vector_size(width, DType::F32.size());
        let vectors = width / size;
        let plan = Plan { vectors, units: reduce::units(vectors), smooth, grad };
        (rows * width > 0).then_some(Self { size, plan, element })
    }

    fn losses(
        self,
        logits: &Tensor<2>,
        places: &Tensor<1, Int>,
        terms: &Tensor<1>,
        grad: CubeTensor,
    ) -> Option<Tensor<1>> {
        let Self { size, plan, element } = self;
        let ([rows, _], [all]) = (logits.dims(), terms.dims());
        if all <= rows || terms.dtype() != DType::F32 || places.dtype() != DType::I32 {
            return None;
        }
        let losses = empty_of([all - rows], logits, DType::F32)?;
        let source = contiguous(logits)?;
        cross_entropy::launch(
            &source.client.clone(),
            one_cube_a_row(rows),
            CubeDim::new_1d(u32::try_from(plan.units).ok()?),
            size,
            source.into_buffer_arg(),
            integers(places)?.into_buffer_arg(),
            contiguous(terms)?.into_buffer_arg(),
            losses.clone().into_buffer_arg(),
            grad.into_buffer_arg(),
            u32::try_from(rows).ok()?,
            plan,
            element,
        );
        Some(Tensor::from_primitive::<Cube>(losses))
    }
}
