//! One optimizer step: forward and backward over its window, clipping, and the update.

use burn::tensor::Tensor;
use emotrain_base::random::Key;
use emotrain_model::{Batch, CausalLm, Gradients, PassOptions};
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
    /// Mean over the supervised tokens of the window.
    pub loss: f64,
    /// The norm before clipping.
    pub grad_norm: f64,
    /// The learning rate of the update.
    pub learning_rate: f64,
    /// Tokens processed.
    pub tokens: u64,
    /// The negative log-likelihood of every supervised token, in the order of the batches and their sequences.
    pub losses: Vec<f32>,
}

/// Makes one optimizer step. `batches` are the micro-batches of its window; the loss is normalised by the supervised
/// tokens of all of them, so the split into micro-batches does not matter.
///
/// # Errors
/// A window without supervised tokens, or a loss or gradient that is not finite; the parameters are unchanged.
///
/// # Panics
/// If the device cannot be read.
pub fn step(
    section: &TrainSection,
    model: &mut CausalLm,
    optimizer: &mut AdamWOptimizer,
    batches: &[Batch],
    at: StepAt,
) -> Result<StepResult, TrainError> {
    let supervised: usize = batches.iter().map(|batch| batch.targets().len()).sum();
    if supervised == 0 {
        return Err(TrainError::NothingToTrain);
    }
    let random = Key::new(section.seed).named("dropout").with(at.number as u64);
    let mut gradients = Gradients::default();
    let mut losses = Vec::new();
    for (micro, batch) in batches.iter().enumerate().filter(|(_, batch)| !batch.targets().is_empty()) {
        let options = PassOptions {
            factor: 1.0 / supervised as f64,
            random: random.with(micro as u64),
            neftune_noise_alpha: section.neftune_noise_alpha,
            gradient_checkpointing: section.gradient_checkpointing,
        };
        losses.push(model.forward_backward(batch, options, &mut gradients));
    }
    let losses = Tensor::cat(losses, 0).try_into_vec_as::<f32>().expect("a device that can be read");
    let loss = losses.iter().map(|&loss| f64::from(loss)).sum::<f64>() / supervised as f64;
    let grad_norm = gradients.norm();
    for (what, value) in [("loss", loss), ("gradient norm", grad_norm)] {
        if !value.is_finite() {
            return Err(TrainError::NonFinite { step: at.number + 1, what, value });
        }
    }
    clip_grad_norm(&mut gradients, grad_norm, section.max_grad_norm);
    optimizer.step(model, gradients, at.learning_rate);
    let tokens = batches.iter().map(|batch| batch.rows() as u64).sum();
    Ok(StepResult { loss, grad_norm, learning_rate: at.learning_rate, tokens, losses })
}
