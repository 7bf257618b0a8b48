//! Softmax over the attention scores of one block of queries, with what each query may see.

use burn::tensor::{DType, Tensor};
use pulp::Arch;

use super::host::{exp, for_rows, is_host, lanes_max, read, restore, slice, tensor, write};
use crate::batch::Visible;

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
        let sees = |v: Visible| (0..keys).map(move |key| if v.sees(key) { 0.0 } else { -30_000.0 });
        let values: Vec<f32> = self.visible.iter().flat_map(|&v| sees(v)).collect();
        let data = burn::tensor::TensorData::new(values, [1, 1, queries, keys]);
        Tensor::from_data(data, (&self.raw.device(), DType::F32))
    }

    fn masked(&self) -> Tensor<4> {
        self.raw.clone().cast(DType::F32) * self.scale + self.mask()
    }
}

/// `log Σ exp(scale · score)` over the visible keys, `[K, G, Q, 1]` in f32.
pub(crate) fn log_sum_exp(scores: &Scores) -> Tensor<4> {
    let [kv_heads, group, queries, keys] = scores.raw.dims();
    if !is_host(&scores.raw) {
        let masked = scores.masked();
        let largest = masked.clone().max_dim(3);
        return (masked - largest.clone()).exp().sum_dim(3).log() + largest;
    }
    let raw = read(scores.raw.clone());
    let raw = slice(&raw);
    let mut out = vec![0.0; kv_heads * group * queries];
    for_rows(&mut out, 1, |row, out| {
        let (score, sees) = (&raw[row * keys..(row + 1) * keys], scores.visible[row % queries]);
        out[0] = row_log_sum_exp(score, sees, scores.scale);
    });
    tensor(out, [kv_heads, group, queries, 1])
}

/// `log Σ exp` of a row.
pub(crate) fn log_sum_exp_row(row: &[f32]) -> f32 {
    Arch::new().dispatch(|| row_log_sum_exp_all(row))
}

/// As [`log_sum_exp_row`], for callers that are compiled with vector instructions.
#[expect(clippy::inline_always, reason = "compiled with the vector instructions of its caller")]
#[inline(always)]
pub(super) fn row_log_sum_exp_all(row: &[f32]) -> f32 {
    let all = Visible { first: 0, prefix: row.len(), own_start: row.len(), own_end: row.len() };
    row_log_sum_exp(row, all, 1.0)
}

/// Softmax probabilities given their [`log_sum_exp`]; 0 for what is not visible.
///
/// # Shapes
/// `[K, G, Q, T]` → `[K, G, Q, T]`.
pub(crate) fn attention_probabilities(scores: Scores, log_sum_exp: &Tensor<4>) -> Tensor<4> {
    let [_, _, queries, keys] = scores.raw.dims();
    if !is_host(&scores.raw) {
        let dtype = scores.raw.dtype();
        return (scores.masked() - log_sum_exp.clone()).exp().cast(dtype);
    }
    let Scores { raw, visible, scale } = scores;
    let (mut raw, log_sums) = (write(raw), read(log_sum_exp.clone()));
    let log_sums = slice(&log_sums);
    for_rows(raw.storage_mut(), keys, |row, score| {
        let (sees, log_sum) = (visible[row % queries], log_sums[row]);
        let spans = [
            (0..sees.first, false),
            (sees.first..sees.prefix, true),
            (sees.prefix..sees.own_start, false),
            (sees.own_start..sees.own_end, true),
            (sees.own_end..keys, false),
        ];
        for (span, visible) in spans {
            for score in score.get_mut(span).unwrap_or_default() {
                *score = if visible { exp(*score * scale - log_sum) } else { 0.0 };
            }
        }
    });
    restore(raw)
}

/// The gradient of the raw scores: `scale · p ⊙ (dp - Σ dp ⊙ p)`.
///
/// # Shapes
/// `probabilities` and `grad` `[K, G, Q, T]` → `[K, G, Q, T]`.
pub(crate) fn attention_scores_backward(probabilities: Tensor<4>, grad: Tensor<4>, scale: f32) -> Tensor<4> {
    let [_, _, _, keys] = grad.dims();
    if !is_host(&grad) {
        let sum = (probabilities.clone() * grad.clone()).sum_dim(3);
        return probabilities * (grad - sum) * scale;
    }
    let (probabilities, mut grad) = (read(probabilities), write(grad));
    let probabilities = slice(&probabilities);
    for_rows(grad.storage_mut(), keys, |row, grad| {
        let p = &probabilities[row * keys..(row + 1) * keys];
        let sum = super::host::sum_of(p, grad, |p, g| p * g);
        for (grad, p) in grad.iter_mut().zip(p) {
            *grad = p * (*grad - sum) * scale;
        }
    });
    restore(grad)
}

#[expect(clippy::inline_always, reason = "compiled with the vector instructions of its caller")]
#[inline(always)]
fn row_log_sum_exp(score: &[f32], sees: Visible, scale: f32) -> f32 {
    let own = score.get(sees.own_start..sees.own_end).unwrap_or_default();
    let prefix = &score[sees.first..sees.prefix];
    let largest = lanes_max(prefix).max(lanes_max(own)) * scale;
    let sum_of = |part: &[f32]| super::host::sum_of(part, part, |s, _| exp(s * scale - largest));
    largest + (sum_of(prefix) + sum_of(own)).ln()
}
