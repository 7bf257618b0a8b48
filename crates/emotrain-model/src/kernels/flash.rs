//! Attention without scores in memory, on GPUs that have tensor cores for such numbers. Every function is `None` elsewhere.

use burn::tensor::Tensor;
use emotrain_kernels::{DropoutMask, Heads};

use super::fused::{self, Attending};

/// Whether queries in blocks, `[1, Q·kv·group·d]`, are attended so.
pub(crate) fn takes_flash(q: &Tensor<2>, heads: Heads) -> Option<()> {
    fused::takes_flash(q, heads)
}

/// The rows that attention gives, what dropout leaves of them, if there is a mask, and the log-sum-exps.
///
/// # Shapes
/// `q` `[1, Q·kv·group·d]` in blocks, `kv` `[2, kv, N, d]` → two of `[Q, kv·group·d]`, and `[kv, group, Q, 1]` in f32.
pub(crate) fn flash_attention(
    q: &Tensor<2>,
    kv: &Tensor<4>,
    attending: Attending,
    mask: Option<DropoutMask>,
) -> Option<([Tensor<2>; 2], Tensor<4>)> {
    fused::flash(q, kv, attending, mask)
}

/// The gradients of queries, keys and values: given the queries, the gradient of the rows, and the rows.
///
/// # Shapes
/// As those of [`flash_attention`].
pub(crate) fn flash_attention_backward(
    of: [&Tensor<2>; 3],
    kv: &Tensor<4>,
    log_sums: &Tensor<4>,
    attending: Attending,
) -> Option<(Tensor<2>, Tensor<4>)> {
    fused::flash_backward(of, kv, log_sums, attending)
}
