//! Numbers as 8-bit codes with a scale for each block: a dynamic exponent and a linear fraction (Dettmers et al. 2022,
//! "8-bit Optimizers via Block-wise Quantization", sections 2.1 and 2.2; bitsandbytes' `create_dynamic_map`).

use std::sync::LazyLock;

use rayon::prelude::*;

/// The 256 numbers of codes, in ascending order: of numbers of both signs.
pub static DYNAMIC_MAP: LazyLock<[f32; 256]> = LazyLock::new(|| map(true));

/// The same of numbers from 0 up.
pub static UNSIGNED_DYNAMIC_MAP: LazyLock<[f32; 256]> = LazyLock::new(|| map(false));

/// Numbers with one scale.
pub const DYNAMIC_BLOCKSIZE: usize = 256;

fn map(signed: bool) -> [f32; 256] {
    let mut numbers = vec![0.0, 1.0];
    for exponent in 0..7 {
        let intervals = 1 << (exponent + i32::from(!signed));
        let factor = 10.0_f64.powi(exponent - 6);
        let bound = |at: i32| linspace(at, intervals);
        for at in 0..intervals {
            let mean = f32::midpoint(bound(at), bound(at + 1));
            #[expect(clippy::cast_possible_truncation, reason = "as torch multiplies a tensor of f32")]
            let number = factor as f32 * mean;
            numbers.push(number);
            if signed {
                numbers.push(-number);
            }
        }
    }
    numbers.sort_by(f32::total_cmp);
    numbers.try_into().expect("2 + 2 · (1 + 2 + … + 64) numbers")
}

/// The numbers of torch's `linspace(0.1, 1, intervals + 1)`: from the nearer end.
#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn linspace(at: i32, intervals: i32) -> f32 {
    let step = (1.0_f32 - 0.1) / intervals as f32;
    if 2 * at < intervals + 1 { 0.1 + step * at as f32 } else { 1.0 - step * (intervals - at) as f32 }
}

/// Codes, and the largest magnitude of each block of [`DYNAMIC_BLOCKSIZE`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DynamicCodes {
    /// A code for each number.
    pub codes: Vec<u8>,
    /// A scale for each block.
    pub absmax: Vec<f32>,
}

impl DynamicCodes {
    /// Whether these are the codes and scales of so many numbers.
    pub fn fits(&self, numbers: usize) -> bool {
        self.codes.len() == numbers && self.absmax.len() == numbers.div_ceil(DYNAMIC_BLOCKSIZE)
    }

    /// Rounds numbers to the codes of a map.
    pub fn quantise(numbers: &[f32], map: &[f32; 256]) -> Self {
        let mut codes = vec![0; numbers.len()];
        let mut absmax = vec![0.0; numbers.len().div_ceil(DYNAMIC_BLOCKSIZE)];
        let blocks = codes.par_chunks_mut(DYNAMIC_BLOCKSIZE).zip(&mut absmax);
        blocks.zip(numbers.par_chunks(DYNAMIC_BLOCKSIZE)).for_each(|((codes, absmax), numbers)| {
            *absmax = quantise_block(numbers, map, codes);
        });
        Self { codes, absmax }
    }

    /// The numbers of the codes.
    pub fn to_vec(&self, map: &[f32; 256]) -> Vec<f32> {
        let mut numbers = vec![0.0; self.codes.len()];
        let blocks = numbers.par_chunks_mut(DYNAMIC_BLOCKSIZE).zip(self.codes.par_chunks(DYNAMIC_BLOCKSIZE));
        blocks.zip(&self.absmax).for_each(|((numbers, codes), absmax)| {
            read_block(codes, *absmax, map, numbers);
        });
        numbers
    }
}

/// Writes the codes of a block and returns its scale.
pub(crate) fn quantise_block(numbers: &[f32], map: &[f32; 256], codes: &mut [u8]) -> f32 {
    let largest = numbers.iter().fold(0.0_f32, |most, number| most.max(number.abs()));
    for (code, number) in codes.iter_mut().zip(numbers) {
        *code = nearest(scaled(*number, largest), map);
    }
    largest
}

/// The numbers of a block.
pub(crate) fn read_block(codes: &[u8], absmax: f32, map: &[f32; 256], numbers: &mut [f32]) {
    for (number, code) in numbers.iter_mut().zip(codes) {
        *number = map[usize::from(*code)] * absmax;
    }
}

/// A number of a block between -1 and 1.
#[inline(always)]
pub(crate) fn scaled(number: f32, largest: f32) -> f32 {
    (number * (1.0 / largest.max(1e-38))).clamp(-1.0, 1.0)
}

/// The code whose number is nearest to `number`, which lies between -1 and 1.
fn nearest(number: f32, map: &[f32; 256]) -> u8 {
    let after = map.partition_point(|known| *known < number).min(255);
    let before = after.saturating_sub(1);
    let code = if number - map[before] < map[after] - number { before } else { after };
    u8::try_from(code).expect("256 numbers")
}
