//! Heads of packed rows, from token-major to head-major and back.

use std::ops::Range;

use burn::tensor::Tensor;
use burn_cubecl::Cube;
use cubecl::ir::ElemType;
use cubecl::prelude::*;

use super::gpu::{Spread, contiguous, elem_type, empty, spread, taken, vector_size};

/// Rows of heads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Plan {
    /// Of a row.
    pub(super) heads: usize,
    /// Of a head.
    pub(super) vectors: usize,
}

/// The place in token-major rows, the first of which has number `first`, of vector `at` of `[heads, rows, vectors]`.
#[cube]
fn place(at: usize, first: usize, rows: usize, #[comptime] plan: Plan) -> usize {
    let row = at / plan.vectors % rows;
    let head = at / plan.vectors / rows;
    ((first + row) * plan.heads + head) * plan.vectors + at % plan.vectors
}

/// Rows of `x` from `first` on → `[heads, rows, vectors]`.
#[cube(launch)]
pub(super) fn heads_of_rows<F: Float, N: Size>(
    x: &[Vector<F, N>],
    out: &mut [Vector<F, N>],
    first: u32,
    rows: u32,
    #[comptime] plan: Plan,
    #[define(F)] _dtype: ElemType,
) {
    let at = ABSOLUTE_POS;
    if at >= out.len() {
        terminate!();
    }
    out[at] = x[place(at, first as usize, rows as usize, plan)];
}

/// The inverse: `[heads, rows, vectors]` → rows of `out` from `first` on.
#[cube(launch)]
pub(super) fn rows_of_heads<F: Float, N: Size>(
    block: &[Vector<F, N>],
    out: &mut [Vector<F, N>],
    first: u32,
    rows: u32,
    #[comptime] plan: Plan,
    #[define(F)] _dtype: ElemType,
) {
    let at = ABSOLUTE_POS;
    if at >= block.len() {
        terminate!();
    }
    out[place(at, first as usize, rows as usize, plan)] = block[at];
}

/// Adds keys and values, each `[heads / 2, rows, vectors]`, to rows of both from `first` on.
#[cube(launch)]
pub(super) fn add_keys_and_values<F: Float, N: Size>(
    to: &mut [Vector<F, N>],
    keys: &[Vector<F, N>],
    values: &[Vector<F, N>],
    first: u32,
    rows: u32,
    #[comptime] plan: Plan,
    #[define(F)] _dtype: ElemType,
) {
    let at = ABSOLUTE_POS;
    if at >= keys.len() {
        terminate!();
    }
    let key = place(at, first as usize, rows as usize, plan);
    let value = key + plan.heads / 2 * plan.vectors;
    to[key] = Vector::cast_from(Vector::<f32, N>::cast_from(to[key]) + Vector::cast_from(keys[at]));
    to[value] = Vector::cast_from(Vector::<f32, N>::cast_from(to[value]) + Vector::cast_from(values[at]));
}

/// See [`super::head_major`].
pub(super) fn head_major(x: &Tensor<2>, heads: usize, rows: &Range<usize>) -> Option<Tensor<3>> {
    let ([_, width], dtype) = (x.dims(), x.dtype());
    let dim = width / heads;
    let (element, source, size) = (elem_type(dtype)?, contiguous(x)?, vector_size(dim, dtype.size()));
    let Spread { cubes, units } = spread(heads * rows.len() * dim / size)?;
    let out = empty([heads, rows.len(), dim], x)?;
    heads_of_rows::launch(
        &source.client.clone(),
        cubes,
        units,
        size,
        source.into_buffer_arg(),
        out.clone().into_buffer_arg(),
        u32::try_from(rows.start).ok()?,
        u32::try_from(rows.len()).ok()?,
        Plan { heads, vectors: dim / size },
        element,
    );
    Some(Tensor::from_primitive::<Cube>(out))
}

/// See [`super::token_major`].
pub(super) fn token_major(blocks: &[Tensor<4>]) -> Option<Tensor<2>> {
    let [kv_heads, group, _, dim] = blocks.first()?.dims();
    let (heads, dtype) = (kv_heads * group, blocks[0].dtype());
    let (element, size) = (elem_type(dtype)?, vector_size(dim, dtype.size()));
    let all = blocks.iter().map(|block| block.dims()[2]).sum();
    let out = empty([all, heads * dim], &blocks[0])?;
    let mut first = 0;
    for block in blocks {
        let [_, _, rows, _] = block.dims();
        let Spread { cubes, units } = spread(heads * rows * dim / size)?;
        rows_of_heads::launch(
            &out.client,
            cubes,
            units,
            size,
            contiguous(block)?.into_buffer_arg(),
            out.clone().into_buffer_arg(),
            u32::try_from(first).ok()?,
            u32::try_from(rows).ok()?,
            Plan { heads, vectors: dim / size },
            element,
        );
        first += rows;
    }
    Some(Tensor::from_primitive::<Cube>(out))
}

/// See [`super::add_key_values`].
pub(super) fn add_key_values(to: &mut Tensor<2>, parts: &[Tensor<3>; 2], first: usize) -> Option<()> {
    let ([kv_heads, rows, dim], dtype) = (parts[0].dims(), to.dtype());
    if parts.iter().any(|part| part.dtype() != dtype) {
        return None;
    }
    let (element, size) = (elem_type(dtype)?, vector_size(dim, dtype.size()));
    let Spread { cubes, units } = spread(kv_heads * rows * dim / size)?;
    let (keys, values) = (contiguous(&parts[0])?, contiguous(&parts[1])?);
    let (first, rows) = (u32::try_from(first).ok()?, u32::try_from(rows).ok()?);
    let sum = taken(to)?;
    add_keys_and_values::launch(
        &keys.client.clone(),
        cubes,
        units,
        size,
        sum.clone().into_buffer_arg(),
        keys.into_buffer_arg(),
        values.into_buffer_arg(),
        first,
        rows,
        Plan { heads: 2 * kv_heads, vectors: dim / size },
        element,
    );
    *to = Tensor::from_primitive::<Cube>(sum);
    Some(())
}
