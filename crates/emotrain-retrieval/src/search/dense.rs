//! Exact cosine similarity with every vector of the bank, in float32.
//!
//! Vectors have length 1, so that a dot product is the cosine. All rows are scored approximately by their [int8
//! form](crate::quantised), a quarter of the size, and only those that may be among the best are read and scored
//! exactly: a few dozen per query. For one query the rows are divided among the cores; many queries are divided among
//! the cores, in blocks that share quantised rows in the cache. The scores are the same to the last bit.

use std::ops::Range;

use emotrain_kernels::{each_product, portable_arch, similarity};
use pulp::Arch;
use rayon::prelude::*;

use super::{Best, Hit, SearchQuery};
use crate::quantised::{QuantisedRows, Query};
use crate::vectors::Vectors;

/// Queries per block, and rows per step: both fit in a core's cache.
const QUERY_BLOCK: usize = 16;
const ROW_BLOCK: usize = 256;
/// The minimum number of rows per core for one query.
const ROW_PIECE: usize = 2048;
/// Candidates kept beyond twice the requested number. If that is not enough, because many texts are equal, the rows are
/// scanned a second time.
pub(super) const SPARE: usize = 24;

/// The rows to search.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows<'a> {
    pub(crate) source: Source<'a>,
    pub(crate) width: usize,
    pub(crate) quantised: QuantisedRows<'a>,
}

/// The source of rows.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source<'a> {
    /// A bank's file.
    File(&'a Vectors),
    /// Numbers in memory, row-major.
    #[cfg(test)]
    Memory(&'a [f32]),
}

impl<'a> Rows<'a> {
    /// The rows of a bank's file.
    pub(crate) fn of(vectors: &'a Vectors) -> Self {
        Self { source: Source::File(vectors), width: vectors.width(), quantised: vectors.quantised() }
    }

    pub(crate) fn count(self) -> usize {
        self.quantised.steps.len()
    }

    pub(super) fn score(self, arch: Arch, query: &[f32], row: usize, buffer: &mut [f32]) -> f32 {
        match self.source {
            Source::File(vectors) => vectors.read(row, buffer),
            #[cfg(test)]
            Source::Memory(all) => buffer.copy_from_slice(&all[row * self.width..(row + 1) * self.width]),
        }
        similarity(arch, query, buffer)
    }
}

/// The best rows for each query, best first; in a tie the earlier row is first. `admits(query, row)` says which rows
/// may be returned.
///
/// # Shapes
/// `queries` `[Q × width]`, row-major.
pub(crate) fn nearest(
    rows: Rows<'_>,
    queries: &[f32],
    wish: SearchQuery<'_>,
    admits: impl Fn(usize, usize) -> bool + Sync,
) -> Vec<Vec<Hit>> {
    let count = queries.len() / rows.width;
    if count < QUERY_BLOCK * rayon::current_num_threads() {
        let queries = queries.chunks_exact(rows.width).enumerate();
        let found = queries.map(|(at, query)| one(rows, query, wish, &|_, row| admits(at, row)));
        return found.collect();
    }
    let blocks = queries.par_chunks(QUERY_BLOCK * rows.width).enumerate();
    let found = blocks.map(|(block, queries)| {
        let admits = |query, row| admits(block * QUERY_BLOCK + query, row);
        let queries = queries.chunks_exact(rows.width);
        let quantised: Vec<Query> = queries.clone().map(Query::new).collect();
        let weighed = weigh(rows, &quantised, wish, 0..rows.count(), &admits);
        let scored = queries.zip(&quantised).zip(weighed).enumerate();
        let hits = scored.map(|(at, ((exact, quantised), candidates))| {
            let query = BothForms { exact, quantised };
            score(rows, query, candidates, wish, &|row| admits(at, row))
        });
        hits.collect::<Vec<_>>()
    });
    found.flatten_iter().collect()
}

/// One query, with the rows divided among the cores.
fn one(
    rows: Rows<'_>,
    query: &[f32],
    wish: SearchQuery<'_>,
    admits: &(impl Fn(usize, usize) -> bool + Sync),
) -> Vec<Hit> {
    let quantised = [Query::new(query)];
    let piece = rows.count().div_ceil(4 * rayon::current_num_threads()).max(ROW_PIECE);
    let pieces = (0..rows.count().div_ceil(piece)).into_par_iter().map(|number| {
        let part = number * piece..((number + 1) * piece).min(rows.count());
        weigh(rows, &quantised, wish, part, admits).pop()
    });
    let weighed = pieces.flatten_iter().reduce_with(Candidates::join);
    let Some(candidates) = weighed else { return Vec::new() };
    let query = BothForms { exact: query, quantised: &quantised[0] };
    score(rows, query, candidates, wish, &|row| admits(0, row))
}

/// The candidates of a query: the rows with the highest bounds.
struct Candidates {
    /// One list, or one per emotion; the highest bounds first.
    lists: Vec<Vec<Hit>>,
    /// The highest bound of the rows that a list dropped; -∞ if none was.
    floors: Vec<f32>,
}

impl Candidates {
    fn new(best: Best<'_>, k: usize) -> Self {
        let floor = |list: &Vec<Hit>| {
            list.last().filter(|_| list.len() == k).map_or(f32::NEG_INFINITY, |last| last.score)
        };
        let floors = best.lists.iter().map(floor).collect();
        Self { lists: best.lists, floors }
    }

    fn join(mut self, other: Self) -> Self {
        for (list, other) in self.lists.iter_mut().zip(other.lists) {
            list.extend(other);
        }
        for (floor, other) in self.floors.iter_mut().zip(other.floors) {
            *floor = floor.max(other);
        }
        self
    }
}

/// Computes the bounds of a range of rows for a block of queries, on this core.
fn weigh(
    rows: Rows<'_>,
    queries: &[Query],
    wish: SearchQuery<'_>,
    part: Range<usize>,
    admits: &impl Fn(usize, usize) -> bool,
) -> Vec<Candidates> {
    let k = 2 * wish.k + SPARE;
    let mut best = vec![Best::new(SearchQuery { k, ..wish }); queries.len()];
    let mut bounds = [0.0; ROW_BLOCK];
    for first in part.clone().step_by(ROW_BLOCK) {
        let bounds = &mut bounds[..ROW_BLOCK.min(part.end - first)];
        for (at, (query, best)) in queries.iter().zip(&mut best).enumerate() {
            query.bounds(rows.quantised, first, bounds);
            for (row, bound) in (first..).zip(bounds.iter()) {
                best.offer(row, *bound, |row| admits(at, row));
            }
        }
    }
    best.into_iter().map(|best| Candidates::new(best, k)).collect()
}

/// A query, as it is and quantised.
#[derive(Clone, Copy)]
struct BothForms<'a> {
    exact: &'a [f32],
    quantised: &'a Query,
}

/// Scores the candidates of a query, highest bound first, as long as they may be among the best.
fn score(
    rows: Rows<'_>,
    query: BothForms<'_>,
    mut candidates: Candidates,
    wish: SearchQuery<'_>,
    admits: &impl Fn(usize) -> bool,
) -> Vec<Hit> {
    let arch = portable_arch();
    let mut buffer = vec![0.0; rows.width];
    let mut best = Best::new(wish);
    for list in &mut candidates.lists {
        list.sort_by(|one, other| other.score.total_cmp(&one.score).then(one.row.cmp(&other.row)));
        for Hit { row, score: bound } in list.iter() {
            if !best.might_want(*row, *bound) {
                break;
            }
            best.offer(*row, rows.score(arch, query.exact, *row, &mut buffer), |_| true);
        }
    }
    if best.lists.iter().zip(&candidates.floors).any(|(list, floor)| best.wants(list, *floor)) {
        let mut bounds = [0.0; ROW_BLOCK];
        for first in (0..rows.count()).step_by(ROW_BLOCK) {
            let bounds = &mut bounds[..ROW_BLOCK.min(rows.count() - first)];
            query.quantised.bounds(rows.quantised, first, bounds);
            for (row, bound) in (first..).zip(bounds.iter()) {
                if best.might_want(row, *bound) && !best.holds(row) && admits(row) {
                    best.offer(row, rows.score(arch, query.exact, row, &mut buffer), |_| true);
                }
            }
        }
    }
    best.into_hits()
}

/// Calls `found(query, row, score)` for every query and every vector from `first` on, on this core.
///
/// # Shapes
/// `queries` `[Q × width]`, `vectors` `[N × width]`, row-major.
pub(crate) fn each_pair(
    queries: &[f32],
    vectors: &[f32],
    width: usize,
    first: usize,
    found: &mut impl FnMut(usize, usize, f32),
) {
    let arch = portable_arch();
    for (block, vectors) in vectors[first * width..].chunks(ROW_BLOCK / 2 * width).enumerate() {
        let start = first + block * (ROW_BLOCK / 2);
        each_product(arch, queries, vectors, width, &mut |query, row, score| {
            found(query, start + row, score);
        });
    }
}
