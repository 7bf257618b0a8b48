//! Grouped-query attention over packed segments.
//!
//! On the CPU, and on a GPU with tensor cores for its numbers, it is computed without scores in memory. Elsewhere, and where
//! it is eager, it goes by blocks of queries. A block computes scores only for the keys that some query of it sees, so a causal
//! segment costs little more than half its square, and a branch of a tree nothing for the other branches. Nothing of size
//! queries × keys is kept for the backward pass: it stores one log-sum-exp per query and head and computes the probabilities
//! again (Rabe and Staats 2021; Dao et al. 2022).

mod ready;
#[cfg(test)]
mod tests;
mod tiles;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::OnceLock;

use burn::tensor::{Device, Int, Tensor};
use emotrain_kernels::{AttentionTiles, DropoutMask, FlashAttention};

pub(crate) use self::ready::Ready;
use crate::batch::{Batch, Visible, union};
use crate::kernels::{
    Attending, AttentionTables, KeyRows, Scores, Seen, attention_softmax, attention_softmax_backward,
    flash_attention, flash_attention_backward, integers_on, product_with_transposed, takes_flash,
    takes_tiles, tile_attention, tile_attention_backward,
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

/// The blocks of a batch.
#[derive(Clone, Debug)]
pub(crate) struct Blocks {
    /// In the order of their queries, which are all there are.
    all: Vec<Block>,
    /// Whether no key is in two blocks, and each in one.
    apart: bool,
    /// The first row and the number of rows of each query's block, from the first use on.
    spans: OnceLock<Tensor<2, Int>>,
    /// The rows of keys that see each other, all rows.
    segments: Vec<Range<usize>>,
    /// By each window, for attention without scores in memory, from its first use on.
    tiles: OnceLock<BTreeMap<Option<usize>, AttentionTiles>>,
    /// The same for attention in one launch.
    tables: OnceLock<BTreeMap<Option<usize>, AttentionTables>>,
}

impl Blocks {
    /// Of these blocks, whose keys are among these segments, which are all rows.
    pub(crate) fn new(blocks: Vec<Block>, segments: Vec<Range<usize>>) -> Self {
        let mut keys: Vec<&Range<usize>> = blocks.iter().flat_map(|block| &block.keys).collect();
        keys.sort_unstable_by_key(|keys| keys.start);
        let end = keys.iter().try_fold(0, |end, keys| (keys.start == end).then_some(keys.end));
        let apart = end == Some(segments.last().map_or(0, |last| last.end));
        let (spans, tiles, tables) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        Self { all: blocks, apart, spans, segments, tiles, tables }
    }

    /// For attentions whose blocks their caller has.
    pub(crate) fn none() -> Self {
        Self::new(Vec::new(), Vec::new())
    }

    /// New rows that continue after `past` keys: all rows of a tensor of queries, which see the past and each other
    /// causally.
    pub(crate) fn after(past: usize, rows: usize, windows: &BTreeSet<Option<usize>>) -> Self {
        let visible: Vec<Visible> = (0..rows).map(|row| Visible::causal(past + row)).collect();
        let block = Block::new(0..rows, std::iter::once(0..past + rows).collect(), &visible, windows);
        Self::new(vec![block], std::iter::once(0..past + rows).collect())
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// By each window.
    fn all_tiles(&self) -> &BTreeMap<Option<usize>, AttentionTiles> {
        self.tiles.get_or_init(|| {
            let windows = self.all.iter().flat_map(|block| block.seen.keys());
            let windows: BTreeSet<Option<usize>> = windows.copied().collect();
            let of = |window| (window, tiles::tiles(&self.all, window, &self.segments));
            windows.into_iter().map(of).collect()
        })
    }

    /// Of attentions with this window.
    fn tables(&self, window: Option<usize>, device: &Device) -> &AttentionTables {
        let tables = self.tables.get_or_init(|| {
            let of = |(window, tiles): (&Option<usize>, &AttentionTiles)| {
                (*window, tiles::tables(tiles, &self.all, device))
            };
            self.all_tiles().iter().map(of).collect()
        });
        &tables[&window]
    }

    /// See the field, `[Q, 2]`.
    pub(crate) fn spans(&self, device: &Device) -> &Tensor<2, Int> {
        self.spans.get_or_init(|| {
            let number = |number: usize| i32::try_from(number).expect("row numbers fit i32");
            let of_block = |Block { queries, .. }: &Block| {
                std::iter::repeat_n([number(queries.start), number(queries.len())], queries.len())
            };
            let spans: Vec<i32> = self.all.iter().flat_map(of_block).flatten().collect();
            let shape = [spans.len() / 2, 2];
            integers_on(device, spans, shape)
        })
    }
}

/// The blocks of a batch whose queries are `rows` (ascending; `None` for all rows), for attentions with these windows on
/// this device.
pub(crate) fn blocks(
    batch: &Batch,
    rows: Option<&[usize]>,
    windows: &BTreeSet<Option<usize>>,
    device: &Device,
) -> Blocks {
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
    Blocks::new(blocks, batch.segments.clone())
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

    /// What each query sees of all rows of keys.
    fn seen_rows(&self, window: Option<usize>) -> Vec<Vec<Range<usize>>> {
        let before = self.keys.iter().scan(0, |before, keys| {
            *before += keys.len();
            Some(*before - keys.len())
        });
        let before: Vec<usize> = before.collect();
        let moved = |range: Range<usize>| {
            let of = before.partition_point(|&before| before <= range.start) - 1;
            let start = self.keys[of].start + range.start - before[of];
            start..start + range.len()
        };
        let visible = self.seen[&window].visible().iter();
        visible.map(|visible| visible.ranges().map(moved).collect()).collect()
    }
}

/// Queries `[Q, kv·group·d]`, and keys and values `[N, 2·kv·d]`.
#[derive(Clone)]
pub(crate) struct Projected {
    pub(crate) q: Tensor<2>,
    pub(crate) kv: Tensor<2>,
}

/// What attention gives.
pub(crate) struct Attended {
    /// `[Q, kv·group·d]`.
    pub(crate) rows: Tensor<2>,
    /// What dropout leaves of them, if it was asked for and made on the way.
    pub(crate) dropped: Option<Tensor<2>>,
    /// Of each block, `[K, G, Q, 1]`; on the CPU of all at once, `[1, 1, Q, K·G]`.
    pub(crate) log_sums: Vec<Tensor<4>>,
}

/// Queries, or the gradient of what they gave.
struct Sides {
    /// `[K, G, Q, d]`.
    heads: Tensor<4>,
    /// `[K, G·Q, d]`.
    grouped: Tensor<3>,
}

/// `[K, G, Q, T]` as `[K, G·Q, T]`: the heads of a group below one another.
fn grouped(heads: Heads, block: Tensor<4>) -> Tensor<3> {
    let [_, _, queries, width] = block.dims();
    block.reshape([heads.kv, heads.group * queries, width])
}

impl AttentionSpec {
    /// Attention over blocks, and what dropout leaves of its rows where that comes without another launch.
    pub(crate) fn attend(self, ready: &Ready, blocks: &Blocks, mask: Option<DropoutMask>) -> Attended {
        if let Some((q, kv, attending)) = self.in_one_launch(ready, blocks) {
            let attended = flash_attention(q, kv, attending, mask);
            let ([rows, dropped], log_sums) = attended.expect("numbers of a GPU with tensor cores");
            return Attended { rows, dropped: mask.map(|_| dropped), log_sums: vec![log_sums] };
        }
        if let Some((Projected { q, kv }, attention)) = self.in_memory(ready, blocks) {
            let (rows, log_sums) = tile_attention(q, kv, attention);
            return Attended { rows, dropped: None, log_sums: vec![log_sums] };
        }
        let kv = ready.key_values(self.heads);
        let mut outputs = ready.outputs();
        let mut log_sums = Vec::new();
        for block in &blocks.all {
            let [keys, values] = kv.of(self.heads, &block.keys);
            let queries = ready.queries(self.heads, &block.queries);
            let [probabilities, log_sum] = attention_softmax(self.scores(queries, keys, block));
            outputs.put(self.heads, &block.queries, [&probabilities, &values]);
            log_sums.push(log_sum);
        }
        let (rows, dropped) = outputs.rows(self.heads, blocks, mask);
        Attended { rows, dropped, log_sums }
    }

    /// Queries, keys and values where blocks are attended in one launch.
    fn in_one_launch<'a>(
        self,
        ready: &'a Ready,
        blocks: &'a Blocks,
    ) -> Option<(&'a Tensor<2>, &'a Tensor<4>, Attending<'a>)> {
        let Ready::Heads { q, kv } = ready else { return None };
        takes_flash(q, self.heads).filter(|()| !self.eager)?;
        let tables = blocks.tables(self.window, &q.device());
        Some((q, kv, Attending { tables, heads: self.heads, scale: self.scale }))
    }

    /// Queries, keys and values where they are attended tile by tile in the memory of the CPU.
    fn in_memory<'a>(
        self,
        ready: &'a Ready,
        blocks: &'a Blocks,
    ) -> Option<(&'a Projected, FlashAttention<'a>)> {
        let Ready::Rows(projected) = ready else { return None };
        if self.eager || !takes_tiles(&projected.q) {
            return None;
        }
        let Self { heads, scale, arithmetic, .. } = self;
        let tiles = &blocks.all_tiles()[&self.window];
        Some((projected, FlashAttention { heads, scale, tiles, arithmetic }))
    }

    /// The gradients of queries, keys and values, given that of the rows that attention gave.
    ///
    /// # Shapes
    /// `grad` `[Q, kv·group·d]`.
    pub(crate) fn attend_backward(
        self,
        grad: &Tensor<2>,
        ready: &Ready,
        blocks: &Blocks,
        gave: &Attended,
    ) -> Ready {
        let (heads, log_sums) = (self.heads, &gave.log_sums);
        if let Some((q, kv, attending)) = self.in_one_launch(ready, blocks) {
            let grads = flash_attention_backward([q, grad, &gave.rows], kv, &log_sums[0], attending);
            let (q, kv) = grads.expect("numbers of a GPU with tensor cores");
            return Ready::Heads { q, kv };
        }
        if let Some((Projected { q, kv }, attention)) = self.in_memory(ready, blocks) {
            let [q, kv] = tile_attention_backward([q, grad, &gave.rows], kv, &log_sums[0], attention);
            return Ready::Rows(Projected { q, kv });
        }
        let kv = ready.key_values(heads);
        let (out_grad, mut query_grads) = (ready.like(heads, grad, blocks), ready.outputs());
        let mut kv_grad = kv.empty(blocks.apart);
        for (block, log_sum) in blocks.all.iter().zip(log_sums) {
            let [keys, values] = kv.of(heads, &block.keys);
            let [queries, out_grad] = [ready, &out_grad].map(|of| of.sides(heads, &block.queries));
            let probability_grad = product_with_transposed(out_grad.heads.clone(), values);
            let scores = self.scores(queries.heads.clone(), keys.clone(), block);
            let [probabilities, score_grad] = attention_softmax_backward(scores, log_sum, probability_grad);
            query_grads.put(heads, &block.queries, [&score_grad, &keys]);
            let rows = KeyRows { rows: &block.keys, adds: !blocks.apart };
            kv_grad.put(heads, &rows, [(score_grad, queries), (probabilities, out_grad)]);
        }
        query_grads.with(heads, kv_grad)
    }

    /// Of queries `[K, G, Q, d]` and keys `[K, 1, T, d]`.
    fn scores(self, queries: Tensor<4>, keys: Tensor<4>, block: &Block) -> Scores<'_> {
        let raw = product_with_transposed(queries, keys);
        Scores { raw, seen: &block.seen[&self.window], scale: self.scale }
    }
}
