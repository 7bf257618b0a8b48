//! Which tiles of keys the queries of a batch see.

use std::collections::BTreeMap;
use std::ops::Range;

use super::TILE;

/// Tiles of queries, none of which has queries of two blocks, tiles of keys, none of which has keys of two segments, and who
/// sees whom.
#[derive(Clone, Debug, Default)]
pub struct AttentionTiles {
    /// In the order of their queries, which are all rows of queries.
    pub queries: Vec<QueryTile>,
    /// The rows of each tile of keys, behind one another; they are all rows of keys.
    pub keys: Vec<Range<usize>>,
    /// The rows of keys that each query sees, ascending.
    pub seen: Vec<Vec<Range<usize>>>,
}

/// Queries of one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryTile {
    /// Their rows.
    pub rows: Range<usize>,
    /// The number of the segment.
    pub segment: usize,
    /// The tiles of keys of which some query sees some, ascending.
    pub keys: Vec<SeenTile>,
}

/// A tile of keys that a tile of queries sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenTile {
    /// Its number.
    pub tile: usize,
    /// Which keys each query sees, the first in the lowest bit, where some pair is not seen or one of the tiles is not full.
    pub mask: Option<Vec<u64>>,
}

impl AttentionTiles {
    /// Of blocks, each queries of one segment, whose rows follow those of the block before, and what each of them sees: ascending
    /// rows of the segment's keys. The segments are all rows of keys.
    ///
    /// # Panics
    /// If a query sees nothing, an empty range, or what is no key of its segment.
    pub fn new(blocks: impl Iterator<Item = Vec<Vec<Range<usize>>>>, segments: &[Range<usize>]) -> Self {
        // So that what one segment has of no numbers stays there: a sum over a tile is one of no numbers if one of its
        // rows is, though that is multiplied by 0.
        let starts = |segment: &Range<usize>| {
            let end = segment.end;
            segment.clone().step_by(TILE).map(move |start| start..end.min(start + TILE))
        };
        let keys: Vec<Range<usize>> = segments.iter().flat_map(starts).collect();
        let mut all = Self { queries: Vec::new(), keys, seen: Vec::new() };
        for block in blocks {
            for seen in block.chunks(TILE) {
                let first = all.queries.last().map_or(0, |last: &QueryTile| last.rows.end);
                let segment = segments.partition_point(|segment| segment.end <= seen[0][0].start);
                let within = |range: &Range<usize>| {
                    segments[segment].start <= range.start
                        && range.start < range.end
                        && range.end <= segments[segment].end
                };
                assert!(seen.iter().all(|seen| !seen.is_empty() && seen.iter().all(within)), "{seen:?}");
                let keys = masks(seen, &all.keys).into_iter().map(|(tile, mask)| {
                    let is_full = mask.len() == TILE && mask.iter().all(|mask| *mask == u64::MAX);
                    SeenTile { tile, mask: (!is_full).then_some(mask) }
                });
                let keys = keys.collect();
                all.queries.push(QueryTile { rows: first..first + seen.len(), segment, keys });
            }
            all.seen.extend(block);
        }
        all
    }
}

/// The tiles of keys of which some query sees some, and which of theirs each sees.
fn masks(seen: &[Vec<Range<usize>>], keys: &[Range<usize>]) -> BTreeMap<usize, Vec<u64>> {
    let mut masks = BTreeMap::new();
    for (query, range) in
        seen.iter().enumerate().flat_map(|(query, seen)| seen.iter().map(move |of| (query, of)))
    {
        let first = keys.partition_point(|keys| keys.end <= range.start);
        for (tile, keys) in keys.iter().enumerate().skip(first).take_while(|(_, keys)| keys.start < range.end)
        {
            let mask = masks.entry(tile).or_insert_with(|| vec![0; seen.len()]);
            let (start, end) = (range.start.max(keys.start), range.end.min(keys.end));
            mask[query] |= u64::MAX >> (TILE - (end - start)) << (start - keys.start);
        }
    }
    masks
}

const _: () = assert!(TILE == 64, "a bit for each key of a tile");
