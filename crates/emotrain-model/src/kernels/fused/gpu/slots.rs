//! Attention of single queries to keys and values in a pool, whose rows belong to many sequences, and what is kept there.
//!
//! A cube answers the query heads of one row that share a key-value head. It goes over the keys by as many as it has threads: a
//! thread scores one key, then all add up values, each a vector of some keys, by the probabilities so far (the online
//! softmax of Milakov and Gimelshein 2018).

use burn::tensor::{DType, Int, Tensor};
use burn_cubecl::Cube;
use cubecl::ir::ElemType;
use cubecl::prelude::*;

use super::buffers::{
    Spread, contiguous, elem_type, empty, in_part, integers, one_cube_a_row, own_in_part, spread, vector_size,
};
use super::reduce;
use crate::device::{moves, moves_numbers};
use crate::kernels::fused::SeenSlots;
use crate::spec::Heads;

/// Below every score.
const LOWEST: f32 = -3.0e38;
/// Threads of a cube, and keys that it scores at once.
const UNITS: usize = 128;
/// Bytes of memory that all GPUs give a cube.
const SHARED: usize = 16 << 10;

/// The heads of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Plan {
    /// Of keys, and of values.
    pub(crate) heads: usize,
    /// Of queries for each.
    pub(crate) group: usize,
    /// Vectors of each.
    pub(crate) vectors: usize,
}

/// `count` vectors of rows → the rows of `pool` that `slots` names. A buffer may be longer than its rows.
#[cube(launch)]
pub(crate) fn rows_to_slots<F: Float, N: Size>(
    rows: &[Vector<F, N>],
    slots: &[i32],
    pool: &mut [Vector<F, N>],
    count: u32,
    #[comptime] vectors: usize,
    #[define(F)] _dtype: ElemType,
) {
    let at = ABSOLUTE_POS;
    if at >= count as usize {
        terminate!();
    }
    pool[slots[at / vectors] as usize * vectors + at % vectors] = rows[at];
}

/// `softmax(scale · q·kᵀ)·v` of the rows of `q`, `[kv·group·d]` each, over rows of `pool`, `[2·kv·d]` each: those that
/// `slots` names from the first to before the second number of `ranges`. A row that sees none is not written.
#[cube(launch)]
pub(crate) fn attention_to_slots<F: Float, N: Size>(
    q: &[Vector<F, N>],
    pool: &[Vector<F, N>],
    slots: &[i32],
    ranges: &[i32],
    out: &mut [Vector<F, N>],
    scale: f32,
    #[comptime] plan: Plan,
    #[define(F)] _dtype: ElemType,
) {
    let (row, head, unit) = (CUBE_POS / plan.heads, CUBE_POS % plan.heads, UNIT_POS as usize);
    if 2 * row >= ranges.len() {
        terminate!();
    }
    let (first, end) = (ranges[2 * row] as usize, ranges[2 * row + 1] as usize);
    if first >= end {
        terminate!();
    }
    let numbers = comptime!(plan.group * plan.vectors);
    let begin = (row * plan.heads + head) * numbers;
    let mut queries = Shared::<[Vector<f32, N>]>::new_slice(numbers);
    for at in range_stepped(unit, numbers, UNITS) {
        queries[at] = Vector::<f32, N>::cast_from(q[begin + at]) * Vector::new(scale);
    }
    let mut shares = Shared::<[f32]>::new_slice(comptime!(plan.group * UNITS));
    let mut scores = Array::<f32>::new(plan.group);
    let mut largest = Array::<f32>::new(plan.group);
    let mut weights = Array::<f32>::new(plan.group);
    let mut sums = Array::<Vector<f32, N>>::new(plan.group);
    #[unroll]
    for query in 0..plan.group {
        largest[query] = LOWEST;
        weights[query] = 0.0f32;
        sums[query] = Vector::new(0.0f32);
    }
    // The part of a value, and the first key of those, that this thread adds up.
    let lanes = comptime!(UNITS / plan.vectors);
    let (part, lane) = (unit % plan.vectors, unit / plan.vectors);
    sync_cube();
    for chunk in range_stepped(first, end, UNITS) {
        let own = chunk + unit;
        #[unroll]
        for query in 0..plan.group {
            scores[query] = LOWEST;
        }
        if own < end {
            let key = (slots[own] as usize * 2 * plan.heads + head) * plan.vectors;
            let mut dots = Array::<Vector<f32, N>>::new(plan.group);
            #[unroll]
            for query in 0..plan.group {
                dots[query] = Vector::new(0.0f32);
            }
            for at in 0..plan.vectors {
                let vector = Vector::<f32, N>::cast_from(pool[key + at]);
                #[unroll]
                for query in 0..plan.group {
                    dots[query] += vector * queries[query * plan.vectors + at];
                }
            }
            #[unroll]
            for query in 0..plan.group {
                scores[query] = reduce::sum_of_lanes::<N>(dots[query]);
            }
        }
        #[unroll]
        for query in 0..plan.group {
            shares[query * UNITS + unit] = scores[query];
        }
        sync_cube();
        #[unroll]
        for round in 0..comptime!(UNITS.ilog2()) {
            let half = comptime!(UNITS >> (round + 1));
            if unit < half {
                #[unroll]
                for query in 0..plan.group {
                    let at = query * UNITS + unit;
                    shares[at] = max(shares[at], shares[at + half]);
                }
            }
            sync_cube();
        }
        #[unroll]
        for query in 0..plan.group {
            let most = max(largest[query], shares[query * UNITS]);
            let keeps = (largest[query] - most).exp();
            largest[query] = most;
            let mut share = 0.0f32;
            if own < end {
                share = (scores[query] - most).exp();
            }
            scores[query] = share;
            weights[query] = weights[query] * keeps + share;
            sums[query] *= Vector::new(keeps);
        }
        sync_cube();
        #[unroll]
        for query in 0..plan.group {
            shares[query * UNITS + unit] = scores[query];
        }
        sync_cube();
        if lane < lanes {
            let keys = min(end - chunk, UNITS);
            for key in range_stepped(lane, keys, lanes) {
                let value = (slots[chunk + key] as usize * 2 + 1) * plan.heads + head;
                let vector = Vector::<f32, N>::cast_from(pool[value * plan.vectors + part]);
                #[unroll]
                for query in 0..plan.group {
                    sums[query] += vector * Vector::new(shares[query * UNITS + key]);
                }
            }
        }
        sync_cube();
    }
    let mut parts = Shared::<[Vector<f32, N>]>::new_slice(UNITS);
    #[unroll]
    for query in 0..plan.group {
        let weight = reduce::sum_of_units(weights[query], UNITS);
        parts[unit] = sums[query];
        sync_cube();
        if unit < plan.vectors {
            let mut sum = parts[unit];
            for other in 1..lanes {
                sum += parts[other * plan.vectors + unit];
            }
            out[begin + query * plan.vectors + unit] = Vector::cast_from(sum / Vector::new(weight));
        }
        sync_cube();
    }
}

/// See [`super::super::rows_to_slots`].
pub(crate) fn put(pool: &Tensor<2>, rows: &Tensor<2>, slots: &Tensor<1, Int>) -> Option<()> {
    let ([count, width], dtype) = (rows.dims(), rows.dtype());
    if pool.dtype() != dtype || slots.dtype() != DType::I32 || slots.dims() != [count] {
        return None;
    }
    let (element, size) = (elem_type(dtype)?, vector_size(width, dtype.size()));
    let Spread { cubes, units } = spread(count * width / size)?;
    let (source, slots) = (contiguous(rows)?, integers(slots)?);
    let kept = own_in_part(pool)?;
    moves(rows, 1);
    rows_to_slots::launch(
        &source.client.clone(),
        cubes,
        units,
        size,
        source.into_buffer_arg(),
        slots.into_buffer_arg(),
        kept.into_buffer_arg(),
        u32::try_from(count * width / size).ok()?,
        width / size,
        element,
    );
    Some(())
}

/// See [`super::super::attention_to_slots`].
pub(crate) fn attend(
    q: &Tensor<2>,
    pool: &Tensor<2>,
    seen: SeenSlots,
    heads: Heads,
    scale: f32,
) -> Option<Tensor<2>> {
    let ([rows, _], Heads { kv, group, dim }, dtype) = (q.dims(), heads, q.dtype());
    let size = vector_size(dim, dtype.size());
    let plan = Plan { heads: kv, group, vectors: dim / size };
    // Queries; scores; parts of sums; what adds up the weights of each query.
    let shared = DType::F32.size() * (group * dim + group * UNITS + UNITS * size + group * UNITS);
    let whole = [seen.slots.dtype(), seen.ranges.dtype()] == [DType::I32; 2];
    if rows == 0 || plan.vectors > UNITS || shared > SHARED || pool.dtype() != dtype || !whole {
        return None;
    }
    moves_numbers(seen.slots.dims()[0] * heads.key_value_width(), dtype);
    let out = empty(q.dims(), q)?;
    let source = contiguous(q)?;
    attention_to_slots::launch(
        &source.client.clone(),
        one_cube_a_row(rows * kv),
        CubeDim::new_1d(u32::try_from(UNITS).ok()?),
        size,
        source.into_buffer_arg(),
        in_part(pool)?.into_buffer_arg(),
        integers(seen.slots)?.into_buffer_arg(),
        integers(seen.ranges)?.into_buffer_arg(),
        out.clone().into_buffer_arg(),
        scale,
        plan,
        elem_type(dtype)?,
    );
    Some(Tensor::from_primitive::<Cube>(out))
}
