//! Softmax over the attention scores of one block of queries, with what each query may see.

use std::sync::OnceLock;

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use emotrain_kernels::{for_rows, of_rows};

use super::host::{integers_on, read, restore, slice, tensor, write};
use super::{Form, fused};
use crate::batch::Visible;

/// What is added to a score that a query does not see, in tensor operations: its probability is 0 in every dtype.
pub(super) const HIDDEN: f32 = -30_000.0;

/// What each of `Q` queries sees of `T` keys, for the host and, from its first use there, for a device.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    visible: Vec<Visible>,
    bounds: OnceLock<Tensor<2, Int>>,
}

impl Seen {
    pub(crate) fn new(visible: Vec<Visible>) -> Self {
        Self { visible, bounds: OnceLock::new() }
    }

    /// Of each query.
    pub(crate) fn visible(&self) -> &[Visible] {
        &self.visible
    }

    /// The start and the end of each range that a query sees, `[Q, 2·ranges]`; empty ones behind those of queries that
    /// see fewer.
    fn bounds(&self, device: &Device) -> &Tensor<2, Int> {
        self.bounds.get_or_init(|| {
            let ranges = self.visible.iter().map(|visible| visible.ranges().count()).max().unwrap_or(0);
            let mut bounds = vec![0_i32; self.visible.len() * 2 * ranges];
            for (bounds, visible) in bounds.chunks_exact_mut(2 * ranges).zip(&self.visible) {
                let ends = visible.ranges().flat_map(|range| [range.start, range.end]);
                for (bound, end) in bounds.iter_mut().zip(ends) {
                    *bound = i32::try_from(end).expect("row numbers fit i32");
                }
            }
            integers_on(device, bounds, [self.visible.len(), 2 * ranges])
        })
    }
}

/// Raw scores `q·kᵀ` of a block, `[K, G, Q, T]` (kv-heads, query heads per kv-head, queries, keys), and
/// what each of the `Q` queries sees of the `T` keys.
pub(crate) struct Scores<'a> {
    pub(crate) raw: Tensor<4>,
    pub(crate) seen: &'a Seen,
    pub(crate) scale: f32,
}

impl Scores<'_> {
    /// 0 where a query sees a key, a large negative number where it does not, `[1, 1, Q, T]`.
    fn mask(&self) -> Tensor<4> {
        let [_, _, queries, keys] = self.raw.dims();
        let mut values = vec![HIDDEN; queries * keys];
        for (row, visible) in values.chunks_exact_mut(keys).zip(&self.seen.visible) {
            visible.ranges().for_each(|range| row[range].fill(0.0));
        }
        let data = TensorData::new(values, [1, 1, queries, keys]);
        Tensor::from_data(data, (&self.raw.device(), DType::F32))
    }

    fn masked(&self) -> Tensor<4> {
        self.raw.clone().cast(DType::F32) * self.scale + self.mask()
    }

    fn bounds(&self) -> &Tensor<2, Int> {
        self.seen.bounds(&self.raw.device())
    }
}

/// Softmax probabilities, 0 for what is not visible, and `log Σ exp(scale · score)` over the visible keys.
///
/// # Shapes
/// `[K, G, Q, T]` → `[K, G, Q, T]`, and `[K, G, Q, 1]` in f32.
pub(crate) fn attention_softmax(scores: Scores) -> [Tensor<4>; 2] {
    if Form::of(&scores.raw) == Form::Fused
        && let Some(both) = fused::softmax(&scores.raw, scores.bounds(), scores.scale)
    {
        return both;
    }
    let log_sums = log_sum_exp(&scores);
    [attention_probabilities(scores, &log_sums), log_sums]
}

/// The probabilities again, and the gradient of the raw scores given that of the probabilities.
///
/// # Shapes
/// `log_sums` `[K, G, Q, 1]`, `grad` `[K, G, Q, T]` → two of `[K, G, Q, T]`.
pub(crate) fn attention_softmax_backward(
    scores: Scores,
    log_sums: &Tensor<4>,
    grad: Tensor<4>,
) -> [Tensor<4>; 2] {
    let scale = scores.scale;
    if Form::of(&scores.raw) == Form::Fused
        && let Some(both) = fused::softmax_backward([&scores.raw, &grad], log_sums, scores.bounds(), scale)
    {
        return both;
    }
    let probabilities = attention_probabilities(scores, log_sums);
    [probabilities.clone(), attention_scores_backward(probabilities, grad, scale)]
}

/// `log Σ exp(scale · score)` over the visible keys, `[K, G, Q, 1]` in f32.
pub(super) fn log_sum_exp(scores: &Scores) -> Tensor<4> {
    let [kv_heads, group, queries, keys] = scores.raw.dims();
    match Form::of(&scores.raw) {
        Form::Host => {
            let raw = read(scores.raw.clone());
            let raw = slice(&raw);
            let out = of_rows(kv_heads * group * queries, keys, |row| {
                let seen = scores.seen.visible[row % queries].ranges();
                emotrain_kernels::log_sum_exp(&raw[row * keys..(row + 1) * keys], seen, scores.scale)
            });
            tensor(out, [kv_heads, group, queries, 1])
        }
        Form::Fused | Form::Tensor => {
            let masked = scores.masked();
            let largest = masked.clone().max_dim(3);
            (masked - largest.clone()).exp().sum_dim(3).log() + largest
        }
    }
}

/// Softmax probabilities given their [`log_sum_exp`]; 0 for what is not visible.
///
/// # Shapes
/// `[K, G, Q, T]` → `[K, G, Q, T]`.
pub(super) fn attention_probabilities(scores: Scores, log_sum_exp: &Tensor<4>) -> Tensor<4> {
    let [_, _, queries, keys] = scores.raw.dims();
    match Form::of(&scores.raw) {
        Form::Host => {
            let Scores { raw, seen, scale } = scores;
            let (mut raw, log_sums) = (write(raw), read(log_sum_exp.clone()));
            let log_sums = slice(&log_sums);
            for_rows(raw.storage_mut(), keys, |row, score| {
                let seen = seen.visible[row % queries].ranges();
                emotrain_kernels::attention_probabilities(score, seen, scale, log_sums[row]);
            });
            restore(raw)
        }
        Form::Fused | Form::Tensor => {
            let dtype = scores.raw.dtype();
            (scores.masked() - log_sum_exp.clone()).exp().cast(dtype)
        }
    }
}

/// The gradient of the raw scores: `scale · p ⊙ (dp - Σ dp ⊙ p)`.
///
/// # Shapes
/// `probabilities` and `grad` `[K, G, Q, T]` → `[K, G, Q, T]`.
pub(super) fn attention_scores_backward(probabilities: Tensor<4>, grad: Tensor<4>, scale: f32) -> Tensor<4> {
    match Form::of(&grad) {
        Form::Host => {
            let [_, _, _, keys] = grad.dims();
            let (probabilities, mut grad) = (read(probabilities), write(grad));
            let probabilities = slice(&probabilities);
            emotrain_kernels::attention_scores_backward(grad.storage_mut(), probabilities, keys, scale);
            restore(grad)
        }
        Form::Fused | Form::Tensor => {
            let sum = (probabilities.clone() * grad.clone()).sum_dim(3);
            probabilities * (grad - sum) * scale
        }
    }
}
