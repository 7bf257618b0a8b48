//! One optimizer step: forward and backward over its window, clipping, and the update; of one run, or of several on one
//! base.

use std::ops::Range;

use burn::tensor::{Device, Tensor};
use emotrain_base::random::Key;
use emotrain_model::{Batch, CausalLm, Gradients, PassOptions, Share, device, forward_backward};
use emotrain_recipe::TrainSection;

use crate::error::TrainError;
use crate::optim::{AdamWOptimizer, clip_grad_norm};

/// A step's position in its run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepAt {
    /// Steps before this one: random draws are functions of it.
    pub number: usize,
    /// The learning rate.
    pub learning_rate: f64,
}

/// The result of a step.
#[derive(Clone, Debug)]
pub struct StepResult {
    /// Mean over the supervised tokens of the window, weighted if the batches have weights.
    pub loss: f64,
    /// The norm before clipping.
    pub grad_norm: f64,
    /// The learning rate of the update.
    pub learning_rate: f64,
    /// Tokens computed: the rows that went through the model. What several samples share counts once.
    pub tokens: u64,
    /// The loss of every supervised token, without its weight, in the order of the batches and their sequences.
    pub losses: Vec<f32>,
}

/// What one run has in a step that several make together.
pub struct Turn<'a> {
    /// How it trains.
    pub section: &'a TrainSection,
    /// Its model; the turns of a step have one frozen base.
    pub model: &'a mut CausalLm,
    /// The same model on other devices, none of them if there are several turns. The micro-batches are dealt to all devices;
    /// their gradients are added up and the adapter is updated on the model's own, and the others follow it.
    pub replicas: &'a mut [CausalLm],
    /// Its optimizer.
    pub optimizer: &'a mut AdamWOptimizer,
    /// The micro-batches of its window; the loss is normalised by the supervised tokens of all of them, so the split into
    /// micro-batches does not matter, and whether their sequences share rows does not either.
    pub batches: &'a [Batch],
    /// Where it is in its run.
    pub at: StepAt,
}

/// Makes one optimizer step of one run.
///
/// # Errors
/// A window without supervised tokens, or a loss or gradient that is not finite; the parameters are unchanged.
///
/// # Panics
/// If the device cannot be read.
pub fn step(turn: Turn) -> Result<StepResult, TrainError> {
    step_together(vec![turn]).pop().expect("the result of the only turn")
}

/// Makes one optimizer step of each of several runs. Their micro-batches go through the base together; the result of
/// each is what [`step`] gives it alone, on the CPU to the bit, whatever becomes of the others.
///
/// # Panics
/// As [`step`].
pub(crate) fn step_together(turns: Vec<Turn>) -> Vec<Result<StepResult, TrainError>> {
    let mut sums: Vec<Sum> = turns.iter().map(Sum::new).collect();
    for round in 0..sums.iter().map(|sum| sum.micro.len()).max().unwrap_or(0) {
        let rows = |turn: &Turn, sum: &Sum| Some(turn.batches[*sum.micro.get(round)?].rows());
        let rows: Vec<Option<usize>> = turns.iter().zip(&sums).map(|(turn, sum)| rows(turn, sum)).collect();
        for pass in passes(&rows, rows_together(&turns)) {
            let shares = turns[pass.clone()].iter().zip(&mut sums[pass.clone()]);
            let shares = shares.filter(|(_, sum)| round < sum.micro.len());
            let losses = forward_backward(shares.map(|(turn, sum)| sum.share(turn, round)).collect());
            let sums = sums[pass].iter_mut().filter(|sum| round < sum.micro.len());
            sums.zip(losses).for_each(|(sum, losses)| sum.losses.push(losses));
        }
    }
    turns.into_iter().zip(sums).map(|(turn, sum)| sum.finish(turn)).collect()
}

/// How many rows of several runs go through the base together; a micro-batch of more goes alone. More fill the memory,
/// and make a CPU, which has enough to do with fewer, no faster.
fn rows_together(turns: &[Turn]) -> usize {
    let is_cpu = turns.first().is_some_and(|turn| turn.model.device() == Device::flex());
    if is_cpu { 512 } else { 2048 }
}

/// Neighbouring turns whose micro-batches, where they have one, make up to `most` rows.
fn passes(rows: &[Option<usize>], most: usize) -> Vec<Range<usize>> {
    let (mut passes, mut start, mut sum) = (Vec::new(), 0, 0);
    for (turn, rows) in rows.iter().enumerate() {
        let Some(rows) = rows else { continue };
        if sum > 0 && sum + rows > most {
            passes.push(start..turn);
            (start, sum) = (turn, 0);
        }
        sum += rows;
    }
    if sum > 0 {
        passes.push(start..rows.len());
    }
    passes
}

/// What the passes of a step give one run.
struct Sum {
    /// The micro-batches that have supervised tokens.
    micro: Vec<usize>,
    supervised: usize,
    /// The sum of the weights of the supervised tokens: their number if all weigh 1.
    weight: f64,
    random: Key,
    /// Of each device, the model's own first.
    gradients: Vec<Gradients>,
    losses: Vec<Tensor<1>>,
}

impl Sum {
    fn new(turn: &Turn) -> Self {
        let counts = turn.batches.iter().map(|batch| batch.targets().len());
        Self {
            micro: (0..turn.batches.len()).filter(|&at| !turn.batches[at].targets().is_empty()).collect(),
            supervised: counts.sum(),
            weight: turn.batches.iter().map(weight).sum(),
            random: Key::new(turn.section.seed).named("dropout").with(turn.at.number as u64),
            gradients: models(turn).map(CausalLm::gradients).collect(),
            losses: Vec::new(),
        }
    }

    /// What the run has in a pass.
    fn share<'a>(&'a mut self, turn: &'a Turn, round: usize) -> Share<'a> {
        let micro = self.micro[round];
        let options = PassOptions {
            factor: 1.0 / self.weight,
            random: self.random.with(micro as u64),
            neftune_noise_alpha: turn.section.neftune_noise_alpha,
            label_smoothing_factor: turn.section.label_smoothing_factor,
            gradient_checkpointing: turn.section.into(),
        };
        let device = round % self.gradients.len();
        let model = models(turn).nth(device).expect("as many models as gradients");
        Share { model, batch: &turn.batches[micro], options, gradients: &mut self.gradients[device] }
    }

    /// The update, if all numbers are finite.
    fn finish(self, turn: Turn) -> Result<StepResult, TrainError> {
        let Self { micro, supervised, weight, gradients, losses, .. } = self;
        let Turn { section, model, replicas, optimizer, batches, at } = turn;
        if supervised == 0 {
            return Err(TrainError::NothingToTrain);
        }
        let first = model.device();
        let mut all = gradients.into_iter();
        let mut gradients = all.next().expect("the gradients of the model's own device");
        all.for_each(|others| gradients.add_all(others, &first));
        // One device is waited for once; of several the first also before each copy to it.
        let mut read: Vec<Tensor<1>> =
            losses.into_iter().map(|losses| device::sent(losses, &first)).collect();
        read.extend(gradients.squared_norm());
        let mut losses = Tensor::cat(read, 0).try_into_vec_as::<f32>().expect("a device that can be read");
        let squared_norm = losses.split_off(supervised);
        let grad_norm = squared_norm.first().map_or(0.0, |squared| f64::from(*squared).sqrt());
        let weights = micro.iter().flat_map(|&at| weights(&batches[at]));
        let loss =
            losses.iter().zip(weights).map(|(&loss, weight)| weight * f64::from(loss)).sum::<f64>() / weight;
        for (what, value) in [("loss", loss), ("gradient norm", grad_norm)] {
            if !value.is_finite() {
                return Err(TrainError::NonFinite { step: at.number + 1, what, value });
            }
        }
        clip_grad_norm(&mut gradients, grad_norm, section.max_grad_norm);
        optimizer.step(model, gradients, at.learning_rate);
        for replica in replicas {
            replica.follow(model);
        }
        let tokens = batches.iter().map(|batch| batch.rows() as u64).sum();
        Ok(StepResult { loss, grad_norm, learning_rate: at.learning_rate, tokens, losses })
    }
}

/// The model and its replicas.
fn models<'a>(turn: &'a Turn) -> impl Iterator<Item = &'a CausalLm> {
    std::iter::once(&*turn.model).chain(&*turn.replicas)
}

/// The weights of a batch's targets.
fn weights(batch: &Batch) -> impl Iterator<Item = f64> {
    let weights = batch.weights();
    (0..batch.targets().len()).map(move |at| weights.map_or(1.0, |weights| f64::from(weights[at])))
}

/// Their sum.
fn weight(batch: &Batch) -> f64 {
    weights(batch).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_takes_neighbours_as_long_as_they_fit() {
        assert_eq!(passes(&[Some(100), Some(300), Some(112), Some(1)], 512), [0..3, 3..4]);
        assert_eq!(passes(&[Some(600), None, Some(600), Some(10)], 512), [0..2, 2..3, 3..4]);
        assert_eq!(passes(&[None, Some(5), None, Some(510)], 512), [0..3, 3..4]);
        assert!(passes(&[None, None], 512).is_empty());
    }
}
