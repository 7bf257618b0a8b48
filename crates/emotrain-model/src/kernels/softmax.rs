//! Softmax over the attention scores of one block of queries, with what each query may see.

use burn::tensor::{DType, Tensor, TensorData};
use emotrain_kernels::for_rows;

use super::Form;
use super::host::{read, restore, slice, tensor, write};
use crate::batch::Visible;

/// What is added to a score that a query does not see, in tensor operations: its probability is 0 in every dtype.
pub(super) const HIDDEN: f32 = -30_000.0;

/// Raw scores `q·kᵀ` of a block, `[K, G, Q, T]` (kv-heads, query heads per kv-head, queries, keys), and
/// what each of the `Q` queries sees of the `T` keys.
pub(crate) struct Scores {
    pub(crate) raw: Tensor<4>,
    pub(crate) visible: Vec<Visible>,
    pub(crate) scale: f32,
}

impl Scores {
    /// 0 where a query sees a key, a large negative number where it does not, `[1, 1, Q, T]`.
    fn mask(&self) -> Tensor<4> {
        let [_, _, queries, keys] = self.raw.dims();
        let mut values = vec![HIDDEN; queries * keys];
        for (row, visible) in values.chunks_exact_mut(keys).zip(&self.visible) {
            visible.ranges().for_each(|range| row[range].fill(0.0));
        }
        let data = TensorData::new(values, [1, 1, queries, keys]);
        Tensor::from_data(data, (&self.raw.device(), DType::F32))
    }

    fn masked(&self) -> Tensor<4> {
        self.raw.clone().cast(DType::F32) * self.scale + self.mask()
    }
}

/// `log Σ exp(scale · score)` over the visible keys, `[K, G, Q, 1]` in f32.
pub(crate) fn log_sum_exp(scores: &Scores) -> Tensor<4> {
    let [kv_heads, group, queries, keys] = scores.raw.dims();
    match Form::of(&scores.raw) {
        Form::Host => {
            let raw = read(scores.raw.clone());
            let raw = slice(&raw);
            let mut out = vec![0.0; kv_heads * group * queries];
            for_rows(&mut out, 1, |row, out| {
                let seen = scores.visible[row % queries].ranges();
                out[0] =
                    emotrain_kernels::log_sum_exp(&raw[row * keys..(row + 1) * keys], seen, scores.scale);
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
pub(crate) fn attention_probabilities(scores: Scores, log_sum_exp: &Tensor<4>) -> Tensor<4> {
    let [_, _, queries, keys] = scores.raw.dims();
    match Form::of(&scores.raw) {
        Form::Host => {
            let Scores { raw, visible, scale } = scores;
            let (mut raw, log_sums) = (write(raw), read(log_sum_exp.clone()));
            let log_sums = slice(&log_sums);
            for_rows(raw.storage_mut(), keys, |row, score| {
                let seen = visible[row % queries].ranges();
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
pub(crate) fn attention_scores_backward(probabilities: Tensor<4>, grad: Tensor<4>, scale: f32) -> Tensor<4> {
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
