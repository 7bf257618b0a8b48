//! Inverted dropout whose mask is a function of a key, so that the backward pass needs no stored mask.

use burn::tensor::{Distribution, Tensor};

use super::host::{for_rows, is_host, restore, write};
use crate::random::Key;

/// Zeroes each element with probability `p` and scales the rest by `1 / (1 - p)`.
///
/// The same key and shape give the same mask: applied to a gradient this is its own backward. The mask
/// differs between kinds of device.
///
/// # Shapes
/// `[N, D]` → `[N, D]`.
pub(crate) fn dropout(x: Tensor<2>, p: f32, key: Key) -> Tensor<2> {
    let [rows, width] = x.dims();
    let scale = 1.0 / (1.0 - p);
    if !is_host(&x) {
        let device = x.device();
        device.seed(key.bits());
        let draw = Tensor::<2>::random([rows, width], Distribution::Uniform(0.0, 1.0), (&device, x.dtype()));
        let keep = draw.greater_equal_scalar(p);
        return (x * scale).mask_fill(keep.bool_not(), 0.0);
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "p is in [0, 1)")]
    let threshold = (f64::from(p) * f64::from(u32::MAX)) as u32;
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of the key")]
    let (low, high) = (key.bits() as u32, (key.bits() >> 32) as u32);
    let mut x = write(x);
    for_rows(x.storage_mut(), width, |row, x| {
        #[expect(clippy::cast_possible_truncation, reason = "the counter may wrap; the key is per layer")]
        let first = (row * width) as u32;
        for (column, x) in (0u32..).zip(x) {
            let keep = hash(first.wrapping_add(column), low, high) >= threshold;
            *x = if keep { *x * scale } else { 0.0 };
        }
    });
    restore(x)
}

/// A counter-based generator: two keyed rounds of Murmur3's finaliser.
#[expect(clippy::inline_always, reason = "compiled with the vector instructions of its caller")]
#[inline(always)]
fn hash(counter: u32, low: u32, high: u32) -> u32 {
    let mut h = counter.wrapping_mul(0x9e37_79b9) ^ low;
    h = (h ^ (h >> 16)).wrapping_mul(0x85eb_ca6b);
    h = (h ^ (h >> 13)).wrapping_mul(0xc2b2_ae35).wrapping_add(high);
    h = (h ^ (h >> 16)).wrapping_mul(0x7feb_352d);
    h = (h ^ (h >> 15)).wrapping_mul(0x846c_a68b);
    h ^ (h >> 16)
}
