//! Inverted dropout by a counter-based generator.

use crate::rows::for_rows;

/// Which numbers are dropped, as the generator takes it: those whose hash is below the threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DropoutMask {
    /// What the others are multiplied by, `1 / (1 - p)`.
    pub scale: f32,
    /// `p` as a share of the hashes.
    pub threshold: u32,
    /// The lower half of the key.
    pub low: u32,
    /// The upper half.
    pub high: u32,
}

impl DropoutMask {
    /// The mask that drops with probability `p`.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "p is in [0, 1), a key has two halves"
    )]
    pub fn new(p: f32, key: u64) -> Self {
        let threshold = (f64::from(p) * f64::from(u32::MAX)) as u32;
        Self { scale: 1.0 / (1.0 - p), threshold, low: key as u32, high: (key >> 32) as u32 }
    }
}

/// Zeroes each number of `x` `[N, width]` with probability `p` and scales the rest by `1 / (1 - p)`. The mask is a
/// function of `key` and the number's position.
pub fn dropout(x: &mut [f32], width: usize, p: f32, key: u64) {
    let DropoutMask { scale, threshold, low, high } = DropoutMask::new(p, key);
    for_rows(x, width, |row, x| {
        #[expect(clippy::cast_possible_truncation, reason = "the counter may wrap; the key is per layer")]
        let first = (row * width) as u32;
        for (column, x) in (0u32..).zip(x) {
            let keep = hash(first.wrapping_add(column), low, high) >= threshold;
            *x = if keep { *x * scale } else { 0.0 };
        }
    });
}

/// Two keyed rounds of Murmur3's finaliser.
#[inline(always)]
fn hash(counter: u32, low: u32, high: u32) -> u32 {
    let mut h = counter.wrapping_mul(0x9e37_79b9) ^ low;
    h = (h ^ (h >> 16)).wrapping_mul(0x85eb_ca6b);
    h = (h ^ (h >> 13)).wrapping_mul(0xc2b2_ae35).wrapping_add(high);
    h = (h ^ (h >> 16)).wrapping_mul(0x7feb_352d);
    h = (h ^ (h >> 15)).wrapping_mul(0x846c_a68b);
    h ^ (h >> 16)
}
