//! Sums in an order that is always the same. burn's sums use atomics, or the order that it measured to be the fastest: their last
//! bits differ from run to run.

#[cfg(test)]
mod tests;

use burn::tensor::{DType, Tensor};
use burn_cubecl::Cube;
use cubecl::ir::ElemType;
use cubecl::prelude::*;

use super::buffers::{contiguous, elem_type, empty, empty_of, vector_size};
use super::reduce;

/// Threads of a cube.
pub(crate) const UNITS: usize = 256;
/// Rows that a thread adds up before others go on with their sums.
const ROWS: usize = 64;

/// The sum of so many numbers by one cube.
#[cube(launch)]
pub(crate) fn sum_of_all(x: &[f32], sum: &mut [f32], numbers: u32, #[comptime] units: usize) {
    let mut own = 0.0f32;
    for at in range_stepped(UNIT_POS as usize, numbers as usize, units) {
        own += x[at];
    }
    let all = reduce::sum_of_units(own, units);
    if UNIT_POS == 0 {
        sum[0] = all;
    }
}

/// `[rows, W]` → `[rows / of_cube, W]`, `vectors` to a row: the sums of `of_cube` rows each.
#[cube(launch)]
pub(crate) fn sums_of_rows<F: Float, G: Float, N: Size>(
    x: &[Vector<F, N>],
    sums: &mut [Vector<G, N>],
    rows: u32,
    of_cube: u32,
    vectors: u32,
    #[define(F, G)] _dtypes: [ElemType; 2],
) {
    let column = CUBE_POS_X * CUBE_DIM + UNIT_POS;
    if column >= vectors {
        terminate!();
    }
    let first = CUBE_POS_Y * of_cube;
    let mut sum = Vector::<f32, N>::new(0.0f32);
    for row in first..min(first + of_cube, rows) {
        sum += Vector::cast_from(x[(row * vectors + column) as usize]);
    }
    sums[(CUBE_POS_Y * vectors + column) as usize] = Vector::cast_from(sum);
}

/// The sum of all numbers in f32, `[1]`.
pub(crate) fn of_all(x: &Tensor<1>) -> Option<Tensor<1>> {
    let numbers = u32::try_from(x.shape().num_elements()).ok().filter(|_| x.dtype() == DType::F32)?;
    let (source, sum) = (contiguous(x)?, empty([1], x)?);
    sum_of_all::launch(
        &source.client.clone(),
        CubeCount::Static(1, 1, 1),
        CubeDim::new_1d(u32::try_from(UNITS).ok()?),
        source.into_buffer_arg(),
        sum.clone().into_buffer_arg(),
        numbers,
        UNITS,
    );
    Some(Tensor::from_primitive::<Cube>(sum))
}

/// See [`super::super::sum_rows`].
pub(crate) fn of_rows(x: &Tensor<2>) -> Option<Tensor<2>> {
    let [rows, _] = x.dims();
    let parts = if rows > ROWS { &of_some_rows(x, ROWS, DType::F32)? } else { x };
    of_some_rows(parts, parts.dims()[0], x.dtype())
}

/// The sums of so many rows each, in this type.
fn of_some_rows(x: &Tensor<2>, of_cube: usize, dtype: DType) -> Option<Tensor<2>> {
    let ([rows, width], from) = (x.dims(), x.dtype());
    let number = |number: usize| u32::try_from(number).ok();
    let size = vector_size(width, DType::F32.size());
    let (vectors, parts) = (width / size, rows.div_ceil(of_cube.max(1)));
    let is_countable = parts > 0 && parts <= 65_535 && vectors > 0 && number(rows * vectors).is_some();
    let (source, elements) = (contiguous(x).filter(|_| is_countable)?, [elem_type(from)?, elem_type(dtype)?]);
    let sums = empty_of([parts, width], x, dtype)?;
    sums_of_rows::launch(
        &source.client.clone(),
        CubeCount::Static(number(vectors.div_ceil(UNITS))?, number(parts)?, 1),
        CubeDim::new_1d(number(UNITS)?),
        size,
        source.into_buffer_arg(),
        sums.clone().into_buffer_arg(),
        number(rows)?,
        number(of_cube)?,
        number(vectors)?,
        elements,
    );
    Some(Tensor::from_primitive::<Cube>(sums))
}
