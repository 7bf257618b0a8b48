//! Cosine similarity with every vector of the bank: exact, in float32.
//!
//! Vectors have length 1, so that a dot product is the cosine. A few queries divide the rows among the
//! cores and pass over most of them by their [`sketches`](super::sketch): memory is what bounds them.
//! Many queries are divided among the cores in blocks, each of which meets a block of rows while that is
//! in the cache. Both ways give the same scores, to the last bit.

use std::ops::Range;

use pulp::Arch;
use rayon::prelude::*;

use super::kernel::{product, scan};
use super::sketch::{Query, Sketches};
use super::{Best, Hit, Wish};

/// Queries of a block, and rows that they meet at a time: both fit into a core's cache.
const QUERY_BLOCK: usize = 48;
const ROW_BLOCK: usize = 128;
/// Fewest rows that a core takes at a time for a few queries, and bounds that it computes at a time.
const ROW_PIECE: usize = 2048;
const BOUNDS: usize = 256;

/// Vectors to search, row-major.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows<'a> {
    pub(crate) vectors: &'a [f32],
    pub(crate) width: usize,
    pub(crate) sketches: Sketches<'a>,
}

impl<'a> Rows<'a> {
    pub(crate) fn count(self) -> usize {
        self.vectors.len() / self.width
    }

    fn part(self, rows: Range<usize>) -> &'a [f32] {
        &self.vectors[rows.start * self.width..rows.end * self.width]
    }
}

/// The best rows for each query, best first; of equal scores the earlier row is first.
/// `admits(query, row)` says which rows may be found.
///
/// # Shapes
/// `queries` `[Q × width]`, row-major.
pub(crate) fn nearest<'w>(
    rows: Rows<'_>,
    queries: &[f32],
    wish: Wish<'w>,
    admits: impl Fn(usize, usize) -> bool + Sync,
) -> Vec<Vec<Hit>> {
    let count = queries.len() / rows.width;
    let threads = rayon::current_num_threads();
    if count <= QUERY_BLOCK / 2 * threads {
        few(rows, queries, wish, &admits)
    } else {
        let blocks = queries.par_chunks(QUERY_BLOCK * rows.width).enumerate();
        let found = blocks.map(|(block, queries)| {
            let first = block * QUERY_BLOCK;
            search(rows, queries, wish, 0..rows.count(), &|query, row| admits(first + query, row))
        });
        found.flatten_iter().map(Best::into_hits).collect()
    }
}

/// Divides the rows among the cores, for one query after the other.
fn few(
    rows: Rows<'_>,
    queries: &[f32],
    wish: Wish<'_>,
    admits: &(impl Fn(usize, usize) -> bool + Sync),
) -> Vec<Vec<Hit>> {
    // A piece begins without a worst of its best, so that longer pieces read fewer rows.
    let piece = rows.count().div_ceil(4 * rayon::current_num_threads()).max(ROW_PIECE);
    let pieces = rows.count().div_ceil(piece);
    let queries = queries.chunks_exact(rows.width).enumerate();
    let found = queries.map(|(at, query)| {
        let sketch = Query::new(query);
        let found = (0..pieces).into_par_iter().map(|number| {
            let part = number * piece..((number + 1) * piece).min(rows.count());
            sift(rows, (query, &sketch), Best::new(wish), part, &|row| admits(at, row))
        });
        // The join keeps the order of the pieces, and with it the order of equal scores.
        found.reduce(|| Best::new(wish), Best::join).into_hits()
    });
    found.collect()
}

/// Scores the rows of a part whose sketches promise enough, on this core.
fn sift<'w>(
    rows: Rows<'_>,
    (query, sketch): (&[f32], &Query),
    mut best: Best<'w>,
    part: Range<usize>,
    admits: &impl Fn(usize) -> bool,
) -> Best<'w> {
    let arch = Arch::new();
    let mut bounds = [0.0; BOUNDS];
    for first in part.clone().step_by(BOUNDS) {
        let bounds = &mut bounds[..BOUNDS.min(part.end - first)];
        sketch.bounds(arch, rows.sketches, first, bounds);
        for (row, bound) in (first..).zip(bounds.iter()) {
            if best.might_want(row, *bound) {
                let score = product(arch, query, rows.part(row..row + 1));
                best.offer(row, score, admits);
            }
        }
    }
    best
}

/// Searches some rows for a block of queries on this core.
fn search<'w>(
    rows: Rows<'_>,
    queries: &[f32],
    wish: Wish<'w>,
    part: Range<usize>,
    admits: &impl Fn(usize, usize) -> bool,
) -> Vec<Best<'w>> {
    let mut best = vec![Best::new(wish); queries.len() / rows.width];
    each_pair(rows, queries, part, &mut |query, row, score| {
        best[query].offer(row, score, |row| admits(query, row));
    });
    best
}

/// Calls `found(query, row, score)` for every query and every row of `part`, on this core.
pub(crate) fn each_pair(
    rows: Rows<'_>,
    queries: &[f32],
    part: Range<usize>,
    found: &mut impl FnMut(usize, usize, f32),
) {
    let arch = Arch::new();
    let (start, end) = (part.start, part.end);
    for first in (start..end).step_by(ROW_BLOCK) {
        let block = rows.part(first..(first + ROW_BLOCK).min(end));
        scan(arch, (queries, block), rows.width, &mut |query, row, score| found(query, first + row, score));
    }
}
