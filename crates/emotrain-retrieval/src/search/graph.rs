//! Approximate nearest neighbours (HNSW), for banks too large to score every row for every query.
//!
//! `usearch` builds and searches the graph. It holds no vectors: a node is a row of the bank, one per distinct text,
//! and the distances that usearch asks for are computed from the quantised rows. Results are scored in float32 like
//! everything else, so a demonstration has the score that the exact search gives it; only whether it is found is
//! approximate.
//!
//! One thread builds a graph, in bank order, so that rebuilding gives the same bytes; one file gives every search the
//! same results.

mod layout;

use std::cell::RefCell;
use std::sync::Arc;

use emotrain_kernels::portable_arch;
use rayon::prelude::*;
use usearch::{Index, IndexOptions, MetricKind, ScalarKind};

use super::dense::{self, Rows, SPARE};
use super::{Best, Hit, SearchQuery};
use crate::manifest::HnswParameters;
use crate::mapped::MappedFile;
use crate::quantised::Query;
use crate::vectors::Vectors;

/// No other row with the same text.
const NO_NEXT: u32 = u32::MAX;
/// Represents the query where usearch expects a row.
const QUERY: f64 = -1.0;
/// Nodes between two progress reports.
const REPORT_EVERY: usize = 4_096;

thread_local! {
    /// The query that this thread is searching for.
    static ASKED: RefCell<Option<Query>> = const { RefCell::new(None) };
}

/// The rows of a bank with duplicate texts. A node of the graph represents all of them: many nodes at one point would
/// be neighbours only of each other.
#[derive(Debug)]
pub(crate) struct DuplicateTexts {
    /// The first row of each text, ascending: the nodes.
    pub(crate) firsts: Vec<u32>,
    /// For each row the next one with the same text.
    next: Vec<u32>,
}

impl DuplicateTexts {
    /// `by_text` has all rows, grouped by text and ascending.
    pub(crate) fn new(vectors: &Vectors, by_text: &[u32]) -> Self {
        let mut next = vec![NO_NEXT; by_text.len()];
        let mut firsts = Vec::new();
        let text = |row: u32| vectors.text(row as usize);
        for rows in by_text.chunk_by(|one, other| text(*one) == text(*other)) {
            firsts.extend(rows.first());
            for pair in rows.windows(2) {
                next[pair[0] as usize] = pair[1];
            }
        }
        firsts.sort_unstable();
        Self { firsts, next }
    }

    /// A row and the following rows with its text.
    fn from(&self, row: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(row), |row| {
            let next = self.next[*row];
            (next != NO_NEXT).then_some(next as usize)
        })
    }
}

/// Builds the graph of a bank's texts. `old` is a graph of the first of them, to be extended. `report` is called with
/// the number of nodes done.
///
/// # Errors
/// Too little memory.
pub(crate) fn build(
    vectors: &Arc<Vectors>,
    nodes: &[u32],
    parameters: HnswParameters,
    old: Option<&[u8]>,
    report: &mut dyn FnMut(usize),
) -> Result<Vec<u8>, String> {
    let mut index = empty(parameters)?;
    // One thread draws the levels, in order.
    index.reserve_capacity_and_threads(nodes.len(), 1).map_err(|error| error.to_string())?;
    if let Some(old) = old {
        index.load_from_buffer(old).map_err(|error| error.to_string())?;
        index.reserve_capacity_and_threads(nodes.len(), 1).map_err(|error| error.to_string())?;
    }
    ask_the_quantised(&mut index, vectors);
    for (at, node) in nodes.iter().enumerate().skip(index.size()) {
        index.add(u64::from(*node), &[f64::from(*node)]).map_err(|error| error.to_string())?;
        if (at + 1).is_multiple_of(REPORT_EVERY) {
            report(at + 1);
        }
    }
    report(nodes.len());
    let mut bytes = vec![0; index.serialized_length()];
    index.save_to_buffer(&mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// An index without nodes.
fn empty(parameters: HnswParameters) -> Result<Index, String> {
    let options = IndexOptions {
        dimensions: 1,
        metric: MetricKind::IP,
        quantization: ScalarKind::F64,
        connectivity: parameters.m,
        expansion_add: parameters.ef_construction,
        expansion_search: 0,
        multi: false,
    };
    Index::new(&options).map_err(|error| error.to_string())
}

/// Computes the distances between two nodes, or a node and the query, from the quantised rows. Call it once: usearch
/// keeps the function.
fn ask_the_quantised(index: &mut Index, vectors: &Arc<Vectors>) {
    let vectors = Arc::clone(vectors);
    index.change_metric::<f64>(Box::new(move |one, other| {
        #[expect(unsafe_code, reason = "usearch hands out addresses")]
        // SAFETY: usearch calls this with the addresses of two vectors, of one `f64` each as ensured by `empty` and
        // `layout::check`, which need not be aligned: the query's, which its caller holds, and those of nodes, in its
        // own memory or in the bytes that `Graph` holds.
        let (one, other) = unsafe { (one.read_unaligned(), other.read_unaligned()) };
        1.0 - likeness(&vectors, one, other)
    }));
}

/// The approximate cosine of two nodes, or of a node and the query.
fn likeness(vectors: &Vectors, one: f64, other: f64) -> f32 {
    let quantised = vectors.quantised();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a row")]
    let row = |number: f64| number as usize;
    let (first, second) = if other < 0.0 { (other, one) } else { (one, other) };
    if first < 0.0 {
        return ASKED
            .with_borrow(|query| query.as_ref().map_or(0.0, |query| query.estimate(quantised, row(second))));
    }
    quantised.estimate(row(first), row(second))
}

/// A bank's graph, opened for searching.
pub(crate) struct Graph {
    // Before the bytes: it points into them and is dropped first.
    index: Index,
    _bytes: Arc<MappedFile>,
    vectors: Arc<Vectors>,
    duplicates: DuplicateTexts,
}

impl Graph {
    /// Loads a graph of exactly these texts. Every byte is checked.
    ///
    /// # Errors
    /// Bytes that are not such a graph.
    pub(crate) fn open(
        bytes: &Arc<MappedFile>,
        vectors: &Arc<Vectors>,
        duplicates: DuplicateTexts,
        parameters: HnswParameters,
        ef_search: usize,
    ) -> Result<Self, String> {
        layout::check(bytes, &duplicates.firsts, parameters.m)?;
        let mut index = empty(parameters)?;
        let threads = rayon::current_num_threads() + 1;
        index.reserve_capacity_and_threads(0, threads).map_err(|error| error.to_string())?;
        #[expect(unsafe_code, reason = "usearch keeps the address")]
        // SAFETY: the bytes do not move while the value constructed here exists, which owns them and drops them after
        // the index; nobody writes to them, and everything that usearch reads from them has been checked.
        unsafe { index.view_from_buffer(bytes) }.map_err(|error| error.to_string())?;
        ask_the_quantised(&mut index, vectors);
        index.change_expansion_search(ef_search);
        Ok(Self { index, _bytes: Arc::clone(bytes), vectors: Arc::clone(vectors), duplicates })
    }

    /// The number of texts in it.
    pub(crate) fn len(&self) -> usize {
        self.duplicates.firsts.len()
    }

    /// The best rows found for each query, in the order and with the scores of [`dense::nearest`]. As many as that
    /// returns: otherwise the query falls back to it.
    ///
    /// # Shapes
    /// `queries` `[Q × width]`, row-major.
    ///
    /// # Errors
    /// Too little memory.
    pub(crate) fn nearest(
        &self,
        queries: &[f32],
        wish: SearchQuery<'_>,
        admits: impl Fn(usize, usize) -> bool + Sync,
    ) -> Result<Vec<Vec<Hit>>, String> {
        let mut counts = vec![0; wish.balance.map_or(1, |(_, emotions)| emotions)];
        match wish.balance {
            None => counts[0] = self.vectors.count(),
            Some((emotions, _)) => emotions.iter().for_each(|emotion| counts[usize::from(*emotion)] += 1),
        }
        let queries = queries.par_chunks_exact(self.vectors.width()).enumerate();
        let found = queries.map(|(at, query)| {
            let admits = |row| admits(at, row);
            match self.walk(query, wish, &counts, &admits)? {
                Some(hits) => Ok(hits),
                None => {
                    Ok(dense::nearest(Rows::of(&self.vectors), query, wish, |_, row| admits(row)).remove(0))
                }
            }
        });
        found.collect()
    }

    /// The graph's results for a query; `None` if there are fewer than there might be.
    fn walk(
        &self,
        query: &[f32],
        wish: SearchQuery<'_>,
        counts: &[usize],
        admits: &impl Fn(usize) -> bool,
    ) -> Result<Option<Vec<Hit>>, String> {
        let (rows, arch) = (Rows::of(&self.vectors), portable_arch());
        let mut buffer = vec![0.0; query.len()];
        let mut best = Best::new(wish);
        for (emotion, count) in counts.iter().enumerate() {
            let is_open = |row: &usize| {
                wish.balance.is_none_or(|(emotions, _)| usize::from(emotions[*row]) == emotion)
                    && admits(*row)
            };
            let is_wanted = |node: u64| {
                usize::try_from(node).is_ok_and(|node| self.duplicates.from(node).any(|row| is_open(&row)))
            };
            ASKED.set(Some(Query::new(query)));
            let matches = self.index.filtered_search(&[QUERY], 2 * wish.k + SPARE, is_wanted);
            ASKED.set(None);
            let mut found = 0;
            for node in matches.map_err(|error| error.to_string())?.keys {
                let Ok(node) = usize::try_from(node) else { continue };
                let score = rows.score(arch, query, node, &mut buffer);
                for row in self.duplicates.from(node).filter(is_open) {
                    best.offer(row, score, |_| true);
                    found += 1;
                }
            }
            if found < wish.k.min(*count) {
                return Ok(None);
            }
        }
        Ok(Some(best.into_hits()))
    }
}
