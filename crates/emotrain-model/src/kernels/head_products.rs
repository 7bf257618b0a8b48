//! Products of heads, each with its own: attention's. On a CUDA device with cuBLASLt each is one call for all heads, in f32
//! where heads are f32, and written where it belongs; elsewhere they are the device's own products.

#[cfg(test)]
mod fake_card;

use std::ops::Range;

use burn::tensor::Tensor;

use super::fused;
use super::product::matmul;
use crate::device::{Stack, StackPlace, moves, moves_numbers, multiplied_stacks, multiply_stacks};

/// `left · rightᵀ`: what queries score for keys.
///
/// # Shapes
/// `[K, G, n, d]` and `[K, 1, T, d]` → `[K, G, n, T]`.
pub(crate) fn product_with_transposed(left: Tensor<4>, right: Tensor<4>) -> Tensor<4> {
    multiplied_stacks([&Stack::of(&left), &Stack::of(&right).transposed()])
        .unwrap_or_else(|| matmul(left, right.transpose()))
}

/// `left · right`.
///
/// # Shapes
/// `[K, G, n, T]` and `[K, 1, T, d]` → `[K, G, n, d]`.
pub(crate) fn head_product(left: Tensor<4>, right: Tensor<4>) -> Tensor<4> {
    multiplied_stacks([&Stack::of(&left), &Stack::of(&right)]).unwrap_or_else(|| matmul(left, right))
}

/// `left · right`, written into blocks from number `first` on.
///
/// # Shapes
/// `blocks` `[1, N]`, `[K, G, n, T]` and `[K, 1, T, d]`.
///
/// # Panics
/// Where the blocks are not on a GPU.
pub(crate) fn product_into(blocks: &mut Tensor<2>, first: usize, left: &Tensor<4>, right: &Tensor<4>) {
    let ([heads, group, rows, _], [.., width]) = (left.dims(), right.dims());
    let place = StackPlace { first, between: group * rows * width, adds: false };
    if multiply_stacks(blocks, [&Stack::of(left), &Stack::of(right)], place).is_some() {
        return;
    }
    let numbers = heads * group * rows * width;
    if fused::product_into(blocks, first, left, right).is_some() {
        moves(left, 1);
        moves(right, 1);
        moves_numbers(numbers, blocks.dtype());
        return;
    }
    let product = matmul(left.clone(), right.clone()).reshape([1, numbers]);
    blocks.inplace(|blocks| blocks.slice_assign([0..1, first..first + numbers], product));
}

/// What a block's keys are in the rows of all keys and values, for [`put_products`].
pub(crate) struct KeyRows<'a> {
    /// Ascending; the block's keys are these rows behind one another.
    pub(crate) rows: &'a [Range<usize>],
    /// Whether the products are added to what is there.
    pub(crate) adds: bool,
}

/// `leftᵀ · right` for keys, and for values, summed up over the queries of all heads of a group and put in the rows of a
/// block's keys. `None`, and nothing done, where no library writes them there.
///
/// # Shapes
/// `to` `[2, K, N, d]`; `[K, G, n, T]` and `[K, G, n, d]` for keys, and for values.
pub(crate) fn put_products(to: &mut Tensor<4>, keys: &KeyRows, products: [[&Tensor<4>; 2]; 2]) -> Option<()> {
    let [_, heads, all, width] = to.dims();
    let mut start = 0;
    for rows in keys.rows {
        let columns = start..start + rows.len();
        for (which, [left, right]) in products.into_iter().enumerate() {
            let first = (which * heads * all + rows.start) * width;
            let place = StackPlace { first, between: all * width, adds: keys.adds };
            multiply_stacks(to, [&Stack::columns(left, &columns).transposed(), &Stack::of(right)], place)?;
        }
        start += rows.len();
    }
    Some(())
}
