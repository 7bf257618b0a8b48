//! `AdamW` (Loshchilov and Hutter 2019), the update of one parameter.

use crate::rows::for_rows;

/// The scalars of one update.
#[derive(Clone, Copy, Debug)]
pub struct AdamWStep {
    /// Decay of the first moment.
    pub beta_1: f32,
    /// Decay of the second moment.
    pub beta_2: f32,
    /// Added to the root of the second moment.
    pub epsilon: f32,
    /// `1 - lr · weight_decay`.
    pub keep: f32,
    /// The learning rate.
    pub learning_rate: f32,
    /// `1 - beta^t` of the two moments.
    pub corrections: [f32; 2],
}

impl AdamWStep {
    /// Updates the moments, the first and the second, and then the parameter, all `[N, width]`, in place. Three loops,
    /// each over the one buffer that it changes.
    pub fn update(self, parameter: &mut [f32], gradient: &[f32], moments: [&mut [f32]; 2], width: usize) {
        let Self { beta_1, beta_2, epsilon, keep, learning_rate, corrections } = self;
        let [first, second] = moments;
        for_rows(first, width, |row, first| {
            for (m, g) in first.iter_mut().zip(&gradient[row * width..]) {
                *m = *m * beta_1 + g * (1.0 - beta_1);
            }
        });
        for_rows(second, width, |row, second| {
            for (v, g) in second.iter_mut().zip(&gradient[row * width..]) {
                *v = *v * beta_2 + g * g * (1.0 - beta_2);
            }
        });
        let (first, second) = (&*first, &*second);
        for_rows(parameter, width, |row, parameter| {
            let moments = first[row * width..].iter().zip(&second[row * width..]);
            for (p, (m, v)) in parameter.iter_mut().zip(moments) {
                let delta = m / corrections[0] / ((v / corrections[1]).sqrt() + epsilon);
                *p = *p * keep - delta * learning_rate;
            }
        });
    }
}
