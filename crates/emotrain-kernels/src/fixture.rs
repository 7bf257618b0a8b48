//! Numbers for tests.

/// Bits that look random (Numerical Recipes' linear congruential generator).
pub(crate) fn bits(seed: u32) -> impl Iterator<Item = u32> {
    let next = |state: &u32| Some(state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
    std::iter::successors(Some(seed), next).skip(1)
}

/// Numbers between -1 and 1.
pub(crate) fn noise(seed: u32, count: usize) -> Vec<f32> {
    bits(seed).take(count).map(|bits| bits as f32 / (u32::MAX / 2) as f32 - 1.0).collect()
}
