//! Which tiles of keys the queries of a batch see, for attention in one launch.

use std::collections::BTreeMap;
use std::ops::Range;

use burn::tensor::Device;

use super::Block;
use crate::kernels::{ATTENTION_TILE as TILE, AttentionTables, integers_on};

/// Tiles of queries, none of which has queries of two blocks, tiles of keys, none of which has keys of two segments, which of
/// these those see, and what each query sees. [`AttentionTables`] says what the numbers are.
#[derive(Debug, Default)]
pub(super) struct Tiles {
    queries: Vec<[usize; 6]>,
    pairs: Vec<usize>,
    keys: Vec<[usize; 4]>,
    key_pairs: Vec<usize>,
    /// Of each query.
    seen: Vec<Vec<Range<usize>>>,
}

impl Tiles {
    /// Of blocks, of attention with this window, with these segments of keys.
    pub(super) fn new(blocks: &[Block], window: Option<usize>, segments: &[Range<usize>]) -> Self {
        // So that what one segment has of no numbers stays there: a sum over a tile is one of no numbers if one of its
        // rows is, though that is multiplied by 0.
        let starts = |segment: &Range<usize>| {
            let end = segment.end;
            segment.clone().step_by(TILE).map(move |start| start..end.min(start + TILE))
        };
        let keys: Vec<Range<usize>> = segments.iter().flat_map(starts).collect();
        let (mut all, mut of_keys) = (Self::default(), vec![Vec::new(); keys.len()]);
        for block in blocks {
            let seen = block.seen_rows(window);
            for (tile, seen) in seen.chunks(TILE).enumerate() {
                let (begin, number) = (all.pairs.len(), all.queries.len());
                for (of, count) in counts(seen, &keys) {
                    let masked = usize::from(count < TILE * TILE);
                    all.pairs.push(2 * of + masked);
                    of_keys[of].push(2 * number + masked);
                }
                let Range { start, .. } = block.queries;
                let first = start + tile * TILE;
                all.queries.push([start, block.queries.len(), first, seen.len(), begin, all.pairs.len()]);
            }
            all.seen.extend(seen);
        }
        for (keys, pairs) in keys.into_iter().zip(of_keys) {
            let begin = all.key_pairs.len();
            all.key_pairs.extend(pairs);
            all.keys.push([keys.start, keys.len(), begin, all.key_pairs.len()]);
        }
        all
    }

    /// The same on a device.
    pub(super) fn on(&self, device: &Device) -> AttentionTables {
        let number = |number: usize| i32::try_from(number).expect("row numbers fit i32");
        let table = |numbers: &[usize], width: usize| {
            let shape = [numbers.len() / width, width];
            integers_on(device, numbers.iter().copied().map(number).collect(), shape)
        };
        let ranges = self.seen.iter().map(Vec::len).max().unwrap_or(1);
        let mut bounds = vec![0; self.seen.len() * 2 * ranges];
        for (bounds, seen) in bounds.chunks_exact_mut(2 * ranges).zip(&self.seen) {
            let ends = seen.iter().flat_map(|range| [range.start, range.end]);
            bounds.iter_mut().zip(ends).for_each(|(bound, end)| *bound = end);
        }
        AttentionTables {
            tiles: table(self.queries.as_flattened(), 6),
            pairs: table(&self.pairs, 1),
            keys: table(self.keys.as_flattened(), 4),
            key_pairs: table(&self.key_pairs, 1),
            bounds: table(&bounds, 2 * ranges),
        }
    }
}

/// The tiles of keys of which some query sees some, and how many pairs of both there are that see each other.
fn counts(seen: &[Vec<Range<usize>>], keys: &[Range<usize>]) -> BTreeMap<usize, usize> {
    let mut counts = BTreeMap::new();
    for range in seen.iter().flatten() {
        let first = keys.partition_point(|keys| keys.end <= range.start);
        for (tile, keys) in keys.iter().enumerate().skip(first).take_while(|(_, keys)| keys.start < range.end)
        {
            *counts.entry(tile).or_default() += range.end.min(keys.end) - range.start.max(keys.start);
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use emotrain_recipe::DeviceChoice;

    use super::*;
    use crate::attention::blocks;
    use crate::batch::{Batch, Sequence, Visible};

    fn tiles(batch: &Batch, rows: Option<&[usize]>, window: Option<usize>) -> Tiles {
        let device = crate::device::open(&DeviceChoice::Cpu, emotrain_recipe::Dtype::Float32).unwrap().device;
        let blocks = blocks(batch, rows, &BTreeSet::from([window]), &device);
        Tiles::new(&blocks.all, window, &batch.segments)
    }

    /// What each query sees, by the tiles of queries and their pairs.
    fn sees(tiles: &Tiles, pairs: &[(usize, usize, bool)]) -> Vec<BTreeSet<usize>> {
        let mut all = vec![BTreeSet::new(); tiles.seen.len()];
        for &(tile, of, masked) in pairs {
            let [.., first, count, _, _] = tiles.queries[tile];
            let [start, keys, ..] = tiles.keys[of];
            let keys = start..start + keys;
            let queries = first..first + count;
            for (ranges, all) in tiles.seen[queries.clone()].iter().zip(&mut all[queries]) {
                let seen = ranges.iter().cloned().flatten().filter(|key| keys.contains(key));
                let seen: BTreeSet<usize> = seen.collect();
                assert!(masked || (count == TILE && seen.len() == TILE), "tiles {tile} and {of}");
                all.extend(seen);
            }
        }
        all
    }

    /// Sequences that fill several blocks, and a tree, all rows or some, with a window and without.
    #[test]
    fn tiles_have_what_queries_see() {
        let ids = |length: u32, turn: u32| -> Vec<u32> { (0..length).map(|i| (i + turn) % 50).collect() };
        let (long, short, start) = (ids(300, 1), ids(70, 2), ids(90, 3));
        let branches = [1, 2].map(|turn| [start.clone(), ids(80, 7 * turn)].concat());
        let all = |ids| Sequence { ids, supervised_from: 0 };
        let plain = Batch::sequences(&[all(&long), all(&short)]);
        let tree = Batch::trees(&branches.each_ref().map(|ids| all(ids)));
        let some: Vec<usize> = (0..plain.rows()).filter(|row| row % 3 == 1).collect();
        for (batch, rows) in [(&plain, None), (&plain, Some(some.as_slice())), (&tree, None)] {
            for window in [None, Some(100)] {
                let tiles = tiles(batch, rows, window);
                let of_queries = tiles.queries.iter().enumerate().flat_map(|(tile, &[.., begin, end])| {
                    tiles.pairs[begin..end].iter().map(move |pair| (tile, pair / 2, pair % 2 == 1))
                });
                let of_queries: Vec<_> = of_queries.collect();
                let mut of_keys: Vec<_> = tiles
                    .keys
                    .iter()
                    .enumerate()
                    .flat_map(|(of, &[.., begin, end])| {
                        let pairs = &tiles.key_pairs[begin..end];
                        pairs.iter().map(move |pair| (pair / 2, of, pair % 2 == 1))
                    })
                    .collect();
                of_keys.sort_unstable();
                assert_eq!(of_queries, of_keys);
                let segment = |row: usize| {
                    batch
                        .segments
                        .iter()
                        .find(|segment| segment.contains(&row))
                        .expect("a row's segment")
                        .start
                };
                let rows: Vec<usize> = rows.map_or_else(|| (0..batch.rows()).collect(), <[usize]>::to_vec);
                let expected = rows.iter().map(|&row| {
                    let visible: Visible = batch.visible[row].within(window);
                    visible.ranges().flatten().map(|key| segment(row) + key).collect()
                });
                let expected: Vec<BTreeSet<usize>> = expected.collect();
                assert_eq!(sees(&tiles, &of_queries), expected, "{window:?}");
                assert!(
                    of_queries.iter().any(|&(_, _, masked)| !masked) || window.is_some() || rows.len() < 200
                );
            }
        }
    }
}
