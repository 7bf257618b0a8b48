//! A graph of neighbours (HNSW), for banks that are too large to weigh every row for every query.
//!
//! `usearch` builds and walks the graph. It holds no vectors: a node is a place in the bank, one for each
//! different text, and what usearch asks about two nodes is answered from the quantised rows. What it
//! brings is scored in float32 like everything else, so that a demonstration that is found has the score
//! that the exact search gives it; only whether it is found is a matter of luck.
//!
//! A graph is built by one thread, in the order of the bank, so that building it again gives the same bytes,
//! and one file gives every search the same answers.

mod layout;

use std::cell::RefCell;
use std::sync::Arc;

use rayon::prelude::*;
use usearch::{Index, IndexOptions, MetricKind, ScalarKind};

use super::dense::{self, Rows, SPARE};
use super::{Best, Hit, SearchQuery, kernel};
use crate::manifest::HnswParameters;
use crate::mapped::MappedFile;
use crate::quantised::Query;
use crate::vectors::Vectors;

/// No other row of the same text.
const NO_NEXT: u32 = u32::MAX;
/// Stands for the query where usearch expects a row.
const QUERY: f64 = -1.0;
/// Nodes between two reports of a build.
const TOLD_EVERY: usize = 4_096;

thread_local! {
    /// The query that this thread walks a graph for.
    static ASKED: RefCell<Option<Query>> = const { RefCell::new(None) };
}

/// Which rows of a bank have the same text. A node of the graph stands for all of them: many nodes in one place would
/// be neighbours of one another and of nothing else.
#[derive(Debug)]
pub(crate) struct DuplicateTexts {
    /// The first row of each text, ascending: the nodes.
    pub(crate) firsts: Vec<u32>,
    /// For each row the next of the same text.
    next: Vec<u32>,
}

impl DuplicateTexts {
    /// `by_text` are all rows, those of one text together and ascending.
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

    /// A row and those after it that have its text.
    fn from(&self, row: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(row), |row| {
            let next = self.next[*row];
            (next != NO_NEXT).then_some(next as usize)
        })
    }
}

/// Builds the graph of a bank's texts. `old` is a graph of the first of them, to be added to. `tell` hears how many
/// are in it.
///
/// # Errors
/// Too little memory.
pub(crate) fn build(
    vectors: &Arc<Vectors>,
    nodes: &[u32],
    (parameters, old): (HnswParameters, Option<&[u8]>),
    tell: &mut dyn FnMut(usize),
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
        if (at + 1).is_multiple_of(TOLD_EVERY) {
            tell(at + 1);
        }
    }
    tell(nodes.len());
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

/// Lets the quantised rows answer how far two nodes, or a node and the query, are apart. To be called once: usearch keeps
/// what it is given.
fn ask_the_quantised(index: &mut Index, vectors: &Arc<Vectors>) {
    let vectors = Arc::clone(vectors);
    index.change_metric::<f64>(Box::new(move |one, other| {
        #[expect(unsafe_code, reason = "usearch hands out addresses")]
        // SAFETY: usearch calls this with the addresses of two vectors, of one `f64` each as `empty` and
        // `layout::check` make sure, which need not be aligned: the query's, which its caller holds, and those of
        // nodes, in memory of its own or in the bytes that `Graph` holds.
        let (one, other) = unsafe { (one.read_unaligned(), other.read_unaligned()) };
        1.0 - likeness(&vectors, one, other)
    }));
}

/// About the cosine of two nodes, or of a node and the query.
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
    twins: DuplicateTexts,
}

impl Graph {
    /// Takes up a graph of exactly these texts. Every byte is read.
    ///
    /// # Errors
    /// Bytes that are no such graph.
    pub(crate) fn open(
        bytes: &Arc<MappedFile>,
        vectors: &Arc<Vectors>,
        twins: DuplicateTexts,
        (parameters, ef_search): (HnswParameters, usize),
    ) -> Result<Self, String> {
        layout::check(bytes, &twins.firsts, parameters.m)?;
        let mut index = empty(parameters)?;
        let threads = rayon::current_num_threads() + 1;
        index.reserve_capacity_and_threads(0, threads).map_err(|error| error.to_string())?;
        #[expect(unsafe_code, reason = "usearch keeps the address")]
        // SAFETY: the bytes do not move while the value lives that is made here, which holds them and drops them
        // after the index; nobody writes to them, and what usearch reads of them has been checked.
        unsafe { index.view_from_buffer(bytes) }.map_err(|error| error.to_string())?;
        ask_the_quantised(&mut index, vectors);
        index.change_expansion_search(ef_search);
        Ok(Self { index, _bytes: Arc::clone(bytes), vectors: Arc::clone(vectors), twins })
    }

    /// How many texts are in it.
    pub(crate) fn len(&self) -> usize {
        self.twins.firsts.len()
    }

    /// The best rows that are found for each query, in the order and with the scores of [`dense::nearest`]. As many
    /// as that finds, or the query is given to it.
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

    /// What the graph has for a query; `None` if that is fewer than there might be.
    fn walk(
        &self,
        query: &[f32],
        wish: SearchQuery<'_>,
        counts: &[usize],
        admits: &impl Fn(usize) -> bool,
    ) -> Result<Option<Vec<Hit>>, String> {
        let (rows, arch) = (Rows::of(&self.vectors), kernel::arch());
        let mut buffer = vec![0.0; query.len()];
        let mut best = Best::new(wish);
        for (emotion, count) in counts.iter().enumerate() {
            let is_open = |row: &usize| {
                wish.balance.is_none_or(|(emotions, _)| usize::from(emotions[*row]) == emotion)
                    && admits(*row)
            };
            let is_wanted = |node: u64| {
                usize::try_from(node).is_ok_and(|node| self.twins.from(node).any(|row| is_open(&row)))
            };
            ASKED.set(Some(Query::new(query)));
            let matches = self.index.filtered_search(&[QUERY], 2 * wish.k + SPARE, is_wanted);
            ASKED.set(None);
            let mut found = 0;
            for node in matches.map_err(|error| error.to_string())?.keys {
                let Ok(node) = usize::try_from(node) else { continue };
                let score = rows.score(arch, query, node, &mut buffer);
                for row in self.twins.from(node).filter(is_open) {
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
