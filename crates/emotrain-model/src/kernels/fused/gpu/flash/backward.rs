//! Attention's backward: the gradient of queries by tiles of queries, and those of keys and values by tiles of keys, each of
//! which computes the probabilities again (Dao 2023, FlashAttention-2, algorithm 2, in two passes).

use cubecl::ir::ElemType;
use cubecl::prelude::*;

use super::tile::{
    AT_ONCE, Eight, Pair, Pairing, ROWS, Rows, TILE, add_by_columns, add_rows_by_rows, pitch, read, vectors,
    zeros,
};
use super::{FIELDS, KEY_FIELDS, Plan, Shape, key_tile_of, seen, sees, tile_of};
use crate::kernels::fused::gpu::reduce::sum_of_lanes;

/// Queries whose probabilities the kernel for keys has at a time.
const AT_A_TIME: usize = 32;

/// The gradient of blocks of queries, given that of the rows that attention gave and these rows, both `[Q, kv·group·d]`; and
/// for the other kernel the sums of what both are multiplied, `[kv·group, Q]`.
#[cube(launch)]
pub(crate) fn flash_backward_queries<F: Float>(
    q: &[Eight<F>],
    kv: &[Eight<F>],
    grad: &[Eight<F>],
    attended: &[Eight<F>],
    log_sums: &[f32],
    tiles: &[i32],
    pairs: &[i32],
    key_tiles: &[i32],
    bounds: &[i32],
    out: &mut [Pair<F>],
    deltas: &mut [f32],
    shape: &Shape,
    #[comptime] plan: Plan,
    #[define(F)] _dtype: ElemType,
) {
    let heads = comptime!(plan.kv * plan.group);
    if CUBE_POS >= tiles.len() / FIELDS * heads {
        terminate!();
    }
    let tile = tile_of(tiles, tiles.len() / FIELDS - 1 - CUBE_POS / heads);
    let head = CUBE_POS % heads;
    let width = comptime!(plan.dim / AT_ONCE);
    let of_rows =
        Rows { first: (tile.first * heads + head) * width, pitch: heads * width, count: tile.count };
    let of_blocks = Rows { first: tile.queries_of(head, plan), pitch: width, count: tile.count };
    let mut keys = Shared::<[Eight<F>]>::new_slice(comptime!(vectors(plan.dim)));
    let mut values = Shared::<[Eight<F>]>::new_slice(comptime!(vectors(plan.dim)));
    let mut queries = Shared::<[Eight<F>]>::new_slice(comptime!(vectors(plan.dim)));
    let mut grads = Shared::<[Eight<F>]>::new_slice(comptime!(vectors(plan.dim)));
    let mut row_deltas = Shared::<[f32]>::new_slice(TILE);
    read::<F>(&mut queries, q, &of_blocks, plan.dim);
    read::<F>(&mut grads, grad, &of_rows, plan.dim);
    sync_cube();
    // Two threads a row.
    let (row, half) = (UNIT_POS as usize / 2, UNIT_POS as usize % 2);
    let mut delta = 0.0f32;
    if row < tile.count {
        for column in 0..width / 2 {
            let at = half * (width / 2) + column;
            let given = Vector::<f32, Const<8>>::cast_from(grads[row * comptime!(pitch(plan.dim)) + at]);
            let gave = Vector::cast_from(attended[of_rows.first + row * of_rows.pitch + at]);
            delta += sum_of_lanes::<Const<8>>(given * gave);
        }
    }
    sync_plane();
    let delta = delta + plane_shuffle_xor(delta, 1u32);
    let all = head * shape.queries as usize + tile.first;
    if half == 0 {
        row_deltas[row] = delta;
        if row < tile.count {
            deltas[all + row] = delta;
        }
    }
    sync_cube();
    let (lane, row) = (UNIT_POS_PLANE as usize, PLANE_POS as usize * ROWS);
    let own = row + lane / 4;
    let mut own_sums = Array::<f32>::new(2usize);
    let mut own_deltas = Array::<f32>::new(2usize);
    #[unroll]
    for below in 0..2usize {
        let at = own + 8 * below;
        own_deltas[below] = row_deltas[at];
        own_sums[below] = 0.0f32;
        if at < tile.count {
            own_sums[below] = log_sums[all + at];
        }
    }
    let mut sums = zeros(plan.dim);
    for at in tile.begin..tile.end {
        let of = key_tile_of(key_tiles, pairs[at] as usize / 2);
        let (count, masked) = (of.count, pairs[at] % 2 == 1);
        let of_head = (head / plan.group) * shape.keys as usize + of.first;
        let of_values = plan.kv * shape.keys as usize + of_head;
        sync_cube();
        read::<F>(&mut keys, kv, &Rows { first: of_head * width, pitch: width, count }, plan.dim);
        read::<F>(&mut values, kv, &Rows { first: of_values * width, pitch: width, count }, plan.dim);
        sync_cube();
        let mut scores = zeros(TILE);
        add_rows_by_rows::<F>(&mut scores, &queries, &keys, &Pairing { row, other: 0 }, plan.dim);
        let mut changes = zeros(TILE);
        add_rows_by_rows::<F>(&mut changes, &grads, &values, &Pairing { row, other: 0 }, plan.dim);
        #[unroll]
        for below in 0..2usize {
            let query = tile.first + own + 8 * below;
            let mut bits = 0u32;
            if masked && own + 8 * below < tile.count {
                bits = seen(bounds, query, of.first + 2 * (lane % 4), shape.ranges);
            }
            #[unroll]
            for eight in 0..comptime!(TILE / 8) {
                let score = scores.index(eight)[below] * Pair::<f32>::new(shape.scale);
                let mut part = (score - Pair::<f32>::new(own_sums[below])).exp();
                if masked {
                    #[unroll]
                    for which in 0..2usize {
                        if bits & comptime!(1u32 << (2 * eight + which)) == 0 {
                            part.insert(which, 0.0f32);
                        }
                    }
                }
                let change = changes.index(eight)[below] - Pair::<f32>::new(own_deltas[below]);
                scores.index_mut(eight)[below] = part * change * Pair::<f32>::new(shape.scale);
            }
        }
        add_by_columns::<F>(&mut sums, &scores, &keys, 0usize, plan.dim);
    }
    #[unroll]
    for below in 0..2usize {
        if own + 8 * below < tile.count {
            #[unroll]
            for eight in 0..comptime!(plan.dim / 8) {
                let at = of_blocks.first * 4 + (own + 8 * below) * (plan.dim / 2) + 4 * eight + lane % 4;
                out[at] = Pair::cast_from(sums.index(eight)[below]);
            }
        }
    }
}

/// The gradients of keys and values, `[2, kv, N, d]`: a tile of keys of one head to a cube, for all queries that see some of
/// them, whose pairs the tile names.
#[cube(launch)]
pub(crate) fn flash_backward_keys<F: Float>(
    q: &[Eight<F>],
    kv: &[Eight<F>],
    grad: &[Eight<F>],
    log_sums: &[f32],
    deltas: &[f32],
    tiles: &[i32],
    key_tiles: &[i32],
    pairs: &[i32],
    bounds: &[i32],
    out: &mut [Pair<F>],
    shape: &Shape,
    #[comptime] plan: Plan,
    #[define(F)] _dtype: ElemType,
) {
    if CUBE_POS >= key_tiles.len() / KEY_FIELDS * plan.kv {
        terminate!();
    }
    let (keys_here, head) = (key_tile_of(key_tiles, CUBE_POS / plan.kv), CUBE_POS % plan.kv);
    let heads = comptime!(plan.kv * plan.group);
    let width = comptime!(plan.dim / AT_ONCE);
    let (first, count) = (keys_here.first, keys_here.count);
    let of_keys = head * shape.keys as usize + first;
    let of_values = plan.kv * shape.keys as usize + of_keys;
    let mut keys = Shared::<[Eight<F>]>::new_slice(comptime!(vectors(plan.dim)));
    let mut values = Shared::<[Eight<F>]>::new_slice(comptime!(vectors(plan.dim)));
    let mut queries = Shared::<[Eight<F>]>::new_slice(comptime!(vectors(plan.dim)));
    let mut grads = Shared::<[Eight<F>]>::new_slice(comptime!(vectors(plan.dim)));
    let mut tile_sums = Shared::<[f32]>::new_slice(TILE);
    let mut tile_deltas = Shared::<[f32]>::new_slice(TILE);
    read::<F>(&mut keys, kv, &Rows { first: of_keys * width, pitch: width, count }, plan.dim);
    read::<F>(&mut values, kv, &Rows { first: of_values * width, pitch: width, count }, plan.dim);
    let (lane, row, unit) = (UNIT_POS_PLANE as usize, PLANE_POS as usize * ROWS, UNIT_POS as usize);
    let own = row + lane / 4;
    let mut key_sums = zeros(plan.dim);
    let mut value_sums = zeros(plan.dim);
    // Each tile of queries head by head of the group.
    for at in keys_here.begin * plan.group..keys_here.end * plan.group {
        let pair = pairs[at / plan.group];
        let (tile, masked) = (tile_of(tiles, pair as usize / 2), pair % 2 == 1);
        let of = head * plan.group + at % plan.group;
        let of_blocks = Rows { first: tile.queries_of(of, plan), pitch: width, count: tile.count };
        let of_rows =
            Rows { first: (tile.first * heads + of) * width, pitch: heads * width, count: tile.count };
        sync_cube();
        read::<F>(&mut queries, q, &of_blocks, plan.dim);
        read::<F>(&mut grads, grad, &of_rows, plan.dim);
        if unit < TILE {
            tile_sums[unit] = 0.0f32;
            tile_deltas[unit] = 0.0f32;
            if unit < tile.count {
                let place = of * shape.queries as usize + tile.first + unit;
                tile_sums[unit] = log_sums[place];
                tile_deltas[unit] = deltas[place];
            }
        }
        sync_cube();
        // Some queries at a time: for all of them there are too few registers.
        for other in range_stepped(0, TILE, AT_A_TIME) {
            let at = Pairing { row, other };
            let mut parts = zeros(AT_A_TIME);
            add_rows_by_rows::<F>(&mut parts, &keys, &queries, &at, plan.dim);
            #[unroll]
            for eight in 0..comptime!(AT_A_TIME / 8) {
                #[unroll]
                for below in 0..2usize {
                    let mut both = parts.index(eight)[below];
                    #[unroll]
                    for which in 0..2usize {
                        let query = other + 8 * eight + 2 * (lane % 4) + which;
                        let mut part = (both.extract(which) * shape.scale - tile_sums[query]).exp();
                        if masked {
                            let key = first + own + 8 * below;
                            if !(query < tile.count && sees(bounds, tile.first + query, key, shape.ranges)) {
                                part = 0.0f32;
                            }
                        }
                        both.insert(which, part);
                    }
                    parts.index_mut(eight)[below] = both;
                }
            }
            add_by_columns::<F>(&mut value_sums, &parts, &grads, other, plan.dim);
            let mut changes = zeros(AT_A_TIME);
            add_rows_by_rows::<F>(&mut changes, &values, &grads, &at, plan.dim);
            #[unroll]
            for eight in 0..comptime!(AT_A_TIME / 8) {
                #[unroll]
                for below in 0..2usize {
                    let mut change = changes.index(eight)[below];
                    #[unroll]
                    for which in 0..2usize {
                        let number = change.extract(which);
                        let query = other + 8 * eight + 2 * (lane % 4) + which;
                        change.insert(which, number - tile_deltas[query]);
                    }
                    let part = parts.index(eight)[below];
                    parts.index_mut(eight)[below] = part * change * Pair::<f32>::new(shape.scale);
                }
            }
            add_by_columns::<F>(&mut key_sums, &parts, &queries, other, plan.dim);
        }
    }
    #[unroll]
    for below in 0..2usize {
        if own + 8 * below < count {
            #[unroll]
            for eight in 0..comptime!(plan.dim / 8) {
                let column = 4 * eight + lane % 4;
                let key = (of_keys + own + 8 * below) * (plan.dim / 2) + column;
                let value = (of_values + own + 8 * below) * (plan.dim / 2) + column;
                out[key] = Pair::cast_from(key_sums.index(eight)[below]);
                out[value] = Pair::cast_from(value_sums.index(eight)[below]);
            }
        }
    }
}
