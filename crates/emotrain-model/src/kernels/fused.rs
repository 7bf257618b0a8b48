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
mod gpu;
#[cfg(feature = "cuda")]
#[cfg(test)]
mod ptx_tests;
#[cfg(test)]
mod tests;
#[cfg_attr(
    not(any(feature = "wgpu", feature = "cuda")),
    expect(dead_code, reason = "without a GPU back end nobody reads it")
)]
mod told;

use std::ops::Range;

use burn::tensor::{DType, Int, Tensor};
use emotrain_kernels::{AdamWStep, DropoutMask, HeadRows};

pub(crate) use self::told::{
    Attending, AttentionTables, Codes, Columns, LowProduct, Part, SeenSlots, TokenTables, Turn,
};
use super::Masks;
use crate::spec::{Activation, Heads};

/// Whether the tensor is on a GPU that kernels of our own are compiled for.
pub(super) fn takes<const D: usize>(tensor: &Tensor<D>) -> bool {
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    {
        gpu::buffers::takes(tensor)
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
                gpu::$module::$launch($($given),+)
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

    /// The same of rows, if they are read, and what each of up to two masks leaves of the result, behind one another, in
    /// one launch.
    ///
    /// # Shapes
    /// `x` `[N, D]`, `weight` `[1, D]` → `[N, D]`, `[masks·N, D]`.
    fn dropped_norm(
        x: &Tensor<2>,
        weight: &Tensor<2>,
        epsilon: f32,
        masks: Masks
    ) -> [Tensor<2>; 2], rms_norm::dropped;

    /// The sum of two, and of that the same.
    ///
    /// # Shapes
    /// Both `[N, D]`, `weight` `[1, D]` → sum and norm `[N, D]`, `[masks·N, D]`.
    fn sum_norm(
        both: [&Tensor<2>; 2],
        weight: &Tensor<2>,
        epsilon: f32,
        masks: Masks
    ) -> [Tensor<2>; 3], rms_norm::of_sum;

    /// The backward of [`head_norm`] in one launch, where the tensor operations take fifteen: of the gradient, given `x`;
    /// with something else that is added to it, if there is anything.
    ///
    /// # Shapes
    /// Gradient and `x` `[N, W]`, `weight` `[1, d]`, `other` `[N, W]` → `[N, W]`.
    fn head_norm_backward(
        both: [&Tensor<2>; 2],
        layout: HeadRows,
        weight: &Tensor<2>,
        epsilon: f32,
        other: Option<&Tensor<2>>
    ) -> Tensor<2>, rms_norm::backward;

    /// `act(gate) · up` in one launch, where the tensor operations take nine, if it is read; and what the one mask leaves
    /// of it, if there is one.
    ///
    /// # Shapes
    /// `gate_up` `[N, 2·I]`, gate first → `[N, I]`, twice.
    fn gated(gate_up: &Tensor<2>, kind: Activation, masks: Masks) -> [Tensor<2>; 2], gated::forward;

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

    /// Whether [`flash`] applies to such queries.
    fn takes_flash(q: &Tensor<2>, heads: Heads) -> (), flash::takes;

    /// Attention of all blocks in one launch on tensor cores, and what dropout leaves of its rows, if there is a mask; and the
    /// log-sum-exps.
    ///
    /// # Shapes
    /// `q` `[1, Q·kv·group·d]` in blocks, `kv` `[2, kv, N, d]` → two of `[Q, kv·group·d]`, and `[kv, group, Q, 1]` in f32.
    fn flash(
        q: &Tensor<2>,
        kv: &Tensor<4>,
        attending: Attending,
        mask: Option<DropoutMask>
    ) -> ([Tensor<2>; 2], Tensor<4>), flash::forward;

    /// Its backward in two launches: of the gradient of the rows and the rows, given the queries in blocks.
    ///
    /// # Shapes
    /// Queries `[1, Q·kv·group·d]`, gradient and rows `[Q, kv·group·d]` → gradients like the queries and like `kv`.
    fn flash_backward(
        of: [&Tensor<2>; 3],
        kv: &Tensor<4>,
        log_sums: &Tensor<4>,
        attending: Attending
    ) -> (Tensor<2>, Tensor<4>), flash::backward;

    /// The losses of the targets of rows of logits, and their gradient, in one launch, where the tensor operations take
    /// thirteen, most of them over all logits. `places` and `terms` as [`TargetTable`](super::target_table::TargetTable) has them.
    fn cross_entropy(
        logits: &Tensor<2>,
        places: &Tensor<1, Int>,
        terms: &Tensor<1>,
        smooth: bool
    ) -> (Tensor<1>, Tensor<2>), cross_entropy::with_gradient;

    /// The losses alone, without smoothing.
    fn target_losses(logits: &Tensor<2>, places: &Tensor<1, Int>, terms: &Tensor<1>) -> Tensor<1>, cross_entropy::alone;

    /// Some of the numbers of parameters and of their first and second moments, updated in place in one launch, where the
    /// tensor operations take fifteen. All are of one shape, in f32.
    fn adamw(
        updated: [&mut Tensor<2>; 3],
        gradients: &Tensor<2>,
        numbers: &Range<usize>,
        step: AdamWStep
    ) -> (), adamw::update;

    /// The sum of all squares in f32, in one launch for each tensor and one for all.
    fn squares(tensors: &[&Tensor<2>]) -> Tensor<1>, adamw::sum_of_squares;

    /// `[N, W]` → `[1, W]`, the sum of the rows.
    fn sum_rows(x: &Tensor<2>) -> Tensor<2>, sums::of_rows;

    /// Adds a part of `delta` to `to` in one launch, in place where no other tensor has the buffer.
    ///
    /// # Shapes
    /// `to` `[N, W]`, `delta` `[n, w]`, each with the numbers that the part names.
    fn add_part(to: &mut Tensor<2>, delta: &Tensor<2>, part: Part) -> (), blocks::add;

    /// Adds what dropout leaves of `left · right` in one launch, in place where no other tensor has the buffer; `None`, too,
    /// where sums are long.
    ///
    /// # Shapes
    /// `to` `[N, W]`, `[n, k]` and `[k, w]`, or `[w, k]` if it is turned.
    fn add_low_product(to: &mut Tensor<2>, sides: [&Tensor<2>; 2], product: LowProduct) -> (), low_rank::add;

    /// Matrices that stand behind one another in `x`, in the columns that are theirs, zeros elsewhere, in two launches.
    ///
    /// # Shapes
    /// `x` `[1, X]` in f32 → `[1, numbers]`.
    fn spread(x: &Tensor<2>, columns: &Columns, dtype: DType) -> Tensor<2>, blocks::spread_over;

    /// `left · right` in f32, whatever the type of both.
    ///
    /// # Shapes
    /// `[n, k]` and `[k, w]` → `[n, w]`.
    fn wide_product(left: &Tensor<2>, right: &Tensor<2>) -> Tensor<2>, product::wide;

    /// Matrices below one another, times `factor`, in another type, in one launch for each.
    ///
    /// # Shapes
    /// Each `[R, D]` → `[Σ R, D]`.
    fn stacked(parts: &[&Tensor<2>], factor: f32, dtype: DType) -> Tensor<2>, blocks::stack;

    /// Some rows in blocks, in each of which a head's rows are behind one another, in one launch. `spans` are the first row
    /// and the number of rows of each row's block; without them all rows are one block.
    ///
    /// # Shapes
    /// `x` `[N, heads·d]`, `Q` rows, `spans` `[Q, 2]` → `[1, Q·heads·d]`: blocks of `[heads, rows, d]`.
    fn head_major(
        x: &Tensor<2>,
        heads: usize,
        rows: &Range<usize>,
        spans: Option<&Tensor<2, Int>>
    ) -> Tensor<2>, heads::head_major;

    /// Its inverse in one launch, with `heads` of this width; and what dropout leaves of the rows, if there is a mask.
    ///
    /// # Shapes
    /// Blocks `[1, Q·heads·d]` → two of `[Q, heads·d]`.
    fn token_major(
        blocks: &Tensor<2>,
        heads: [usize; 2],
        spans: Option<&Tensor<2, Int>>,
        mask: Option<DropoutMask>
    ) -> [Tensor<2>; 2], heads::token_major;

    /// The same of blocks in memory of their own, in one launch for each.
    ///
    /// # Shapes
    /// Each `[kv, group, Q, d]` → `[Σ Q, kv·group·d]`.
    fn joined_rows(blocks: &[Tensor<4>]) -> Tensor<2>, heads::joined_rows;

    /// Keys and values of rows from `first` on in one launch, in place where no other tensor has the buffer: instead of what
    /// is there, or added to it.
    ///
    /// # Shapes
    /// `to` `[2, kv, N, d]`, `parts`, of keys and values, `[kv, T, d]`.
    fn put_key_values(to: &mut Tensor<4>, parts: &[Tensor<3>; 2], first: usize, adds: bool) -> (), heads::put_key_values;

    /// Rows in blocks, as [`head_major`], with the first heads of each row normalised and rotated on their way, in one
    /// launch.
    ///
    /// # Shapes
    /// `x` `[N, W]` → `[1, N·W]`.
    fn turned_heads(x: &Tensor<2>, turn: &Turn, spans: Option<&Tensor<2, Int>>) -> Tensor<2>, turn::forward;

    /// The gradient of the rows, given that of the blocks, in one launch. Only where there is a norm `x` is read.
    ///
    /// # Shapes
    /// `grad` `[1, N·W]`, `x` `[N, W]` → `[N, W]`.
    fn turned_heads_backward(
        grad: &Tensor<2>,
        x: &Tensor<2>,
        turn: &Turn,
        spans: Option<&Tensor<2, Int>>
    ) -> Tensor<2>, turn::backward;

    /// `left · right`, written into numbers that are behind one another, from `first` on.
    ///
    /// # Shapes
    /// `to` `[1, N]`, `[b, c, n, k]` and `[b, 1, k, w]`.
    fn product_into(to: &Tensor<2>, first: usize, left: &Tensor<4>, right: &Tensor<4>) -> (), product::into;

    /// Some rows of a table, in one launch.
    ///
    /// # Shapes
    /// `table` `[N, D]`, `index` `[M]` → `[M, D]`.
    fn gather_rows(table: &Tensor<2>, index: &Tensor<1, Int>) -> Tensor<2>, gather::launch;

    /// Rows in the place of those of `pool` that `slots` names, in one launch, in the pool's buffer, whoever else has it;
    /// `None`, too, where it has gaps between rows.
    ///
    /// # Shapes
    /// `pool` `[S, W]`, `rows` `[N, W]`, `slots` `[N]`.
    fn rows_to_slots(pool: &Tensor<2>, rows: &Tensor<2>, slots: &Tensor<1, Int>) -> (), slots::put;

    /// Attention of each row of `q` to the keys and values that it sees in `pool`, in one launch for all sequences. Rows that
    /// see none are not written. `None`, too, for more heads to a key than a cube has memory for.
    ///
    /// # Shapes
    /// `q` `[Q, kv·group·d]`, `pool` `[S, 2·kv·d]` → like `q`.
    fn attention_to_slots(
        q: &Tensor<2>,
        pool: &Tensor<2>,
        seen: SeenSlots,
        heads: Heads,
        scale: f32
    ) -> Tensor<2>, slots::attend;

    /// Of each row the place of the first of its largest numbers, that number, and how many numbers are not finite, in one
    /// launch.
    ///
    /// # Shapes
    /// `[N, V]` → `[N, 3]` in f32.
    fn likeliest(logits: &Tensor<2>) -> Tensor<2>, likeliest::launch;

    /// Numbers in the place of others, in the buffer that these have, whoever else has it.
    ///
    /// # Shapes
    /// Both `[N]`.
    fn overwrite(to: &Tensor<1, Int>, from: &Tensor<1, Int>) -> (), tokens::overwrite;

    /// Of each sequence the slot of its place and what it sees from there, in one launch.
    ///
    /// # Shapes
    /// `ranges` `[sequences, 2]`.
    fn place_tokens(tables: &TokenTables, ranges: &Tensor<2, Int>, window: Option<usize>) -> (), tokens::place;

    /// Goes on to the tokens that [`likeliest`] found, in one launch.
    ///
    /// # Shapes
    /// `found` `[sequences, 3]`.
    fn take_tokens(tables: &TokenTables, found: &Tensor<2>) -> (), tokens::take;

    /// The layer norm of the sum of two and of a bias in one launch, where the tensor operations take twelve.
    ///
    /// # Shapes
    /// Both `[N, D]`; bias, then weight and bias of the norm `[1, D]` → `[N, D]`.
    fn add_layer_norm(both: [&Tensor<2>; 2], rows: [&Tensor<2>; 3], epsilon: f32) -> Tensor<2>, encoder::layer_norm;

    /// `gelu(x + bias)` in one launch, where the tensor operations take six.
    ///
    /// # Shapes
    /// `x` `[N, D]`, `bias` `[1, D]` → `[N, D]`.
    fn bias_gelu(x: &Tensor<2>, bias: &Tensor<2>) -> Tensor<2>, encoder::gelu;

    /// The numbers of codes in one launch, where the tensor operations take ten.
    ///
    /// # Shapes
    /// → `[rows, width]`.
    fn decode(codes: &Codes, shape: [usize; 2], dtype: DType) -> Tensor<2>, decode::launch;
}
