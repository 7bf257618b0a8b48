//! One optimizer step.

use burn::tensor::Tensor;
use emotrain_model::random::Key;
use emotrain_model::{Batch, CausalLm, Gradients, PassOptions, Sequence};
use emotrain_prompt::Sample;

use crate::error::TrainError;
use crate::optim::{Adam, clip_grad_norm};
use crate::trainer::Job;

/// What one step was.
#[derive(Clone, Debug)]
pub(crate) struct StepResult {
    /// Mean over the supervised tokens of the window.
    pub(crate) loss: f64,
    /// Before clipping.
    pub(crate) grad_norm: f64,
    /// Tokens that went through the model.
    pub(crate) tokens: u64,
    /// Of each sample of the window: which it is, its negative log-likelihood and its supervised tokens.
    pub(crate) samples: Vec<(usize, f64, usize)>,
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
    let losses = Tensor::cat(losses, 0).try_into_vec_as::<f32>().expect("a device that can be read");
    let told = per_sample(samples, window, &losses);
    let loss = told.iter().map(|(_, sum, _)| sum).sum::<f64>() / supervised as f64;
    let grad_norm = gradients.norm();
    for (what, value) in [("loss", loss), ("gradient norm", grad_norm)] {
        if !value.is_finite() {
            return Err(TrainError::NonFinite { step: *number + 1, what, value });
        }
    }
    clip_grad_norm(&mut gradients, grad_norm, section.max_grad_norm);
    optimizer.step(model, gradients, *learning_rate);
    let tokens = batches.iter().map(|batch| batch.rows() as u64).sum();
    Ok(StepResult { loss, grad_norm, tokens, samples: told })
}

/// The losses of a window's targets, which stand in the order of its samples, summed by sample.
fn per_sample(samples: &[Sample], window: &[Vec<usize>], losses: &[f32]) -> Vec<(usize, f64, usize)> {
    let mut losses = losses.iter();
    let mut told = |&number: &usize| {
        // The first token of a sample has nothing before it to be predicted from.
        let tokens = samples[number].ids.len() - samples[number].prompt_len.max(1);
        let sum = losses.by_ref().take(tokens).map(|&loss| f64::from(loss)).sum();
        (number, sum, tokens)
    };
    window.iter().flatten().map(&mut told).collect()
}

fn pack(samples: &[Sample], micro: &[usize]) -> Batch {
    let sequence = |&sample: &usize| Sequence {
        ids: samples[sample].ids.as_slice(),
        supervised_from: samples[sample].prompt_len,
    };
    Batch::sequences(&micro.iter().map(sequence).collect::<Vec<_>>())
}
