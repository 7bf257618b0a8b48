//! The cross-entropy of rows of logits, each predicting no token, one or several.

use burn::tensor::{DType, IndexingUpdateOp, Int, Tensor, TensorData, activation};

use super::host::{for_rows, is_host, read, restore, slice, tensor, write};
use super::softmax::row_log_sum_exp_all;
use crate::batch::Target;

/// The negative log-likelihood of each target, and the gradient of `factor` times their sum.
///
/// # Shapes
/// `logits` `[M, V]`; targets whose `row` counts in it → `[targets]` in f32, and `[M, V]`.
pub(crate) fn cross_entropy(logits: Tensor<2>, targets: &[Target], factor: f64) -> (Tensor<1>, Tensor<2>) {
    if !is_host(&logits) {
        return in_tensors(logits, targets, factor);
    }
    let [rows, width] = logits.dims();
    let mut logits = write(logits);
    let log_sums = log_sums(logits.storage(), width);
    let values: &[f32] = logits.storage();
    let loss = |target: &Target| log_sums[target.row] - values[target.row * width + target.id as usize];
    let losses = tensor(targets.iter().map(loss).collect(), [targets.len()]);
    #[expect(clippy::cast_possible_truncation, reason = "the gradient is in f32")]
    let factor = factor as f32;
    let counts = counts(rows, targets);
    for_rows(logits.storage_mut(), width, |row, logits| {
        let (log_sum, weight) = (log_sums[row], counts[row] * factor);
        for logit in logits {
            *logit = super::host::exp(*logit - log_sum) * weight;
        }
    });
    let grad: &mut [f32] = logits.storage_mut();
    for target in targets {
        grad[target.row * width + target.id as usize] -= factor;
    }
    (losses, restore(logits))
}

/// The log-probability of each target, in order.
///
/// # Shapes
/// `logits` `[M, V]`; targets whose `row` counts in it.
pub(crate) fn target_log_probabilities(logits: Tensor<2>, targets: &[Target]) -> Vec<f32> {
    if !is_host(&logits) {
        let log_probs = activation::log_softmax(logits.cast(DType::F32), 1);
        let found = at_targets(&log_probs, targets);
        return found.try_into_vec_as::<f32>().expect("f32 on every device");
    }
    let [_, width] = logits.dims();
    let logits = read(logits);
    let logits = slice(&logits);
    let log_sums = log_sums(logits, width);
    let found = |target: &Target| logits[target.row * width + target.id as usize] - log_sums[target.row];
    targets.iter().map(found).collect()
}

fn log_sums(logits: &[f32], width: usize) -> Vec<f32> {
    let mut sums = vec![0.0; logits.len() / width];
    for_rows(&mut sums, 1, |row, sum| sum[0] = row_log_sum_exp_all(&logits[row * width..][..width]));
    sums
}

/// The form in tensor operations.
fn in_tensors(logits: Tensor<2>, targets: &[Target], factor: f64) -> (Tensor<1>, Tensor<2>) {
    let ([rows, vocabulary], dtype) = (logits.dims(), logits.dtype());
    let device = logits.device();
    let log_probs = activation::log_softmax(logits.cast(DType::F32), 1);
    let losses = at_targets(&log_probs, targets).neg();
    let counts = Tensor::from_data(TensorData::new(counts(rows, targets), [rows, 1]), (&device, DType::F32));
    let ones = Tensor::<1>::ones([targets.len()], (&device, DType::F32)).neg();
    let grad = (log_probs.clone().exp() * counts).reshape([rows * vocabulary]);
    let index = flat_index(&log_probs, targets);
    let grad = grad.select_assign(0, index, ones, IndexingUpdateOp::Add) * factor;
    (losses, grad.reshape([rows, vocabulary]).cast(dtype))
}

/// The number of each target's row and column.
fn at_targets(x: &Tensor<2>, targets: &[Target]) -> Tensor<1> {
    let [rows, width] = x.dims();
    x.clone().reshape([rows * width]).select(0, flat_index(x, targets))
}

fn flat_index(x: &Tensor<2>, targets: &[Target]) -> Tensor<1, Int> {
    let [_, width] = x.dims();
    let place =
        |t: &Target| i32::try_from(t.row * width + t.id as usize).expect("a piece of logits fits i32");
    let index: Vec<i32> = targets.iter().map(place).collect();
    let shape = [index.len()];
    Tensor::from_data(TensorData::new(index, shape), &x.device())
}

/// How many targets each row has.
fn counts(rows: usize, targets: &[Target]) -> Vec<f32> {
    let mut counts = vec![0.0; rows];
    for target in targets {
        counts[target.row] += 1.0;
    }
    counts
}
