//! Heads on their way from rows to blocks: the first of a row are normalised, if their norm has a weight, and rotated by
//! their angles; one cube reads a head once and writes it once.

use burn::tensor::{DType, Int, Tensor};
use burn_cubecl::Cube;
use burn_cubecl::tensor::CubeTensor;
use cubecl::ir::ElemType;
use cubecl::prelude::*;

use super::buffers::{contiguous, elem_type, empty, one_cube_a_row, vector_size};
use super::heads::{Plan as Heads, begin, spans_or_none};
use super::reduce;
use crate::kernels::fused::Turn;

/// How a kernel goes over heads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Plan {
    pub(crate) heads: Heads,
    /// Heads of a row that are turned, the first.
    pub(crate) turned: usize,
    /// Vectors of half of what is rotated of a head.
    pub(crate) half: usize,
    /// Whether they are normalised before.
    pub(crate) normed: bool,
    /// Threads of a cube.
    pub(crate) units: usize,
}

/// Where the partner of vector `at` of a head is, and the sign of the sine for it.
#[cube]
fn partner(at: usize, #[comptime] half: usize) -> (usize, f32) {
    let is_first = at < half;
    (select(is_first, at + half, at - half), select(is_first, -1.0f32, 1.0f32))
}

/// Rows `[N, heads · d]` → blocks. `cos` and `sin` `[N, half]`.
#[cube(launch)]
pub(crate) fn turn_heads<F: Float, W: Float, N: Size>(
    x: &[Vector<F, N>],
    weight: &[Vector<W, N>],
    cos: &[Vector<f32, N>],
    sin: &[Vector<f32, N>],
    spans: &[i32],
    out: &mut [Vector<F, N>],
    rows: u32,
    epsilon: f32,
    #[comptime] plan: Plan,
    #[define(F, W)] _dtypes: [ElemType; 2],
) {
    let vectors = comptime!(plan.heads.vectors);
    let start = CUBE_POS * vectors;
    if start >= out.len() {
        terminate!();
    }
    let row = CUBE_POS / plan.heads.heads;
    let head = CUBE_POS % plan.heads.heads;
    let unit = UNIT_POS as usize;
    let steps = comptime!(vectors.div_ceil(plan.units));
    let mut inverse = Vector::<f32, N>::new(1.0f32);
    if comptime!(plan.normed) {
        let mut squares = Vector::<f32, N>::new(0.0f32);
        for step in 0..steps {
            let at = step * plan.units + unit;
            if at < vectors {
                let value = Vector::<f32, N>::cast_from(x[start + at]);
                squares += value * value;
            }
        }
        let squares = reduce::sum_of_units(reduce::sum_of_lanes::<N>(squares), plan.units);
        let mean = squares / f32::cast_from(vectors * N::value());
        inverse = Vector::new((mean + epsilon).inverse_sqrt());
    }
    let to = begin(row, head, rows as usize, spans, plan.heads);
    for step in 0..steps {
        let at = step * plan.units + unit;
        if at < vectors {
            let mut own = Vector::<f32, N>::cast_from(x[start + at]);
            if head < plan.turned {
                if comptime!(plan.normed) {
                    own = own * inverse * Vector::cast_from(weight[at]);
                }
                if at < 2 * plan.half {
                    let (other_at, sign) = partner(at, plan.half);
                    let mut other = Vector::<f32, N>::cast_from(x[start + other_at]);
                    if comptime!(plan.normed) {
                        other = other * inverse * Vector::cast_from(weight[other_at]);
                    }
                    let angle = row * plan.half + at % plan.half;
                    own = own * cos[angle] + other * sin[angle] * Vector::new(sign);
                }
            }
            out[to + at] = Vector::cast_from(own);
        }
    }
}

/// What the rotation gives the gradient of vector `at` of a head, from the blocks' vector `from` on.
#[cube]
fn turned_back<F: Float, N: Size>(
    grad: &[Vector<F, N>],
    cos: &[Vector<f32, N>],
    sin: &[Vector<f32, N>],
    from: usize,
    at: usize,
    row: usize,
    #[comptime] half: usize,
) -> Vector<f32, N> {
    let mut own = Vector::<f32, N>::cast_from(grad[from + at]);
    if at < 2 * half {
        let (other_at, sign) = partner(at, half);
        let other = Vector::<f32, N>::cast_from(grad[from + other_at]);
        let angle = row * half + at % half;
        own = own * cos[angle] - other * sin[angle] * Vector::new(sign);
    }
    own
}

/// The gradient of the rows, given that of the blocks; `x` are the rows where they were normalised.
#[cube(launch)]
pub(crate) fn turn_heads_back<F: Float, W: Float, N: Size>(
    grad: &[Vector<F, N>],
    x: &[Vector<F, N>],
    weight: &[Vector<W, N>],
    cos: &[Vector<f32, N>],
    sin: &[Vector<f32, N>],
    spans: &[i32],
    out: &mut [Vector<F, N>],
    rows: u32,
    epsilon: f32,
    #[comptime] plan: Plan,
    #[define(F, W)] _dtypes: [ElemType; 2],
) {
    let vectors = comptime!(plan.heads.vectors);
    let start = CUBE_POS * vectors;
    if start >= out.len() {
        terminate!();
    }
    let row = CUBE_POS / plan.heads.heads;
    let head = CUBE_POS % plan.heads.heads;
    let unit = UNIT_POS as usize;
    let steps = comptime!(vectors.div_ceil(plan.units));
    let from = begin(row, head, rows as usize, spans, plan.heads);
    let mut inverse = 1.0f32;
    let mut along = 0.0f32;
    if comptime!(plan.normed) {
        let mut squares = Vector::<f32, N>::new(0.0f32);
        let mut products = Vector::<f32, N>::new(0.0f32);
        for step in 0..steps {
            let at = step * plan.units + unit;
            if at < vectors {
                let value = Vector::<f32, N>::cast_from(x[start + at]);
                let back = turned_back::<F, N>(grad, cos, sin, from, at, row, plan.half);
                squares += value * value;
                products += value * back * Vector::cast_from(weight[at]);
            }
        }
        let squares = reduce::sum_of_units(reduce::sum_of_lanes::<N>(squares), plan.units);
        let products = reduce::sum_of_units(reduce::sum_of_lanes::<N>(products), plan.units);
        let width = f32::cast_from(vectors * N::value());
        inverse = (squares / width + epsilon).inverse_sqrt();
        along = inverse * inverse * products / width;
    }
    for step in 0..steps {
        let at = step * plan.units + unit;
        if at < vectors {
            if head < plan.turned {
                let mut back = turned_back::<F, N>(grad, cos, sin, from, at, row, plan.half);
                if comptime!(plan.normed) {
                    let value = Vector::<f32, N>::cast_from(x[start + at]);
                    let scaled = back * Vector::cast_from(weight[at]);
                    back = (scaled - value * Vector::new(along)) * Vector::new(inverse);
                }
                out[start + at] = Vector::cast_from(back);
            } else {
                out[start + at] = grad[from + at];
            }
        }
    }
}

/// See [`super::super::turned_heads`].
pub(crate) fn forward(x: &Tensor<2>, turn: &Turn, spans: Option<&Tensor<2, Int>>) -> Option<Tensor<2>> {
    let Launch { cubes, units, size, plan, dtypes, epsilon, rows, sides } = Launch::new(x, x, turn, spans)?;
    let [weight, cos, sin, spans] = sides;
    let [all, width] = x.dims();
    let (source, out) = (contiguous(x)?, empty([1, all * width], x)?);
    turn_heads::launch(
        &source.client.clone(),
        cubes,
        units,
        size,
        source.into_buffer_arg(),
        weight.into_buffer_arg(),
        cos.into_buffer_arg(),
        sin.into_buffer_arg(),
        spans.into_buffer_arg(),
        out.clone().into_buffer_arg(),
        rows,
        epsilon,
        plan,
        dtypes,
    );
    Some(Tensor::from_primitive::<Cube>(out))
}

/// See [`super::super::turned_heads_backward`].
pub(crate) fn backward(
    grad: &Tensor<2>,
    x: &Tensor<2>,
    turn: &Turn,
    spans: Option<&Tensor<2, Int>>,
) -> Option<Tensor<2>> {
    let Launch { cubes, units, size, plan, dtypes, epsilon, rows, sides } =
        Launch::new(x, grad, turn, spans)?;
    let [weight, cos, sin, spans] = sides;
    let (grad, source, out) = (contiguous(grad)?, contiguous(x)?, empty(x.dims(), x)?);
    turn_heads_back::launch(
        &source.client.clone(),
        cubes,
        units,
        size,
        grad.into_buffer_arg(),
        source.into_buffer_arg(),
        weight.into_buffer_arg(),
        cos.into_buffer_arg(),
        sin.into_buffer_arg(),
        spans.into_buffer_arg(),
        out.clone().into_buffer_arg(),
        rows,
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
    epsilon: f32,
    rows: u32,
    /// The weight, cosines and sines, the spans.
    sides: [CubeTensor; 4],
}

impl Launch {
    /// `None` where rows are not rows of heads, or there are none.
    fn new(x: &Tensor<2>, grad: &Tensor<2>, turn: &Turn, spans: Option<&Tensor<2, Int>>) -> Option<Self> {
        let Turn { heads: turned, dim, norm, angles } = turn;
        let ([rows, width], [_, half], dtype) = (x.dims(), angles[0].dims(), x.dtype());
        let fits = rows > 0 && width.is_multiple_of(*dim) && half > 0 && grad.dtype() == dtype;
        if !fits || angles.iter().any(|angle| angle.dtype() != DType::F32) {
            return None;
        }
        // Where there is no norm, numbers that are there stand for the weight, and are not read.
        let (weight, epsilon) = norm.as_ref().map_or((x, 0.0), |(weight, epsilon)| (weight, *epsilon));
        let size = [*dim, half].map(|width| vector_size(width, DType::F32.size())).into_iter().min()?;
        let vectors = dim / size;
        let heads = Heads { heads: width / dim, vectors, whole: spans.is_none() };
        let units = reduce::units(vectors);
        let plan = Plan { heads, turned: *turned, half: half / size, normed: norm.is_some(), units };
        Some(Self {
            cubes: one_cube_a_row(rows * heads.heads),
            units: CubeDim::new_1d(u32::try_from(units).ok()?),
            size,
            plan,
            dtypes: [elem_type(dtype)?, elem_type(weight.dtype())?],
            epsilon,
            rows: u32::try_from(rows).ok()?,
            sides: [
                contiguous(weight)?,
                contiguous(&angles[0])?,
                contiguous(&angles[1])?,
                spans_or_none(spans, x)?,
            ],
        })
    }
}
