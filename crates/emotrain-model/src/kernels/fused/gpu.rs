//! A tensor's buffer on a GPU, and how a kernel is spread over rows.

use burn::tensor::Tensor;
use burn_cubecl::Cube;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::{CubeCount, VectorSize};

/// The widest row of cubes that every GPU interface takes.
const MOST_CUBES: usize = 65_535;

/// Whether the tensor is on a GPU.
pub(super) fn takes<const D: usize>(tensor: &Tensor<D>) -> bool {
    tensor.clone().try_into_primitive::<Cube>().is_ok()
}

/// The tensor's buffer, contiguous; `None` where it is not on a GPU.
pub(super) fn contiguous<const D: usize>(tensor: &Tensor<D>) -> Option<CubeTensor> {
    let tensor = tensor.clone().try_into_primitive::<Cube>().ok()?;
    Some(burn_cubecl::kernel::into_contiguous(tensor))
}

/// One cube per row. A kernel reads its row from `CUBE_POS` and leaves where there is no such row.
pub(super) fn one_cube_a_row(rows: usize) -> CubeCount {
    let across = rows.clamp(1, MOST_CUBES);
    let down = rows.div_ceil(across);
    let count = |cubes: usize| u32::try_from(cubes).expect("bounded by MOST_CUBES twice");
    CubeCount::Static(count(across), count(down), 1)
}

/// How many numbers of a row of `width` a thread reads at once: 16 bytes' worth, if the row divides into that.
pub(super) fn vector_size(width: usize, bytes: usize) -> VectorSize {
    let widest = 16 / bytes;
    (0..=widest.ilog2()).rev().map(|power| 1 << power).find(|size| width.is_multiple_of(*size)).unwrap_or(1)
}
