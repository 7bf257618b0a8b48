//! Keys and values of past tokens in pages, and attention over them.
//!
//! A page holds a fixed number of tokens and is shared by all sequences that have these tokens in common; one that is
//! written to while others hold it is copied first. A query's result is added up key by key in order, so it depends on
//! neither how the cache was filled nor on the other queries.

use std::sync::Arc;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use crate::heads::Heads;
use crate::softmax::softmax;

/// Tokens per page: a multiple of the lanes of every vector unit.
const PAGE: usize = 32;
/// Queries that are worked on together.
const QUERIES: usize = 4;
/// Rows of queries per piece of work.
const ROWS: usize = 16;
/// Multiplications below which a piece of work is not worth another core's attention.
const GRAIN: usize = 1 << 16;

/// One layer's keys and values of one sequence. In a page, per key-value head: keys `[d, PAGE]`, then values
/// `[PAGE, d]`.
#[derive(Clone, Debug, Default)]
pub struct Pages(Vec<Arc<Vec<f32>>>);

impl Pages {
    /// The first `tokens` tokens, shared with this sequence.
    #[must_use]
    pub fn prefix(&self, tokens: usize) -> Self {
        Self(self.0[..tokens.div_ceil(PAGE)].to_vec())
    }

    /// Writes the rows of `kv`, `[m, 2·kv·d]`, as the tokens from `start` on.
    pub fn write(&mut self, heads: Heads, start: usize, kv: &[f32]) {
        let (dim, half) = (heads.dim, heads.kv * heads.dim);
        let rows = kv.len() / (2 * half);
        let mut done = 0;
        while done < rows {
            let (page, slot) = ((start + done) / PAGE, (start + done) % PAGE);
            let count = (PAGE - slot).min(rows - done);
            if page == self.0.len() {
                self.0.push(Arc::new(vec![0.0; PAGE * 2 * half]));
            }
            let page = Arc::make_mut(&mut self.0[page]);
            let rows = &kv[done * 2 * half..(done + count) * 2 * half];
            for (head, page) in page.chunks_exact_mut(2 * dim * PAGE).enumerate() {
                let (keys, values) = page.split_at_mut(dim * PAGE);
                for (token, row) in rows.chunks_exact(2 * half).enumerate() {
                    let (key, value) = (&row[head * dim..][..dim], &row[half + head * dim..][..dim]);
                    for (key, place) in key.iter().zip(keys[slot + token..].iter_mut().step_by(PAGE)) {
                        *place = *key;
                    }
                    values[(slot + token) * dim..][..dim].copy_from_slice(value);
                }
            }
            done += count;
        }
    }

    /// Keys and values of a head, page by page.
    fn head(&self, heads: Heads, head: usize) -> impl Iterator<Item = (&[f32], &[f32])> {
        let size = heads.dim * PAGE;
        self.0.iter().map(move |page| page[2 * head * size..2 * (head + 1) * size].split_at(size))
    }
}

/// Queries of one sequence.
#[derive(Clone, Copy, Debug)]
pub struct Span<'a> {
    /// Keys and values.
    pub pages: &'a Pages,
    /// The number of the first query among all rows of queries.
    pub first: usize,
    /// The number of tokens that each query sees.
    pub seen: &'a [usize],
}

/// Softmax attention: `softmax(scale · q·kᵀ)·v`.
#[derive(Clone, Copy, Debug)]
pub struct PagedAttention {
    /// The heads of queries, keys and values.
    pub heads: Heads,
    /// What scores are multiplied by.
    pub scale: f32,
    /// How many of the last tokens it sees a query attends to; `None` for all.
    pub window: Option<usize>,
}

impl PagedAttention {
    /// The attention of every row of `q`. The spans cover the rows of `q` in order.
    ///
    /// # Shapes
    /// `q` `[M, kv·group·d]` → like `q`.
    pub fn attend(self, q: &[f32], spans: &[Span]) -> Vec<f32> {
        let heads = self.heads;
        let width = heads.query_width();
        let tasks: Vec<Task> = spans.iter().flat_map(|span| tasks(span, heads)).collect();
        let arch = Arch::new();
        let work = |task: &Task| arch.dispatch(Attend { attention: self, q, task: *task });
        let seen: usize = spans.iter().flat_map(|span| span.seen).sum();
        let parts: Vec<Vec<f32>> = if seen * width < GRAIN {
            tasks.iter().map(work).collect()
        } else {
            tasks.par_iter().map(work).collect()
        };
        let mut out = vec![0.0; q.len()];
        let group = heads.group * heads.dim;
        for (task, part) in tasks.iter().zip(&parts) {
            for (offset, part) in part.chunks_exact(group).enumerate() {
                let start = (task.first + offset) * width + task.head * group;
                out[start..start + group].copy_from_slice(part);
            }
        }
        out
    }
}

/// A span's pieces of work.
fn tasks<'a>(span: &Span<'a>, heads: Heads) -> impl Iterator<Item = Task<'a>> {
    let Span { pages, first, seen } = *span;
    (0..seen.len()).step_by(ROWS).flat_map(move |start| {
        let seen = &seen[start..(start + ROWS).min(seen.len())];
        (0..heads.kv).map(move |head| Task { pages, heads, first: first + start, seen, head })
    })
}

/// Some rows of a span and one key-value head.
#[derive(Clone, Copy)]
struct Task<'a> {
    pages: &'a Pages,
    heads: Heads,
    first: usize,
    seen: &'a [usize],
    head: usize,
}

struct Attend<'a> {
    attention: PagedAttention,
    q: &'a [f32],
    task: Task<'a>,
}

impl WithSimd for Attend<'_> {
    type Output = Vec<f32>;

    /// The rows' outputs, `[rows, group · d]`.
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Vec<f32> {
        let Self { attention, q, task } = self;
        let Heads { group, dim, .. } = attention.heads;
        let width = attention.heads.query_width();
        let mut out = vec![0.0; task.seen.len() * group * dim];
        let mut scores = Vec::new();
        let queries = task.seen.len() * group;
        let query = |number: usize| {
            let start = (task.first + number / group) * width + (task.head * group + number % group) * dim;
            &q[start..start + dim]
        };
        let mut number = 0;
        while number < queries {
            let count = if number + QUERIES <= queries { QUERIES } else { 1 };
            let seen: [usize; QUERIES] =
                std::array::from_fn(|at| task.seen[(number + at.min(count - 1)) / group]);
            let stride = seen.iter().max().map_or(0, |most| most.next_multiple_of(PAGE));
            let chunk: [&[f32]; QUERIES] = std::array::from_fn(|at| query(number + at.min(count - 1)));
            let out = &mut out[number * dim..(number + count) * dim];
            scores.clear();
            scores.resize(count * stride, 0.0);
            if count == QUERIES {
                score::<S, QUERIES>(simd, task, chunk, &mut scores);
                probabilities(&mut scores, stride, &seen[..count], attention);
                mix::<S, QUERIES>(simd, task, &scores, out);
            } else {
                score::<S, 1>(simd, task, [chunk[0]], &mut scores);
                probabilities(&mut scores, stride, &seen[..count], attention);
                mix::<S, 1>(simd, task, &scores, out);
            }
            number += count;
        }
        out
    }
}

/// The scores of `Q` queries with whole pages of keys, `[Q, stride]`.
#[inline(always)]
fn score<S: Simd, const Q: usize>(simd: S, task: Task, queries: [&[f32]; Q], scores: &mut [f32]) {
    let (stride, lanes) = (scores.len() / Q, S::F32_LANES);
    let pages = task.pages.head(task.heads, task.head).take(stride / PAGE);
    for (page, (keys, _)) in pages.enumerate() {
        for lane in (0..PAGE).step_by(2 * lanes) {
            let both = lane + lanes < PAGE;
            let mut sums = [[simd.splat_f32s(0.0); 2]; Q];
            for (element, keys) in keys.chunks_exact(PAGE).enumerate() {
                let keys = S::as_simd_f32s(keys).0;
                let (first, second) = (keys[lane / lanes], keys[if both { lane / lanes + 1 } else { 0 }]);
                for query in 0..Q {
                    let factor = simd.splat_f32s(queries[query][element]);
                    sums[query][0] = simd.mul_add_f32s(factor, first, sums[query][0]);
                    sums[query][1] = simd.mul_add_f32s(factor, second, sums[query][1]);
                }
            }
            for query in 0..Q {
                let place = &mut scores[query * stride + page * PAGE + lane..];
                let place = S::as_mut_simd_f32s(&mut place[..if both { 2 * lanes } else { lanes }]).0;
                for (place, sum) in place.iter_mut().zip(sums[query]) {
                    *place = sum;
                }
            }
        }
    }
}

/// Scores to probabilities: 0 for what is not seen.
#[inline(always)]
fn probabilities(scores: &mut [f32], stride: usize, seen: &[usize], attention: PagedAttention) {
    for (row, &seen) in scores.chunks_exact_mut(stride).zip(seen) {
        let (row, unseen) = row.split_at_mut(seen);
        let hidden = attention.window.map_or(0, |window| seen.saturating_sub(window));
        let (hidden, row) = row.split_at_mut(hidden);
        let inverse = softmax(row, attention.scale);
        for score in row {
            *score *= inverse;
        }
        hidden.fill(0.0);
        unseen.fill(0.0);
    }
}

/// The values weighed by the probabilities, `[Q, d]`.
#[inline(always)]
fn mix<S: Simd, const Q: usize>(simd: S, task: Task, probabilities: &[f32], out: &mut [f32]) {
    let (stride, lanes, dim) = (probabilities.len() / Q, S::F32_LANES, task.heads.dim);
    let mut element = 0;
    while element + lanes <= dim {
        let both = element + 2 * lanes <= dim;
        let mut sums = [[simd.splat_f32s(0.0); 2]; Q];
        let pages = task.pages.head(task.heads, task.head).take(stride / PAGE);
        for (page, (_, values)) in pages.enumerate() {
            for (token, values) in values.chunks_exact(dim).enumerate() {
                let values = S::as_simd_f32s(&values[element..]).0;
                let (first, second) = (values[0], values[usize::from(both)]);
                for query in 0..Q {
                    let weight = simd.splat_f32s(probabilities[query * stride + page * PAGE + token]);
                    sums[query][0] = simd.mul_add_f32s(weight, first, sums[query][0]);
                    sums[query][1] = simd.mul_add_f32s(weight, second, sums[query][1]);
                }
            }
        }
        for query in 0..Q {
            let place = &mut out[query * dim + element..][..if both { 2 * lanes } else { lanes }];
            for (place, sum) in S::as_mut_simd_f32s(place).0.iter_mut().zip(sums[query]) {
                *place = sum;
            }
        }
        element += if both { 2 * lanes } else { lanes };
    }
    for element in element..dim {
        for query in 0..Q {
            let mut sum = 0.0;
            let pages = task.pages.head(task.heads, task.head).take(stride / PAGE);
            for (page, (_, values)) in pages.enumerate() {
                for token in 0..PAGE {
                    sum +=
                        probabilities[query * stride + page * PAGE + token] * values[token * dim + element];
                }
            }
            out[query * dim + element] = sum;
        }
    }
}
