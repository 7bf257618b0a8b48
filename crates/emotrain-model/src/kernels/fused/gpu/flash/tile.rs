//! Tiles of rows in a cube's shared memory, and their products on tensor cores: `mma.sync` of 16 × 8 × 16 numbers, whose sides
//! `ldmatrix` reads (NVIDIA's PTX manual, "Matrix fragments for mma.m16n8k16").
//!
//! A cube is four warps; each has sixteen rows of a product's result in its registers. There a thread has of each 16 × 8
//! numbers two neighbours in row `lane / 4`, and two in that row plus eight, from column `2 · (lane % 4)` on.

use cubecl::cmma::{MatrixIdent, MmaDefinition};
use cubecl::prelude::*;

pub(crate) use emotrain_kernels::ATTENTION_TILE as TILE;

/// Rows of a warp's products.
pub(crate) const ROWS: usize = 16;
/// Threads of a cube: each warp has its rows of a tile.
pub(crate) const UNITS: usize = TILE / ROWS * 32;
/// Numbers that a thread reads at once.
pub(crate) const AT_ONCE: usize = 8;

/// What is read at once.
pub(crate) type Eight<F> = Vector<F, Const<AT_ONCE>>;
/// Neighbours in a register.
pub(crate) type Pair<F> = Vector<F, Const<2>>;

/// Vectors of a tile. A row has one more than it needs, so that no two of eight rows lie in the same banks of memory.
pub(crate) const fn vectors(dim: usize) -> usize {
    TILE * pitch(dim)
}

/// Vectors from a row of a tile to the next.
pub(crate) const fn pitch(dim: usize) -> usize {
    dim / AT_ONCE + 1
}

/// Rows of a matrix that become a tile: `count` of them, the first from vector `first` on, each `pitch` vectors after the
/// one before.
#[derive(CubeType, Clone, Copy)]
pub(crate) struct Rows {
    pub(crate) first: usize,
    pub(crate) pitch: usize,
    pub(crate) count: usize,
}

/// Reads a tile; rows that there are not are zeros.
#[cube]
pub(crate) fn read<F: Float>(tile: &mut [Eight<F>], from: &[Eight<F>], rows: &Rows, #[comptime] dim: usize) {
    let width = comptime!(dim / AT_ONCE);
    #[unroll]
    for round in 0..comptime!(TILE * width / UNITS) {
        let at = round * UNITS + UNIT_POS as usize;
        let (row, column) = (at / width, at % width);
        let mut numbers = Eight::<F>::new(F::from_int(0));
        if row < rows.count {
            numbers = from[rows.first + row * rows.pitch + column];
        }
        tile[row * comptime!(pitch(dim)) + column] = numbers;
    }
}

/// Sixteen rows of a tile from `row` on, and as many columns from the `step`-th sixteen on, as the left side of a product.
#[cube]
pub(crate) fn left<F: Float>(
    tile: &[Eight<F>],
    row: usize,
    #[comptime] step: usize,
    #[comptime] dim: usize,
) -> Array<Pair<F>> {
    let lane = UNIT_POS_PLANE as usize;
    let at = (row + lane % 16) * comptime!(pitch(dim)) + 2 * step + lane / 16;
    let product = MmaDefinition::<F, F, f32>::new(16usize, 8usize, 16usize);
    product.load_matrix::<_, Const<2>>(&tile[at..at + 1], MatrixIdent::A, 4usize, false)
}

/// The same as the right side of a product with the tile transposed: its rows are the result's columns.
#[cube]
pub(crate) fn right_of_rows<F: Float>(
    tile: &[Eight<F>],
    row: usize,
    #[comptime] step: usize,
    #[comptime] dim: usize,
) -> Array<Pair<F>> {
    let lane = UNIT_POS_PLANE as usize;
    let at = (row + lane % 8 + lane / 16 * 8) * comptime!(pitch(dim)) + 2 * step + lane / 8 % 2;
    let product = MmaDefinition::<F, F, f32>::new(16usize, 8usize, 16usize);
    product.load_matrix::<_, Const<2>>(&tile[at..at + 1], MatrixIdent::B, 4usize, false)
}

/// The same as the right side of a product with the tile itself: its columns are the result's.
#[cube]
pub(crate) fn right_of_columns<F: Float>(
    tile: &[Eight<F>],
    row: usize,
    #[comptime] pair: usize,
    #[comptime] dim: usize,
) -> Array<Pair<F>> {
    let lane = UNIT_POS_PLANE as usize;
    let at = (row + lane % 16) * comptime!(pitch(dim)) + 2 * pair + lane / 16;
    let product = MmaDefinition::<F, F, f32>::new(16usize, 8usize, 16usize);
    product.load_matrix::<_, Const<2>>(&tile[at..at + 1], MatrixIdent::B, 4usize, true)
}

/// Sums of products, of sixteen rows: zeros of so many columns, eight to an array.
#[cube]
pub(crate) fn zeros(#[comptime] columns: usize) -> Sequence<Array<Pair<f32>>> {
    let mut sums = Sequence::<Array<Pair<f32>>>::new();
    #[unroll]
    for _each in 0..comptime!(columns / 8) {
        let mut eight = Array::<Pair<f32>>::new(2usize);
        eight[0] = Pair::<f32>::new(0.0f32);
        eight[1] = Pair::<f32>::new(0.0f32);
        sums.push(eight);
    }
    sums
}

/// Adds the product of 16 × 16 numbers with as many to the `pair`-th sixteen columns of sums.
#[cube]
pub(crate) fn add_product<F: Float>(
    sums: &mut Sequence<Array<Pair<f32>>>,
    left: &Array<Pair<F>>,
    right: &Array<Pair<F>>,
    #[comptime] pair: usize,
) {
    let product = MmaDefinition::<F, F, f32>::new(16usize, 8usize, 16usize);
    #[unroll]
    for half in 0..2usize {
        let mut eight = Array::<Pair<F>>::new(2usize);
        eight[0] = right[2 * half];
        eight[1] = right[2 * half + 1];
        product.execute_inplace(left, &eight, sums.index_mut(comptime!(2 * pair) + half));
    }
}

/// Where the rows of two tiles begin that are multiplied.
#[derive(CubeType, Clone, Copy)]
pub(crate) struct Pairing {
    pub(crate) row: usize,
    pub(crate) other: usize,
}

/// Adds the product of a tile's sixteen rows with those of another tile, one for each column.
#[cube]
pub(crate) fn add_rows_by_rows<F: Float>(
    sums: &mut Sequence<Array<Pair<f32>>>,
    tile: &[Eight<F>],
    others: &[Eight<F>],
    at: &Pairing,
    #[comptime] dim: usize,
) {
    #[unroll]
    for step in 0..comptime!(dim / 16) {
        let side = left::<F>(tile, at.row, step, dim);
        #[unroll]
        for pair in 0..comptime!(sums.len() / 2) {
            let right = right_of_rows::<F>(others, at.other + 16 * pair, step, dim);
            add_product::<F>(sums, &side, &right, pair);
        }
    }
}

/// Adds the product of numbers with a tile's rows from `row` on, one for each of their columns.
#[cube]
pub(crate) fn add_by_columns<F: Float>(
    sums: &mut Sequence<Array<Pair<f32>>>,
    numbers: &Sequence<Array<Pair<f32>>>,
    tile: &[Eight<F>],
    row: usize,
    #[comptime] dim: usize,
) {
    #[unroll]
    for step in 0..comptime!(numbers.len() / 2) {
        // The registers of a result are those of a left side.
        let mut side = Array::<Pair<F>>::new(4usize);
        #[unroll]
        for half in 0..2usize {
            #[unroll]
            for below in 0..2usize {
                side[2 * half + below] = Pair::<F>::cast_from(numbers.index(2 * step + half)[below]);
            }
        }
        #[unroll]
        for pair in 0..comptime!(dim / 16) {
            let right = right_of_columns::<F>(tile, row + 16 * step, pair, dim);
            add_product::<F>(sums, &side, &right, pair);
        }
    }
}

/// The largest of what the four threads of a row have.
#[cube]
pub(crate) fn largest_of_row(own: f32) -> f32 {
    sync_plane();
    let own = max(own, plane_shuffle_xor(own, 1u32));
    max(own, plane_shuffle_xor(own, 2u32))
}

/// The sum of what the four threads of a row have.
#[cube]
pub(crate) fn sum_of_row(own: f32) -> f32 {
    sync_plane();
    let own = own + plane_shuffle_xor(own, 1u32);
    own + plane_shuffle_xor(own, 2u32)
}
