//! Heads of packed rows, from token-major to head-major and back.

use std::ops::Range;

use burn::tensor::Tensor;
use emotrain_kernels::Heads;

use super::Form;
use super::host::{read, restore, slice, tensor, write};

/// The heads of some rows, those that share keys below one another.
///
/// # Shapes
/// `x` `[N, kv·group·d]`, `Q` rows → `[kv, group·Q, d]`.
pub(crate) fn head_major(heads: Heads, x: &Tensor<2>, rows: &Range<usize>) -> Tensor<3> {
    let Heads { kv, group, dim } = heads;
    let queries = rows.len();
    match Form::of(x) {
        Form::Host => {
            let (x, width) = (read(x.clone()), heads.query_width());
            let x = &slice(&x)[rows.start * width..rows.end * width];
            tensor(emotrain_kernels::head_major(heads, x), [kv, group * queries, dim])
        }
        Form::Fused | Form::Tensor => {
            let block = x.clone().narrow(0, rows.start, queries).reshape([queries, kv, group, dim]);
            block.permute([1, 2, 0, 3]).reshape([kv, group * queries, dim])
        }
    }
}

/// The inverse of [`head_major`].
///
/// # Shapes
/// `[kv, group, Q, d]` → `[Q, kv·group·d]`.
pub(crate) fn token_major(heads: Heads, block: Tensor<4>) -> Tensor<2> {
    let [_, _, queries, _] = block.dims();
    let shape = [queries, heads.query_width()];
    match Form::of(&block) {
        Form::Host => tensor(emotrain_kernels::token_major(heads, slice(&read(block))), shape),
        Form::Fused | Form::Tensor => block.permute([2, 0, 1, 3]).reshape(shape),
    }
}

/// Adds what a block of queries says about its keys and values to their rows.
///
/// # Shapes
/// `to` `[N, 2·kv·d]`; `parts`, of keys and values, `[kv, T, d]` for the `T` rows.
pub(crate) fn add_key_values(
    heads: Heads,
    to: Tensor<2>,
    parts: [Tensor<3>; 2],
    rows: &Range<usize>,
) -> Tensor<2> {
    match Form::of(&to) {
        Form::Host => {
            let (mut to, [keys, values]) = (write(to), parts.map(read));
            emotrain_kernels::add_key_values(heads, to.storage_mut(), slice(&keys), slice(&values), rows);
            restore(to)
        }
        Form::Fused | Form::Tensor => {
            let both = Tensor::stack::<4>(parts.to_vec(), 0).permute([2, 0, 1, 3]);
            let place = [rows.clone()];
            let sum = to.clone().slice(place.clone()) + both.reshape([rows.len(), heads.key_value_width()]);
            to.slice_assign(place, sum)
        }
    }
}
