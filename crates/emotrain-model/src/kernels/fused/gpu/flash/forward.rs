//! Attention forward: a tile of queries of one head to a cube, keys and values tile by tile (Dao 2023, FlashAttention-2,
//! algorithm 1).

use cubecl::ir::ElemType;
use cubecl::prelude::*;

use super::tile::{
    Eight, Pair, ROWS, Rows, TILE, add_by_columns, add_product, largest_of_row, left, read, right_of_rows,
    sum_of_row, vectors, zeros,
};
use super::{FIELDS, Plan, Shape, key_tile_of, seen, tile_of};
use crate::kernels::fused::gpu::dropout::{Mask, kept};

/// Where maxima begin: far below every score, far above what a query does not see.
const LOW: f32 = -1.0e30;
/// The score of what a query does not see.
const HIDDEN: f32 = -3.0e38;

/// Blocks of queries, and keys and values `[2, kv, N, d]` → rows `[Q, kv·group·d]`, what dropout leaves of them, and the
/// log-sum-exps `[kv·group, Q]`.
#[cube(launch)]
pub(crate) fn flash_forward<F: Float>(
    q: &[Eight<F>],
    kv: &[Eight<F>],
    tiles: &[i32],
    pairs: &[i32],
    key_tiles: &[i32],
    bounds: &[i32],
    out: &mut [Pair<F>],
    dropped: &mut [Pair<F>],
    log_sums: &mut [f32],
    shape: &Shape,
    mask: &Mask,
    #[comptime] drops: bool,
    #[comptime] plan: Plan,
    #[define(F)] _dtype: ElemType,
) {
    let heads = comptime!(plan.kv * plan.group);
    if CUBE_POS >= tiles.len() / FIELDS * heads {
        terminate!();
    }
    // The last queries see most keys: they begin first.
    let tile = tile_of(tiles, tiles.len() / FIELDS - 1 - CUBE_POS / heads);
    let head = CUBE_POS % heads;
    let width = comptime!(plan.dim / 8);
    let rows = Rows { first: tile.queries_of(head, plan), pitch: width, count: tile.count };
    let mut keys = Shared::<[Eight<F>]>::new_slice(comptime!(vectors(plan.dim)));
    let mut values = Shared::<[Eight<F>]>::new_slice(comptime!(vectors(plan.dim)));
    let (lane, row) = (UNIT_POS_PLANE as usize, PLANE_POS as usize * ROWS);
    read::<F>(&mut keys, q, &rows, plan.dim);
    sync_cube();
    // Read once and kept in registers, which the backward has no room for.
    let mut queries = Sequence::<Array<Pair<F>>>::new();
    #[unroll]
    for step in 0..comptime!(plan.dim / 16) {
        queries.push(left::<F>(&keys, row, step, plan.dim));
    }
    let own = row + lane / 4;
    let mut out_sums = zeros(plan.dim);
    let mut largest = Array::<f32>::new(2usize);
    let mut sums = Array::<f32>::new(2usize);
    #[unroll]
    for below in 0..2usize {
        largest[below] = LOW;
        sums[below] = 0.0f32;
    }
    for at in tile.begin..tile.end {
        let of = key_tile_of(key_tiles, pairs[at] as usize / 2);
        let masked = pairs[at] % 2 == 1;
        let of_head = (head / plan.group) * shape.keys as usize + of.first;
        let all = plan.kv * shape.keys as usize;
        sync_cube();
        read::<F>(&mut keys, kv, &Rows { first: of_head * width, pitch: width, count: of.count }, plan.dim);
        let of_values = Rows { first: (all + of_head) * width, pitch: width, count: of.count };
        read::<F>(&mut values, kv, &of_values, plan.dim);
        sync_cube();
        let mut scores = zeros(TILE);
        #[unroll]
        for step in 0..comptime!(plan.dim / 16) {
            #[unroll]
            for pair in 0..comptime!(TILE / 16) {
                let side = right_of_rows::<F>(&keys, 16usize * pair, step, plan.dim);
                add_product::<F>(&mut scores, queries.index(step), &side, pair);
            }
        }
        #[unroll]
        for below in 0..2usize {
            let query = tile.first + own + 8 * below;
            let mut bits = 0u32;
            if masked && own + 8 * below < tile.count {
                bits = seen(bounds, query, of.first + 2 * (lane % 4), shape.ranges);
            }
            let mut most = largest[below];
            #[unroll]
            for eight in 0..comptime!(TILE / 8) {
                let mut both = scores.index(eight)[below] * Pair::<f32>::new(shape.scale);
                if masked {
                    #[unroll]
                    for which in 0..2usize {
                        if bits & comptime!(1u32 << (2 * eight + which)) == 0 {
                            both.insert(which, HIDDEN);
                        }
                    }
                }
                scores.index_mut(eight)[below] = both;
                most = max(most, max(both.extract(0usize), both.extract(1usize)));
            }
            let most = largest_of_row(most);
            let keeps = (largest[below] - most).exp();
            largest[below] = most;
            let mut sum = sums[below] * keeps;
            #[unroll]
            for eight in 0..comptime!(TILE / 8) {
                let both = (scores.index(eight)[below] - Pair::<f32>::new(most)).exp();
                scores.index_mut(eight)[below] = both;
                sum += both.extract(0usize) + both.extract(1usize);
            }
            sums[below] = sum;
            #[unroll]
            for eight in 0..comptime!(plan.dim / 8) {
                let kept = out_sums.index(eight)[below] * Pair::<f32>::new(keeps);
                out_sums.index_mut(eight)[below] = kept;
            }
        }
        add_by_columns::<F>(&mut out_sums, &scores, &values, 0usize, plan.dim);
    }
    #[unroll]
    for below in 0..2usize {
        let sum = sum_of_row(sums[below]);
        let query = tile.first + own + 8 * below;
        if own + 8 * below < tile.count {
            #[unroll]
            for eight in 0..comptime!(plan.dim / 8) {
                let at = (query * heads + head) * (plan.dim / 2) + 4 * eight + lane % 4;
                let numbers = Pair::<F>::cast_from(out_sums.index(eight)[below] / Pair::<f32>::new(sum));
                out[at] = numbers;
                if comptime!(drops) {
                    dropped[at] = Pair::cast_from(kept::<Const<2>>(Pair::cast_from(numbers), at, mask));
                }
            }
            if lane % 4 == 0 {
                log_sums[head * shape.queries as usize + query] = largest[below] + sum.ln();
            }
        }
    }
}
