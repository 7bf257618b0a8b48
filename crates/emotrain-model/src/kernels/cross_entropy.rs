//! The cross-entropy of rows of logits, each predicting no token, one or several.

use burn::tensor::{DType, IndexingUpdateOp, Int, Tensor, TensorData, activation};
use emotrain_kernels::{log_sum_exp_rows, softmax_rows};

use super::host::{read, restore, slice, tensor, write};
use super::target_table::TargetTable;
use super::{Form, fused};
use crate::batch::Target;

/// What is made of the losses.
#[derive(Clone, Debug, Default)]
pub(crate) struct LossTerms {
    /// What the gradient of each target is multiplied by.
    pub(crate) factors: Vec<f32>,
    /// Of each row, `ε`: the loss of a target is `(1 − ε)` times its negative log-likelihood, plus `ε` times the mean of that over the
    /// vocabulary (Hugging Face's `LabelSmoother`, `transformers/trainer_pt_utils.py`).
    pub(crate) smoothing: Vec<f32>,
}

impl LossTerms {
    fn are_smooth(&self) -> bool {
        self.smoothing.iter().any(|&smoothing| smoothing > 0.0)
    }
}

/// The loss of each target, and the gradient of their sum, each times its factor.
///
/// # Shapes
/// `logits` `[M, V]`; targets whose `row` counts in it; terms of the targets and of `M` rows → `[targets]` in f32, and `[M, V]`.
pub(crate) fn cross_entropy(
    logits: Tensor<2>,
    targets: &[Target],
    terms: &LossTerms,
) -> (Tensor<1>, Tensor<2>) {
    match Form::of(&logits) {
        Form::Host => in_memory(logits, targets, terms),
        Form::Fused => {
            let LossTerms { factors, smoothing } = terms;
            let TargetTable { places, terms: table } =
                TargetTable::new(targets, factors, smoothing, &logits.device());
            fused::cross_entropy(&logits, &places, &table, terms.are_smooth())
                .unwrap_or_else(|| in_tensors(logits, targets, terms))
        }
        Form::Tensor => in_tensors(logits, targets, terms),
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
            let losses = losses_by_kernel(&logits, targets);
            let losses = losses.unwrap_or_else(|| {
                let log_probs = activation::log_softmax(logits.cast(DType::F32), 1);
                at_targets(&log_probs, targets).neg()
            });
            let losses = losses.try_into_vec_as::<f32>().expect("f32 on every device");
            losses.into_iter().map(|loss| -loss).collect()
        }
    }
}

/// The negative log-likelihood of each target by a kernel of our own, if there is one.
fn losses_by_kernel(logits: &Tensor<2>, targets: &[Target]) -> Option<Tensor<1>> {
    if Form::of(logits) != Form::Fused || targets.is_empty() {
        return None;
    }
    let [factors, smoothing] = [targets.len(), logits.dims()[0]].map(|count| vec![0.0; count]);
    let table = TargetTable::new(targets, &factors, &smoothing, &logits.device());
    fused::target_losses(logits, &table.places, &table.terms)
}

/// The form for the CPU in f32.
fn in_memory(logits: Tensor<2>, targets: &[Target], terms: &LossTerms) -> (Tensor<1>, Tensor<2>) {
    let ([rows, width], LossTerms { factors, smoothing }) = (logits.dims(), terms);
    let mut logits = write(logits);
    let log_sums = log_sum_exp_rows(logits.storage(), width);
    let values: &[f32] = logits.storage();
    let mut losses: Vec<f32> = targets
        .iter()
        .map(|target| log_sums[target.row] - values[target.row * width + target.id as usize])
        .collect();
    if terms.are_smooth() {
        let means = row_means(values, width);
        for (loss, target) in losses.iter_mut().zip(targets) {
            let (row, smoothing) = (target.row, smoothing[target.row]);
            *loss = (1.0 - smoothing) * *loss + smoothing * (log_sums[row] - means[row]);
        }
    }
    let losses = tensor(losses, [targets.len()]);
    let mut scales = vec![0.0; rows];
    for (target, factor) in targets.iter().zip(factors) {
        scales[target.row] += factor;
    }
    let grad: &mut [f32] = logits.storage_mut();
    softmax_rows(grad, width, &log_sums, &scales);
    if !terms.are_smooth() {
        for (target, factor) in targets.iter().zip(factors) {
            grad[target.row * width + target.id as usize] -= factor;
        }
        return (losses, restore(logits));
    }
    for ((row, scale), smoothing) in grad.chunks_exact_mut(width).zip(&scales).zip(smoothing) {
        let share = scale * smoothing / width as f32;
        for value in row.iter_mut() {
            *value -= share;
        }
    }
    for (target, factor) in targets.iter().zip(factors) {
        grad[target.row * width + target.id as usize] -= (1.0 - smoothing[target.row]) * factor;
    }
    (losses, restore(logits))
}

/// The mean of each row.
fn row_means(values: &[f32], width: usize) -> Vec<f32> {
    #[expect(clippy::cast_possible_truncation, reason = "a mean of f32")]
    let mean = |row: &[f32]| (row.iter().map(|&value| f64::from(value)).sum::<f64>() / width as f64) as f32;
    values.chunks_exact(width).map(mean).collect()
}

/// The form in tensor operations.
pub(super) fn in_tensors(logits: Tensor<2>, targets: &[Target], terms: &LossTerms) -> (Tensor<1>, Tensor<2>) {
    let ([rows, vocabulary], dtype) = (logits.dims(), logits.dtype());
    let device = logits.device();
    let log_probs = activation::log_softmax(logits.cast(DType::F32), 1);
    let mut losses = at_targets(&log_probs, targets).neg();
    let RowFactors { factors, shares, sums } = RowFactors::of(rows, targets, &terms.factors);
    let counts = Tensor::from_data(TensorData::new(sums, [rows, 1]), (&device, DType::F32));
    let shares = TensorData::new(shares, [targets.len()]);
    let mut own = Tensor::<1>::from_data(shares, (&device, DType::F32)).neg();
    let mut grad = log_probs.clone().exp() * counts.clone();
    if terms.are_smooth() {
        let of_rows = |values: Vec<f32>| {
            let shape = [values.len(), 1];
            Tensor::<2>::from_data(TensorData::new(values, shape), (&device, DType::F32))
        };
        let of_targets = |target: &Target| terms.smoothing[target.row];
        let smoothing = of_rows(targets.iter().map(of_targets).collect()).reshape([targets.len()]);
        let rest = smoothing.clone().neg().add_scalar(1.0);
        let means = log_probs.clone().mean_dim(1).neg();
        let index: Vec<i32> = targets.iter().map(|target| as_index(target.row)).collect();
        let index = Tensor::<1, Int>::from_data(TensorData::new(index, [targets.len()]), &device);
        losses = losses * rest.clone() + means.reshape([rows]).select(0, index) * smoothing;
        own = own * rest;
        grad = grad - counts * of_rows(terms.smoothing.clone()).div_scalar(vocabulary as f32);
    }
    let grad = grad.reshape([rows * vocabulary]);
    let index = flat_index(&log_probs, targets);
    let grad = grad.select_assign(0, index, own, IndexingUpdateOp::Add).reshape([rows, vocabulary]);
    let factors = Tensor::from_data(TensorData::new(factors, [rows, 1]), (&device, DType::F32));
    (losses, (grad * factors).cast(dtype))
}

/// The number of each target's row and column.
fn at_targets(x: &Tensor<2>, targets: &[Target]) -> Tensor<1> {
    let [rows, width] = x.dims();
    x.clone().reshape([rows * width]).select(0, flat_index(x, targets))
}

fn flat_index(x: &Tensor<2>, targets: &[Target]) -> Tensor<1, Int> {
    let [_, width] = x.dims();
    let index: Vec<i32> = targets.iter().map(|t| as_index(t.row * width + t.id as usize)).collect();
    let shape = [index.len()];
    Tensor::from_data(TensorData::new(index, shape), &x.device())
}

fn as_index(place: usize) -> i32 {
    i32::try_from(place).expect("a piece of logits fits i32")
}

/// The factors of targets, those of a row as shares of the row's largest one: of a single target that is 1, and the row's
/// gradient is rounded once.
struct RowFactors {
    /// Of each row.
    factors: Vec<f32>,
    /// Of each target.
    shares: Vec<f32>,
    /// The sum of the shares of each row.
    sums: Vec<f32>,
}

impl RowFactors {
    fn of(rows: usize, targets: &[Target], all: &[f32]) -> Self {
        let (mut factors, mut sums) = (vec![0.0_f32; rows], vec![0.0; rows]);
        for (target, &factor) in targets.iter().zip(all) {
            factors[target.row] = factors[target.row].max(factor);
        }
        let share = |(target, &factor): (&Target, &f32)| {
            let largest = factors[target.row];
            if largest > 0.0 { factor / largest } else { 1.0 }
        };
        let shares: Vec<f32> = targets.iter().zip(all).map(share).collect();
        for (target, share) in targets.iter().zip(&shares) {
            sums[target.row] += share;
        }
        Self { factors, shares, sums }
    }
}
