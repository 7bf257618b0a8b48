//! Attention without scores in memory: on the CPU, and on GPUs that have tensor cores for such numbers, where the functions
//! of those are `None` elsewhere.

use burn::tensor::Tensor;
use emotrain_kernels::{AttendedRows, DropoutMask, FlashAttention, Heads};

use super::Form;
use super::fused::{self, Attending};
use super::host::{read, slice, tensor};

/// Whether queries in rows are attended tile by tile in the memory of the CPU.
pub(crate) fn takes_tiles(q: &Tensor<2>) -> bool {
    Form::of(q) == Form::Host
}

/// The rows that attention gives, and the log-sum-exps.
///
/// # Shapes
/// `q` `[Q, kv·group·d]`, `kv` `[N, 2·kv·d]` → `[Q, kv·group·d]` and `[1, 1, Q, kv·group]`.
///
/// # Panics
/// Unless [`takes_tiles`].
pub(crate) fn tile_attention(
    q: &Tensor<2>,
    kv: &Tensor<2>,
    attention: FlashAttention,
) -> (Tensor<2>, Tensor<4>) {
    let shape = q.dims();
    let (q, kv) = (read(q.clone()), read(kv.clone()));
    let (rows, log_sums) = attention.forward(slice(&q), slice(&kv));
    (tensor(rows, shape), tensor(log_sums, [1, 1, shape[0], shape[1] / attention.heads.dim]))
}

/// The gradients of queries, and of keys and values: given the queries, the gradient of the rows, and the rows.
///
/// # Shapes
/// As those of [`tile_attention`].
///
/// # Panics
/// Unless [`takes_tiles`].
pub(crate) fn tile_attention_backward(
    of: [&Tensor<2>; 3],
    kv: &Tensor<2>,
    log_sums: &Tensor<4>,
    attention: FlashAttention,
) -> [Tensor<2>; 2] {
    let shapes = [of[0].dims(), kv.dims()];
    let ([q, grad, rows], kv) = (of.map(|rows| read(rows.clone())), read(kv.clone()));
    let log_sums = read(log_sums.clone());
    let (q_grad, kv_grad) = attention.backward(AttendedRows {
        q: slice(&q),
        kv: slice(&kv),
        rows: slice(&rows),
        log_sums: slice(&log_sums),
        grad: slice(&grad),
    });
    [tensor(q_grad, shapes[0]), tensor(kv_grad, shapes[1])]
}

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
