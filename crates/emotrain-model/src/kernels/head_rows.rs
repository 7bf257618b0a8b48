//! Heads of packed rows, from token-major to head-major and back.

use std::ops::Range;

use burn::tensor::Tensor;
use emotrain_kernels::Heads;

use super::host::{read, restore, slice, tensor, write};
use super::{Form, fused};

/// The heads of some rows, those that share keys below one another.
///
/// # Shapes
/// `x` `[N, kv·group·d]`, `Q` rows → `[kv, group·Q, d]`.
pub(crate) fn head_major(heads: Heads, x: &Tensor<2>, rows: &Range<usize>) -> Tensor<3> {
    let Heads { kv, group, dim } = heads;
    let queries = rows.len();
    let shape = [kv, group * queries, dim];
    match Form::of(x) {
        Form::Host => {
            let (x, width) = (read(x.clone()), heads.query_width());
            let x = &slice(&x)[rows.start * width..rows.end * width];
            tensor(emotrain_kernels::head_major(heads, x), shape)
        }
        Form::Fused => match fused::head_major(x, kv * group, rows, None) {
            Some(block) => block.reshape(shape),
            None => head_view(heads, x, rows).reshape(shape),
        },
        Form::Tensor => head_view(heads, x, rows).reshape(shape),
    }
}

/// The heads of some rows as products over keys take them: on a GPU in memory of their own.
///
/// # Shapes
/// `x` `[N, kv·group·d]`, `Q` rows → `[kv, group, Q, d]`.
pub(crate) fn query_heads(heads: Heads, x: &Tensor<2>, rows: &Range<usize>) -> Tensor<4> {
    match Form::of(x) {
        Form::Fused => head_major(heads, x, rows).reshape([heads.kv, heads.group, rows.len(), heads.dim]),
        Form::Host | Form::Tensor => head_view(heads, x, rows),
    }
}

/// [`head_major`] of rows whose [`query_heads`] are there.
///
/// # Shapes
/// `block` `[kv, group, Q, d]`, `x` `[N, kv·group·d]`, `Q` rows → `[kv, group·Q, d]`.
pub(crate) fn grouped_heads(heads: Heads, block: Tensor<4>, x: &Tensor<2>, rows: &Range<usize>) -> Tensor<3> {
    match Form::of(x) {
        Form::Fused => block.reshape([heads.kv, heads.group * rows.len(), heads.dim]),
        Form::Host | Form::Tensor => head_major(heads, x, rows),
    }
}

/// Keys and values of all rows head by head, where products read them so without a copy: on a GPU.
///
/// # Shapes
/// `x` `[N, 2·kv·d]` → `[2, kv, N, d]`.
pub(crate) fn key_value_heads(heads: Heads, x: &Tensor<2>) -> Option<Tensor<4>> {
    let ([rows, _], Heads { kv, dim, .. }) = (x.dims(), heads);
    match Form::of(x) {
        Form::Fused => {
            fused::head_major(x, 2 * kv, &(0..rows), None).map(|all| all.reshape([2, kv, rows, dim]))
        }
        Form::Host | Form::Tensor => None,
    }
}

/// Some rows as a view, `[kv, group, Q, d]`.
pub(super) fn head_view(heads: Heads, x: &Tensor<2>, rows: &Range<usize>) -> Tensor<4> {
    let block = x.clone().narrow(0, rows.start, rows.len());
    block.reshape([rows.len(), heads.kv, heads.group, heads.dim]).permute([1, 2, 0, 3])
}

/// The inverse of [`query_heads`], of blocks of rows behind one another.
///
/// # Shapes
/// Each `[kv, group, Q, d]` → `[Σ Q, kv·group·d]`.
pub(crate) fn token_major(heads: Heads, blocks: Vec<Tensor<4>>) -> Tensor<2> {
    if Form::of(&blocks[0]) == Form::Fused
        && let Some(rows) = fused::joined_rows(&blocks)
    {
        return rows;
    }
    let rows = blocks.into_iter().map(|block| {
        let [_, _, queries, _] = block.dims();
        let shape = [queries, heads.query_width()];
        match Form::of(&block) {
            Form::Host => tensor(emotrain_kernels::token_major(heads, slice(&read(block))), shape),
            Form::Fused | Form::Tensor => block.permute([2, 0, 1, 3]).reshape(shape),
        }
    });
    Tensor::cat(rows.collect(), 0)
}

/// Adds what a block of queries says about its keys and values to their rows.
///
/// # Shapes
/// `to` `[N, 2·kv·d]`; `parts`, of keys and values, `[kv, T, d]` for the `T` rows, which are those of all ranges, one after the
/// other.
pub(crate) fn add_key_values(
    heads: Heads,
    to: Tensor<2>,
    parts: [Tensor<3>; 2],
    rows: &[Range<usize>],
) -> Tensor<2> {
    match Form::of(&to) {
        Form::Host => {
            let (mut to, parts) = (write(to), parts.map(read));
            emotrain_kernels::add_key_values(heads, to.storage_mut(), parts.each_ref().map(slice), rows);
            restore(to)
        }
        Form::Fused | Form::Tensor => key_values_in_tensors(heads, to, &parts, rows),
    }
}

/// The form of [`add_key_values`] in tensor operations.
pub(super) fn key_values_in_tensors(
    heads: Heads,
    to: Tensor<2>,
    parts: &[Tensor<3>; 2],
    rows: &[Range<usize>],
) -> Tensor<2> {
    let both = Tensor::stack::<4>(parts.to_vec(), 0).permute([2, 0, 1, 3]);
    let all = both.dims()[0];
    let both = both.reshape([all, heads.key_value_width()]);
    let mut first = 0;
    rows.iter().fold(to, |to, rows| {
        let part = both.clone().narrow(0, first, rows.len());
        first += rows.len();
        let sum = to.clone().slice([rows.clone()]) + part;
        to.slice_assign([rows.clone()], sum)
    })
}
