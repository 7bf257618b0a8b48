//! Which tiles of keys the queries of a batch see: for the CPU, and as tables for attention in one launch.

use std::ops::Range;

use burn::tensor::Device;
use emotrain_kernels::AttentionTiles;

use super::Block;
use crate::kernels::{AttentionTables, integers_on};

/// Of blocks, of attention with this window, with these segments of keys.
pub(super) fn tiles(blocks: &[Block], window: Option<usize>, segments: &[Range<usize>]) -> AttentionTiles {
    AttentionTiles::new(blocks.iter().map(|block| block.seen_rows(window)), segments)
}

/// The same of these blocks on a device.
pub(super) fn tables(tiles: &AttentionTiles, blocks: &[Block], device: &Device) -> AttentionTables {
    let number = |number: usize| i32::try_from(number).expect("row numbers fit i32");
    let table = |numbers: &[usize], width: usize| {
        let shape = [numbers.len() / width, width];
        integers_on(device, numbers.iter().copied().map(number).collect(), shape)
    };
    let (mut queries, mut pairs, mut of_keys) = (Vec::new(), Vec::new(), vec![Vec::new(); tiles.keys.len()]);
    for (number, tile) in tiles.queries.iter().enumerate() {
        let block = &blocks[blocks.partition_point(|block| block.queries.end <= tile.rows.start)].queries;
        let begin = pairs.len();
        for seen in &tile.keys {
            let masked = usize::from(seen.mask.is_some());
            pairs.push(2 * seen.tile + masked);
            of_keys[seen.tile].push(2 * number + masked);
        }
        queries.extend([block.start, block.len(), tile.rows.start, tile.rows.len(), begin, pairs.len()]);
    }
    let (mut keys, mut key_pairs) = (Vec::new(), Vec::new());
    for (tile, pairs) in tiles.keys.iter().zip(of_keys) {
        let begin = key_pairs.len();
        key_pairs.extend(pairs);
        keys.extend([tile.start, tile.len(), begin, key_pairs.len()]);
    }
    let ranges = tiles.seen.iter().map(Vec::len).max().unwrap_or(1);
    let mut bounds = vec![0; tiles.seen.len() * 2 * ranges];
    for (bounds, seen) in bounds.chunks_exact_mut(2 * ranges).zip(&tiles.seen) {
        let ends = seen.iter().flat_map(|range| [range.start, range.end]);
        bounds.iter_mut().zip(ends).for_each(|(bound, end)| *bound = end);
    }
    AttentionTables {
        tiles: table(&queries, 6),
        pairs: table(&pairs, 1),
        keys: table(&keys, 4),
        key_pairs: table(&key_pairs, 1),
        bounds: table(&bounds, 2 * ranges),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use burn::tensor::{Int, Tensor};
    use emotrain_kernels::ATTENTION_TILE as TILE;
    use emotrain_recipe::DeviceChoice;

    use super::*;
    use crate::attention::blocks;
    use crate::batch::{Batch, Sequence, Visible};

    /// What each query sees, by tiles of queries, tiles of keys and whether there is a mask.
    fn sees(tiles: &AttentionTiles, pairs: &[(usize, usize, bool)]) -> Vec<BTreeSet<usize>> {
        let mut all = vec![BTreeSet::new(); tiles.seen.len()];
        for &(tile, of, masked) in pairs {
            let (queries, keys) = (tiles.queries[tile].rows.clone(), tiles.keys[of].clone());
            for (ranges, all) in tiles.seen[queries.clone()].iter().zip(&mut all[queries.clone()]) {
                let seen = ranges.iter().cloned().flatten().filter(|key| keys.contains(key));
                let seen: BTreeSet<usize> = seen.collect();
                assert!(masked || (queries.len() == TILE && seen.len() == TILE), "tiles {tile} and {of}");
                all.extend(seen);
            }
        }
        all
    }

    /// The pairs of a table of tiles, by the place of their bounds.
    fn pairs(rows: &[Vec<i32>], pairs: &[Vec<i32>]) -> Vec<(usize, usize, bool)> {
        let number = |number: i32| usize::try_from(number).unwrap();
        let of = |(tile, row): (usize, &Vec<i32>)| -> Vec<(usize, usize, bool)> {
            let [.., begin, end] = row.as_slice() else { unreachable!("a table of tiles") };
            let pairs = pairs[number(*begin)..number(*end)].iter();
            pairs.map(|pair| (tile, number(pair[0] / 2), pair[0] % 2 == 1)).collect()
        };
        rows.iter().enumerate().flat_map(of).collect()
    }

    fn rows_of(table: Tensor<2, Int>) -> Vec<Vec<i32>> {
        let width = table.dims()[1];
        table.try_into_vec_as::<i32>().unwrap().chunks(width).map(<[i32]>::to_vec).collect()
    }

    /// Sequences that fill several blocks, and a tree, all rows or some, with a window and without.
    #[test]
    fn tiles_have_what_queries_see() {
        let device = crate::device::open(&DeviceChoice::Cpu, emotrain_recipe::Dtype::Float32).unwrap().device;
        let ids = |length: u32, turn: u32| -> Vec<u32> { (0..length).map(|i| (i + turn) % 50).collect() };
        let (long, short, start) = (ids(300, 1), ids(70, 2), ids(90, 3));
        let branches = [1, 2].map(|turn| [start.clone(), ids(80, 7 * turn)].concat());
        let all = |ids| Sequence { ids, supervised_from: 0 };
        let plain = Batch::sequences(&[all(&long), all(&short)]);
        let tree = Batch::trees(&branches.each_ref().map(|ids| all(ids)));
        let some: Vec<usize> = (0..plain.rows()).filter(|row| row % 3 == 1).collect();
        for (batch, rows) in [(&plain, None), (&plain, Some(some.as_slice())), (&tree, None)] {
            for window in [None, Some(100)] {
                let blocks = blocks(batch, rows, &BTreeSet::from([window]), &device);
                let tiles = tiles(&blocks.all, window, &batch.segments);
                let on_device = tables(&tiles, &blocks.all, &device);
                let of_queries = pairs(&rows_of(on_device.tiles), &rows_of(on_device.pairs));
                let of_keys = pairs(&rows_of(on_device.keys), &rows_of(on_device.key_pairs));
                let mut turned: Vec<_> =
                    of_keys.into_iter().map(|(keys, queries, masked)| (queries, keys, masked)).collect();
                turned.sort_unstable();
                assert_eq!(of_queries, turned);
                let seen = tiles.queries.iter().enumerate().flat_map(|(number, tile)| {
                    tile.keys.iter().map(move |seen| (number, seen.tile, seen.mask.is_some()))
                });
                assert_eq!(of_queries, seen.collect::<Vec<_>>());
                let segment = |row: usize| {
                    let segments = &batch.segments;
                    segments.iter().position(|segment| segment.contains(&row)).expect("a row's segment")
                };
                let rows: Vec<usize> = rows.map_or_else(|| (0..batch.rows()).collect(), <[usize]>::to_vec);
                let expected = rows.iter().map(|&row| {
                    let visible: Visible = batch.visible[row].within(window);
                    let first = batch.segments[segment(row)].start;
                    visible.ranges().flatten().map(|key| first + key).collect()
                });
                let expected: Vec<BTreeSet<usize>> = expected.collect();
                assert_eq!(sees(&tiles, &of_queries), expected, "{window:?}");
                for tile in &tiles.queries {
                    assert!(rows[tile.rows.clone()].iter().all(|row| segment(*row) == tile.segment));
                }
                assert!(
                    of_queries.iter().any(|&(_, _, masked)| !masked) || window.is_some() || rows.len() < 200
                );
            }
        }
    }
}
