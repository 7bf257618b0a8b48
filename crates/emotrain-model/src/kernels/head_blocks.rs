//! Heads in blocks of rows, on a GPU: from rows to blocks, normalised and rotated on the way, and back. Every function is
//! `None` where there is no kernel for it, as on the CPU.

use burn::tensor::{Int, Tensor};
use emotrain_kernels::{DropoutMask, Heads};

use super::fused::{self, Turn};

/// Rows in blocks, in each of which a head's rows are behind one another; the first heads of each row are normalised and
/// rotated. `spans` are the first row and the number of rows of each row's block; without them all rows are one block.
///
/// # Shapes
/// `x` `[N, W]`, `spans` `[N, 2]` → `[1, N·W]`: blocks of `[W/d, rows, d]`.
pub(crate) fn turned_heads(x: &Tensor<2>, turn: &Turn, spans: Option<&Tensor<2, Int>>) -> Option<Tensor<2>> {
    fused::turned_heads(x, turn, spans)
}

/// Its backward: the gradient of the rows. `x` is read only where there is a norm.
///
/// # Shapes
/// `grad` `[1, N·W]`, `x` `[N, W]` → `[N, W]`.
pub(crate) fn turned_heads_backward(
    grad: &Tensor<2>,
    x: &Tensor<2>,
    turn: &Turn,
    spans: Option<&Tensor<2, Int>>,
) -> Option<Tensor<2>> {
    fused::turned_heads_backward(grad, x, turn, spans)
}

/// Rows in blocks as they are.
///
/// # Shapes
/// `x` `[Q, kv·group·d]`, `spans` `[Q, 2]` → `[1, Q·kv·group·d]`.
pub(crate) fn blocks_of_rows(heads: Heads, x: &Tensor<2>, spans: &Tensor<2, Int>) -> Option<Tensor<2>> {
    fused::head_major(x, heads.kv * heads.group, &(0..x.dims()[0]), Some(spans))
}

/// The inverse, and what dropout leaves of the rows if there is a mask.
///
/// # Shapes
/// `blocks` `[1, Q·kv·group·d]` → `[Q, kv·group·d]`, twice.
pub(crate) fn rows_of_blocks(
    heads: Heads,
    blocks: &Tensor<2>,
    spans: &Tensor<2, Int>,
    mask: Option<DropoutMask>,
) -> Option<[Tensor<2>; 2]> {
    fused::token_major(blocks, [heads.kv * heads.group, heads.dim], Some(spans), mask)
}

/// Puts keys and values of rows from `first` on where they belong, or adds them to what is there.
///
/// # Shapes
/// `to` `[2, kv, N, d]`; `parts`, of keys and values, `[kv, T, d]`.
pub(crate) fn put_key_values(to: &mut Tensor<4>, parts: &[Tensor<3>; 2], first: usize, adds: bool) {
    if fused::put_key_values(to, parts, first, adds).is_some() {
        return;
    }
    let [kv, rows, dim] = parts[0].dims();
    let both = Tensor::stack::<4>(parts.to_vec(), 0);
    let place = [0..2, 0..kv, first..first + rows, 0..dim];
    let there = to.clone().slice(place.clone());
    let put = if adds { there + both } else { both };
    to.inplace(|to| to.slice_assign(place, put));
}
