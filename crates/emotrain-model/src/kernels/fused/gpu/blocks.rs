//! Blocks of numbers: added in place, put below one another in another type, and spread over blocks of zeros.

use burn::tensor::{DType, Tensor};
use burn_cubecl::Cube;
use cubecl::ir::ElemType;
use cubecl::prelude::*;

use super::buffers::{Spread, contiguous, elem_type, empty_of, in_part, spread, taken, vector_size};
use crate::device::moves_numbers;
use crate::kernels::fused::{Columns, Part};

/// Which vectors [`add_to_block`] adds to which.
#[derive(CubeLaunch, CubeType, Clone, Copy)]
pub(crate) struct Places {
    /// The first that is added to, and how many lie from a row to the next.
    pub(crate) first: u32,
    pub(crate) stride: u32,
    /// The same of what is added.
    pub(crate) from: u32,
    pub(crate) from_stride: u32,
    /// Of a row, and of all.
    pub(crate) vectors: u32,
    pub(crate) count: u32,
}

/// Adds rows of `delta`, times `factor`, to rows of `to`.
#[cube(launch)]
pub(crate) fn add_to_block<F: Float, G: Float, N: Size>(
    to: &mut [Vector<F, N>],
    delta: &[Vector<G, N>],
    places: &Places,
    factor: f32,
    #[define(F, G)] _dtypes: [ElemType; 2],
) {
    let at = ABSOLUTE_POS;
    if at >= places.count as usize {
        terminate!();
    }
    let (row, column) = (at / places.vectors as usize, at % places.vectors as usize);
    let place = places.first as usize + row * places.stride as usize + column;
    let from = places.from as usize + row * places.from_stride as usize + column;
    let added = Vector::<f32, N>::cast_from(delta[from]) * Vector::new(factor);
    to[place] = Vector::cast_from(Vector::<f32, N>::cast_from(to[place]) + added);
}

/// `x · factor` in another type, from vector `first` of `out` on.
#[cube(launch)]
pub(crate) fn convert<F: Float, G: Float, N: Size>(
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

/// See [`super::super::add_part`].
pub(crate) fn add(to: &mut Tensor<2>, delta: &Tensor<2>, part: Part) -> Option<()> {
    let Part { first, stride, from: [row, column], shape: [height, count], factor } = part;
    let (dtypes, [_, width]) = ([to.dtype(), delta.dtype()], delta.dims());
    let (elements, source) = ([elem_type(dtypes[0])?, elem_type(dtypes[1])?], in_part(delta)?);
    let bytes = dtypes.map(|dtype| dtype.size()).into_iter().max()?;
    // Where there is one row, no other begins at its stride.
    let strides = if height == 1 { [count, count] } else { [stride, width] };
    let places = [first, row * width + column, count].into_iter().chain(strides);
    let size = places.map(|place| vector_size(place, bytes)).min()?;
    let Spread { cubes, units } = spread(height * count / size)?;
    let number = |numbers: usize| u32::try_from(numbers / size).ok();
    moves_numbers(height * count, dtypes[1]);
    let sum = taken(to, 2 * height * count)?;
    add_to_block::launch(
        &source.client.clone(),
        cubes,
        units,
        size,
        sum.clone().into_buffer_arg(),
        source.into_buffer_arg(),
        PlacesLaunch::new(
            number(first)?,
            number(strides[0])?,
            number(row * width + column)?,
            number(strides[1])?,
            number(count)?,
            number(height * count)?,
        ),
        factor,
        elements,
    );
    *to = Tensor::from_primitive::<Cube>(sum);
    Some(())
}

/// See [`super::super::stacked`].
pub(crate) fn stack(parts: &[&Tensor<2>], factor: f32, dtype: DType) -> Option<Tensor<2>> {
    let [_, width] = parts.first()?.dims();
    let rows = parts.iter().map(|part| part.dims()[0]).sum();
    let out = empty_of([rows, width], parts.first()?, dtype)?;
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

/// Numbers that [`spread_columns`] reads of a part.
const OF_PART: usize = 5;

/// Matrices behind one another in `x`, each times its factor, into the columns that are theirs. Of each the table has the
/// vectors where it begins and ends in `x`, of a row of it, from a row of `out` to the next, and before its first there.
#[cube(launch)]
pub(crate) fn spread_columns<F: Float, N: Size>(
    x: &[Vector<f32, N>],
    table: &[i32],
    factors: &[f32],
    out: &mut [Vector<F, N>],
    first: u32,
    parts: u32,
    #[comptime] rounds: u32,
    #[define(F)] _dtype: ElemType,
) {
    let at = ABSOLUTE_POS + first as usize;
    if at >= x.len() {
        terminate!();
    }
    // The last part that begins here or before.
    let mut part = 0usize;
    let mut end = parts as usize;
    for _round in 0..rounds {
        let middle = (part + end) / 2;
        if table[middle * OF_PART] as usize <= at {
            part = middle;
        } else {
            end = middle;
        }
    }
    let of = part * OF_PART;
    if at < table[of + 1] as usize {
        let inside = at - table[of] as usize;
        let row = inside / table[of + 2] as usize;
        let column = inside % table[of + 2] as usize;
        let place = table[of + 4] as usize + row * table[of + 3] as usize + column;
        out[place] = Vector::cast_from(x[at] * Vector::new(factors[part]));
    }
}

/// See [`super::super::spread_columns`].
pub(crate) fn spread_over(x: &Tensor<2>, columns: &Columns, dtype: DType) -> Option<Tensor<2>> {
    let Columns { table, factors, size, first, numbers } = columns;
    let (all, [parts, _]) = (x.shape().num_elements(), table.dims());
    let Spread { cubes, units } = spread((all - first) / size)?;
    let out = contiguous(&Tensor::<2>::zeros([1, *numbers], (&x.device(), dtype)))?;
    spread_columns::launch(
        &out.client,
        cubes,
        units,
        *size,
        contiguous(x)?.into_buffer_arg(),
        super::buffers::integers(table)?.into_buffer_arg(),
        contiguous(factors)?.into_buffer_arg(),
        out.clone().into_buffer_arg(),
        u32::try_from(first / size).ok()?,
        u32::try_from(parts).ok()?,
        parts.next_power_of_two().ilog2(),
        elem_type(dtype)?,
    );
    Some(Tensor::from_primitive::<Cube>(out))
}
