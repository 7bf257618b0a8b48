//! A tensor's buffer on a GPU, and how a kernel is spread over its numbers.

#[cfg(test)]
mod tests;

use burn::tensor::{DType, Int, Tensor};
use burn_cubecl::Cube;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use cubecl::ir::{ElemType, FloatKind};
use cubecl::prelude::{BufferArg, CubeCount, CubeDim, VectorSize};
use emotrain_kernels::DropoutMask;

use crate::device::{moves, moves_numbers};
use crate::kernels::Masks;

/// The widest row of cubes that every GPU interface takes.
const MOST_CUBES: usize = 65_535;

/// Threads of a cube where each works on its own.
const UNITS: u32 = 256;

/// Whether the tensor is on a GPU.
pub(crate) fn takes<const D: usize>(tensor: &Tensor<D>) -> bool {
    tensor.clone().try_into_primitive::<Cube>().is_ok()
}

/// The tensor's buffer, contiguous; `None` where it is not on a GPU.
pub(crate) fn contiguous<const D: usize>(tensor: &Tensor<D>) -> Option<CubeTensor> {
    moves(tensor, 1);
    in_part(tensor)
}

/// The same, of which a kernel reads what it tells itself.
pub(crate) fn in_part<const D: usize>(tensor: &Tensor<D>) -> Option<CubeTensor> {
    let tensor = tensor.clone().try_into_primitive::<Cube>().ok()?;
    Some(exact(burn_cubecl::kernel::into_contiguous(tensor)))
}

/// Without what its buffer has beyond its numbers, of which kernels ask it how many they are: on CUDA burn makes even the
/// only row of a tensor as long as it would make each of many.
fn exact(mut tensor: CubeTensor) -> CubeTensor {
    let bytes = tensor.meta.shape().num_elements() * tensor.dtype.size();
    let beyond = tensor.handle.size_in_used().saturating_sub(bytes as u64);
    tensor.handle = tensor.handle.offset_end(beyond);
    tensor
}

/// The buffer of whole numbers, contiguous; `None` where they are not on a GPU.
pub(crate) fn integers<const D: usize>(tensor: &Tensor<D, Int>) -> Option<CubeTensor> {
    let tensor = tensor.clone().try_into_primitive::<Cube>().ok()?;
    Some(exact(burn_cubecl::kernel::into_contiguous(tensor)))
}

/// The tensor's buffer, contiguous and no other tensor's, of which a kernel reads and writes so many numbers together; the
/// tensor is empty then.
pub(crate) fn taken<const D: usize>(tensor: &mut Tensor<D>, moved: usize) -> Option<CubeTensor> {
    moves_numbers(moved, tensor.dtype());
    let empty = Tensor::empty([0; D], (&tensor.device(), tensor.dtype()));
    let tensor = std::mem::replace(tensor, empty).try_into_primitive::<Cube>().ok()?;
    let contiguous = burn_cubecl::kernel::into_contiguous;
    let tensor = contiguous(tensor);
    // A copy by burn has gaps between its rows again, where the device's tensors have.
    Some(exact(if tensor.can_mut() { tensor } else { contiguous(tensor.copy()) }))
}

/// The tensor's own buffer, whoever else has it, to be written in part; `None` where it has gaps.
pub(crate) fn own_in_part<const D: usize>(tensor: &Tensor<D>) -> Option<CubeTensor> {
    tensor.clone().try_into_primitive::<Cube>().ok().filter(CubeTensor::is_contiguous).map(exact)
}

/// The same of whole numbers.
pub(crate) fn own_integers<const D: usize>(tensor: &Tensor<D, Int>) -> Option<CubeTensor> {
    tensor.clone().try_into_primitive::<Cube>().ok().filter(CubeTensor::is_contiguous).map(exact)
}

/// A buffer for a result, on the device and of the type of another tensor.
pub(crate) fn empty<const D: usize, const E: usize>(
    shape: [usize; D],
    like: &Tensor<E>,
) -> Option<CubeTensor> {
    empty_of(shape, like, like.dtype())
}

/// The same of another type. It is contiguous, which a tensor that burn makes on CUDA is only in some widths.
pub(crate) fn empty_of<const D: usize, const E: usize>(
    shape: [usize; D],
    like: &Tensor<E>,
    dtype: DType,
) -> Option<CubeTensor> {
    moves_numbers(shape.iter().product(), dtype);
    let CubeTensor { client, device, .. } = like.clone().try_into_primitive::<Cube>().ok()?;
    Some(empty_device_contiguous_dtype(client, device, shape.into(), dtype))
}

/// A buffer whose rows begin the same distance after one another.
pub(crate) struct Pitched {
    pub(crate) buffer: CubeTensor,
    /// Numbers from a row to the next.
    pub(crate) stride: usize,
}

impl Pitched {
    /// Of a tensor, which is copied if its rows do not.
    pub(crate) fn of(tensor: &Tensor<4>) -> Option<Self> {
        let [_, group, rows, width] = tensor.dims();
        let buffer = tensor.clone().try_into_primitive::<Cube>().ok()?;
        let stride = buffer.meta.strides()[2];
        let even = [group * rows * stride, rows * stride, stride, 1];
        if stride >= width && !buffer.meta.is_tiled() && buffer.meta.strides().iter().copied().eq(even) {
            moves(tensor, 1);
            return Some(Self { buffer, stride });
        }
        Some(Self { buffer: contiguous(tensor)?, stride: width })
    }

    /// Of a matrix, of which a kernel reads what it tells itself.
    pub(crate) fn of_matrix(matrix: &Tensor<2>) -> Option<Self> {
        let [_, width] = matrix.dims();
        let buffer = matrix.clone().try_into_primitive::<Cube>().ok()?;
        match buffer.meta.strides()[..] {
            [stride, 1] if stride >= width && !buffer.meta.is_tiled() => Some(Self { buffer, stride }),
            _ => Some(Self { buffer: in_part(matrix)?, stride: width }),
        }
    }

    /// Of two tensors of one shape, in rows as far apart.
    pub(crate) fn alike(tensors: [&Tensor<4>; 2]) -> Option<[Self; 2]> {
        let [first, second] = [Self::of(tensors[0])?, Self::of(tensors[1])?];
        if first.stride == second.stride {
            return Some([first, second]);
        }
        let copied =
            |tensor: &Tensor<4>| Some(Self { buffer: contiguous(tensor)?, stride: tensor.dims()[3] });
        Some([copied(tensors[0])?, copied(tensors[1])?])
    }

    /// All of another with the same shape and rows as far apart, what is between them included, as a kernel takes it.
    pub(crate) fn whole(&self, other: &CubeTensor) -> BufferArg {
        let CubeTensor { client, device, dtype, handle, meta, .. } = other.clone();
        let (numbers, width) = (meta.shape().num_elements(), meta.shape().last().copied().unwrap_or(1));
        let numbers = numbers / width.max(1) * self.stride;
        CubeTensor::new_contiguous(client, device, [numbers].into(), handle, dtype).into_buffer_arg()
    }

    /// Unwritten, of the same shape and type, in rows as far apart.
    pub(crate) fn empty_like(&self) -> CubeTensor {
        let CubeTensor { client, device, dtype, meta, .. } = &self.buffer;
        let shape = meta.shape();
        moves_numbers(shape.num_elements(), *dtype);
        let rows = shape.num_elements() / shape[3].max(1);
        let handle = client.empty(rows * self.stride * dtype.size());
        CubeTensor::new(client.clone(), handle, (**meta).clone(), device.clone(), *dtype)
    }
}

/// A buffer that a kernel does not touch, as large as the widest vector.
pub(crate) fn unread<const E: usize>(like: &Tensor<E>) -> Option<CubeTensor> {
    let unread = Tensor::<2>::empty([1, 16], (&like.device(), like.dtype()));
    unread.try_into_primitive::<Cube>().ok()
}

/// A buffer of this shape, or where a kernel does not touch it one as large as the widest vector.
pub(crate) fn empty_if<const E: usize>(
    touched: bool,
    shape: [usize; 2],
    like: &Tensor<E>,
) -> Option<CubeTensor> {
    if touched { empty(shape, like) } else { unread(like) }
}

/// The masks that there are.
pub(crate) fn given(masks: Masks) -> Vec<DropoutMask> {
    masks.of.iter().flatten().copied().collect()
}

/// The type in a kernel.
pub(crate) fn elem_type(dtype: DType) -> Option<ElemType> {
    let kinds = [(DType::F32, FloatKind::F32), (DType::F16, FloatKind::F16), (DType::BF16, FloatKind::BF16)];
    let (_, kind) = kinds.into_iter().find(|(known, _)| *known == dtype)?;
    Some(ElemType::Float(kind))
}

/// One cube per row. A kernel reads its row from `CUBE_POS` and leaves where there is no such row.
pub(crate) fn one_cube_a_row(rows: usize) -> CubeCount {
    let across = rows.clamp(1, MOST_CUBES);
    let down = rows.div_ceil(across);
    let count = |cubes: usize| u32::try_from(cubes).expect("bounded by MOST_CUBES twice");
    CubeCount::Static(count(across), count(down), 1)
}

/// Cubes, and the threads of each.
pub(crate) struct Spread {
    pub(crate) cubes: CubeCount,
    pub(crate) units: CubeDim,
}

/// One thread for each of these vectors, which is `ABSOLUTE_POS`, and some that leave; `None` for no vectors.
pub(crate) fn spread(vectors: usize) -> Option<Spread> {
    let cubes = one_cube_a_row(vectors.div_ceil(UNITS as usize));
    (vectors > 0).then_some(Spread { cubes, units: CubeDim::new_1d(UNITS) })
}

/// How many numbers of a row of `width` a thread reads at once: 16 bytes' worth, if the row divides into that.
pub(crate) fn vector_size(width: usize, bytes: usize) -> VectorSize {
    let widest = 16 / bytes;
    (0..=widest.ilog2()).rev().map(|power| 1 << power).find(|size| width.is_multiple_of(*size)).unwrap_or(1)
}
