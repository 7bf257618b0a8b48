//! Root-mean-square normalisation, forward and backward, of rows or of the first heads of each: one cube reads, sums and
//! writes a head, and copies one that stays as it is.

use burn::tensor::{DType, Tensor};
use burn_cubecl::Cube;
use cubecl::ir::ElemType;
use cubecl::prelude::*;
use emotrain_kernels::HeadRows;

use super::buffers::{contiguous, elem_type, empty, empty_if, given, one_cube_a_row, unread, vector_size};
use super::dropout::{Mask, kept, on_device};
use super::reduce;
use crate::kernels::Masks;

/// How a kernel goes over rows of heads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Plan {
    /// Vectors of a head.
    pub(crate) vectors: usize,
    /// Heads of a row.
    pub(crate) heads: usize,
    /// Those that are normalised, the first.
    pub(crate) normed: usize,
    /// Threads of a cube.
    pub(crate) units: usize,
    /// Whether something is added: to the rows before they are normalised, to the gradient after.
    pub(crate) adds: bool,
    /// Copies of the result with dropout.
    pub(crate) copies: usize,
    /// Whether the result itself is written.
    pub(crate) written: bool,
    /// Whether normalised numbers are rounded before they are multiplied with the weight: where both have one type.
    pub(crate) rounds: bool,
}

/// Sums are formed in f32 whatever `F` is, as in the other forms. `update` is added to `x` first if the plan adds, and
/// `sum` is what that gives; `dropped` has the copies behind one another.
#[cube(launch)]
pub(crate) fn rms_norm_forward<F: Float, W: Float, N: Size>(
    x: &[Vector<F, N>],
    update: &[Vector<F, N>],
    weight: &[Vector<W, N>],
    sum: &mut [Vector<F, N>],
    out: &mut [Vector<F, N>],
    dropped: &mut [Vector<F, N>],
    epsilon: f32,
    first: &Mask,
    second: &Mask,
    #[comptime] plan: Plan,
    #[define(F, W)] _dtypes: [ElemType; 2],
) {
    let start = CUBE_POS * plan.vectors;
    if start >= x.len() {
        terminate!();
    }
    let unit = UNIT_POS as usize;
    let steps = comptime!(plan.vectors.div_ceil(plan.units));
    let mut squares = Vector::<f32, N>::new(0.0f32);
    for step in 0..steps {
        let at = step * plan.units + unit;
        if at < plan.vectors {
            let mut value = Vector::<f32, N>::cast_from(x[start + at]);
            if comptime!(plan.adds) {
                let whole = Vector::<F, N>::cast_from(value + Vector::cast_from(update[start + at]));
                sum[start + at] = whole;
                value = Vector::cast_from(whole);
            }
            squares += value * value;
        }
    }
    let squares = reduce::sum_of_units(reduce::sum_of_lanes::<N>(squares), plan.units);
    let width = plan.vectors * N::value();
    let inverse = (squares / f32::cast_from(width) + epsilon).inverse_sqrt();
    for step in 0..steps {
        let at = step * plan.units + unit;
        if at < plan.vectors {
            let place = start + at;
            if CUBE_POS % plan.heads < plan.normed {
                let mut value = Vector::<f32, N>::cast_from(x[place]);
                if comptime!(plan.adds) {
                    value = Vector::cast_from(sum[place]);
                }
                let mut normal = value * Vector::new(inverse);
                if comptime!(plan.rounds) {
                    normal = Vector::cast_from(Vector::<F, N>::cast_from(normal));
                }
                let normed = Vector::<F, N>::cast_from(normal * Vector::cast_from(weight[at]));
                if comptime!(plan.written) {
                    out[place] = normed;
                }
                if comptime!(plan.copies > 0) {
                    dropped[place] = Vector::cast_from(kept::<N>(Vector::cast_from(normed), place, first));
                }
                if comptime!(plan.copies > 1) {
                    let number = kept::<N>(Vector::cast_from(normed), place, second);
                    dropped[x.len() + place] = Vector::cast_from(number);
                }
            } else {
                out[place] = x[place];
            }
        }
    }
}

/// With `n = x / rms(x)` and `g = grad · w`: `(g - n · mean(g · n)) / rms(x)`, and `other` beside it if the plan adds.
#[cube(launch)]
pub(crate) fn rms_norm_backward<F: Float, W: Float, N: Size>(
    grad: &[Vector<F, N>],
    x: &[Vector<F, N>],
    other: &[Vector<F, N>],
    weight: &[Vector<W, N>],
    out: &mut [Vector<F, N>],
    epsilon: f32,
    #[comptime] plan: Plan,
    #[define(F, W)] _dtypes: [ElemType; 2],
) {
    let start = CUBE_POS * plan.vectors;
    if start >= out.len() {
        terminate!();
    }
    let unit = UNIT_POS as usize;
    let steps = comptime!(plan.vectors.div_ceil(plan.units));
    let mut squares = Vector::<f32, N>::new(0.0f32);
    let mut products = Vector::<f32, N>::new(0.0f32);
    for step in 0..steps {
        let at = step * plan.units + unit;
        if at < plan.vectors {
            let value = Vector::<f32, N>::cast_from(x[start + at]);
            let scaled = Vector::<f32, N>::cast_from(grad[start + at]) * Vector::cast_from(weight[at]);
            squares += value * value;
            products += value * scaled;
        }
    }
    let squares = reduce::sum_of_units(reduce::sum_of_lanes::<N>(squares), plan.units);
    let products = reduce::sum_of_units(reduce::sum_of_lanes::<N>(products), plan.units);
    let width = f32::cast_from(plan.vectors * N::value());
    let inverse = (squares / width + epsilon).inverse_sqrt();
    let along = inverse * inverse * products / width;
    for step in 0..steps {
        let at = step * plan.units + unit;
        if at < plan.vectors {
            if CUBE_POS % plan.heads < plan.normed {
                let value = Vector::<f32, N>::cast_from(x[start + at]);
                let scaled = Vector::<f32, N>::cast_from(grad[start + at]) * Vector::cast_from(weight[at]);
                let mut change = (scaled - value * Vector::new(along)) * Vector::new(inverse);
                if comptime!(plan.adds) {
                    change += Vector::cast_from(other[start + at]);
                }
                out[start + at] = Vector::cast_from(change);
            } else {
                out[start + at] = grad[start + at];
            }
        }
    }
}

/// See [`super::super::head_norm`].
pub(crate) fn forward(
    x: &Tensor<2>,
    layout: HeadRows,
    weight: &Tensor<2>,
    epsilon: f32,
) -> Option<Tensor<2>> {
    let launch = Launch::new(x, layout, weight.dtype())?;
    launch.forward([x, x], weight, epsilon, Masks::beside(&[])).map(|[_, out, _]| out)
}

/// See [`super::super::sum_norm`].
pub(crate) fn of_sum(
    [x, update]: [&Tensor<2>; 2],
    weight: &Tensor<2>,
    epsilon: f32,
    masks: Masks,
) -> Option<[Tensor<2>; 3]> {
    let [_, width] = x.dims();
    let mut launch = Launch::new(x, HeadRows { width, heads: 1, dim: width }, weight.dtype())?;
    launch.plan.adds = true;
    (update.dims() == x.dims() && update.dtype() == x.dtype()).then_some(())?;
    launch.forward([x, update], weight, epsilon, masks)
}

/// See [`super::super::dropped_norm`].
pub(crate) fn dropped(
    x: &Tensor<2>,
    weight: &Tensor<2>,
    epsilon: f32,
    masks: Masks,
) -> Option<[Tensor<2>; 2]> {
    let [_, width] = x.dims();
    let launch = Launch::new(x, HeadRows { width, heads: 1, dim: width }, weight.dtype())?;
    launch.forward([x, x], weight, epsilon, masks).map(|[_, out, dropped]| [out, dropped])
}

/// See [`super::super::head_norm_backward`].
pub(crate) fn backward(
    [grad, x]: [&Tensor<2>; 2],
    layout: HeadRows,
    weight: &Tensor<2>,
    epsilon: f32,
    other: Option<&Tensor<2>>,
) -> Option<Tensor<2>> {
    let Launch { cubes, units, size, mut plan, dtypes } = Launch::new(x, layout, weight.dtype())?;
    if grad.dtype() != x.dtype() || other.is_some_and(|other| other.dtype() != x.dtype()) {
        return None;
    }
    plan.adds = other.is_some();
    let (grad, source, weight) = (contiguous(grad)?, contiguous(x)?, contiguous(weight)?);
    let other = if let Some(other) = other { contiguous(other)? } else { unread(x)? };
    let out = empty(x.dims(), x)?;
    rms_norm_backward::launch(
        &source.client.clone(),
        cubes,
        units,
        size,
        grad.into_buffer_arg(),
        source.into_buffer_arg(),
        other.into_buffer_arg(),
        weight.into_buffer_arg(),
        out.clone().into_buffer_arg(),
        epsilon,
        plan,
        dtypes,
    );
    Some(Tensor::from_primitive::<Cube>(out))
}

/// What both launches have in common.
struct Launch {
    cubes: CubeCount,
    units: CubeDim,
    size: VectorSize,
    plan: Plan,
    dtypes: [ElemType; 2],
}

impl Launch {
    /// The sum, if there is one, its norm, and the copies of that behind one another, if there are masks.
    fn forward(
        self,
        [x, update]: [&Tensor<2>; 2],
        weight: &Tensor<2>,
        epsilon: f32,
        masks: Masks,
    ) -> Option<[Tensor<2>; 3]> {
        let Self { cubes, units, size, mut plan, dtypes } = self;
        let ([rows, width], given) = (x.dims(), given(masks));
        (plan.copies, plan.written) = (given.len(), masks.rows);
        let mask = |number: usize| on_device(given.get(number).copied());
        let sum = empty_if(plan.adds, [rows, width], x)?;
        let dropped = empty_if(!given.is_empty(), [given.len() * rows, width], x)?;
        let (source, weight) = (contiguous(x)?, contiguous(weight)?);
        let out = empty_if(masks.rows, [rows, width], x)?;
        let update = if plan.adds { contiguous(update)? } else { unread(x)? };
        rms_norm_forward::launch(
            &source.client.clone(),
            cubes,
            units,
            size,
            source.into_buffer_arg(),
            update.into_buffer_arg(),
            weight.into_buffer_arg(),
            sum.clone().into_buffer_arg(),
            out.clone().into_buffer_arg(),
            dropped.clone().into_buffer_arg(),
            epsilon,
            mask(0),
            mask(1),
            plan,
            dtypes,
        );
        Some([sum, out, dropped].map(Tensor::from_primitive::<Cube>))
    }

    /// `None` where rows are not rows of heads, or there are none.
    fn new(x: &Tensor<2>, layout: HeadRows, weight: DType) -> Option<Self> {
        let ([rows, width], dtype) = (x.dims(), x.dtype());
        let HeadRows { heads: normed, dim, .. } = layout;
        if rows == 0 || !width.is_multiple_of(dim) {
            return None;
        }
        let dtypes = [elem_type(dtype)?, elem_type(weight)?];
        let (heads, size) = (width / dim, vector_size(dim, dtype.size().max(weight.size())));
        let vectors = dim / size;
        let units = reduce::units(vectors);
        let (adds, copies, written) = (false, 0, true);
        let plan = Plan { vectors, heads, normed, units, adds, copies, written, rounds: dtype == weight };
        let units = CubeDim::new_1d(u32::try_from(units).ok()?);
        Some(Self { cubes: one_cube_a_row(rows * heads), units, size, plan, dtypes })
    }
}
