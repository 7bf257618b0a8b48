//! Dropout by the generator of `emotrain_kernels::dropout`: the mask of every device.

use burn::tensor::Tensor;
use burn_cubecl::Cube;
use cubecl::ir::ElemType;
use cubecl::prelude::*;
use emotrain_kernels::DropoutMask;

use super::gpu::{Spread, contiguous, elem_type, empty, spread, vector_size};

/// Two keyed rounds of Murmur3's finaliser, of each counter.
#[cube]
fn hash<N: Size>(counter: Vector<u32, N>, low: u32, high: u32) -> Vector<u32, N> {
    let mut h = (counter * Vector::new(0x9e37_79b9u32)) ^ Vector::new(low);
    h = (h ^ (h >> Vector::new(16u32))) * Vector::new(0x85eb_ca6bu32);
    h = (h ^ (h >> Vector::new(13u32))) * Vector::new(0xc2b2_ae35u32) + Vector::new(high);
    h = (h ^ (h >> Vector::new(16u32))) * Vector::new(0x7feb_352du32);
    h = (h ^ (h >> Vector::new(15u32))) * Vector::new(0x846c_a68bu32);
    h ^ (h >> Vector::new(16u32))
}

/// What is kept is multiplied by `scale`: numbers whose hash is at least `threshold`.
#[cube(launch)]
pub(super) fn drop_numbers<F: Float, N: Size>(
    x: &[Vector<F, N>],
    out: &mut [Vector<F, N>],
    scale: f32,
    threshold: u32,
    low: u32,
    high: u32,
    #[define(F)] _dtype: ElemType,
) {
    let at = ABSOLUTE_POS;
    if at >= out.len() {
        terminate!();
    }
    let mut counter = Vector::<u32, N>::new(u32::cast_from(at * N::value()));
    #[unroll]
    for lane in 0..N::value() {
        let first = counter.extract(lane);
        counter.insert(lane, first + u32::cast_from(lane));
    }
    let keep = hash::<N>(counter, low, high).greater_equal(&Vector::new(threshold));
    let kept = Vector::<f32, N>::cast_from(x[at]) * Vector::new(scale);
    out[at] = Vector::cast_from(select_many(keep, kept, Vector::new(0.0f32)));
}

/// See [`super::dropout`].
pub(super) fn launch(x: &Tensor<2>, mask: DropoutMask) -> Option<Tensor<2>> {
    let ([rows, width], dtype) = (x.dims(), x.dtype());
    let (element, source) = (elem_type(dtype)?, contiguous(x)?);
    let size = vector_size(rows * width, dtype.size());
    let Spread { cubes, units } = spread(rows * width / size)?;
    let DropoutMask { scale, threshold, low, high } = mask;
    let out = empty([rows, width], x)?;
    drop_numbers::launch(
        &source.client.clone(),
        cubes,
        units,
        size,
        source.into_buffer_arg(),
        out.clone().into_buffer_arg(),
        scale,
        threshold,
        low,
        high,
        element,
    );
    Some(Tensor::from_primitive::<Cube>(out))
}
