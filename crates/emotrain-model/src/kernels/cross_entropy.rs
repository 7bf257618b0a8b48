//! The cross-entropy of rows of logits, each predicting no token, one or several.

use burn::tensor::{DType, IndexingUpdateOp, Int, Tensor, TensorData, activation};
use emotrain_kernels::{log_sum_exp_rows, softmax_rows};

use super::Form;
use super::host::{read, restore, slice, tensor, write};
use crate::batch::Target;

/// The negative log-likelihood of each target, and the gradient of their sum, each times its row's factor.
///
/// # Shapes
/// `logits` `[M, V]`; targets whose `row` counts in it; `M` factors → `[targets]` in f32, and `[M, V]`.
pub(crate) fn cross_entropy(
    logits: Tensor<2>,
    targets: &[Target],
    factors: &[f32],
) -> (Tensor<1>, Tensor<2>) {
    match Form::of(&logits) {
        Form::Host => in_memory(logits, targets, factors),
        Form::Fused | Form::Tensor => in_tensors(logits, targets, factors),
    }
}

/// The log-probability of each target, in order.
///
/// # Shapes
/// `logits` `[M, V]`; targets whose `row` counts in it.
pub(crate) fn target_log_probabilities(logits: Tensor<2>, targets: &[Target]) -> Vec<f32> {
    match Form::of(&logits) {
        Form::Host => {
            let [_, width] = logits.dims();
            let logits = read(logits);
            let logits = slice(&logits);
            let log_sums = log_sum_exp_rows(logits, width);
            let of = |target: &Target| logits[target.row * width + target.id as usize] - log_sums[target.row];
            targets.iter().map(of).collect()
        }
        Form::Fused | Form::Tensor => {
            let log_probs = activation::log_softmax(logits.cast(DType::F32), 1);
            let of_targets = at_targets(&log_probs, targets);
            of_targets.try_into_vec_as::<f32>().expect("f32 on every device")
        }
    }
}

/// The form for the CPU in f32.
fn in_memory(logits: Tensor<2>, targets: &[Target], factors: &[f32]) -> (Tensor<1>, Tensor<2>) {
    let [rows, width] = logits.dims();
    let mut logits = write(logits);
    let log_sums = log_sum_exp_rows(logits.storage(), width);
    let values: &[f32] = logits.storage();
    let loss = |target: &Target| log_sums[target.row] - values[target.row * width + target.id as usize];
    let losses = tensor(targets.iter().map(loss).collect(), [targets.len()]);
    let scales: Vec<f32> =
        counts(rows, targets).into_iter().zip(factors).map(|(n, factor)| n * factor).collect();
    let grad: &mut [f32] = logits.storage_mut();
    softmax_rows(grad, width, &log_sums, &scales);
    for target in targets {
        grad[target.row * width + target.id as usize] -= factors[target.row];
    }
    (losses, restore(logits))
}

/// The form in tensor operations.
fn in_tensors(logits: Tensor<2>, targets: &[Target], factors: &[f32]) -> (Tensor<1>, Tensor<2>) {
    let ([rows, vocabulary], dtype) = (logits.dims(), logits.dtype());
    let device = logits.device();
    let log_probs = activation::log_softmax(logits.cast(DType::F32), 1);
    let losses = at_targets(&log_probs, targets).neg();
    let counts = Tensor::from_data(TensorData::new(counts(rows, targets), [rows, 1]), (&device, DType::F32));
    let ones = Tensor::<1>::ones([targets.len()], (&device, DType::F32)).neg();
    let grad = (log_probs.clone().exp() * counts).reshape([rows * vocabulary]);
    let index = flat_index(&log_probs, targets);
    let grad = grad.select_assign(0, index, ones, IndexingUpdateOp::Add).reshape([rows, vocabulary]);
    let factors = Tensor::from_data(TensorData::new(factors.to_vec(), [rows, 1]), (&device, DType::F32));
    (losses, (grad * factors).cast(dtype))
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
