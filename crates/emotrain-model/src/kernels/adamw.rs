//! `AdamW` (Loshchilov and Hutter 2019, Algorithm 2, with the schedule's learning rate as its multiplier), the update
//! rule of one parameter.

use burn::tensor::Tensor;
use emotrain_kernels::AdamWStep;

use super::Form;
use super::host::{read, restore, slice, write};

/// The constants of the rule, as PyTorch names them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// Decay of the first moment, `betas[0]`.
    pub beta_1: f32,
    /// Decay of the second moment, `betas[1]`.
    pub beta_2: f32,
    /// Added to the root of the second moment, `eps`.
    pub epsilon: f32,
    /// Decoupled weight decay, relative to the learning rate.
    pub weight_decay: f32,
}

/// The moments of one parameter, as PyTorch names them; both have its shape and are in f32.
#[derive(Clone, Debug)]
pub struct Moments {
    /// First moment, `exp_avg`.
    pub first: Tensor<2>,
    /// Second moment, `exp_avg_sq`.
    pub second: Tensor<2>,
    /// Updates so far.
    pub time: usize,
}

impl AdamW {
    /// One update: the new parameter and the new moments. Without moments they begin at zero.
    ///
    /// # Shapes
    /// `parameter` and `gradient` `[N, D]`, both in f32 → `[N, D]`.
    #[must_use]
    pub fn update(
        self,
        parameter: Tensor<2>,
        gradient: Tensor<2>,
        moments: Option<Moments>,
        learning_rate: f64,
    ) -> (Tensor<2>, Moments) {
        let zeros = || gradient.zeros_like();
        let Moments { first, second, time } =
            moments.unwrap_or_else(|| Moments { first: zeros(), second: zeros(), time: 0 });
        let time = time + 1;
        let power = i32::try_from(time).unwrap_or(i32::MAX);
        #[expect(clippy::cast_possible_truncation, reason = "the rule is computed in f32")]
        let step = AdamWStep {
            beta_1: self.beta_1,
            beta_2: self.beta_2,
            epsilon: self.epsilon,
            keep: (1.0 - learning_rate * f64::from(self.weight_decay)) as f32,
            learning_rate: learning_rate as f32,
            corrections: [1.0 - self.beta_1.powi(power), 1.0 - self.beta_2.powi(power)],
        };
        let form = match Form::of(&parameter) {
            Form::Host => in_memory,
            Form::Fused | Form::Tensor => in_tensors,
        };
        let [parameter, first, second] = form(parameter, gradient, [first, second], step);
        (parameter, Moments { first, second, time })
    }
}

/// The form in tensor operations.
fn in_tensors(
    parameter: Tensor<2>,
    gradient: Tensor<2>,
    moments: [Tensor<2>; 2],
    step: AdamWStep,
) -> [Tensor<2>; 3] {
    let AdamWStep { beta_1, beta_2, epsilon, keep, learning_rate, corrections } = step;
    let [first, second] = moments;
    let first = first * beta_1 + gradient.clone() * (1.0 - beta_1);
    let second = second * beta_2 + gradient.square() * (1.0 - beta_2);
    let spread = (second.clone() / corrections[1]).sqrt() + epsilon;
    let delta = first.clone() / corrections[0] / spread;
    [parameter * keep - delta * learning_rate, first, second]
}

/// The form for the CPU in f32: in place where the buffers are not shared.
fn in_memory(
    parameter: Tensor<2>,
    gradient: Tensor<2>,
    moments: [Tensor<2>; 2],
    step: AdamWStep,
) -> [Tensor<2>; 3] {
    let [_, width] = parameter.dims();
    let (mut parameter, gradient) = (write(parameter), read(gradient));
    let [mut first, mut second] = moments.map(write);
    let moments = [first.storage_mut(), second.storage_mut()];
    step.update(parameter.storage_mut(), slice(&gradient), moments, width);
    [restore(parameter), restore(first), restore(second)]
}
