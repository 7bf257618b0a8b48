//! `AdamW` (Loshchilov and Hutter 2019, Algorithm 2, with the schedule's learning rate as its multiplier), the update
//! rule of one parameter.

use std::ops::Range;

use burn::tensor::{DType, Tensor, TensorData};
use emotrain_kernels::{AdamWStep, DYNAMIC_MAP, DynamicCodes, DynamicMap, UNSIGNED_DYNAMIC_MAP};

use super::host::{read, restore, slice, write};
use super::{Form, fused};

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

/// The moments of one parameter in 8 bits (Dettmers et al. 2022), in the memory of the host whatever the device: a GPU
/// keeps none of them.
#[derive(Clone, Debug, PartialEq)]
pub struct EightBitMoments {
    /// Codes of numbers of both signs.
    first: DynamicCodes,
    /// Codes of numbers from 0 up.
    second: DynamicCodes,
    /// Updates so far.
    time: usize,
}

impl EightBitMoments {
    /// Parameters of fewer numbers keep moments in f32 (bitsandbytes' `min_8bit_size`).
    pub const SMALLEST: usize = 4096;

    /// The first and the second moment as codes with the scale of each 256, after so many updates.
    pub fn new(codes: [Vec<u8>; 2], scales: [Vec<f32>; 2], time: usize) -> Self {
        let ([first, second], [first_scales, second_scales]) = (codes, scales);
        Self {
            first: DynamicCodes { codes: first, absmax: first_scales },
            second: DynamicCodes { codes: second, absmax: second_scales },
            time,
        }
    }

    /// The codes of both.
    pub fn codes(&self) -> [&[u8]; 2] {
        [&self.first.codes, &self.second.codes]
    }

    /// The scales of both.
    pub fn scales(&self) -> [&[f32]; 2] {
        [&self.first.absmax, &self.second.absmax]
    }

    /// Updates so far.
    pub fn time(&self) -> usize {
        self.time
    }

    /// Whether these are the moments of so many numbers.
    pub fn fits(&self, numbers: usize) -> bool {
        [&self.first, &self.second].iter().all(|one| one.fits(numbers))
    }

    /// Those before the first update of so many numbers.
    fn zeros(numbers: usize) -> Self {
        let codes = |map: &DynamicMap| DynamicCodes::quantise(&vec![0.0; numbers], map);
        Self { first: codes(&DYNAMIC_MAP), second: codes(&UNSIGNED_DYNAMIC_MAP), time: 0 }
    }
}

fn values(tensor: Tensor<2>) -> Vec<f32> {
    tensor.try_into_vec_as().expect("a device that can be read")
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
        let step = self.at(time, learning_rate);
        let [parameter, first, second] = match Form::of(&parameter) {
            Form::Host => in_memory(parameter, gradient, [first, second], step),
            Form::Fused | Form::Tensor => {
                let mut updated = [parameter, first, second];
                let all = 0..gradient.shape().num_elements();
                Self::update_part(updated.each_mut(), &gradient, &all, step);
                updated
            }
        };
        (parameter, Moments { first, second, time })
    }

    /// The same with moments in 8 bits. On a GPU the update is made on the host.
    ///
    /// # Shapes
    /// `parameter` and `gradient` `[N, D]`, both in f32 → `[N, D]`.
    ///
    /// # Panics
    /// If the moments are of a parameter with other numbers; if the device cannot be read.
    #[must_use]
    pub fn update_8bit(
        self,
        parameter: Tensor<2>,
        gradient: Tensor<2>,
        moments: Option<EightBitMoments>,
        learning_rate: f64,
    ) -> (Tensor<2>, EightBitMoments) {
        let begin = || EightBitMoments::zeros(parameter.shape().num_elements());
        let EightBitMoments { mut first, mut second, time } = moments.unwrap_or_else(begin);
        let step = self.at(time + 1, learning_rate);
        let parameter = if Form::of(&parameter) == Form::Host {
            let (mut parameter, gradient) = (write(parameter), read(gradient));
            step.update_8bit(parameter.storage_mut(), slice(&gradient), &mut first, &mut second);
            restore(parameter)
        } else {
            let (device, shape) = (parameter.device(), parameter.dims());
            let [mut numbers, gradient] = [parameter, gradient].map(values);
            step.update_8bit(&mut numbers, &gradient, &mut first, &mut second);
            Tensor::from_data(TensorData::new(numbers, shape), (&device, DType::F32))
        };
        (parameter, EightBitMoments { first, second, time: time + 1 })
    }

    /// Updates some of the numbers of parameters and of their two moments, on a device that is not the CPU.
    ///
    /// # Shapes
    /// All `[N, D]` in f32.
    pub(crate) fn update_part(
        updated: [&mut Tensor<2>; 3],
        gradients: &Tensor<2>,
        numbers: &Range<usize>,
        step: AdamWStep,
    ) {
        let [parameters, first, second] = updated;
        if fused::adamw([&mut *parameters, &mut *first, &mut *second], gradients, numbers, step).is_some() {
            return;
        }
        let shape = gradients.dims();
        let flat =
            |tensor: &Tensor<2>| tensor.clone().reshape([shape[0] * shape[1]]).slice([numbers.clone()]);
        let [parameter, gradient, one, two] = [&*parameters, gradients, &*first, &*second].map(flat);
        let parts = in_tensors(parameter, gradient, [one, two], step);
        for (whole, part) in [parameters, first, second].into_iter().zip(parts) {
            let flat: Tensor<1> = whole.clone().reshape([shape[0] * shape[1]]);
            *whole = flat.slice_assign([numbers.clone()], part).reshape(shape);
        }
    }

    /// The scalars of an update, the first of which has number 1.
    pub(crate) fn at(self, time: usize, learning_rate: f64) -> AdamWStep {
        let power = i32::try_from(time).unwrap_or(i32::MAX);
        #[expect(clippy::cast_possible_truncation, reason = "the rule is computed in f32")]
        AdamWStep {
            beta_1: self.beta_1,
            beta_2: self.beta_2,
            epsilon: self.epsilon,
            keep: (1.0 - learning_rate * f64::from(self.weight_decay)) as f32,
            learning_rate: learning_rate as f32,
            corrections: [1.0 - self.beta_1.powi(power), 1.0 - self.beta_2.powi(power)],
        }
    }
}

/// The form in tensor operations.
pub(super) fn in_tensors<const D: usize>(
    parameter: Tensor<D>,
    gradient: Tensor<D>,
    moments: [Tensor<D>; 2],
    step: AdamWStep,
) -> [Tensor<D>; 3] {
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
