//! Numbers as 8-bit codes with a scale for each block: a dynamic exponent and a linear fraction (Dettmers et al. 2022,
//! "8-bit Optimizers via Block-wise Quantization", sections 2.1 and 2.2; bitsandbytes' `create_dynamic_map`).

use std::sync::LazyLock;

use rayon::prelude::*;

/// Codes of numbers of both signs.
pub static DYNAMIC_MAP: LazyLock<DynamicMap> = LazyLock::new(|| DynamicMap::new(&map(true)));

/// Codes of numbers from 0 up.
pub static UNSIGNED_DYNAMIC_MAP: LazyLock<DynamicMap> = LazyLock::new(|| DynamicMap::new(&map(false)));

/// Numbers with one scale.
pub const DYNAMIC_BLOCKSIZE: usize = 256;

/// What 256 codes mean, and what finds the nearest one.
pub struct DynamicMap {
    numbers: [f32; 256],
    /// The least number that has each code; the first has all that are less.
    least: [f32; 256],
    /// By the upper half of a number's bits: the code of the least number with that half. None of them has more than two
    /// codes.
    codes: Vec<u8>,
}

impl DynamicMap {
    fn new(numbers: &[f32; 256]) -> Self {
        let mut least = [f32::NEG_INFINITY; 256];
        for (after, least) in least.iter_mut().enumerate().skip(1) {
            let (mut below, mut above) = (numbers[after - 1], numbers[after]);
            while below.next_up() < above {
                let middle = f32::midpoint(below, above);
                // As far from the one as from the other is the upper one's.
                let is_lower = middle - numbers[after - 1] < numbers[after] - middle;
                *(if is_lower { &mut below } else { &mut above }) = middle;
            }
            *least = above;
        }
        let code = |half: u16| {
            // Of a negative number the largest magnitude is the least.
            let lower = if half >> 15 == 1 { 0xffff } else { 0 };
            let number = f32::from_bits(u32::from(half) << 16 | lower);
            let code = least.partition_point(|least| *least <= number).max(1) - 1;
            u8::try_from(code).unwrap_or(u8::MAX)
        };
        Self { numbers: *numbers, least, codes: (0..=u16::MAX).map(code).collect() }
    }

    /// The numbers of the codes, in ascending order.
    pub fn numbers(&self) -> &[f32; 256] {
        &self.numbers
    }

    /// The code whose number is nearest to `number`, which lies between -1 and 1.
    #[inline(always)]
    fn nearest(&self, number: f32) -> u8 {
        let code = self.codes[(number.to_bits() >> 16) as usize];
        code + u8::from(code < u8::MAX && number >= self.least[usize::from(code) + 1])
    }
}

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
    pub fn quantise(numbers: &[f32], map: &DynamicMap) -> Self {
        let mut codes = vec![0; numbers.len()];
        let mut absmax = vec![0.0; numbers.len().div_ceil(DYNAMIC_BLOCKSIZE)];
        let blocks = codes.par_chunks_mut(DYNAMIC_BLOCKSIZE).zip(&mut absmax);
        blocks.zip(numbers.par_chunks(DYNAMIC_BLOCKSIZE)).for_each(|((codes, absmax), numbers)| {
            *absmax = quantise_block(numbers, map, codes);
        });
        Self { codes, absmax }
    }

    /// The numbers of the codes.
    pub fn to_vec(&self, map: &DynamicMap) -> Vec<f32> {
        let mut numbers = vec![0.0; self.codes.len()];
        let blocks = numbers.par_chunks_mut(DYNAMIC_BLOCKSIZE).zip(self.codes.par_chunks(DYNAMIC_BLOCKSIZE));
        blocks.zip(&self.absmax).for_each(|((numbers, codes), absmax)| {
            read_block(codes, *absmax, map, numbers);
        });
        numbers
    }
}

/// Writes the codes of a block and returns its scale.
#[inline(always)]
pub(crate) fn quantise_block(numbers: &[f32], map: &DynamicMap, codes: &mut [u8]) -> f32 {
    let largest = numbers.iter().fold(0.0_f32, |most, number| most.max(number.abs()));
    for (code, number) in codes.iter_mut().zip(numbers) {
        *code = map.nearest(scaled(*number, largest));
    }
    largest
}

/// The numbers of a block.
#[inline(always)]
pub(crate) fn read_block(codes: &[u8], absmax: f32, map: &DynamicMap, numbers: &mut [f32]) {
    for (number, code) in numbers.iter_mut().zip(codes) {
        *number = map.numbers[usize::from(*code)] * absmax;
    }
}

/// A number of a block between -1 and 1.
#[inline(always)]
pub(crate) fn scaled(number: f32, largest: f32) -> f32 {
    (number * (1.0 / largest.max(1e-38))).clamp(-1.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By distance alone.
    fn by_search(number: f32, numbers: &[f32; 256]) -> u8 {
        let after = numbers.partition_point(|known| *known < number).min(255);
        let before = after.saturating_sub(1);
        let is_before = number - numbers[before] < numbers[after] - number;
        u8::try_from(if is_before { before } else { after }).unwrap()
    }

    #[test]
    fn the_code_that_is_found_is_the_nearest() {
        for map in [&*DYNAMIC_MAP, &*UNSIGNED_DYNAMIC_MAP] {
            let between = map.numbers.windows(2).map(|pair| f32::midpoint(pair[0], pair[1]));
            let edges = between.flat_map(|edge| [edge.next_down(), edge, edge.next_up()]);
            // Every 997th number between 0 and 1.
            let spread = (0..=1.0_f32.to_bits()).step_by(997).map(f32::from_bits);
            for number in edges.chain(spread).chain([0.0, 1.0]).chain(map.numbers) {
                for number in [number, -number] {
                    assert_eq!(map.nearest(number), by_search(number, &map.numbers), "{number:e}");
                }
            }
        }
    }
}
