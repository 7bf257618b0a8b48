//! Grouped-query attention over packed segments, in blocks of queries.
//!
//! A block computes scores only for the keys that some query of it sees, so a causal segment costs little more
//! than half its square, and a branch of a tree nothing for the other branches. Nothing of size queries × keys is kept for the backward pass: it stores one
//! log-sum-exp per query and head and computes the probabilities again (Rabe and Staats 2021; Dao et al. 2022).

use std::ops::Range;

use burn::tensor::Tensor;

use crate::batch::{Batch, Visible, union};
use crate::kernels::{
    Scores, add_key_values, attention_probabilities, attention_scores_backward, head_major, log_sum_exp,
    token_major,
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
    /// Of the keys, which are behind one another.
    visible: Vec<Visible>,
}

/// The blocks of a batch whose queries are `rows` (ascending; `None` for all rows).
pub(crate) fn blocks(batch: &Batch, rows: Option<&[usize]>) -> Vec<Block> {
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
            let visible = visible.map(|visible| visible.among(&seen)).collect();
            let keys = seen.iter().map(|keys| segment.start + keys.start..segment.start + keys.end);
            blocks.push(Block { queries, keys: keys.collect(), visible });
        }
        next = end;
    }
    blocks
}

impl Block {
    /// Queries that continue after `past` keys: all rows of a tensor of queries, which see the past and each other
    /// causally; of the `rows` new rows the queries are the last.
    pub(crate) fn after(past: usize, rows: usize, queries: usize) -> Self {
        let visible = (rows - queries..rows).map(|row| Visible::causal(past + row)).collect();
        Self { queries: 0..queries, keys: std::iter::once(0..past + rows).collect(), visible }
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
            let log_sum = log_sum_exp(&scores);
            let probabilities = attention_probabilities(scores, &log_sum);
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
            let probabilities = attention_probabilities(self.scores(q, &rows, block), log_sum);
            let out_grad = query_block(self.heads, grad, &block.queries);
            let values = key_block(self.heads, &rows, 1);
            let probability_grad = out_grad.matmul(values.transpose());
            let out_grad = head_major(self.heads, grad, &block.queries);
            let value_grad = grouped(self.heads, probabilities.clone()).transpose().matmul(out_grad);
            let score_grad = attention_scores_backward(probabilities, probability_grad, self.scale);
            let keys = key_block(self.heads, &rows, 0);
            query_grads.push(token_major(self.heads, score_grad.clone().matmul(keys)));
            let queries = head_major(self.heads, q, &block.queries);
            let key_grad = grouped(self.heads, score_grad).transpose().matmul(queries);
            kv_grad = block.add_to(self.heads, kv_grad, [key_grad, value_grad]);
        }
        Projected { q: Tensor::cat(query_grads, 0), kv: kv_grad }
    }

    /// Given the rows of the block's keys.
    fn scores(self, q: &Tensor<2>, rows: &Tensor<2>, block: &Block) -> Scores {
        let keys = key_block(self.heads, rows, 0);
        let raw = query_block(self.heads, q, &block.queries).matmul(keys.transpose());
        let visible = block.visible.iter().map(|visible| visible.within(self.window)).collect();
        Scores { raw, visible, scale: self.scale }
    }
}
