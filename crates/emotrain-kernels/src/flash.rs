//! Attention tile by tile, without scores in memory: a tile of queries meets one tile of keys after the other, forward with
//! the largest score and the sum so far, backward with probabilities made again from the log-sum-exp (Dao et al. 2022,
//! algorithms 1 and 4).
//!
//! A row's numbers depend on its own query and on the tiles of its segment's keys: they are the same bits whatever other
//! segments come with it, on one core as on many.

mod backward;
mod forward;
mod operands;
mod products;
#[cfg(test)]
mod tests;
mod tiles;

use crate::heads::Heads;
use crate::product::Arithmetic;

pub use tiles::{AttentionTiles, QueryTile, SeenTile};

/// Queries, and keys, of a tile at most.
pub const ATTENTION_TILE: usize = 64;
const TILE: usize = ATTENTION_TILE;

/// Rows of columns.
type Square = [[f32; TILE]; TILE];

const ZEROS: Square = [[0.0; TILE]; TILE];

/// `softmax(scale · q·kᵀ)·v`.
#[derive(Clone, Copy, Debug)]
pub struct FlashAttention<'a> {
    /// The heads of queries, keys and values.
    pub heads: Heads,
    /// What scores are multiplied by.
    pub scale: f32,
    /// Who sees whom.
    pub tiles: &'a AttentionTiles,
    /// In what products multiply, where the CPU has products of both; else it is single precision.
    pub arithmetic: Arithmetic,
}

/// What attention was given and gave: `q`, `rows` and `grad`, the gradient of the rows, `[Q, kv·group·d]`, `kv`
/// `[N, 2·kv·d]`, and `log_sums` `[Q, kv·group]`.
#[derive(Clone, Copy, Debug)]
pub struct AttendedRows<'a> {
    /// Queries.
    pub q: &'a [f32],
    /// Keys and values.
    pub kv: &'a [f32],
    /// What attention gave.
    pub rows: &'a [f32],
    /// The log-sum-exps.
    pub log_sums: &'a [f32],
    /// The gradient of what it gave.
    pub grad: &'a [f32],
}

impl FlashAttention<'_> {
    /// The rows that attention gives, and `log Σ exp(scale · score)` of each query and head.
    ///
    /// # Shapes
    /// `q` `[Q, kv·group·d]`, `kv` `[N, 2·kv·d]` → `[Q, kv·group·d]` and `[Q, kv·group]`.
    ///
    /// # Panics
    /// If the tiles are of other rows.
    pub fn forward(&self, q: &[f32], kv: &[f32]) -> (Vec<f32>, Vec<f32>) {
        self.check(q, kv);
        #[cfg(target_arch = "x86_64")]
        if self.in_halves() {
            return forward::forward::<products::Halves>(*self, q, kv);
        }
        forward::forward::<products::Single>(*self, q, kv)
    }

    /// The gradients of queries and of keys and values.
    ///
    /// # Shapes
    /// → `[Q, kv·group·d]` and `[N, 2·kv·d]`.
    ///
    /// # Panics
    /// If the tiles are of other rows.
    pub fn backward(&self, attended: AttendedRows) -> (Vec<f32>, Vec<f32>) {
        self.check(attended.q, attended.kv);
        #[cfg(target_arch = "x86_64")]
        if self.in_halves() {
            return backward::backward::<products::Halves>(*self, attended);
        }
        backward::backward::<products::Single>(*self, attended)
    }

    fn check(&self, q: &[f32], kv: &[f32]) {
        let keys = self.tiles.keys.last().map_or(0, |last| last.end);
        assert_eq!(q.len(), self.tiles.seen.len() * self.heads.query_width(), "rows of queries");
        assert_eq!(kv.len(), keys * self.heads.key_value_width(), "rows of keys and values");
    }

    #[cfg(target_arch = "x86_64")]
    fn in_halves(&self) -> bool {
        self.arithmetic == Arithmetic::Bf16 && crate::product::has_dot_products()
    }
}
