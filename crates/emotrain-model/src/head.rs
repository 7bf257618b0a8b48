//! The output head on chosen rows: logits are formed for the tokens that are predicted and for no others, a
//! piece at a time.

use burn::tensor::Tensor;

use crate::batch::Target;
use crate::kernels::{self, add, cross_entropy};
use crate::weight::Weight;

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
    weight: &Weight,
    targets: &[Target],
    factor: f64,
    train_weight: bool,
) -> HeadLoss {
    let (mut losses, mut grads, mut weight_grad) = (Vec::new(), Vec::new(), None::<Tensor<2>>);
    for (piece, targets) in pieces(hidden, targets) {
        let logits = weight.times(piece.clone());
        let (piece_losses, grad) = cross_entropy(logits, &targets, factor);
        losses.push(piece_losses);
        if train_weight {
            let piece_grad = grad.clone().transpose().matmul(piece);
            weight_grad = Some(match weight_grad {
                Some(sum) => add(sum, &piece_grad),
                None => piece_grad,
            });
        }
        grads.push(weight.times_transposed(grad));
    }
    HeadLoss { losses: Tensor::cat(losses, 0), hidden: Tensor::cat(grads, 0), weight: weight_grad }
}

/// The log-probability of each target, in order.
///
/// # Shapes
/// `hidden` `[M, D]`, `weight` `[V, D]` → `[targets]`.
pub(crate) fn target_log_probabilities(hidden: &Tensor<2>, weight: &Weight, targets: &[Target]) -> Vec<f32> {
    let mut values = vec![0.0; targets.len()];
    let mut start = 0;
    for (piece, _) in pieces(hidden, &[]) {
        let rows = piece.dims()[0];
        let here: Vec<usize> =
            (0..targets.len()).filter(|&t| (start..start + rows).contains(&targets[t].row)).collect();
        let local: Vec<Target> =
            here.iter().map(|&t| Target { row: targets[t].row - start, id: targets[t].id }).collect();
        let logits = weight.times(piece);
        for (place, value) in here.into_iter().zip(kernels::target_log_probabilities(logits, &local)) {
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
