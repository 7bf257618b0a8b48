//! Attention in one launch, and its backward in two, without scores in a GPU's memory: for numbers of 16 bits on tensor cores
//! (Dao et al. 2022; Dao 2023, FlashAttention-2). Grouped heads, packed sequences and trees.
//!
//! Sums are in one order: neither pass adds into what another cube adds to.

pub(crate) mod backward;
pub(crate) mod forward;
#[cfg(test)]
mod tests;
mod tile;

use burn::tensor::{DType, Tensor};
use burn_cubecl::Cube;
use burn_cubecl::tensor::CubeTensor;
use cubecl::ir::features::MmaConfig;
use cubecl::ir::{ElemType, FloatKind};
use cubecl::prelude::*;
use emotrain_kernels::DropoutMask;

pub(crate) use self::tile::UNITS;
use self::tile::{TILE, vectors};
use super::buffers::{contiguous, elem_type, empty, empty_if, empty_of, integers, one_cube_a_row};
use super::dropout::on_device;
use crate::device::moves_numbers;
use crate::kernels::fused::Attending;
use crate::spec::Heads;

/// Whole numbers of a tile of queries: the first query of its block and how many the block has, the tile's own first query
/// and how many it has, and where its pairs begin and end.
pub(crate) const FIELDS: usize = 6;
/// Whole numbers of a tile of keys: its first key and how many it has, and where its pairs begin and end.
pub(crate) const KEY_FIELDS: usize = 4;

/// The widest heads whose sums fit into a thread's registers.
const MOST_DIM: usize = 128;

/// Heads of keys, of queries for each, and numbers of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Plan {
    pub(crate) kv: usize,
    pub(crate) group: usize,
    pub(crate) dim: usize,
}

/// What the kernels need to know of a batch.
#[derive(CubeLaunch, CubeType, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) queries: u32,
    pub(crate) keys: u32,
    /// Of each query, in `bounds`.
    pub(crate) ranges: u32,
    /// What scores are multiplied by.
    pub(crate) scale: f32,
}

/// A tile of queries; see [`FIELDS`].
#[derive(CubeType, Clone, Copy)]
pub(crate) struct Tile {
    pub(crate) block: usize,
    pub(crate) length: usize,
    pub(crate) first: usize,
    pub(crate) count: usize,
    pub(crate) begin: usize,
    pub(crate) end: usize,
}

#[cube]
pub(crate) fn tile_of(tiles: &[i32], tile: usize) -> Tile {
    let at = tile * FIELDS;
    Tile {
        block: tiles[at] as usize,
        length: tiles[at + 1] as usize,
        first: tiles[at + 2] as usize,
        count: tiles[at + 3] as usize,
        begin: tiles[at + 4] as usize,
        end: tiles[at + 5] as usize,
    }
}

#[cube]
impl Tile {
    /// The vector of eight numbers with which a head of the tile begins among blocks of queries.
    pub(crate) fn queries_of(&self, head: usize, #[comptime] plan: Plan) -> usize {
        let heads = comptime!(plan.kv * plan.group);
        (self.block * heads + head * self.length + (self.first - self.block)) * comptime!(plan.dim / 8)
    }
}

/// A tile of keys: its first and how many it has, and where its pairs begin and end.
#[derive(CubeType, Clone, Copy)]
pub(crate) struct KeyTile {
    pub(crate) first: usize,
    pub(crate) count: usize,
    pub(crate) begin: usize,
    pub(crate) end: usize,
}

#[cube]
pub(crate) fn key_tile_of(keys: &[i32], tile: usize) -> KeyTile {
    let at = tile * KEY_FIELDS;
    KeyTile {
        first: keys[at] as usize,
        count: keys[at + 1] as usize,
        begin: keys[at + 2] as usize,
        end: keys[at + 3] as usize,
    }
}

/// Which keys of a tile's rows a query sees, of those that a thread has of a product: two of each eight, from `key` on. A bit
/// each, the first the lowest.
#[cube]
pub(crate) fn seen(bounds: &[i32], query: usize, key: usize, ranges: u32) -> u32 {
    let mut bits = 0u32;
    for range in 0..ranges {
        let at = 2 * (query * ranges as usize + range as usize);
        let (from, to) = (bounds[at], bounds[at + 1]);
        #[unroll]
        for eight in 0..comptime!(TILE / 8) {
            #[unroll]
            for which in 0..2usize {
                let key = i32::cast_from(key + 8 * eight + which);
                if from <= key && key < to {
                    bits = bits | comptime!(1u32 << (2 * eight + which));
                }
            }
        }
    }
    bits
}

/// Whether a query sees a key: whether one of its ranges has it.
#[cube]
pub(crate) fn sees(bounds: &[i32], query: usize, key: usize, ranges: u32) -> bool {
    let key = i32::cast_from(key);
    let mut found = false;
    for range in 0..ranges {
        let at = 2 * (query * ranges as usize + range as usize);
        found = found || (bounds[at] <= key && key < bounds[at + 1]);
    }
    found
}

/// Whether the kernels take such numbers and heads, and a cube of the device's has tensor cores for them and memory for four
/// tiles.
pub(crate) fn takes(q: &Tensor<2>, heads: Heads) -> Option<()> {
    let CubeTensor { client, dtype, .. } = q.clone().try_into_primitive::<Cube>().ok()?;
    let (properties, element) = (client.properties(), elem_type(dtype)?);
    let product = MmaConfig {
        a_type: element,
        b_type: element,
        cd_type: ElemType::Float(FloatKind::F32),
        m: 16,
        n: 8,
        k: 16,
    };
    let features = &properties.features.matmul;
    let shared = 4 * vectors(heads.dim) * tile::AT_ONCE * dtype.size() + 2 * TILE * DType::F32.size();
    let fits = shared <= properties.hardware.max_shared_memory_size
        && heads.dim.is_multiple_of(16)
        && heads.dim <= MOST_DIM;
    (fits && features.mma.contains(&product) && features.ldmatrix.contains(&element)).then_some(())
}

fn plan(heads: Heads) -> Plan {
    Plan { kv: heads.kv, group: heads.group, dim: heads.dim }
}

fn shape(attending: Attending, keys: usize) -> Option<ShapeLaunch> {
    let [queries, doubled] = attending.tables.bounds.dims();
    let number = |count: usize| u32::try_from(count).ok();
    Some(ShapeLaunch::new(number(queries)?, number(keys)?, number(doubled / 2)?, attending.scale))
}

/// See [`super::super::flash`].
pub(crate) fn forward(
    q: &Tensor<2>,
    kv: &Tensor<4>,
    attending: Attending,
    mask: Option<DropoutMask>,
) -> Option<([Tensor<2>; 2], Tensor<4>)> {
    let Attending { tables, heads, .. } = attending;
    let ([_, _, keys, _], [queries, _]) = (kv.dims(), tables.bounds.dims());
    let Heads { kv: kv_heads, group, .. } = heads;
    takes(q, heads).filter(|()| kv.dtype() == q.dtype())?;
    let width = heads.query_width();
    let (out, dropped) = (empty([queries, width], q)?, empty_if(mask.is_some(), [queries, width], q)?);
    let log_sums = empty_of([kv_heads, group, queries, 1], q, DType::F32)?;
    let [tiles, _] = tables.tiles.dims();
    let source = contiguous(q)?;
    forward::flash_forward::launch(
        &source.client.clone(),
        one_cube_a_row(tiles * kv_heads * group),
        CubeDim::new_1d(u32::try_from(UNITS).ok()?),
        source.into_buffer_arg(),
        contiguous(kv)?.into_buffer_arg(),
        integers(&tables.tiles)?.into_buffer_arg(),
        integers(&tables.pairs)?.into_buffer_arg(),
        integers(&tables.keys)?.into_buffer_arg(),
        integers(&tables.bounds)?.into_buffer_arg(),
        out.clone().into_buffer_arg(),
        dropped.clone().into_buffer_arg(),
        log_sums.clone().into_buffer_arg(),
        shape(attending, keys)?,
        on_device(mask),
        mask.is_some(),
        plan(heads),
        elem_type(q.dtype())?,
    );
    let rows = [out, dropped].map(Tensor::from_primitive::<Cube>);
    Some((rows, Tensor::from_primitive::<Cube>(log_sums)))
}

/// See [`super::super::flash_backward`].
pub(crate) fn backward(
    [q, grad, attended]: [&Tensor<2>; 3],
    kv: &Tensor<4>,
    log_sums: &Tensor<4>,
    attending: Attending,
) -> Option<(Tensor<2>, Tensor<4>)> {
    let Attending { tables, heads, .. } = attending;
    let ([_, _, keys, _], [queries, _]) = (kv.dims(), tables.bounds.dims());
    let Heads { kv: kv_heads, group, .. } = heads;
    let same = [kv.dtype(), grad.dtype(), attended.dtype()] == [q.dtype(); 3];
    takes(q, heads).filter(|()| same)?;
    let (q_grad, kv_grad) = (empty(q.dims(), q)?, empty(kv.dims(), kv)?);
    let numbers = kv_heads * group * queries;
    let deltas = empty_of([1, numbers], q, DType::F32)?;
    moves_numbers(numbers, DType::F32);
    let ([tiles, _], [key_tiles, _]) = (tables.tiles.dims(), tables.keys.dims());
    let (source, units) = (contiguous(q)?, CubeDim::new_1d(u32::try_from(UNITS).ok()?));
    backward::flash_backward_queries::launch(
        &source.client.clone(),
        one_cube_a_row(tiles * kv_heads * group),
        units,
        source.clone().into_buffer_arg(),
        contiguous(kv)?.into_buffer_arg(),
        contiguous(grad)?.into_buffer_arg(),
        contiguous(attended)?.into_buffer_arg(),
        contiguous(log_sums)?.into_buffer_arg(),
        integers(&tables.tiles)?.into_buffer_arg(),
        integers(&tables.pairs)?.into_buffer_arg(),
        integers(&tables.keys)?.into_buffer_arg(),
        integers(&tables.bounds)?.into_buffer_arg(),
        q_grad.clone().into_buffer_arg(),
        deltas.clone().into_buffer_arg(),
        shape(attending, keys)?,
        plan(heads),
        elem_type(q.dtype())?,
    );
    backward::flash_backward_keys::launch(
        &source.client.clone(),
        one_cube_a_row(key_tiles * kv_heads),
        units,
        contiguous(q)?.into_buffer_arg(),
        contiguous(kv)?.into_buffer_arg(),
        contiguous(grad)?.into_buffer_arg(),
        contiguous(log_sums)?.into_buffer_arg(),
        deltas.into_buffer_arg(),
        integers(&tables.tiles)?.into_buffer_arg(),
        integers(&tables.keys)?.into_buffer_arg(),
        integers(&tables.key_pairs)?.into_buffer_arg(),
        integers(&tables.bounds)?.into_buffer_arg(),
        kv_grad.clone().into_buffer_arg(),
        shape(attending, keys)?,
        plan(heads),
        elem_type(q.dtype())?,
    );
    Some((Tensor::from_primitive::<Cube>(q_grad), Tensor::from_primitive::<Cube>(kv_grad)))
}
