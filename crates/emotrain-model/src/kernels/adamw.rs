//! `AdamW` (Loshchilov and Hutter 2019, Algorithm 2, with the schedule's learning rate as its multiplier), the update
//! rule of one parameter.

use burn::tensor::Tensor;

use super::host::{for_rows, is_host, read, restore, slice, write};

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

/// The scalars of one update.
#[derive(Clone, Copy)]
struct Rates {
    rule: AdamW,
    /// `1 - lr · weight_decay`.
    keep: f32,
    learning_rate: f32,
    /// `1 - beta^t` of the two moments.
    corrections: [f32; 2],
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
        let rates = Rates {
            rule: self,
            keep: (1.0 - learning_rate * f64::from(self.weight_decay)) as f32,
            learning_rate: learning_rate as f32,
            corrections: [1.0 - self.beta_1.powi(power), 1.0 - self.beta_2.powi(power)],
        };
        let form = if is_host(&parameter) { in_memory } else { in_tensors };
        let [parameter, first, second] = form(parameter, gradient, [first, second], rates);
        (parameter, Moments { first, second, time })
    }
}

/// The form in tensor operations.
fn in_tensors(
    parameter: Tensor<2>,
    gradient: Tensor<2>,
    [first, second]: [Tensor<2>; 2],
    rates: Rates,
) -> [Tensor<2>; 3] {
    let Rates { rule: AdamW { beta_1, beta_2, epsilon, .. }, keep, learning_rate, corrections } = rates;
    let first = first * beta_1 + gradient.clone() * (1.0 - beta_1);
    let second = second * beta_2 + gradient.square() * (1.0 - beta_2);
    let spread = (second.clone() / corrections[1]).sqrt() + epsilon;
    let delta = first.clone() / corrections[0] / spread;
    [parameter * keep - delta * learning_rate, first, second]
}

/// The form for the CPU in f32: one pass over memory, in place where it is not shared.
fn in_memory(
    parameter: Tensor<2>,
    gradient: Tensor<2>,
    [first, second]: [Tensor<2>; 2],
    rates: Rates,
) -> [Tensor<2>; 3] {
    let [_, width] = parameter.dims();
    let (mut parameter, gradient) = (write(parameter), read(gradient));
    let (mut first, mut second) = (write(first), write(second));
    let gradient = slice(&gradient);
    // Three loops, each over one buffer that it changes: the moments first, then what is made of them.
    let AdamW { beta_1, beta_2, epsilon, .. } = rates.rule;
    for_rows(first.storage_mut(), width, |row, first| {
        for (m, g) in first.iter_mut().zip(&gradient[row * width..]) {
            *m = *m * beta_1 + g * (1.0 - beta_1);
        }
    });
    for_rows(second.storage_mut(), width, |row, second| {
        for (v, g) in second.iter_mut().zip(&gradient[row * width..]) {
            *v = *v * beta_2 + g * g * (1.0 - beta_2);
        }
    });
    let moments = (slice(&first), slice(&second));
    for_rows(parameter.storage_mut(), width, |row, parameter| {
        let moments = moments.0[row * width..].iter().zip(&moments.1[row * width..]);
        for (p, (m, v)) in parameter.iter_mut().zip(moments) {
            let delta = m / rates.corrections[0] / ((v / rates.corrections[1]).sqrt() + epsilon);
            *p = *p * rates.keep - delta * rates.learning_rate;
        }
    });
    [restore(parameter), restore(first), restore(second)]
}
