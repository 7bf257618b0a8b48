//! The output head on chosen rows: logits are formed for the tokens that are predicted and for no others, a
//! piece at a time.

use std::ops::Range;

use burn::tensor::{Int, Tensor, TensorData};

use crate::batch::Target;
use crate::device::{Side, part};
use crate::kernels::{self, LossTerms, add, cross_entropy, product, sum_product};
use crate::weight::Weight;

/// Rows whose logits exist at one time.
const PIECE: usize = 256;

/// A loss and what flows back from it.
pub(crate) struct HeadLoss {
    /// The loss of each target, `[targets]` in f32: those of each share.
    pub(crate) losses: Vec<Tensor<1>>,
    /// Gradient of their sum, each times its factor, for the hidden rows, `[M, D]`.
    pub(crate) hidden: Tensor<2>,
    /// And for the head's weight `[V, D]`, if it was asked for.
    pub(crate) weight: Option<Tensor<2>>,
}

/// The hidden rows of one training.
pub(crate) struct HeadShare {
    pub(crate) rows: Range<usize>,
    /// Their `row` counts among all hidden rows; several may have the same.
    pub(crate) targets: Vec<Target>,
    /// What the gradient of each is multiplied by.
    pub(crate) factors: Vec<f32>,
    /// How much of each target's loss is the mean over the vocabulary.
    pub(crate) smoothing: f32,
}

/// Cross-entropy of the targets of the shares, which lie behind one another and cover the hidden rows.
///
/// # Shapes
/// `hidden` `[M, D]`, `weight` `[V, D]`.
pub(crate) fn head_loss(
    hidden: &Tensor<2>,
    weight: &Weight,
    shares: &[HeadShare],
    train_weight: bool,
) -> HeadLoss {
    let (mut losses, mut grads, mut weight_grad) = (Vec::new(), Vec::new(), None::<Tensor<2>>);
    let mut order = Vec::new();
    for Piece { rows, parts, targets, numbers, terms } in shared_pieces(shares) {
        order.extend(numbers);
        let piece = part(hidden, 0, &rows);
        let logits = weight.times(piece.clone());
        let (piece_losses, grad) = cross_entropy(logits, &targets, &terms);
        losses.push(piece_losses);
        if train_weight {
            let sides = [&Side::of(&grad).transposed(), &Side::of(&piece)];
            if sum_product(&mut weight_grad, sides, 1.0).is_none() {
                let piece_grad = product(sides[0], sides[1]);
                weight_grad = Some(match weight_grad {
                    Some(sum) => add(sum, &piece_grad),
                    None => piece_grad,
                });
            }
        }
        grads.push(weight.times_transposed(grad, &parts));
    }
    let losses = in_order(Tensor::cat(losses, 0), &order);
    let losses = split(losses, shares.iter().map(|share| share.targets.len()));
    HeadLoss { losses, hidden: Tensor::cat(grads, 0), weight: weight_grad }
}

/// Rows whose logits are formed together.
#[derive(Default)]
struct Piece {
    rows: Range<usize>,
    /// Those of each share that is in it, counted in the piece.
    parts: Vec<Range<usize>>,
    /// Counted in the piece, too.
    targets: Vec<Target>,
    /// Their numbers among the targets of all shares.
    numbers: Vec<usize>,
    terms: LossTerms,
}

/// Pieces of the hidden rows. A share is cut as if it were alone, and small cuts are put together.
fn shared_pieces(shares: &[HeadShare]) -> Vec<Piece> {
    let (mut pieces, mut first) = (Vec::<Piece>::new(), 0);
    for HeadShare { rows, targets, factors, smoothing } in shares {
        for start in rows.clone().step_by(PIECE) {
            let cut = start..(start + PIECE).min(rows.end);
            if pieces.last().is_none_or(|piece| cut.end - piece.rows.start > PIECE) {
                pieces.push(Piece { rows: start..start, ..Piece::default() });
            }
            let piece = pieces.last_mut().expect("one was made where there was none");
            let origin = piece.rows.start;
            piece.rows.end = cut.end;
            piece.parts.push(cut.start - origin..cut.end - origin);
            for (at, target) in targets.iter().enumerate().filter(|(_, target)| cut.contains(&target.row)) {
                piece.targets.push(Target { row: target.row - origin, id: target.id });
                piece.numbers.push(first + at);
                piece.terms.factors.push(factors[at]);
            }
            piece.terms.smoothing.resize(cut.end - origin, *smoothing);
        }
        first += targets.len();
    }
    pieces
}

/// Losses in the order of their numbers.
fn in_order(losses: Tensor<1>, numbers: &[usize]) -> Tensor<1> {
    if numbers.is_sorted() {
        return losses;
    }
    let mut places: Vec<i32> = vec![0; numbers.len()];
    for (place, &number) in (0..).zip(numbers) {
        places[number] = place;
    }
    let index = TensorData::new(places, [numbers.len()]);
    losses.clone().select(0, Tensor::<1, Int>::from_data(index, &losses.device()))
}

/// Consecutive parts of these lengths, which are all there is.
fn split(all: Tensor<1>, lengths: impl ExactSizeIterator<Item = usize>) -> Vec<Tensor<1>> {
    if lengths.len() == 1 {
        return vec![all];
    }
    let mut start = 0;
    let part = |length: usize| {
        start += length;
        all.clone().narrow(0, start - length, length)
    };
    lengths.map(part).collect()
}

/// The log-probability of each target, in order.
///
/// # Shapes
/// `hidden` `[M, D]`, `weight` `[V, D]` → `[targets]`.
pub(crate) fn target_log_probabilities(hidden: &Tensor<2>, weight: &Weight, targets: &[Target]) -> Vec<f32> {
    let mut values = vec![0.0; targets.len()];
    let mut start = 0;
    for piece in pieces(hidden) {
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

/// Pieces of the hidden rows.
fn pieces(hidden: &Tensor<2>) -> impl Iterator<Item = Tensor<2>> {
    let [rows, _] = hidden.dims();
    (0..rows).step_by(PIECE).map(move |start| hidden.clone().narrow(0, start, PIECE.min(rows - start)))
}
