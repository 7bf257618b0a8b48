//! Heads of packed rows: from token-major rows to blocks of rows, in each of which a head's rows are behind one another,
//! and back; on the way there queries and keys are normalised and rotated.

use std::ops::Range;

use burn::tensor::{DType, Int, Tensor};
use burn_cubecl::Cube;
use burn_cubecl::tensor::CubeTensor;
use cubecl::ir::ElemType;
use cubecl::prelude::*;
use emotrain_kernels::DropoutMask;

use super::buffers::{Spread, contiguous, elem_type, empty, empty_if, integers, spread, taken, vector_size};
use super::dropout::{Mask, kept, on_device};

/// Rows of heads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Plan {
    /// Of a row.
    pub(crate) heads: usize,
    /// Of a head.
    pub(crate) vectors: usize,
    /// Whether all rows are one block.
    pub(crate) whole: bool,
}

/// The vector of a block-major tensor with which `head` of `row` begins. `spans` are the first row and the rows of each
/// row's block.
#[cube]
pub(crate) fn begin(row: usize, head: usize, rows: usize, spans: &[i32], #[comptime] plan: Plan) -> usize {
    if comptime!(plan.whole) {
        (head * rows + row) * plan.vectors
    } else {
        let first = spans[2 * row] as usize;
        let length = spans[2 * row + 1] as usize;
        (first * plan.heads + head * length + (row - first)) * plan.vectors
    }
}

/// Rows of `x` from `first` on → blocks.
#[cube(launch)]
pub(crate) fn blocks_of_rows<F: Float, N: Size>(
    x: &[Vector<F, N>],
    spans: &[i32],
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
    let row = at / plan.vectors / plan.heads;
    let head = at / plan.vectors % plan.heads;
    let place = begin(row, head, rows as usize, spans, plan) + at % plan.vectors;
    out[place] = x[first as usize * plan.heads * plan.vectors + at];
}

/// The inverse: blocks → rows of `out` from `first` on, and where it is wanted what dropout leaves of them.
#[cube(launch)]
pub(crate) fn rows_of_blocks<F: Float, N: Size>(
    blocks: &[Vector<F, N>],
    spans: &[i32],
    out: &mut [Vector<F, N>],
    dropped: &mut [Vector<F, N>],
    first: u32,
    rows: u32,
    mask: &Mask,
    #[comptime] drops: bool,
    #[comptime] plan: Plan,
    #[define(F)] _dtype: ElemType,
) {
    let at = ABSOLUTE_POS;
    if at >= blocks.len() {
        terminate!();
    }
    let row = at / plan.vectors / plan.heads;
    let head = at / plan.vectors % plan.heads;
    let number = blocks[begin(row, head, rows as usize, spans, plan) + at % plan.vectors];
    out[first as usize * plan.heads * plan.vectors + at] = number;
    if comptime!(drops) {
        dropped[at] = Vector::cast_from(kept::<N>(Vector::cast_from(number), at, mask));
    }
}

/// Keys and values, each `[heads / 2, rows, vectors]`, to rows of both from `first` on, `[2, heads / 2, all, vectors]`: in
/// the place of what is there, or added to it.
#[cube(launch)]
pub(crate) fn put_keys_and_values<F: Float, N: Size>(
    to: &mut [Vector<F, N>],
    keys: &[Vector<F, N>],
    values: &[Vector<F, N>],
    first: u32,
    rows: u32,
    all: u32,
    #[comptime] adds: bool,
    #[comptime] plan: Plan,
    #[define(F)] _dtype: ElemType,
) {
    let at = ABSOLUTE_POS;
    if at >= keys.len() {
        terminate!();
    }
    let row = at / plan.vectors % rows as usize;
    let head = at / plan.vectors / rows as usize;
    let key = (head * all as usize + first as usize + row) * plan.vectors + at % plan.vectors;
    let value = key + plan.heads / 2 * all as usize * plan.vectors;
    if comptime!(adds) {
        to[key] = Vector::cast_from(Vector::<f32, N>::cast_from(to[key]) + Vector::cast_from(keys[at]));
        to[value] = Vector::cast_from(Vector::<f32, N>::cast_from(to[value]) + Vector::cast_from(values[at]));
    } else {
        to[key] = keys[at];
        to[value] = values[at];
    }
}

/// The spans of blocks, or a buffer in their place where all rows are one block.
pub(crate) fn spans_or_none<const D: usize>(
    spans: Option<&Tensor<2, Int>>,
    like: &Tensor<D>,
) -> Option<CubeTensor> {
    match spans {
        Some(spans) => integers(spans),
        None => integers(&Tensor::<1, Int>::empty([1], (&like.device(), DType::I32))),
    }
}

/// See [`super::super::head_major`].
pub(crate) fn head_major(
    x: &Tensor<2>,
    heads: usize,
    rows: &Range<usize>,
    spans: Option<&Tensor<2, Int>>,
) -> Option<Tensor<2>> {
    let ([_, width], dtype) = (x.dims(), x.dtype());
    let dim = width / heads;
    let (element, source, size) = (elem_type(dtype)?, contiguous(x)?, vector_size(dim, dtype.size()));
    let Spread { cubes, units } = spread(rows.len() * width / size)?;
    let out = empty([1, rows.len() * width], x)?;
    blocks_of_rows::launch(
        &source.client.clone(),
        cubes,
        units,
        size,
        source.into_buffer_arg(),
        spans_or_none(spans, x)?.into_buffer_arg(),
        out.clone().into_buffer_arg(),
        u32::try_from(rows.start).ok()?,
        u32::try_from(rows.len()).ok()?,
        Plan { heads, vectors: dim / size, whole: spans.is_none() },
        element,
    );
    Some(Tensor::from_primitive::<Cube>(out))
}

/// See [`super::super::token_major`].
pub(crate) fn token_major(
    blocks: &Tensor<2>,
    heads: [usize; 2],
    spans: Option<&Tensor<2, Int>>,
    mask: Option<DropoutMask>,
) -> Option<[Tensor<2>; 2]> {
    let ([heads, dim], [_, numbers]) = (heads, blocks.dims());
    let rows = numbers / (heads * dim);
    let out = empty([rows, heads * dim], blocks)?;
    let dropped = empty_if(mask.is_some(), [rows, heads * dim], blocks)?;
    put_rows(blocks, [&out, &dropped], Put { first: 0, rows, heads, dim, spans, mask })?;
    Some([out, dropped].map(Tensor::from_primitive::<Cube>))
}

/// See [`super::super::joined_rows`].
pub(crate) fn joined_rows(blocks: &[Tensor<4>]) -> Option<Tensor<2>> {
    let [kv_heads, group, _, dim] = blocks.first()?.dims();
    let heads = kv_heads * group;
    let all = blocks.iter().map(|block| block.dims()[2]).sum();
    let out = empty([all, heads * dim], &blocks[0])?;
    let none = empty_if(false, [all, heads * dim], &blocks[0])?;
    let mut first = 0;
    for block in blocks {
        let [_, _, rows, _] = block.dims();
        put_rows(block, [&out, &none], Put { first, rows, heads, dim, spans: None, mask: None })?;
        first += rows;
    }
    Some(Tensor::from_primitive::<Cube>(out))
}

/// Which rows blocks become.
struct Put<'a> {
    first: usize,
    rows: usize,
    heads: usize,
    dim: usize,
    spans: Option<&'a Tensor<2, Int>>,
    mask: Option<DropoutMask>,
}

fn put_rows<const D: usize>(blocks: &Tensor<D>, outs: [&CubeTensor; 2], put: Put) -> Option<()> {
    let Put { first, rows, heads, dim, spans, mask } = put;
    let ([out, dropped], dtype) = (outs.map(Clone::clone), blocks.dtype());
    let size = vector_size(dim, dtype.size());
    let Spread { cubes, units } = spread(rows * heads * dim / size)?;
    rows_of_blocks::launch(
        &out.client.clone(),
        cubes,
        units,
        size,
        contiguous(blocks)?.into_buffer_arg(),
        spans_or_none(spans, blocks)?.into_buffer_arg(),
        out.into_buffer_arg(),
        dropped.into_buffer_arg(),
        u32::try_from(first).ok()?,
        u32::try_from(rows).ok()?,
        on_device(mask),
        mask.is_some(),
        Plan { heads, vectors: dim / size, whole: spans.is_none() },
        elem_type(dtype)?,
    );
    Some(())
}

/// See [`super::super::put_key_values`].
pub(crate) fn put_key_values(
    to: &mut Tensor<4>,
    parts: &[Tensor<3>; 2],
    first: usize,
    adds: bool,
) -> Option<()> {
    let ([kv_heads, rows, dim], [_, _, all, _], dtype) = (parts[0].dims(), to.dims(), to.dtype());
    if parts.iter().any(|part| part.dtype() != dtype) {
        return None;
    }
    let (element, size) = (elem_type(dtype)?, vector_size(dim, dtype.size()));
    let Spread { cubes, units } = spread(kv_heads * rows * dim / size)?;
    let (keys, values) = (contiguous(&parts[0])?, contiguous(&parts[1])?);
    let moved = 2 * kv_heads * rows * dim * if adds { 2 } else { 1 };
    let [first, rows, all] = [first, rows, all].map(|count| u32::try_from(count).ok());
    let sum = taken(to, moved)?;
    put_keys_and_values::launch(
        &keys.client.clone(),
        cubes,
        units,
        size,
        sum.clone().into_buffer_arg(),
        keys.into_buffer_arg(),
        values.into_buffer_arg(),
        first?,
        rows?,
        all?,
        adds,
        Plan { heads: 2 * kv_heads, vectors: dim / size, whole: true },
        element,
    );
    *to = Tensor::from_primitive::<Cube>(sum);
    Some(())
}
