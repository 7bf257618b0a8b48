//! Sums and maxima over the threads of a cube.

use cubecl::prelude::*;

/// Threads of a cube at most: enough to hide memory's latency, few enough to add up quickly.
const MOST_UNITS: usize = 256;

/// A power of two of threads for a row of this many vectors.
pub(super) fn units(vectors: usize) -> usize {
    vectors.next_power_of_two().clamp(32, MOST_UNITS)
}

/// The sum of the numbers of a vector.
#[cube]
pub(super) fn sum_of_lanes<N: Size>(vector: Vector<f32, N>) -> f32 {
    let mut sum = 0.0f32;
    #[unroll]
    for lane in 0..N::value() {
        sum += vector.extract(lane);
    }
    sum
}

/// The largest number of a vector.
#[cube]
pub(super) fn max_of_lanes<N: Size>(vector: Vector<f32, N>) -> f32 {
    let mut largest = vector.extract(0usize);
    #[unroll]
    for lane in 1..N::value() {
        largest = max(largest, vector.extract(lane));
    }
    largest
}

/// The sum over the cube's threads, a power of two, of what each brings; every thread gets it.
#[cube]
pub(super) fn sum_of_units(own: f32, #[comptime] units: usize) -> f32 {
    let unit = UNIT_POS as usize;
    let mut sums = Shared::<[f32]>::new_slice(units);
    sums[unit] = own;
    sync_cube();
    let rounds = comptime!(units.ilog2());
    #[unroll]
    for round in 0..rounds {
        let half = comptime!(units >> (round + 1));
        if unit < half {
            sums[unit] += sums[unit + half];
        }
        sync_cube();
    }
    sums[0]
}

/// The largest over the cube's threads, a power of two, of what each brings; every thread gets it.
#[cube]
pub(super) fn max_of_units(own: f32, #[comptime] units: usize) -> f32 {
    let unit = UNIT_POS as usize;
    let mut largest = Shared::<[f32]>::new_slice(units);
    largest[unit] = own;
    sync_cube();
    let rounds = comptime!(units.ilog2());
    #[unroll]
    for round in 0..rounds {
        let half = comptime!(units >> (round + 1));
        if unit < half {
            largest[unit] = max(largest[unit], largest[unit + half]);
        }
        sync_cube();
    }
    largest[0]
}
