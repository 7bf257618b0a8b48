//! The optimizer and its learning rate schedule: `AdamW` of burn-optim on named parameters.

use std::collections::BTreeMap;

use burn::optim::{AdamW, AdamWConfig, AdamWState, AdaptiveMomentumState, Optimizer};
use burn::tensor::{DType, Tensor};
use emotrain_model::{CausalLm, Gradients};
use emotrain_recipe::{Scheduler, TrainSection};

/// The learning rate by step, as Hugging Face's `get_{linear,cosine,constant}_schedule_with_warmup`
/// (`transformers/optimization.py`).
#[derive(Clone, Copy, Debug)]
pub struct LearningRate {
    kind: Scheduler,
    /// The recipe's `learning_rate`, reached after the warm-up.
    peak: f64,
    warmup_steps: usize,
    total_steps: usize,
}

impl LearningRate {
    /// The schedule of a run of `total_steps`; `warmup_steps` takes precedence over `warmup_ratio`, whose product is
    /// rounded up.
    pub fn new(section: &TrainSection, total_steps: usize) -> Self {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a ratio of the steps")]
        let share = (section.warmup_ratio * total_steps as f64).ceil() as usize;
        let warmup_steps = if section.warmup_steps > 0 { section.warmup_steps } else { share };
        Self { kind: section.lr_scheduler_type, peak: section.learning_rate, warmup_steps, total_steps }
    }

    /// The learning rate of step `step`, counted from 0. With a warm-up the first is 0.
    pub fn at(&self, step: usize) -> f64 {
        if step < self.warmup_steps {
            return self.peak * step as f64 / self.warmup_steps.max(1) as f64;
        }
        let span = self.total_steps.saturating_sub(self.warmup_steps).max(1) as f64;
        let done = ((step - self.warmup_steps) as f64 / span).min(1.0);
        self.peak
            * match self.kind {
                Scheduler::Linear => 1.0 - done,
                Scheduler::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * done).cos()),
                Scheduler::Constant => 1.0,
            }
    }
}

/// `AdamW` with the moments of every parameter.
pub struct Adam {
    rule: AdamW,
    states: BTreeMap<String, AdamWState<2>>,
}

/// The moments of one parameter, as PyTorch names them.
pub struct Moments {
    /// First moment, `exp_avg`.
    pub first: Tensor<2>,
    /// Second moment, `exp_avg_sq`.
    pub second: Tensor<2>,
    /// Updates so far.
    pub time: usize,
}

impl Adam {
    /// An optimizer without moments.
    pub fn new(section: &TrainSection) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "burn computes in f32")]
        let rule = AdamWConfig::new()
            .with_beta_1(section.adam_beta1 as f32)
            .with_beta_2(section.adam_beta2 as f32)
            .with_epsilon(section.adam_epsilon as f32)
            .with_weight_decay(section.weight_decay as f32)
            .build();
        Self { rule, states: BTreeMap::new() }
    }

    /// Updates every trained parameter that has a gradient.
    pub fn step(&mut self, model: &mut CausalLm, mut gradients: Gradients, learning_rate: f64) {
        for (name, parameter) in model.parameters() {
            let Some(gradient) = gradients.remove(&name) else { continue };
            let dtype = parameter.dtype();
            let current = parameter.clone().cast(DType::F32);
            let (updated, state) =
                self.rule.step(learning_rate, current, gradient, self.states.remove(&name));
            *parameter = updated.cast(dtype);
            self.states.extend(state.map(|state| (name, state)));
        }
    }

    /// The moments by parameter name.
    pub fn moments(&self) -> impl Iterator<Item = (&str, Moments)> {
        self.states.iter().map(|(name, state)| {
            let AdaptiveMomentumState { time, moment_1, moment_2, .. } = state.momentum.clone();
            (name.as_str(), Moments { first: moment_1, second: moment_2, time })
        })
    }

    /// Restores the moments of one parameter.
    pub fn restore(&mut self, name: String, moments: Moments) {
        let Moments { first, second, time } = moments;
        self.states.insert(name, AdamWState::new(AdaptiveMomentumState::new(time, first, second)));
    }
}

/// Scales the gradients so that their norm is at most `max_norm` (0 disables clipping), with torch's coefficient
/// `max_norm / (norm + 1e-6)`.
pub(crate) fn clip_grad_norm(gradients: &mut Gradients, norm: f64, max_norm: f64) {
    let coefficient = max_norm / (norm + 1e-6);
    if max_norm > 0.0 && coefficient < 1.0 {
        gradients.scale(coefficient);
    }
}
