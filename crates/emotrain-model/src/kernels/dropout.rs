//! Inverted dropout whose mask is a function of a key, so that the backward pass needs no stored mask.

use burn::tensor::{Tensor, TensorData};
use emotrain_base::random::Key;
use emotrain_kernels::DropoutMask;

use super::host::{restore, write};
use super::{Form, Masks, add_block, fused};
use crate::device::part;

/// Rows that linear layers take, and what the dropout of each of these leaves of them, where that came with the rows: a
/// kernel that makes rows on a GPU drops them, too.
#[derive(Clone, Debug)]
pub(crate) struct Inputs {
    /// `[N, D]`; where nobody reads them ([`Masks::rows`]) what the first mask leaves.
    pub(crate) rows: Tensor<2>,
    /// For each mask, `[N, D]`; `None` where it is still to be made.
    pub(crate) dropped: Vec<Option<Tensor<2>>>,
}

impl Inputs {
    /// Rows of which nothing is dropped yet.
    pub(crate) fn plain(rows: Tensor<2>, masks: usize) -> Self {
        Self { rows, dropped: vec![None; masks] }
    }

    /// So many rows with what the masks that there are leave of them, behind one another.
    pub(super) fn with(rows: Tensor<2>, count: usize, copies: &Tensor<2>, masks: Masks) -> Self {
        let mut first = 0;
        let copy = |mask: &Option<DropoutMask>| {
            let copy = mask.map(|_| part(copies, 0, &(first..first + count)));
            first += if mask.is_some() { count } else { 0 };
            copy
        };
        let dropped: Vec<Option<Tensor<2>>> = masks.of.iter().map(copy).collect();
        let read = dropped.iter().flatten().next().filter(|_| !masks.rows);
        Self { rows: read.cloned().unwrap_or(rows), dropped }
    }
}

/// Zeroes each element with probability `p` and scales the rest by `1 / (1 - p)`.
///
/// The same key and shape give the same mask, on every device: applied to a gradient this is its own backward.
///
/// # Shapes
/// `[N, D]` → `[N, D]`.
pub(crate) fn dropout(x: Tensor<2>, p: f32, key: Key) -> Tensor<2> {
    match Form::of(&x) {
        Form::Host => {
            let [_, width] = x.dims();
            let mut x = write(x);
            emotrain_kernels::dropout(x.storage_mut(), width, p, key.bits());
            restore(x)
        }
        Form::Fused => {
            fused::dropout(&x, DropoutMask::new(p, key.bits())).unwrap_or_else(|| in_tensors(x, p, key))
        }
        Form::Tensor => in_tensors(x, p, key),
    }
}

/// Adds what [`dropout`] leaves of `x` to the rows of `to` from `row` on.
///
/// # Shapes
/// `to` `[N, D]`, `x` `[n, D]` with `row + n <= N`.
pub(crate) fn add_dropped(mut to: Tensor<2>, x: Tensor<2>, row: usize, p: f32, key: Key) -> Tensor<2> {
    if Form::of(&to) == Form::Fused
        && fused::add_dropped(&mut to, &x, row, DropoutMask::new(p, key.bits())).is_some()
    {
        return to;
    }
    add_block(to, dropout(x, p, key), [row, 0])
}

/// The form in tensor operations: the mask is made on the host.
pub(super) fn in_tensors(x: Tensor<2>, p: f32, key: Key) -> Tensor<2> {
    let [rows, width] = x.dims();
    let mut mask = vec![1.0; rows * width];
    emotrain_kernels::dropout(&mut mask, width, p, key.bits());
    let mask = TensorData::new(mask, [rows, width]);
    let options = (&x.device(), x.dtype());
    x * Tensor::from_data(mask, options)
}
