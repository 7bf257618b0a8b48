//! Blocks of numbers: added in place, and put below one another in another type.

use burn::tensor::{DType, Tensor};
use burn_cubecl::Cube;
use cubecl::ir::ElemType;
use cubecl::prelude::*;

use super::gpu::{Spread, contiguous, elem_type, spread, taken, vector_size};

/// Adds `delta`, `vectors` to a row, to the rows of `to`, `stride` vectors long, from vector `first` on.
#[cube(launch)]
pub(super) fn add_to_block<F: Float, N: Size>(
    to: &mut [Vector<F, N>],
    delta: &[Vector<F, N>],
    first: u32,
    stride: u32,
    vectors: u32,
    #[define(F)] _dtype: ElemType,
) {
    let at = ABSOLUTE_POS;
    if at >= delta.len() {
        terminate!();
    }
    let (row, column) = (at / vectors as usize, at % vectors as usize);
    let place = first as usize + row * stride as usize + column;
    let sum = Vector::<f32, N>::cast_from(to[place]) + Vector::cast_from(delta[at]);
    to[place] = Vector::cast_from(sum);
}

/// `x · factor` in another type, from vector `first` of `out` on.
#[cube(launch)]
pub(super) fn convert<F: Float, G: Float, N: Size>(
    x: &[Vector<F, N>],
    out: &mut [Vector<G, N>],
    factor: f32,
    first: u32,
    #[define(F, G)] _dtypes: [ElemType; 2],
) {
    let at = ABSOLUTE_POS;
    if at >= x.len() {
        terminate!();
    }
    out[first as usize + at] = Vector::cast_from(Vector::<f32, N>::cast_from(x[at]) * Vector::new(factor));
}

/// See [`super::add_block`].
pub(super) fn add(to: &mut Tensor<2>, delta: &Tensor<2>, [row, column]: [usize; 2]) -> Option<()> {
    let ([_, width], [height, count], dtype) = (to.dims(), delta.dims(), to.dtype());
    if delta.dtype() != dtype {
        return None;
    }
    let (element, source) = (elem_type(dtype)?, contiguous(delta)?);
    let widths = [width, count, column].map(|width| vector_size(width, dtype.size()));
    let size = widths.into_iter().min()?;
    let Spread { cubes, units } = spread(height * count / size)?;
    let number = |numbers: usize| u32::try_from(numbers / size).ok();
    let (first, stride, vectors) = (number(row * width + column)?, number(width)?, number(count)?);
    let sum = taken(to)?;
    add_to_block::launch(
        &source.client.clone(),
        cubes,
        units,
        size,
        sum.clone().into_buffer_arg(),
        source.into_buffer_arg(),
        first,
        stride,
        vectors,
        element,
    );
    *to = Tensor::from_primitive::<Cube>(sum);
    Some(())
}

/// See [`super::stacked`].
pub(super) fn stack(parts: &[&Tensor<2>], factor: f32, dtype: DType) -> Option<Tensor<2>> {
    let ([_, width], device) = (parts.first()?.dims(), parts.first()?.device());
    let rows = parts.iter().map(|part| part.dims()[0]).sum();
    let out = contiguous(&Tensor::<2>::empty([rows, width], (&device, dtype)))?;
    let mut first = 0;
    for part in parts {
        let (numbers, from) = (part.shape().num_elements(), part.dtype());
        let size = vector_size(width, from.size().max(dtype.size()));
        let (source, Spread { cubes, units }) = (contiguous(part)?, spread(numbers / size)?);
        convert::launch(
            &source.client.clone(),
            cubes,
            units,
            size,
            source.into_buffer_arg(),
            out.clone().into_buffer_arg(),
            factor,
            u32::try_from(first / size).ok()?,
            [elem_type(from)?, elem_type(dtype)?],
        );
        first += numbers;
    }
    Some(Tensor::from_primitive::<Cube>(out))
}
