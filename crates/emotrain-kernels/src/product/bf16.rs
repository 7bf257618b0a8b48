//! The product of a linear layer in bfloat16: both factors are rounded to it, to nearest and even, and sums are f32.
//!
//! Processors with AVX512-BF16 multiply two pairs of such numbers where they multiply one of f32, those with AMX whole tiles
//! of them; on all others the rounded numbers go through the product of f32, which gives the same up to the order of the
//! sums. Each number of the result is added up in an order that depends on the width alone.

#[cfg(target_arch = "x86_64")]
pub(super) mod amx;
#[cfg(target_arch = "x86_64")]
pub(crate) mod x86;

use super::product_to;
use crate::frozen::bf16_bits;

/// Two neighbours of a row, the first one in the lower half.
#[cfg(target_arch = "x86_64")]
type Pair = u32;

/// As [`product_to`], of numbers rounded to bfloat16.
pub fn product_bf16_to(out: &mut Vec<f32>, x: &[f32], weight: &[f32], width: usize) {
    #[cfg(target_arch = "x86_64")]
    if x86::has_dot_products() {
        return x86::product_to(out, x, weight, width);
    }
    plain(out, x, weight, width);
}

/// The form for every processor.
fn plain(out: &mut Vec<f32>, x: &[f32], weight: &[f32], width: usize) {
    let rounded = |number: &f32| f32::from_bits(upper_half(*number) << 16);
    let round = |numbers: &[f32]| -> Vec<f32> { numbers.iter().map(rounded).collect() };
    product_to(out, &round(x), &round(weight), width);
}

/// The bits of the nearest bfloat16.
#[inline(always)]
fn upper_half(number: f32) -> u32 {
    u32::from(bf16_bits(number))
}

#[cfg(test)]
mod tests {
    use half::bf16;

    use super::super::product;
    use super::*;
    use crate::fixture::noise;

    #[test]
    fn the_plain_form_multiplies_rounded_numbers() {
        let (rows, columns, width) = (5, 70, 33);
        let (x, weight) = (noise(1, rows * width), noise(2, columns * width));
        let rounded = |numbers: &[f32]| -> Vec<f32> {
            numbers.iter().map(|number| bf16::from_f32(*number).to_f32()).collect()
        };
        let (mut one, mut other) = (Vec::new(), Vec::new());
        plain(&mut one, &x, &weight, width);
        product_bf16_to(&mut other, &x, &weight, width);
        assert_eq!(one, product(&rounded(&x), &rounded(&weight), width));
        for (one, other) in one.iter().zip(&other) {
            assert!((one - other).abs() < 1e-5 * width as f32, "{one}, or {other}");
        }
    }
}
