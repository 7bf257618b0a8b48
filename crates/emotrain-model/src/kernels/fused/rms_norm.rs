//! Root-mean-square normalisation forward: a row is read, summed and written by one cube.

use burn::tensor::Tensor;
use burn_cubecl::Cube;
use cubecl::ir::ElemType;
use cubecl::prelude::*;

use super::gpu::{contiguous, elem_type, empty, one_cube_a_row, vector_size};

/// Threads of a cube at most: enough to hide memory's latency, few enough to add up quickly.
const MOST_UNITS: usize = 256;

/// Sums are formed in f32 whatever `F` is, as in the other forms.
#[cube(launch)]
pub(super) fn rms_norm_forward<F: Float, N: Size>(
    x: &[Vector<F, N>],
    weight: &[Vector<F, N>],
    out: &mut [Vector<F, N>],
    epsilon: f32,
    #[comptime] vectors: usize,
    #[comptime] units: usize,
    #[define(F)] _dtype: ElemType,
) {
    let row = CUBE_POS;
    let start = row * vectors;
    if start >= out.len() {
        terminate!();
    }
    let unit = UNIT_POS as usize;
    let steps = comptime!(vectors.div_ceil(units));

    let mut squares = Vector::<f32, N>::new(0.0f32);
    for step in 0..steps {
        let at = step * units + unit;
        if at < vectors {
            let value = Vector::<f32, N>::cast_from(x[start + at]);
            squares += value * value;
        }
    }
    let mut sum = 0.0f32;
    #[unroll]
    for lane in 0..N::value() {
        sum += squares.extract(lane);
    }

    let mut sums = Shared::<[f32]>::new_slice(units);
    sums[unit] = sum;
    sync_cube();
    let rounds = comptime!(units.ilog2());
    #[unroll]
    for round in 0..rounds {
        let half = comptime!(units >> (round + 1));
        if unit < half {
            sums[unit] = sums[unit] + sums[unit + half];
        }
        sync_cube();
    }

    let width = comptime!(vectors) * N::value();
    let inverse = (sums[0] / f32::cast_from(width) + epsilon).inverse_sqrt();
    for step in 0..steps {
        let at = step * units + unit;
        if at < vectors {
            let value = Vector::<f32, N>::cast_from(x[start + at]) * Vector::new(inverse);
            out[start + at] = Vector::<F, N>::cast_from(value) * weight[at];
        }
    }
}

/// See [`super::rms_norm`].
pub(super) fn launch(x: &Tensor<2>, weight: &Tensor<2>, epsilon: f32) -> Option<Tensor<2>> {
    let [rows, width] = x.dims();
    let dtype = x.dtype();
    if weight.dtype() != dtype || rows == 0 {
        return None;
    }
    let (source, weight) = (contiguous(x)?, contiguous(weight)?);
    let out = empty([rows, width], x)?;
    let size = vector_size(width, dtype.size());
    let units = units(width / size);
    rms_norm_forward::launch(
        &source.client.clone(),
        one_cube_a_row(rows),
        CubeDim::new_1d(u32::try_from(units).expect("at most MOST_UNITS")),
        size,
        source.into_buffer_arg(),
        weight.into_buffer_arg(),
        out.clone().into_buffer_arg(),
        epsilon,
        width / size,
        units,
        elem_type(dtype)?,
    );
    Some(Tensor::from_primitive::<Cube>(out))
}

/// A power of two of threads for a row of this many vectors.
pub(super) fn units(vectors: usize) -> usize {
    vectors.next_power_of_two().clamp(32, MOST_UNITS)
}
