//! Grouped-query attention over packed segments, in blocks of queries.
//!
//! A block computes scores only for the keys that some query of it sees, so a causal segment costs little more
//! than half its square, and a branch of a tree nothing for the other branches. Nothing of size queries × keys is kept for the backward pass: it stores one
//! log-sum-exp per query and head and computes the probabilities again (Rabe and Staats 2021; Dao et al. 2022).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use burn::tensor::Tensor;

use crate::batch::{Batch, Visible, union};
use crate::kernels::{
    Scores, Seen, add_key_values, attention_softmax, attention_softmax_backward, head_major, token_major,
};
use crate::spec::{AttentionSpec, Heads};

/// Queries per block.
const BLOCK: usize = 128;

/// Queries of one segment, the keys that some of them see, and which of those each sees.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    queries: Range<usize>,
    /// Ascending.
    keys: Vec<Range<usize>>,
    /// By each window of the decoder's attentions, of the keys, which are behind one another.
    seen: BTreeMap<Option<usize>, Seen>,
}

/// The blocks of a batch whose queries are `rows` (ascending; `None` for all rows), for attentions with these windows.
pub(crate) fn blocks(batch: &Batch, rows: Option<&[usize]>, windows: &BTreeSet<Option<usize>>) -> Vec<Block> {
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
        for start in (next..end).step_by(BLOCK) {
            let queries = start..(start + BLOCK).min(end);
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

    /// The rows of its keys, `[N, 2·kv·d]` → `[T, 2·kv·d]`.
    fn keys_of(&self, kv: &Tensor<2>) -> Tensor<2> {
        let part = |rows: &Range<usize>| kv.clone().narrow(0, rows.start, rows.len());
        match self.keys.as_slice() {
            [rows] => part(rows),
            several => Tensor::cat(several.iter().map(part).collect(), 0),
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

/// Rows of a `[N, kv·group·d]` tensor as `[K, G, Q, d]`.
fn query_block(heads: Heads, q: &Tensor<2>, rows: &Range<usize>) -> Tensor<4> {
    let block = q.clone().narrow(0, rows.start, rows.len());
    block.reshape([rows.len(), heads.kv, heads.group, heads.dim]).permute([1, 2, 0, 3])
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
        let (mut outputs, mut log_sums) = (Vec::new(), Vec::new());
        for block in blocks {
            let rows = block.keys_of(kv);
            let scores = self.scores(q, &rows, block);
            let [probabilities, log_sum] = attention_softmax(scores);
            let values = key_block(self.heads, &rows, 1);
            outputs.push(token_major(self.heads, probabilities.matmul(values)));
            log_sums.push(log_sum);
        }
        (Tensor::cat(outputs, 0), log_sums)
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
        let Projected { q, kv } = projected;
        let mut query_grads = Vec::new();
        let mut kv_grad = Tensor::zeros(kv.dims(), (&kv.device(), kv.dtype()));
        for (block, log_sum) in blocks.iter().zip(log_sums) {
            let rows = block.keys_of(kv);
            let out_grad = query_block(self.heads, grad, &block.queries);
            let values = key_block(self.heads, &rows, 1);
            let probability_grad = out_grad.matmul(values.transpose());
            let scores = self.scores(q, &rows, block);
            let [probabilities, score_grad] = attention_softmax_backward(scores, log_sum, probability_grad);
            let out_grad = head_major(self.heads, grad, &block.queries);
            let value_grad = grouped(self.heads, probabilities).transpose().matmul(out_grad);
            let keys = key_block(self.heads, &rows, 0);
            query_grads.push(token_major(self.heads, score_grad.clone().matmul(keys)));
            let queries = head_major(self.heads, q, &block.queries);
            let key_grad = grouped(self.heads, score_grad).transpose().matmul(queries);
            kv_grad = block.add_to(self.heads, kv_grad, [key_grad, value_grad]);
        }
        Projected { q: Tensor::cat(query_grads, 0), kv: kv_grad }
    }

    /// Given the rows of the block's keys.
    fn scores<'a>(self, q: &Tensor<2>, rows: &Tensor<2>, block: &'a Block) -> Scores<'a> {
        let keys = key_block(self.heads, rows, 0);
        let raw = query_block(self.heads, q, &block.queries).matmul(keys.transpose());
        Scores { raw, seen: &block.seen[&self.window], scale: self.scale }
    }
}
