//! Random draws as a function of `(seed, step, purpose)`: no generator state exists that a resumed run
//! would have to restore.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A point in the tree of random draws: derive children with [`Key::with`], draw with [`Key::rng`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(u64);

impl Key {
    /// The root of a run.
    pub fn new(seed: u64) -> Self {
        Self(mix(seed ^ 0x656d_6f74_7261_696e))
    }

    /// The child for `part` (a step, a layer, a purpose number). Distinct parts give independent keys.
    #[must_use]
    pub fn with(self, part: u64) -> Self {
        Self(mix(self.0.wrapping_add(0x9e37_79b9_7f4a_7c15) ^ mix(part)))
    }

    /// The child for a named purpose.
    #[must_use]
    pub fn named(self, purpose: &str) -> Self {
        purpose.bytes().fold(self, |key, byte| key.with(u64::from(byte)))
    }

    /// A generator that starts at this key.
    pub fn rng(self) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(self.0)
    }

    /// The key's own 64 bits.
    pub fn bits(self) -> u64 {
        self.0
    }
}

/// `count` draws from U(-bound, bound).
pub fn uniform(key: Key, count: usize, bound: f32) -> Vec<f32> {
    let mut rng = key.rng();
    (0..count).map(|_| rng.random_range(-bound..=bound)).collect()
}

/// `count` draws from N(0, std²), by the Box-Muller transform.
pub fn normal(key: Key, count: usize, std: f32) -> Vec<f32> {
    let mut rng = key.rng();
    let mut draw = || (f64::from(rng.next_u32()) + 1.0) / (f64::from(u32::MAX) + 2.0);
    let mut values = Vec::with_capacity(count + 1);
    while values.len() < count {
        let (radius, angle) = ((-2.0 * draw().ln()).sqrt(), std::f64::consts::TAU * draw());
        #[expect(clippy::cast_possible_truncation, reason = "a draw is stored as f32")]
        values.extend([(radius * angle.cos()) as f32 * std, (radius * angle.sin()) as f32 * std]);
    }
    values.truncate(count);
    values
}

/// The finaliser of `SplitMix64` (Steele, Lea, Flood 2014).
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_depend_on_the_key_alone() {
        let key = Key::new(42).with(3).named("lora");
        assert_eq!(uniform(key, 8, 1.0), uniform(key, 8, 1.0));
        assert_ne!(uniform(key, 8, 1.0), uniform(key.with(1), 8, 1.0));
        assert_ne!(Key::new(1).with(2), Key::new(2).with(1));
    }

    #[test]
    fn moments_are_as_named() {
        let values = normal(Key::new(7), 100_001, 0.5);
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        let variance = values.iter().map(|v| v * v).sum::<f32>() / values.len() as f32;
        assert!(mean.abs() < 0.01, "{mean}");
        assert!((variance - 0.25).abs() < 0.01, "{variance}");
        assert!(uniform(Key::new(7), 10_000, 0.1).iter().all(|v| v.abs() <= 0.1));
    }
}
