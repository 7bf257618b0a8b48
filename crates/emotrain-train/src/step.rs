//! One optimizer step.

use burn::tensor::Tensor;
use emotrain_model::random::Key;
use emotrain_model::{Batch, CausalLm, Gradients, PassOptions, Sequence};
use emotrain_prompt::Sample;

use crate::error::TrainError;
use crate::optim::{Adam, clip_grad_norm};
use crate::trainer::Job;

/// What one step was.
pub(crate) struct StepResult {
    /// Mean over the supervised tokens of the window.
    pub(crate) loss: f64,
    /// Before clipping.
    pub(crate) grad_norm: f64,
    /// Tokens that went through the model.
    pub(crate) tokens: u64,
}

/// One optimizer step: the micro-batches of its window, each normalised by the supervised tokens of all of them.
pub(crate) fn step(
    job: &Job,
    model: &mut CausalLm,
    optimizer: &mut Adam,
    samples: &[Sample],
    (window, number, learning_rate): &(Vec<Vec<usize>>, usize, f64),
) -> Result<StepResult, TrainError> {
    let section = &job.recipe.train;
    let batches: Vec<Batch> = window.iter().map(|micro| pack(samples, micro)).collect();
    let supervised: usize = batches.iter().map(|batch| batch.targets().len()).sum();
    if supervised == 0 {
        return Err(TrainError::NothingToTrain);
    }
    let random = Key::new(section.seed).named("dropout").with(*number as u64);
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
    let loss = f64::from(Tensor::cat(losses, 0).sum().into_scalar::<f32>()) / supervised as f64;
    let grad_norm = gradients.norm();
    for (what, value) in [("loss", loss), ("gradient norm", grad_norm)] {
        if !value.is_finite() {
            return Err(TrainError::NonFinite { step: *number + 1, what, value });
        }
    }
    clip_grad_norm(&mut gradients, grad_norm, section.max_grad_norm);
    optimizer.step(model, gradients, *learning_rate);
    let tokens = batches.iter().map(|batch| batch.rows() as u64).sum();
    Ok(StepResult { loss, grad_norm, tokens })
}

fn pack(samples: &[Sample], micro: &[usize]) -> Batch {
    let sequence = |&sample: &usize| Sequence {
        ids: samples[sample].ids.as_slice(),
        supervised_from: samples[sample].prompt_len,
    };
    Batch::sequences(&micro.iter().map(sequence).collect::<Vec<_>>())
}
