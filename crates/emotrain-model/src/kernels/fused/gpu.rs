//! A tensor's buffer on a GPU, and how a kernel is spread over its numbers.

use burn::tensor::{DType, Int, Tensor};
use burn_cubecl::Cube;
use burn_cubecl::tensor::CubeTensor;
use cubecl::ir::{ElemType, FloatKind};
use cubecl::prelude::{CubeCount, CubeDim, VectorSize};

use crate::device::moves;

/// The widest row of cubes that every GPU interface takes.
const MOST_CUBES: usize = 65_535;

/// Threads of a cube where each works on its own.
const UNITS: u32 = 256;

/// Whether the tensor is on a GPU.
pub(super) fn takes<const D: usize>(tensor: &Tensor<D>) -> bool {
    tensor.clone().try_into_primitive::<Cube>().is_ok()
}

/// The tensor's buffer, contiguous; `None` where it is not on a GPU.
pub(super) fn contiguous<const D: usize>(tensor: &Tensor<D>) -> Option<CubeTensor> {
    moves(tensor, 1);
    let tensor = tensor.clone().try_into_primitive::<Cube>().ok()?;
    Some(burn_cubecl::kernel::into_contiguous(tensor))
}

/// The buffer of whole numbers, contiguous; `None` where they are not on a GPU.
pub(super) fn integers<const D: usize>(tensor: &Tensor<D, Int>) -> Option<CubeTensor> {
    let tensor = tensor.clone().try_into_primitive::<Cube>().ok()?;
    Some(burn_cubecl::kernel::into_contiguous(tensor))
}

/// The tensor's buffer, contiguous and no other tensor's, to be written; the tensor is empty then.
pub(super) fn taken<const D: usize>(tensor: &mut Tensor<D>) -> Option<CubeTensor> {
    moves(tensor, 2);
    let empty = Tensor::empty([0; D], (&tensor.device(), tensor.dtype()));
    let tensor = std::mem::replace(tensor, empty).try_into_primitive::<Cube>().ok()?;
    let tensor = burn_cubecl::kernel::into_contiguous(tensor);
    Some(if tensor.can_mut() { tensor } else { tensor.copy() })
}

/// A buffer for a result, on the device and of the type of another tensor.
pub(super) fn empty<const D: usize, const E: usize>(
    shape: [usize; D],
    like: &Tensor<E>,
) -> Option<CubeTensor> {
    contiguous(&Tensor::<D>::empty(shape, (&like.device(), like.dtype())))
}

/// A buffer of this shape, or where a kernel does not touch it one as large as the widest vector.
pub(super) fn empty_if<const E: usize>(
    touched: bool,
    shape: [usize; 2],
    like: &Tensor<E>,
) -> Option<CubeTensor> {
    let unread = || Tensor::<2>::empty([1, 16], (&like.device(), like.dtype()));
    if touched { empty(shape, like) } else { unread().try_into_primitive::<Cube>().ok() }
}

/// The type in a kernel.
pub(super) fn elem_type(dtype: DType) -> Option<ElemType> {
    let kinds = [(DType::F32, FloatKind::F32), (DType::F16, FloatKind::F16), (DType::BF16, FloatKind::BF16)];
    let (_, kind) = kinds.into_iter().find(|(known, _)| *known == dtype)?;
    Some(ElemType::Float(kind))
}

/// One cube per row. A kernel reads its row from `CUBE_POS` and leaves where there is no such row.
pub(super) fn one_cube_a_row(rows: usize) -> CubeCount {
    let across = rows.clamp(1, MOST_CUBES);
    let down = rows.div_ceil(across);
    let count = |cubes: usize| u32::try_from(cubes).expect("bounded by MOST_CUBES twice");
    CubeCount::Static(count(across), count(down), 1)
}

/// Cubes, and the threads of each.
pub(super) struct Spread {
    pub(super) cubes: CubeCount,
    pub(super) units: CubeDim,
}

/// One thread for each of these vectors, which is `ABSOLUTE_POS`, and some that leave; `None` for no vectors.
pub(super) fn spread(vectors: usize) -> Option<Spread> {
    let cubes = one_cube_a_row(vectors.div_ceil(UNITS as usize));
    (vectors > 0).then_some(Spread { cubes, units: CubeDim::new_1d(UNITS) })
}

/// How many numbers of a row of `width` a thread reads at once: 16 bytes' worth, if the row divides into that.
pub(super) fn vector_size(width: usize, bytes: usize) -> VectorSize {
    let widest = 16 / bytes;
    (0..=widest.ilog2()).rev().map(|power| 1 << power).find(|size| width.is_multiple_of(*size)).unwrap_or(1)
}
