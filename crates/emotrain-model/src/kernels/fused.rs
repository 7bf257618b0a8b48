//! Kernels of our own for GPUs: one `#[cube]` source for CUDA, Vulkan, Metal and DirectX.
//!
//! [`Form::Fused`](super::Form) leads here. A function returns `None` where its kernel does not apply (no rows, factors
//! of another dtype), and the caller falls back to tensor operations. This file and `device.rs` are the
//! only ones that know which GPU back ends were compiled in.

#![cfg_attr(
    any(feature = "wgpu", feature = "cuda"),
    expect(
        clippy::used_underscore_binding,
        reason = "the types of a kernel's numbers are for its launch alone"
    )
)]

#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod adamw;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod blocks;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod decode;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod dropout;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod gated;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod gpu;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod heads;
#[cfg(feature = "cuda")]
#[cfg(test)]
mod ptx_tests;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod reduce;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod rms_norm;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod rope;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod softmax;
#[cfg(test)]
mod tests;

use std::ops::Range;

use burn::tensor::{DType, Int, Tensor};
use emotrain_kernels::{AdamWStep, DropoutMask, HeadRows};

use crate::spec::Activation;

/// Codes of 4 or 8 bits, and what they stand for.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(
    not(any(feature = "wgpu", feature = "cuda")),
    expect(dead_code, reason = "without a GPU back end nobody reads them")
)]
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

/// Whether the tensor is on a GPU that kernels of our own are compiled for.
pub(super) fn takes<const D: usize>(tensor: &Tensor<D>) -> bool {
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    {
        gpu::takes(tensor)
    }
    #[cfg(not(any(feature = "wgpu", feature = "cuda")))]
    {
        let _ = tensor;
        false
    }
}

/// Functions that call those of their kernels' modules; without a GPU back end they apply to nothing.
macro_rules! launches {
    ($($(#[$doc:meta])* fn $name:ident($($given:ident: $type:ty),+) -> $result:ty, $module:ident::$launch:ident;)+) => {$(
        $(#[$doc])*
        pub(super) fn $name($($given: $type),+) -> Option<$result> {
            #[cfg(any(feature = "wgpu", feature = "cuda"))]
            {
                $module::$launch($($given),+)
            }
            #[cfg(not(any(feature = "wgpu", feature = "cuda")))]
            {
                let _ = ($($given),+);
                None
            }
        }
    )+};
}

launches! {
    /// `w · x / √(mean(x²) + ε)` of each of the first heads of a row in one launch, where the tensor operations take nine;
    /// with one head as wide as a row, of rows.
    ///
    /// # Shapes
    /// `x` `[N, W]`, `weight` `[1, d]` → `[N, W]`.
    fn head_norm(x: &Tensor<2>, layout: HeadRows, weight: &Tensor<2>, epsilon: f32) -> Tensor<2>, rms_norm::forward;

    /// Its backward in one launch, where the tensor operations take fifteen: of the gradient, given `x`.
    ///
    /// # Shapes
    /// Gradient and `x` `[N, W]`, `weight` `[1, d]` → `[N, W]`.
    fn head_norm_backward(
        both: [&Tensor<2>; 2],
        layout: HeadRows,
        weight: &Tensor<2>,
        epsilon: f32
    ) -> Tensor<2>, rms_norm::backward;

    /// `act(gate) · up` in one launch, where the tensor operations take nine.
    ///
    /// # Shapes
    /// `gate_up` `[N, 2·I]`, gate first → `[N, I]`.
    fn gated(gate_up: &Tensor<2>, kind: Activation) -> Tensor<2>, gated::forward;

    /// Its backward in one launch, where the tensor operations take twenty.
    ///
    /// # Shapes
    /// `grad` `[N, I]`, `gate_up` `[N, 2·I]` → `[N, 2·I]`.
    fn gated_backward(grad: &Tensor<2>, gate_up: &Tensor<2>, kind: Activation) -> Tensor<2>, gated::backward;

    /// The rotation of the first `heads` heads, each `dim` wide, by angles with these cosines and sines times `sign`, in
    /// one launch, where the tensor operations take twelve.
    ///
    /// # Shapes
    /// `x` `[N, W]`, `[heads, dim]` with `heads · dim <= W`, angles `[N, r/2]` in f32 → `[N, W]`.
    fn rotate(x: &Tensor<2>, heads: [usize; 2], angles: [&Tensor<2>; 2], sign: f32) -> Tensor<2>, rope::launch;

    /// Dropout in one launch, where the tensor operations need a mask of the host's.
    ///
    /// # Shapes
    /// `[N, D]` → `[N, D]`.
    fn dropout(x: &Tensor<2>, mask: DropoutMask) -> Tensor<2>, dropout::launch;

    /// Adds what dropout leaves of `x` to the rows of `to` from `row` on in one launch, in place where no other tensor has
    /// the buffer.
    ///
    /// # Shapes
    /// `to` `[N, D]`, `x` `[n, D]` with `row + n <= N`.
    fn add_dropped(to: &mut Tensor<2>, x: &Tensor<2>, row: usize, mask: DropoutMask) -> (), dropout::add;

    /// Softmax probabilities of raw scores, 0 for what is not visible, and the log-sum-exps, in one launch. `bounds` are
    /// the start and the end of each range of keys that a query sees.
    ///
    /// # Shapes
    /// `raw` `[K, G, Q, T]`, `bounds` `[Q, 2·ranges]` → like `raw`, and `[K, G, Q, 1]` in f32.
    fn softmax(raw: &Tensor<4>, bounds: &Tensor<2, Int>, scale: f32) -> [Tensor<4>; 2], softmax::forward;

    /// The probabilities of raw scores again, and the gradient of these given that of the probabilities, in one launch.
    ///
    /// # Shapes
    /// Raw scores and gradient `[K, G, Q, T]`, `log_sums` `[K, G, Q, 1]` → two like the first.
    fn softmax_backward(
        both: [&Tensor<4>; 2],
        log_sums: &Tensor<4>,
        bounds: &Tensor<2, Int>,
        scale: f32
    ) -> [Tensor<4>; 2], softmax::backward;

    /// A parameter, its gradient and its two moments, all of one shape in f32 → the new parameter and the new moments, in
    /// one launch, where the tensor operations take fifteen.
    fn adamw(tensors: [&Tensor<2>; 4], step: AdamWStep) -> [Tensor<2>; 3], adamw::update;

    /// Numbers in f32 that add up to the sum of all squares, in one launch for each tensor.
    fn squares(tensors: &[&Tensor<2>]) -> Tensor<1>, adamw::sums_of_squares;

    /// Adds `delta` to the block of `to` that begins at this row and column in one launch, in place where no other tensor
    /// has the buffer.
    ///
    /// # Shapes
    /// `to` `[N, W]`, `delta` `[n, w]` with `row + n <= N` and `column + w <= W`.
    fn add_block(to: &mut Tensor<2>, delta: &Tensor<2>, place: [usize; 2]) -> (), blocks::add;

    /// Matrices below one another, times `factor`, in another type, in one launch for each.
    ///
    /// # Shapes
    /// Each `[R, D]` → `[Σ R, D]`.
    fn stacked(parts: &[&Tensor<2>], factor: f32, dtype: DType) -> Tensor<2>, blocks::stack;

    /// Some rows head by head in one launch.
    ///
    /// # Shapes
    /// `x` `[N, heads·d]`, `Q` rows → `[heads, Q, d]`.
    fn head_major(x: &Tensor<2>, heads: usize, rows: &Range<usize>) -> Tensor<3>, heads::head_major;

    /// Its inverse, of blocks of rows behind one another, in one launch for each.
    ///
    /// # Shapes
    /// Each `[kv, group, Q, d]` → `[Σ Q, kv·group·d]`.
    fn token_major(blocks: &[Tensor<4>]) -> Tensor<2>, heads::token_major;

    /// Adds to the keys and values of rows from `first` on in one launch, in place where no other tensor has the buffer.
    ///
    /// # Shapes
    /// `to` `[N, 2·kv·d]`, `parts`, of keys and values, `[kv, T, d]`.
    fn add_key_values(to: &mut Tensor<2>, parts: &[Tensor<3>; 2], first: usize) -> (), heads::add_key_values;

    /// The numbers of codes in one launch, where the tensor operations take ten.
    ///
    /// # Shapes
    /// → `[rows, width]`.
    fn decode(codes: &Codes, shape: [usize; 2], dtype: DType) -> Tensor<2>, decode::launch;
}
