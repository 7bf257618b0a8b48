//! The product of a linear layer in bfloat16: both factors are rounded to it, to nearest and even, and sums are f32.
//!
//! Processors with AVX512-BF16 multiply two pairs of such numbers where they multiply one of f32; on all others the
//! rounded numbers go through the product of f32, which gives the same up to the order of the sums. Each number of
//! the result is added up in an order that depends on the width alone.

#[cfg(target_arch = "x86_64")]
mod x86;

use super::product_to;

/// As [`product_to`], of numbers rounded to bfloat16.
pub(crate) fn product_bf16_to(out: &mut Vec<f32>, x: &[f32], weight: &[f32], width: usize) {
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

/// The bits of the nearest bfloat16. A NaN stays one.
#[expect(clippy::inline_always, reason = "compiled with the vector instructions of its caller")]
#[inline(always)]
fn upper_half(number: f32) -> u32 {
    let bits = number.to_bits();
    let nearest = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
    if number.is_nan() { (bits >> 16) | 0x40 } else { nearest }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device, Tensor, TensorData};

    use super::super::product;
    use super::*;
    use crate::random::{Key, normal};

    #[test]
    fn the_plain_form_multiplies_what_a_tensor_library_stores() {
        let (rows, columns, width) = (5, 70, 33);
        let numbers = |purpose: u64, count: usize| normal(Key::new(purpose), count, 1.0);
        let (x, weight) = (numbers(1, rows * width), numbers(2, columns * width));
        let stored = |numbers: &[f32]| {
            let tensor = TensorData::new(numbers.to_vec(), [numbers.len()]);
            let tensor = Tensor::<1>::from_data(tensor, (&Device::flex(), DType::F32));
            tensor.cast(DType::BF16).cast(DType::F32).try_into_vec_as::<f32>().unwrap()
        };
        let (mut one, mut other) = (Vec::new(), Vec::new());
        plain(&mut one, &x, &weight, width);
        product_bf16_to(&mut other, &x, &weight, width);
        assert_eq!(one, product(&stored(&x), &stored(&weight), width));
        for (one, other) in one.iter().zip(&other) {
            assert!((one - other).abs() < 1e-5 * width as f32, "{one}, or {other}");
        }
    }
}
