//! Grouped-query attention over packed segments, in blocks of queries.
//!
//! A block computes scores only for the keys that some query of it sees, so a causal segment costs little more
//! than half its square, and a branch of a tree nothing for the other branches. Nothing of size queries × keys is kept for the backward pass: it stores one
//! log-sum-exp per query and head and computes the probabilities again (Rabe and Staats 2021; Dao et al. 2022).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use burn::tensor::{Device, Tensor};

use crate::batch::{Batch, Visible, union};
use crate::kernels::{
    Scores, Seen, add_key_values, attention_softmax, attention_softmax_backward, grouped_heads,
    key_value_heads, query_heads, token_major,
};
use crate::spec::{AttentionSpec, Heads};

/// Queries per block: on the CPU as many as leave their scores in its caches, on a GPU so many that a block keeps it
/// busy for longer than its launches take.
fn queries_per_block(device: &Device) -> usize {
    if *device == Device::flex() { 128 } else { 512 }
}

/// Queries of one segment, the keys that some of them see, and which of those each sees.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    queries: Range<usize>,
    /// Ascending.
    keys: Vec<Range<usize>>,
    /// By each window of the decoder's attentions, of the keys, which are behind one another.
    seen: BTreeMap<Option<usize>, Seen>,
}

/// The blocks of a batch whose queries are `rows` (ascending; `None` for all rows), for attentions with these windows on
/// this device.
pub(crate) fn blocks(
    batch: &Batch,
    rows: Option<&[usize]>,
    windows: &BTreeSet<Option<usize>>,
    device: &Device,
) -> Vec<Block> {
    let most = queries_per_block(device);
    let all: Vec<usize>;
    let rows = if let Some(rows) = rows {
        rows
    } else {
        all = (0..batch.rows()).collect();
        &all
    };
    let mut blocks = Vec::new();
    let mut next = 0;
    for segment in &batch.segments {
        let end = next + rows[next..].iter().take_while(|&&row| row < segment.end).count();
        for start in (next..end).step_by(most) {
            let queries = start..(start + most).min(end);
            let visible = rows[queries.clone()].iter().map(|&row| &batch.visible[row]);
            let seen = union(visible.clone().flat_map(Visible::ranges));
            let visible: Vec<Visible> = visible.map(|visible| visible.among(&seen)).collect();
            let keys = seen.iter().map(|keys| segment.start + keys.start..segment.start + keys.end);
            blocks.push(Block::new(queries, keys.collect(), &visible, windows));
        }
        next = end;
    }
    blocks
}

impl Block {
    fn new(
        queries: Range<usize>,
        keys: Vec<Range<usize>>,
        visible: &[Visible],
        windows: &BTreeSet<Option<usize>>,
    ) -> Self {
        let within = |&window: &Option<usize>| {
            let visible = visible.iter().map(|visible| visible.within(window));
            (window, Seen::new(visible.collect()))
        };
        Self { queries, keys, seen: windows.iter().map(within).collect() }
    }

    /// New rows that continue after `past` keys: all rows of a tensor of queries, which see the past and each other
    /// causally.
    pub(crate) fn after(past: usize, rows: usize, windows: &BTreeSet<Option<usize>>) -> Self {
        let visible: Vec<Visible> = (0..rows).map(|row| Visible::causal(past + row)).collect();
        Self::new(0..rows, std::iter::once(0..past + rows).collect(), &visible, windows)
    }

    /// Its keys and its values, each `[K, 1, T, d]`.
    fn keys_of(&self, heads: Heads, kv: &KeyValues) -> [Tensor<4>; 2] {
        match kv {
            KeyValues::Rows(kv) => {
                let part = |rows: &Range<usize>| kv.clone().narrow(0, rows.start, rows.len());
                let rows = match self.keys.as_slice() {
                    [rows] => part(rows),
                    several => Tensor::cat(several.iter().map(part).collect(), 0),
                };
                [0, 1].map(|which| key_block(heads, &rows, which))
            }
            KeyValues::Heads(all) => {
                let part = |rows: &Range<usize>| all.clone().narrow(2, rows.start, rows.len());
                let rows = match self.keys.as_slice() {
                    [rows] => part(rows),
                    several => Tensor::cat(several.iter().map(part).collect(), 2),
                };
                [0, 1].map(|which| rows.clone().narrow(0, which, 1).swap_dims(0, 1))
            }
        }
    }

    /// Adds what it says about its keys and values, each `[K, T, d]`, to their rows of `to` `[N, 2·kv·d]`.
    fn add_to(&self, heads: Heads, mut to: Tensor<2>, parts: [Tensor<3>; 2]) -> Tensor<2> {
        if let [rows] = self.keys.as_slice() {
            return add_key_values(heads, to, parts, rows);
        }
        let mut start = 0;
        for rows in &self.keys {
            let piece = parts.clone().map(|part| part.narrow(1, start, rows.len()));
            to = add_key_values(heads, to, piece, rows);
            start += rows.len();
        }
        to
    }
}

/// Keys and values of all rows, as products of this device read them.
enum KeyValues {
    /// `[N, 2·kv·d]`.
    Rows(Tensor<2>),
    /// `[2, K, N, d]`.
    Heads(Tensor<4>),
}

impl KeyValues {
    fn new(heads: Heads, kv: &Tensor<2>) -> Self {
        key_value_heads(heads, kv).map_or_else(|| Self::Rows(kv.clone()), Self::Heads)
    }
}

/// The keys (`which` 0) or values (1) of rows `[T, 2·kv·d]` as `[K, 1, T, d]`.
fn key_block(heads: Heads, rows: &Tensor<2>, which: usize) -> Tensor<4> {
    let block = rows.clone().reshape([rows.dims()[0], 2, heads.kv, heads.dim]);
    block.narrow(1, which, 1).permute([2, 1, 0, 3])
}

/// `[K, G, Q, T]` as `[K, G·Q, T]`: the heads of a group below one another.
fn grouped(heads: Heads, block: Tensor<4>) -> Tensor<3> {
    let [_, _, queries, width] = block.dims();
    block.reshape([heads.kv, heads.group * queries, width])
}

/// Queries `[Q, kv·group·d]`, and keys and values `[N, 2·kv·d]`.
#[derive(Clone)]
pub(crate) struct Projected {
    pub(crate) q: Tensor<2>,
    pub(crate) kv: Tensor<2>,
}

impl AttentionSpec {
    /// # Shapes
    /// `q` `[Q, kv·group·d]`, `kv` `[N, 2·kv·d]` → output like `q`, and a log-sum-exp `[K, G, Q, 1]` per block.
    pub(crate) fn attend(
        self,
        q: &Tensor<2>,
        kv: &Tensor<2>,
        blocks: &[Block],
    ) -> (Tensor<2>, Vec<Tensor<4>>) {
        let kv = KeyValues::new(self.heads, kv);
        let (mut outputs, mut log_sums) = (Vec::new(), Vec::new());
        for block in blocks {
            let [keys, values] = block.keys_of(self.heads, &kv);
            let queries = query_heads(self.heads, q, &block.queries);
            let [probabilities, log_sum] = attention_softmax(self.scores(queries, keys, block));
            outputs.push(probabilities.matmul(values));
            log_sums.push(log_sum);
        }
        (token_major(self.heads, outputs), log_sums)
    }

    /// The gradients of queries, keys and values, given that of the output.
    ///
    /// # Shapes
    /// `grad` `[Q, kv·group·d]`.
    pub(crate) fn attend_backward(
        self,
        grad: &Tensor<2>,
        projected: &Projected,
        blocks: &[Block],
        log_sums: &[Tensor<4>],
    ) -> Projected {
        let (heads, Projected { q, kv }) = (self.heads, projected);
        let mut query_grads = Vec::new();
        let mut kv_grad = Tensor::zeros(kv.dims(), (&kv.device(), kv.dtype()));
        let kv = KeyValues::new(heads, kv);
        for (block, log_sum) in blocks.iter().zip(log_sums) {
            let [keys, values] = block.keys_of(heads, &kv);
            let out_grad = query_heads(heads, grad, &block.queries);
            let probability_grad = out_grad.clone().matmul(values.transpose());
            let queries = query_heads(heads, q, &block.queries);
            let scores = self.scores(queries.clone(), keys.clone(), block);
            let [probabilities, score_grad] = attention_softmax_backward(scores, log_sum, probability_grad);
            let out_grad = grouped_heads(heads, out_grad, grad, &block.queries);
            let value_grad = grouped(heads, probabilities).transpose().matmul(out_grad);
            query_grads.push(score_grad.clone().matmul(keys));
            let queries = grouped_heads(heads, queries, q, &block.queries);
            let key_grad = grouped(heads, score_grad).transpose().matmul(queries);
            kv_grad = block.add_to(heads, kv_grad, [key_grad, value_grad]);
        }
        Projected { q: token_major(heads, query_grads), kv: kv_grad }
    }

    /// Of queries `[K, G, Q, d]` and keys `[K, 1, T, d]`.
    fn scores(self, queries: Tensor<4>, keys: Tensor<4>, block: &Block) -> Scores<'_> {
        let raw = queries.matmul(keys.transpose());
        Scores { raw, seen: &block.seen[&self.window], scale: self.scale }
    }
}
