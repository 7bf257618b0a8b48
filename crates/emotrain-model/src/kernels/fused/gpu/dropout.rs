//! Dropout by the generator of `emotrain_kernels::dropout`: the mask of every device.

use burn::tensor::Tensor;
use burn_cubecl::Cube;
use cubecl::ir::ElemType;
use cubecl::prelude::*;
use emotrain_kernels::DropoutMask;

use super::buffers::{Spread, contiguous, elem_type, empty, spread, taken, vector_size};

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

/// The mask of a pass, as its kernels take it.
#[derive(CubeLaunch, CubeType, Clone, Copy)]
pub(crate) struct Mask {
    /// What is kept is multiplied by.
    pub(crate) scale: f32,
    /// Numbers are kept whose hash is at least this.
    pub(crate) threshold: u32,
    pub(crate) low: u32,
    pub(crate) high: u32,
}

/// What is kept of vector `at`.
#[cube]
pub(crate) fn kept<N: Size>(numbers: Vector<f32, N>, at: usize, mask: &Mask) -> Vector<f32, N> {
    let mut counter = Vector::<u32, N>::new(u32::cast_from(at * N::value()));
    #[unroll]
    for lane in 0..N::value() {
        let first = counter.extract(lane);
        counter.insert(lane, first + u32::cast_from(lane));
    }
    let keep = hash::<N>(counter, mask.low, mask.high).greater_equal(&Vector::new(mask.threshold));
    select_many(keep, numbers * Vector::new(mask.scale), Vector::new(0.0f32))
}

#[cube(launch)]
pub(crate) fn drop_numbers<F: Float, N: Size>(
    x: &[Vector<F, N>],
    out: &mut [Vector<F, N>],
    mask: &Mask,
    #[define(F)] _dtype: ElemType,
) {
    let at = ABSOLUTE_POS;
    if at >= out.len() {
        terminate!();
    }
    out[at] = Vector::cast_from(kept::<N>(Vector::cast_from(x[at]), at, mask));
}

/// Adds what is kept to the numbers from vector `first` of `to` on.
#[cube(launch)]
pub(crate) fn add_kept_numbers<F: Float, N: Size>(
    to: &mut [Vector<F, N>],
    x: &[Vector<F, N>],
    first: u32,
    mask: &Mask,
    #[define(F)] _dtype: ElemType,
) {
    let at = ABSOLUTE_POS;
    if at >= x.len() {
        terminate!();
    }
    let place = first as usize + at;
    let kept = kept::<N>(Vector::cast_from(x[at]), at, mask);
    to[place] = Vector::cast_from(Vector::<f32, N>::cast_from(to[place]) + kept);
}

/// See [`super::super::dropout`].
pub(crate) fn launch(x: &Tensor<2>, mask: DropoutMask) -> Option<Tensor<2>> {
    let ([rows, width], dtype) = (x.dims(), x.dtype());
    let (element, source) = (elem_type(dtype)?, contiguous(x)?);
    let size = vector_size(rows * width, dtype.size());
    let Spread { cubes, units } = spread(rows * width / size)?;
    let out = empty([rows, width], x)?;
    drop_numbers::launch(
        &source.client.clone(),
        cubes,
        units,
        size,
        source.into_buffer_arg(),
        out.clone().into_buffer_arg(),
        on_device(Some(mask)),
        element,
    );
    Some(Tensor::from_primitive::<Cube>(out))
}

/// See [`super::super::add_dropped`].
pub(crate) fn add(to: &mut Tensor<2>, x: &Tensor<2>, row: usize, mask: DropoutMask) -> Option<()> {
    let ([rows, width], dtype) = (x.dims(), to.dtype());
    if x.dtype() != dtype {
        return None;
    }
    let (element, source, size) = (elem_type(dtype)?, contiguous(x)?, vector_size(width, dtype.size()));
    let Spread { cubes, units } = spread(rows * width / size)?;
    let first = u32::try_from(row * width / size).ok()?;
    let sum = taken(to, 2 * rows * width)?;
    add_kept_numbers::launch(
        &source.client.clone(),
        cubes,
        units,
        size,
        sum.clone().into_buffer_arg(),
        source.into_buffer_arg(),
        first,
        on_device(Some(mask)),
        element,
    );
    *to = Tensor::from_primitive::<Cube>(sum);
    Some(())
}

/// The mask of a kernel, or where it drops nothing numbers that are not read.
pub(crate) fn on_device(mask: Option<DropoutMask>) -> MaskLaunch {
    let none = DropoutMask { scale: 1.0, threshold: 0, low: 0, high: 0 };
    let DropoutMask { scale, threshold, low, high } = mask.unwrap_or(none);
    MaskLaunch::new(scale, threshold, low, high)
}
