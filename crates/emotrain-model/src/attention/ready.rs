//! Queries, keys and values as the products of attention read them: rows on the CPU, whose products read heads in rows, and
//! blocks of heads on a GPU, where a block is memory of its own without a copy.

use std::ops::Range;

use burn::tensor::Tensor;
use emotrain_kernels::DropoutMask;

use super::{Blocks, Projected, Sides};
use crate::device::part;
use crate::kernels::{
    KeyRows, add_key_values, blocks_of_rows, grouped_heads, key_value_heads, matmul, product_into,
    put_key_values, put_products, query_heads, rows_of_blocks, token_major,
};
use crate::spec::Heads;

/// Queries, keys and values, or their gradients.
pub(crate) enum Ready {
    /// Token by token.
    Rows(Projected),
    /// The heads of each block of queries, behind one another, `[1, Q·kv·group·d]`, and keys and values `[2, kv, N, d]`.
    Heads { q: Tensor<2>, kv: Tensor<4> },
}

impl Ready {
    /// Of a block, `[kv, group, Q, d]`.
    pub(super) fn queries(&self, heads: Heads, rows: &Range<usize>) -> Tensor<4> {
        match self {
            Self::Rows(Projected { q, .. }) => query_heads(heads, q, rows),
            Self::Heads { q, .. } => {
                let width = heads.query_width();
                let block = part(q, 1, &(rows.start * width..rows.end * width));
                block.reshape([heads.kv, heads.group, rows.len(), heads.dim])
            }
        }
    }

    /// The same in both shapes that a backward multiplies.
    pub(super) fn sides(&self, heads: Heads, rows: &Range<usize>) -> Sides {
        let block = self.queries(heads, rows);
        let grouped = match self {
            Self::Rows(Projected { q, .. }) => grouped_heads(heads, block.clone(), q, rows),
            Self::Heads { .. } => super::grouped(heads, block.clone()),
        };
        Sides { heads: block, grouped }
    }

    /// Keys and values as products read them.
    pub(super) fn key_values(&self, heads: Heads) -> KeyValues {
        match self {
            Self::Rows(Projected { kv, .. }) => {
                key_value_heads(heads, kv).map_or_else(|| KeyValues::Rows(kv.clone()), KeyValues::Heads)
            }
            Self::Heads { kv, .. } => KeyValues::Heads(kv.clone()),
        }
    }

    /// Rows of the queries' shape in the form of the queries; it has no keys and values of its own.
    pub(super) fn like(&self, heads: Heads, rows: &Tensor<2>, blocks: &Blocks) -> Self {
        match self {
            Self::Rows(Projected { kv, .. }) => Self::Rows(Projected { q: rows.clone(), kv: kv.clone() }),
            Self::Heads { kv, .. } => {
                let q = blocks_of_rows(heads, rows, blocks.spans(&rows.device()));
                Self::Heads { q: q.expect("rows that were in blocks"), kv: kv.clone() }
            }
        }
    }

    /// Nothing yet of what has the queries' shape.
    pub(super) fn outputs(&self) -> Outputs {
        match self {
            Self::Rows(_) => Outputs::Each(Vec::new()),
            Self::Heads { q, .. } => Outputs::Blocks(Tensor::empty(q.dims(), (&q.device(), q.dtype()))),
        }
    }
}

/// Keys and values of all rows.
pub(super) enum KeyValues {
    /// `[N, 2·kv·d]`.
    Rows(Tensor<2>),
    /// `[2, kv, N, d]`.
    Heads(Tensor<4>),
}

impl KeyValues {
    /// Those of some rows, each `[kv, 1, T, d]`.
    pub(super) fn of(&self, heads: Heads, keys: &[Range<usize>]) -> [Tensor<4>; 2] {
        match self {
            Self::Rows(kv) => {
                let rows = parts(keys, |rows| kv.clone().narrow(0, rows.start, rows.len()), 0);
                [0, 1].map(|which| key_block(heads, &rows, which))
            }
            Self::Heads(kv) => {
                let rows = parts(keys, |rows| part(kv, 2, rows), 2);
                [0, 1].map(|which| part(&rows, 0, &(which..which + 1)).swap_dims(0, 1))
            }
        }
    }

    /// Of the same shape: zeros, or where every row is written once anything.
    pub(super) fn empty(&self, written: bool) -> Self {
        match self {
            Self::Rows(kv) => Self::Rows(Tensor::zeros(kv.dims(), (&kv.device(), kv.dtype()))),
            Self::Heads(kv) => {
                let options = (&kv.device(), kv.dtype());
                let empty = || Tensor::empty(kv.dims(), options);
                Self::Heads(if written { empty() } else { Tensor::zeros(kv.dims(), options) })
            }
        }
    }

    /// Puts what the queries of a block say about its keys and values in their places, or adds it to what is there: for
    /// each the product of what is given for all queries and keys, `[kv, group, Q, T]`, transposed, with a side of theirs.
    pub(super) fn put(&mut self, heads: Heads, keys: &KeyRows, products: [(Tensor<4>, Sides); 2]) {
        let [(for_keys, queries), (for_values, grads)] = &products;
        if let Self::Heads(kv) = self
            && put_products(kv, keys, [[for_keys, &queries.heads], [for_values, &grads.heads]]).is_some()
        {
            return;
        }
        let said =
            products.map(|(of_all, side)| matmul(super::grouped(heads, of_all).transpose(), side.grouped));
        let kv = match self {
            Self::Rows(kv) => return kv.inplace(|kv| add_key_values(heads, kv, said, keys.rows)),
            Self::Heads(kv) => kv,
        };
        let mut start = 0;
        for rows in keys.rows {
            let piece = match keys.rows {
                [_] => said.clone(),
                _ => said.clone().map(|part| part.narrow(1, start, rows.len())),
            };
            put_key_values(kv, &piece, rows.start, keys.adds);
            start += rows.len();
        }
    }
}

/// Some rows behind one another along a dimension.
fn parts<const D: usize>(
    keys: &[Range<usize>],
    one: impl Fn(&Range<usize>) -> Tensor<D>,
    dim: usize,
) -> Tensor<D> {
    match keys {
        [rows] => one(rows),
        several => Tensor::cat(several.iter().map(one).collect(), dim),
    }
}

/// The keys (`which` 0) or values (1) of rows `[T, 2·kv·d]` as `[kv, 1, T, d]`.
fn key_block(heads: Heads, rows: &Tensor<2>, which: usize) -> Tensor<4> {
    let block = rows.clone().reshape([rows.dims()[0], 2, heads.kv, heads.dim]);
    block.narrow(1, which, 1).permute([2, 1, 0, 3])
}

/// What the products of all blocks give, in the queries' form.
#[expect(clippy::large_enum_variant, reason = "one exists at a time")]
pub(super) enum Outputs {
    /// Each block on its own, `[kv, group, Q, d]`.
    Each(Vec<Tensor<4>>),
    /// All behind one another.
    Blocks(Tensor<2>),
}

impl Outputs {
    /// The product of a block.
    pub(super) fn put(&mut self, heads: Heads, rows: &Range<usize>, sides: [&Tensor<4>; 2]) {
        let [left, right] = sides;
        match self {
            Self::Each(blocks) => blocks.push(matmul(left.clone(), right.clone())),
            Self::Blocks(blocks) => product_into(blocks, rows.start * heads.query_width(), left, right),
        }
    }

    /// As rows, `[Q, kv·group·d]`, with what dropout leaves of them, if that comes without another launch.
    pub(super) fn rows(
        self,
        heads: Heads,
        blocks: &Blocks,
        mask: Option<DropoutMask>,
    ) -> (Tensor<2>, Option<Tensor<2>>) {
        match self {
            Self::Each(each) => (token_major(heads, each), None),
            Self::Blocks(all) => {
                let rows = rows_of_blocks(heads, &all, blocks.spans(&all.device()), mask);
                let [rows, dropped] = rows.expect("blocks of a GPU");
                (rows, mask.map(|_| dropped))
            }
        }
    }

    /// As gradients of queries, with those of keys and values.
    pub(super) fn with(self, heads: Heads, kv: KeyValues) -> Ready {
        match (self, kv) {
            (Self::Each(each), KeyValues::Rows(kv)) => {
                Ready::Rows(Projected { q: token_major(heads, each), kv })
            }
            (Self::Each(each), KeyValues::Heads(kv)) => {
                let [_, kv_heads, rows, dim] = kv.dims();
                let kv = kv.permute([2, 0, 1, 3]).reshape([rows, 2 * kv_heads * dim]);
                Ready::Rows(Projected { q: token_major(heads, each), kv })
            }
            (Self::Blocks(q), KeyValues::Heads(kv)) => Ready::Heads { q, kv },
            (Self::Blocks(_), KeyValues::Rows(_)) => unreachable!("blocks have keys and values by head"),
        }
    }
}
