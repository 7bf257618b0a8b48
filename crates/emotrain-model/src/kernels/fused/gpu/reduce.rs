//! Sums and maxima over the threads of a cube.

use cubecl::prelude::*;

/// Threads of a cube at most: enough to hide memory's latency, few enough to add up quickly.
const MOST_UNITS: usize = 256;

/// A power of two of threads for a row of this many vectors.
pub(crate) fn units(vectors: usize) -> usize {
    vectors.next_power_of_two().clamp(32, MOST_UNITS)
}

/// The sum of the numbers of a vector.
#[cube]
pub(crate) fn sum_of_lanes<N: Size>(vector: Vector<f32, N>) -> f32 {
    let mut sum = 0.0f32;
    #[unroll]
    for lane in 0..N::value() {
        sum += vector.extract(lane);
    }
    sum
}

/// The largest number of a vector.
#[cube]
pub(crate) fn max_of_lanes<N: Size>(vector: Vector<f32, N>) -> f32 {
    let mut largest = vector.extract(0usize);
    #[unroll]
    for lane in 1..N::value() {
        largest = max(largest, vector.extract(lane));
    }
    largest
}

/// What is made of the numbers of a cube's threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Fold {
    Sum,
    Largest,
}

/// The sum over the cube's threads, a power of two, of what each brings; every thread gets it.
#[cube]
pub(crate) fn sum_of_units(own: f32, #[comptime] units: usize) -> f32 {
    of_units(own, units, Fold::Sum)
}

/// The largest over the cube's threads, a power of two, of what each brings; every thread gets it.
#[cube]
pub(crate) fn max_of_units(own: f32, #[comptime] units: usize) -> f32 {
    of_units(own, units, Fold::Largest)
}

#[cube]
fn of_units(own: f32, #[comptime] units: usize, #[comptime] fold: Fold) -> f32 {
    let unit = UNIT_POS as usize;
    let mut folded = Shared::<[f32]>::new_slice(units);
    folded[unit] = own;
    sync_cube();
    let rounds = comptime!(units.ilog2());
    #[unroll]
    for round in 0..rounds {
        let half = comptime!(units >> (round + 1));
        if unit < half {
            let other = folded[unit + half];
            if comptime!(fold == Fold::Sum) {
                folded[unit] += other;
            } else {
                folded[unit] = max(folded[unit], other);
            }
        }
        sync_cube();
    }
    folded[0]
}
