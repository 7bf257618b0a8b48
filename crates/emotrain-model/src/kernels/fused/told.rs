//! What kernels are told beside the tensors that they work on.

use burn::tensor::{Int, Tensor};
use emotrain_kernels::{DropoutMask, Heads};

/// Codes of 4 or 8 bits, and what they stand for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Codes<'a> {
    /// `32 / bits` codes a word, `[words]`, the first code in the lowest bits.
    pub(crate) words: &'a Tensor<1, Int>,
    /// The number of each code, `[2^bits]`.
    pub(crate) table: &'a Tensor<1>,
    /// What the numbers of each block are multiplied by, `[blocks, 1]`.
    pub(crate) scales: &'a Tensor<2>,
    /// Bits of a code.
    pub(crate) bits: usize,
    /// Numbers of a block.
    pub(crate) block: usize,
}

/// A part of a matrix, and where in another it is added.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    /// Numbers of the other before the first.
    pub(crate) first: usize,
    /// Numbers of the other from a row to the next.
    pub(crate) stride: usize,
    /// The part's first row and column.
    pub(crate) from: [usize; 2],
    /// Its rows and columns.
    pub(crate) shape: [usize; 2],
    /// What it is multiplied by.
    pub(crate) factor: f32,
}

/// What is done to the first heads of rows: their norm, if they have one, then the rotation by their angles.
#[derive(Clone, Debug)]
pub(crate) struct Turn {
    /// How many.
    pub(crate) heads: usize,
    /// Numbers of a head.
    pub(crate) dim: usize,
    /// The norm's weight `[1, d]` and epsilon.
    pub(crate) norm: Option<(Tensor<2>, f32)>,
    /// Cosines and sines, each `[N, r/2]` in f32.
    pub(crate) angles: [Tensor<2>; 2],
}

/// A product whose sums are short, and where it is added.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LowProduct {
    /// The first row and column that it is added to.
    pub(crate) place: [usize; 2],
    /// Whether the right side is given with its columns as rows.
    pub(crate) turned: bool,
    /// What of the product is dropped, if anything is.
    pub(crate) mask: Option<DropoutMask>,
}

/// Where matrices that stand behind one another go.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    /// Of each matrix, in vectors: where it begins and ends, its columns, the numbers from a row of it to the next where
    /// it goes, and before its first there, `[matrices, 5]`.
    pub(crate) table: Tensor<2, Int>,
    /// What each is multiplied by, `[1, matrices]`.
    pub(crate) factors: Tensor<2>,
    /// Numbers of a vector.
    pub(crate) size: usize,
    /// Numbers before the first matrix.
    pub(crate) first: usize,
    /// Numbers of all places together.
    pub(crate) numbers: usize,
}

/// The rows of a pool of keys and values that queries see.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SeenSlots<'a> {
    /// Rows of the pool, sequence by sequence, `[S]`.
    pub(crate) slots: &'a Tensor<1, Int>,
    /// Where among these those begin and end that a query sees, `[Q, 2]`.
    pub(crate) ranges: &'a Tensor<2, Int>,
}

/// Attention in one launch: what it sees, and how scores are made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attending<'a> {
    pub(crate) tables: &'a AttentionTables,
    pub(crate) heads: Heads,
    /// What scores are multiplied by.
    pub(crate) scale: f32,
}

/// Which tiles of keys tiles of queries see, [`emotrain_kernels::ATTENTION_TILE`] rows each.
#[derive(Clone, Debug)]
pub(crate) struct AttentionTables {
    /// Of each tile of queries: the first query of its block and how many the block has, its own first query and how many it
    /// has, and where its pairs begin and end, `[tiles, 6]`.
    pub(crate) tiles: Tensor<2, Int>,
    /// Of each pair of a tile of queries and one of keys, tile of queries by tile of queries, the tile of keys, doubled, and one
    /// more where some of the queries do not see some of the keys, `[P, 1]`.
    pub(crate) pairs: Tensor<2, Int>,
    /// Of each tile of keys: its first key and how many it has, and where its pairs begin in `key_pairs` and end,
    /// `[tiles of keys, 4]`. None has keys of two segments.
    pub(crate) keys: Tensor<2, Int>,
    /// The same pairs tile of keys by tile of keys, with the tile of queries, `[P, 1]`.
    pub(crate) key_pairs: Tensor<2, Int>,
    /// The start and the end of each range of keys that a query sees, `[Q, 2·ranges]`.
    pub(crate) bounds: Tensor<2, Int>,
}

/// Where sequences are that go on token by token on the device. All are in buffers that kernels write in place.
#[derive(Clone, Debug)]
pub(crate) struct TokenTables {
    /// The last token of each, `[sequences]`.
    pub(crate) ids: Tensor<1, Int>,
    /// Its place in the sequence, from 0.
    pub(crate) places: Tensor<1, Int>,
    /// The rows of a pool that the tokens of each have, `[sequences · capacity]`.
    pub(crate) slots: Tensor<1, Int>,
    /// Those of the last tokens, `[sequences]`.
    pub(crate) new: Tensor<1, Int>,
    /// The tokens that were chosen after the last places, `[sequences · kept]`, each at its place modulo `kept`.
    pub(crate) told: Tensor<1, Int>,
    /// Tokens that a sequence has room for.
    pub(crate) capacity: usize,
    /// Tokens of each that are told.
    pub(crate) kept: usize,
}
