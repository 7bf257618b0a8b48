//! `AdamW` (Loshchilov and Hutter 2019), the update of one parameter.

use pulp::Arch;
use rayon::prelude::*;

use crate::dynamic::{
    DYNAMIC_BLOCKSIZE, DYNAMIC_MAP, DynamicCodes, UNSIGNED_DYNAMIC_MAP, quantise_block, read_block,
};
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
        let [first, second] = moments;
        for_rows(first, width, |row, first| self.first(first, &gradient[row * width..]));
        for_rows(second, width, |row, second| self.second(second, &gradient[row * width..]));
        let (first, second) = (&*first, &*second);
        for_rows(parameter, width, |row, parameter| {
            self.parameter(parameter, &first[row * width..], &second[row * width..]);
        });
    }

    #[inline(always)]
    fn first(self, first: &mut [f32], gradient: &[f32]) {
        for (m, g) in first.iter_mut().zip(gradient) {
            *m = *m * self.beta_1 + g * (1.0 - self.beta_1);
        }
    }

    #[inline(always)]
    fn second(self, second: &mut [f32], gradient: &[f32]) {
        for (v, g) in second.iter_mut().zip(gradient) {
            *v = *v * self.beta_2 + g * g * (1.0 - self.beta_2);
        }
    }

    #[inline(always)]
    fn parameter(self, parameter: &mut [f32], first: &[f32], second: &[f32]) {
        let Self { epsilon, keep, learning_rate, corrections, .. } = self;
        for (p, (m, v)) in parameter.iter_mut().zip(first.iter().zip(second)) {
            let delta = m / corrections[0] / ((v / corrections[1]).sqrt() + epsilon);
            *p = *p * keep - delta * learning_rate;
        }
    }

    /// The same with moments in 8 bits, block by block: turned into numbers, updated, and rounded again once the parameter
    /// has moved (bitsandbytes' `optimizer_update_8bit_blockwise`). The second moment has codes of numbers from 0 up.
    ///
    /// # Panics
    /// If there are not as many codes as numbers.
    pub fn update_8bit(
        self,
        parameter: &mut [f32],
        gradient: &[f32],
        first: &mut DynamicCodes,
        second: &mut DynamicCodes,
    ) {
        assert!([&first.codes, &second.codes].iter().all(|codes| codes.len() == parameter.len()), "codes");
        let (first_map, second_map, arch) = (&*DYNAMIC_MAP, &*UNSIGNED_DYNAMIC_MAP, Arch::new());
        let blocks = first.codes.par_chunks_mut(DYNAMIC_BLOCKSIZE).zip(&mut first.absmax);
        let others = second.codes.par_chunks_mut(DYNAMIC_BLOCKSIZE).zip(&mut second.absmax);
        let numbers = parameter.par_chunks_mut(DYNAMIC_BLOCKSIZE).zip(gradient.par_chunks(DYNAMIC_BLOCKSIZE));
        numbers.zip(blocks.zip(others)).for_each(
            |((parameter, gradient), ((first, first_scale), (second, second_scale)))| {
                arch.dispatch(|| {
                    let [mut m, mut v] = [[0.0; DYNAMIC_BLOCKSIZE]; 2];
                    let (m, v) = (&mut m[..parameter.len()], &mut v[..parameter.len()]);
                    read_block(first, *first_scale, first_map, m);
                    read_block(second, *second_scale, second_map, v);
                    self.first(m, gradient);
                    self.second(v, gradient);
                    self.parameter(parameter, m, v);
                    *first_scale = quantise_block(m, first_map, first);
                    *second_scale = quantise_block(v, second_map, second);
                });
            },
        );
    }
}
