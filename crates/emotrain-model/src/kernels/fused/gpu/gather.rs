//! Rows of a table by their numbers, such as the embeddings of tokens.

use burn::tensor::{DType, Int, Tensor};
use burn_cubecl::Cube;
use cubecl::ir::ElemType;
use cubecl::prelude::*;

use super::buffers::{Pitched, Spread, elem_type, empty, integers, spread, vector_size};
use crate::device::moves_numbers;

/// `count` vectors, of the rows of `table` that `index` names; a row of it begins `stride` vectors after the one before.
#[cube(launch)]
pub(crate) fn rows_of_table<F: Float, N: Size>(
    table: &[Vector<F, N>],
    index: &[i32],
    out: &mut [Vector<F, N>],
    count: u32,
    stride: u32,
    #[comptime] vectors: usize,
    #[define(F)] _dtype: ElemType,
) {
    let at = ABSOLUTE_POS;
    if at >= count as usize {
        terminate!();
    }
    out[at] = table[index[at / vectors] as usize * stride as usize + at % vectors];
}

/// See [`super::super::gather_rows`].
pub(crate) fn launch(table: &Tensor<2>, index: &Tensor<1, Int>) -> Option<Tensor<2>> {
    let ([rows], [_, width], dtype) = (index.dims(), table.dims(), table.dtype());
    if index.dtype() != DType::I32 {
        return None;
    }
    let table_rows = Pitched::of_matrix(table)?;
    let Pitched { buffer, stride } = &table_rows;
    let size = [width, *stride].map(|width| vector_size(width, dtype.size())).into_iter().min()?;
    let Spread { cubes, units } = spread(rows * width / size)?;
    let out = empty([rows, width], table)?;
    // What is read; what is written counts where it is made.
    moves_numbers(rows * width, dtype);
    rows_of_table::launch(
        &out.client.clone(),
        cubes,
        units,
        size,
        table_rows.whole(buffer),
        integers(index)?.into_buffer_arg(),
        out.clone().into_buffer_arg(),
        u32::try_from(rows * width / size).ok()?,
        u32::try_from(stride / size).ok()?,
        width / size,
        elem_type(dtype)?,
    );
    Some(Tensor::from_primitive::<Cube>(out))
}
