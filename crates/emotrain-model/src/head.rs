//! The output head on chosen rows: logits are formed for the tokens that are predicted and for no others, a
//! piece at a time.

use burn::tensor::{DType, IndexingUpdateOp, Int, Tensor, TensorData, activation};

use crate::batch::Target;

/// Rows whose logits exist at one time.
const PIECE: usize = 256;

/// A loss and what flows back from it.
pub(crate) struct HeadLoss {
    /// The negative log-likelihood of each target, `[targets]` in f32.
    pub(crate) losses: Tensor<1>,
    /// Gradient of `factor` times their sum for the hidden rows, `[M, D]`.
    pub(crate) hidden: Tensor<2>,
    /// And for the head's weight `[V, D]`, if it was asked for.
    pub(crate) weight: Option<Tensor<2>>,
}

/// Cross-entropy of the targets, whose `row` counts in `hidden` and ascends. Each target's gradient is scaled by `factor`.
///
/// # Shapes
/// `hidden` `[M, D]`, `weight` `[V, D]`.
pub(crate) fn head_loss(
    hidden: &Tensor<2>,
    weight: &Tensor<2>,
    targets: &[Target],
    (factor, train_weight): (f64, bool),
) -> HeadLoss {
    let device = hidden.device();
    let (mut losses, mut grads, mut weight_grad) = (Vec::new(), Vec::new(), None::<Tensor<2>>);
    for (piece, targets) in pieces(hidden, targets) {
        let [rows, vocabulary] = [piece.dims()[0], weight.dims()[0]];
        let log_probs = log_probabilities(piece.clone(), weight);
        let index = flat_index(&targets, vocabulary, &log_probs);
        losses.push(log_probs.clone().reshape([rows * vocabulary]).select(0, index.clone()).neg());

        let counts = counts(rows, &targets, &log_probs);
        let ones = Tensor::<1>::ones([targets.len()], (&device, DType::F32)).neg();
        let grad = (log_probs.exp() * counts).reshape([rows * vocabulary]);
        let grad = grad.select_assign(0, index, ones, IndexingUpdateOp::Add) * factor;
        let grad = grad.reshape([rows, vocabulary]).cast(hidden.dtype());
        if train_weight {
            let piece_grad = grad.clone().transpose().matmul(piece);
            weight_grad = Some(match weight_grad {
                Some(sum) => sum + piece_grad,
                None => piece_grad,
            });
        }
        grads.push(grad.matmul(weight.clone()));
    }
    HeadLoss { losses: Tensor::cat(losses, 0), hidden: Tensor::cat(grads, 0), weight: weight_grad }
}

/// The log-probability of each target, in order.
///
/// # Shapes
/// `hidden` `[M, D]`, `weight` `[V, D]` → `[targets]`.
pub(crate) fn target_log_probabilities(
    hidden: &Tensor<2>,
    weight: &Tensor<2>,
    targets: &[Target],
) -> Vec<f32> {
    let vocabulary = weight.dims()[0];
    let mut values = vec![0.0; targets.len()];
    let mut start = 0;
    for (piece, _) in pieces(hidden, &[]) {
        let rows = piece.dims()[0];
        let here: Vec<usize> =
            (0..targets.len()).filter(|&t| (start..start + rows).contains(&targets[t].row)).collect();
        let local: Vec<Target> =
            here.iter().map(|&t| Target { row: targets[t].row - start, id: targets[t].id }).collect();
        let log_probs = log_probabilities(piece, weight);
        let index = flat_index(&local, vocabulary, &log_probs);
        let found = log_probs.reshape([rows * vocabulary]).select(0, index);
        let found = found.try_into_vec_as::<f32>().expect("f32 on every device");
        for (place, value) in here.into_iter().zip(found) {
            values[place] = value;
        }
        start += rows;
    }
    values
}

/// Pieces of the hidden rows, with the targets of each counted in the piece.
fn pieces(hidden: &Tensor<2>, targets: &[Target]) -> Vec<(Tensor<2>, Vec<Target>)> {
    let [rows, _] = hidden.dims();
    let piece = |start: usize| {
        let length = PIECE.min(rows - start);
        let mine = targets.iter().filter(|t| (start..start + length).contains(&t.row));
        let mine = mine.map(|t| Target { row: t.row - start, id: t.id }).collect();
        (hidden.clone().narrow(0, start, length), mine)
    };
    (0..rows).step_by(PIECE).map(piece).collect()
}

/// `[M, D]` → `[M, V]` in f32.
fn log_probabilities(hidden: Tensor<2>, weight: &Tensor<2>) -> Tensor<2> {
    activation::log_softmax(hidden.matmul(weight.clone().transpose()).cast(DType::F32), 1)
}

fn flat_index(targets: &[Target], vocabulary: usize, like: &Tensor<2>) -> Tensor<1, Int> {
    let index: Vec<i32> = targets
        .iter()
        .map(|t| i32::try_from(t.row * vocabulary + t.id as usize).expect("a piece of logits fits i32"))
        .collect();
    let shape = [index.len()];
    Tensor::from_data(TensorData::new(index, shape), &like.device())
}

/// How many targets each row has, `[M, 1]`.
fn counts(rows: usize, targets: &[Target], like: &Tensor<2>) -> Tensor<2> {
    let mut counts = vec![0.0f32; rows];
    for target in targets {
        counts[target.row] += 1.0;
    }
    Tensor::from_data(TensorData::new(counts, [rows, 1]), (&like.device(), DType::F32))
}
