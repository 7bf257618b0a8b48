//! The optimizer and its learning rate schedule: `AdamW` on named parameters.

use std::borrow::Cow;
use std::collections::BTreeMap;

use burn::tensor::{DType, Tensor};
use emotrain_model::{AdamW, CausalLm, EightBitMoments, Gradients, JointMoments, Moments};
use emotrain_recipe::{Optimizer, Scheduler, TrainSection};

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

/// The moments of one parameter, in one of their forms.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "some hundreds exist, each holding megabytes behind pointers")]
pub enum ParameterMoments {
    /// In f32, on the device.
    Full(Moments),
    /// In 8 bits, on the host.
    EightBit(EightBitMoments),
}

/// `AdamW` with the moments of every parameter.
pub struct AdamWOptimizer {
    rule: AdamW,
    /// Whether the moments of large parameters are in 8 bits.
    eight_bit: bool,
    /// By how much faster the `B` matrices of adapters learn than the `A` matrices (LoRA+, Hayou et al. 2024).
    b_ratio: f64,
    moments: BTreeMap<String, ParameterMoments>,
    /// In the place of these, those of an adapter that is updated jointly.
    joint: Option<JointMoments>,
}

impl AdamWOptimizer {
    /// An optimizer without moments.
    pub fn new(section: &TrainSection) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "the rule is computed in f32")]
        let rule = AdamW {
            beta_1: section.adam_beta1 as f32,
            beta_2: section.adam_beta2 as f32,
            epsilon: section.adam_epsilon as f32,
            weight_decay: section.weight_decay as f32,
        };
        let eight_bit = section.optim == Optimizer::AdamW8bit;
        Self { rule, eight_bit, b_ratio: section.loraplus_lr_ratio, moments: BTreeMap::new(), joint: None }
    }

    /// Updates every trained parameter that has a gradient: the `B` matrices of adapters with their own multiple of the
    /// learning rate, which is also that of their weight decay (the groups of PEFT's `create_loraplus_optimizer`).
    pub fn step(&mut self, model: &mut CausalLm, mut gradients: Gradients, learning_rate: f64) {
        if let Some(mut moments) = self.joint_moments(model) {
            let rates = [learning_rate, learning_rate * self.b_ratio];
            model.update_jointly(self.rule, gradients, &mut moments, rates);
            self.joint = Some(moments);
            return;
        }
        for (name, parameter) in model.parameters() {
            let Some(gradient) = gradients.remove(&name) else { continue };
            let moments = self.moments.remove(&name);
            let learning_rate =
                if learns_faster(&name) { learning_rate * self.b_ratio } else { learning_rate };
            parameter.inplace(|parameter| {
                let (dtype, parameter) = (parameter.dtype(), parameter.cast(DType::F32));
                let (updated, moments) = self.update(parameter, gradient, moments, learning_rate);
                self.moments.insert(name, moments);
                updated.cast(dtype)
            });
        }
    }

    /// The moments of an adapter that is updated jointly, as those of a GPU are: where its moments are in f32.
    fn joint_moments(&mut self, model: &CausalLm) -> Option<JointMoments> {
        if self.joint.is_some() || self.eight_bit {
            return self.joint.take();
        }
        let mut full: BTreeMap<&str, &Moments> = BTreeMap::new();
        for (name, moments) in &self.moments {
            let ParameterMoments::Full(moments) = moments else { return None };
            full.insert(name, moments);
        }
        let joint = JointMoments::of(model, &full)?;
        self.moments.clear();
        Some(joint)
    }

    /// Updates a parameter. Its moments stay in the form in which they are.
    fn update(
        &self,
        parameter: Tensor<2>,
        gradient: Tensor<2>,
        moments: Option<ParameterMoments>,
        learning_rate: f64,
    ) -> (Tensor<2>, ParameterMoments) {
        let is_large = parameter.shape().num_elements() >= EightBitMoments::SMALLEST;
        let full = match moments {
            Some(ParameterMoments::Full(moments)) => Some(moments),
            Some(ParameterMoments::EightBit(moments)) => {
                return self.update_8bit(parameter, gradient, Some(moments), learning_rate);
            }
            None if self.eight_bit && is_large => {
                return self.update_8bit(parameter, gradient, None, learning_rate);
            }
            None => None,
        };
        let (updated, moments) = self.rule.update(parameter, gradient, full, learning_rate);
        (updated, ParameterMoments::Full(moments))
    }

    fn update_8bit(
        &self,
        parameter: Tensor<2>,
        gradient: Tensor<2>,
        moments: Option<EightBitMoments>,
        learning_rate: f64,
    ) -> (Tensor<2>, ParameterMoments) {
        let (updated, moments) = self.rule.update_8bit(parameter, gradient, moments, learning_rate);
        (updated, ParameterMoments::EightBit(moments))
    }

    /// The moments by parameter name.
    pub fn moments(&self) -> BTreeMap<String, Cow<'_, ParameterMoments>> {
        let named = self.moments.iter().map(|(name, moments)| (name.clone(), Cow::Borrowed(moments)));
        let joint = self.joint.iter().flat_map(JointMoments::split);
        named
            .chain(joint.map(|(name, moments)| (name, Cow::Owned(ParameterMoments::Full(moments)))))
            .collect()
    }

    /// Restores the moments of one parameter.
    pub fn restore(&mut self, name: String, moments: ParameterMoments) {
        self.moments.insert(name, moments);
    }
}

/// Whether LoRA+ speeds a parameter up: PEFT takes `B` matrices, and what has one dimension.
fn learns_faster(name: &str) -> bool {
    name.ends_with(".lora_B.weight") || name.ends_with(".lora_magnitude_vector")
}

/// Scales the gradients so that their norm is at most `max_norm` (0 disables clipping), with torch's coefficient
/// `max_norm / (norm + 1e-6)`.
pub(crate) fn clip_grad_norm(gradients: &mut Gradients, norm: f64, max_norm: f64) {
    let coefficient = max_norm / (norm + 1e-6);
    if max_norm > 0.0 && coefficient < 1.0 {
        gradients.scale(coefficient);
    }
}
