//! 8-bit codes with a scale for each row: the weights of `LLM.int8()` (Dettmers et al. 2022, section 2.1), without its
//! treatment of the inputs: they stay as they are.

use rayon::prelude::*;

/// Rows of codes. A number is `code · absmax / 127`, as in bitsandbytes' `int8_vectorwise_dequant`.
#[derive(Clone, Debug, PartialEq)]
pub struct Int8Rows {
    /// Row by row.
    pub codes: Vec<i8>,
    /// The largest magnitude of each row (`SCB`).
    pub absmax: Vec<f32>,
}

/// What a code of 1 stands for where the largest magnitude is 1.
const STEP: f32 = 1.0 / 127.0;

impl Int8Rows {
    /// Rounds rows to codes as bitsandbytes' `int8_vectorwise_quant` does: to the nearest, ties to even.
    ///
    /// # Shapes
    /// `numbers` `[rows, width]`.
    #[expect(clippy::cast_possible_truncation, reason = "magnitudes up to 127")]
    pub fn quantise(numbers: &[f32], width: usize) -> Self {
        let mut codes = vec![0; numbers.len()];
        let rows = numbers.par_chunks_exact(width).zip(codes.par_chunks_exact_mut(width));
        let quantised = rows.map(|(row, codes)| {
            let largest = row.iter().fold(0.0_f32, |most, number| most.max(number.abs()));
            let scale = if largest > 0.0 { 127.0 / largest } else { 0.0 };
            for (code, number) in codes.iter_mut().zip(row) {
                *code = (number * scale).round_ties_even() as i8;
            }
            largest
        });
        let absmax = quantised.collect();
        Self { codes, absmax }
    }

    pub(super) fn bytes(&self) -> usize {
        self.codes.len() + size_of_val(self.absmax.as_slice())
    }

    /// Numbers of one row, from this place among all on.
    #[inline]
    pub(super) fn read(&self, start: usize, out: &mut [f32], width: usize) {
        let scale = self.absmax[start / width];
        for (out, code) in out.iter_mut().zip(&self.codes[start..]) {
            *out = f32::from(*code) * scale * STEP;
        }
    }
}
