//! The softmax of attention scores of one block of queries, with what each sees: a row of scores to a cube.

#[cfg(test)]
mod tests;

use burn::tensor::{DType, Int, Tensor};
use burn_cubecl::Cube;
use burn_cubecl::tensor::CubeTensor;
use cubecl::ir::ElemType;
use cubecl::prelude::*;

use super::buffers::{Pitched, contiguous, elem_type, empty_of, integers, one_cube_a_row, vector_size};
use super::reduce;

/// Below every score.
const LOWEST: f32 = -3.0e38;

/// The scores of a block, as its kernels need to know them.
#[derive(CubeLaunch, CubeType, Clone, Copy)]
pub(crate) struct Shape {
    /// Vectors from a row of keys to the next; those behind its last key are read and written like keys that no query sees.
    pub(crate) vectors: u32,
    /// Rows of a head.
    pub(crate) queries: u32,
    /// Of each query, in `bounds`.
    pub(crate) ranges: u32,
    /// What scores are multiplied by.
    pub(crate) scale: f32,
}

/// Which keys of the vector at `at` a query sees: those in one of its ranges, each a start and an end in `bounds`.
#[cube]
fn seen<N: Size>(bounds: &[i32], query: usize, at: usize, ranges: u32) -> Vector<bool, N> {
    let mut keys = Vector::<i32, N>::new(i32::cast_from(at * N::value()));
    #[unroll]
    for lane in 0..N::value() {
        let first = keys.extract(lane);
        keys.insert(lane, first + i32::cast_from(lane));
    }
    // Counted, since cubecl drops the or of vectors of booleans in WGSL.
    let (none, one) = (Vector::<u32, N>::new(0u32), Vector::<u32, N>::new(1u32));
    let mut count = none;
    for range in 0..ranges {
        let place = 2 * (query * ranges as usize + range as usize);
        let from = keys.greater_equal(&Vector::new(bounds[place]));
        let to = keys.less_than(&Vector::new(bounds[place + 1]));
        count += select_many(from, select_many(to, one, none), none);
    }
    count.greater_than(&none)
}

/// `[K, G, Q, T]` → the probabilities, and the log-sum-exp of each row.
#[cube(launch)]
pub(crate) fn softmax_forward<F: Float, N: Size>(
    raw: &[Vector<F, N>],
    bounds: &[i32],
    probabilities: &mut [Vector<F, N>],
    log_sums: &mut [f32],
    shape: &Shape,
    #[comptime] units: usize,
    #[define(F)] _dtype: ElemType,
) {
    let row = CUBE_POS;
    if row >= log_sums.len() {
        terminate!();
    }
    let (vectors, query) = (shape.vectors as usize, row % shape.queries as usize);
    let (start, unit) = (row * vectors, UNIT_POS as usize);
    let scale = Vector::<f32, N>::new(shape.scale);
    let lowest = Vector::<f32, N>::new(LOWEST);
    let mut largest = lowest;
    for at in range_stepped(unit, vectors, units) {
        let score = Vector::<f32, N>::cast_from(raw[start + at]) * scale;
        largest = max(largest, select_many(seen::<N>(bounds, query, at, shape.ranges), score, lowest));
    }
    let largest = reduce::max_of_units(reduce::max_of_lanes::<N>(largest), units);
    let mut sums = Vector::<f32, N>::new(0.0f32);
    for at in range_stepped(unit, vectors, units) {
        let score = Vector::<f32, N>::cast_from(raw[start + at]) * scale;
        let part = (score - Vector::new(largest)).exp();
        sums += select_many(seen::<N>(bounds, query, at, shape.ranges), part, Vector::new(0.0f32));
    }
    let sum = reduce::sum_of_units(reduce::sum_of_lanes::<N>(sums), units);
    let log_sum = sum.ln() + largest;
    for at in range_stepped(unit, vectors, units) {
        let score = Vector::<f32, N>::cast_from(raw[start + at]) * scale;
        let part = (score - Vector::new(log_sum)).exp();
        let part = select_many(seen::<N>(bounds, query, at, shape.ranges), part, Vector::new(0.0f32));
        probabilities[start + at] = Vector::cast_from(part);
    }
    if unit == 0 {
        log_sums[row] = log_sum;
    }
}

/// `[K, G, Q, T]`, the gradient of the probabilities and the log-sum-exps → the probabilities `p` again, and the gradient
/// of the raw scores, `scale · p ⊙ (dp - Σ dp ⊙ p)`.
#[cube(launch)]
pub(crate) fn softmax_backward<F: Float, N: Size>(
    raw: &[Vector<F, N>],
    grad: &[Vector<F, N>],
    bounds: &[i32],
    log_sums: &[f32],
    probabilities: &mut [Vector<F, N>],
    out: &mut [Vector<F, N>],
    shape: &Shape,
    #[comptime] units: usize,
    #[define(F)] _dtype: ElemType,
) {
    let row = CUBE_POS;
    if row >= log_sums.len() {
        terminate!();
    }
    let (vectors, query) = (shape.vectors as usize, row % shape.queries as usize);
    let (start, unit) = (row * vectors, UNIT_POS as usize);
    let scale = Vector::<f32, N>::new(shape.scale);
    let log_sum = Vector::<f32, N>::new(log_sums[row]);
    let mut products = Vector::<f32, N>::new(0.0f32);
    for at in range_stepped(unit, vectors, units) {
        let part = (Vector::<f32, N>::cast_from(raw[start + at]) * scale - log_sum).exp();
        let (visible, none) = (seen::<N>(bounds, query, at, shape.ranges), Vector::new(0.0f32));
        probabilities[start + at] = Vector::cast_from(select_many(visible, part, none));
        // What is behind the last key may be anything, such as no number.
        products += select_many(visible, part * Vector::cast_from(grad[start + at]), none);
    }
    let product = reduce::sum_of_units(reduce::sum_of_lanes::<N>(products), units);
    for at in range_stepped(unit, vectors, units) {
        let part = (Vector::<f32, N>::cast_from(raw[start + at]) * scale - log_sum).exp();
        let part = select_many(seen::<N>(bounds, query, at, shape.ranges), part, Vector::new(0.0f32));
        let change = Vector::<f32, N>::cast_from(grad[start + at]) - Vector::new(product);
        out[start + at] = Vector::cast_from(part * change * scale);
    }
}

/// See [`super::super::softmax`].
pub(crate) fn forward(raw: &Tensor<4>, bounds: &Tensor<2, Int>, scale: f32) -> Option<[Tensor<4>; 2]> {
    let [kv_heads, group, queries, _] = raw.dims();
    let log_sums = empty_of([kv_heads, group, queries, 1], raw, DType::F32)?;
    let raw = Pitched::of(raw)?;
    let Launch { bounds, size, units, shape, element, rows } = Launch::new(&raw, bounds, scale)?;
    let probabilities = raw.empty_like();
    softmax_forward::launch(
        &raw.buffer.client.clone(),
        one_cube_a_row(rows),
        CubeDim::new_1d(u32::try_from(units).ok()?),
        size,
        raw.whole(&raw.buffer),
        bounds.into_buffer_arg(),
        raw.whole(&probabilities),
        log_sums.clone().into_buffer_arg(),
        shape,
        units,
        element,
    );
    Some([probabilities, log_sums].map(Tensor::from_primitive::<Cube>))
}

/// See [`super::super::softmax_backward`].
pub(crate) fn backward(
    [raw, grad]: [&Tensor<4>; 2],
    log_sums: &Tensor<4>,
    bounds: &Tensor<2, Int>,
    scale: f32,
) -> Option<[Tensor<4>; 2]> {
    if grad.dtype() != raw.dtype() || log_sums.dtype() != DType::F32 {
        return None;
    }
    let [raw, grad] = Pitched::alike([raw, grad])?;
    let Launch { bounds, size, units, shape, element, rows } = Launch::new(&raw, bounds, scale)?;
    let (log_sums, probabilities, out) = (contiguous(log_sums)?, raw.empty_like(), raw.empty_like());
    softmax_backward::launch(
        &raw.buffer.client.clone(),
        one_cube_a_row(rows),
        CubeDim::new_1d(u32::try_from(units).ok()?),
        size,
        raw.whole(&raw.buffer),
        raw.whole(&grad.buffer),
        bounds.into_buffer_arg(),
        log_sums.into_buffer_arg(),
        raw.whole(&probabilities),
        raw.whole(&out),
        shape,
        units,
        element,
    );
    Some([probabilities, out].map(Tensor::from_primitive::<Cube>))
}

/// What both launches have in common.
struct Launch {
    bounds: CubeTensor,
    size: VectorSize,
    units: usize,
    shape: ShapeLaunch,
    element: ElemType,
    rows: usize,
}

impl Launch {
    fn new(raw: &Pitched, bounds: &Tensor<2, Int>, scale: f32) -> Option<Self> {
        let [kv_heads, group, queries, _] = raw.buffer.meta.shape().dims();
        let [_, doubled] = bounds.dims();
        let rows = kv_heads * group * queries;
        if rows == 0 || bounds.dtype() != DType::I32 {
            return None;
        }
        let bounds = integers(bounds)?;
        // Four at once at most: with eight there are more numbers than registers.
        let size = vector_size(raw.stride, DType::F32.size());
        let (number, vectors) = (|count: usize| u32::try_from(count).ok(), raw.stride / size);
        let shape = ShapeLaunch::new(number(vectors)?, number(queries)?, number(doubled / 2)?, scale);
        let (units, element) = (reduce::units(vectors), elem_type(raw.buffer.dtype)?);
        Some(Self { bounds, size, units, shape, element, rows })
    }
}
