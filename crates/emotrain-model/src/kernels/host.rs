//! Access to a tensor's memory when it lives on the CPU in f32, and from there to a device.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use burn_flex::{Flex, FlexTensor};

/// The tensor's numbers, in order; copies only if the tensor is a strided view.
///
/// # Panics
/// Unless the tensor's form is [`Form::Host`](super::Form).
pub(crate) fn read<const D: usize>(tensor: Tensor<D>) -> FlexTensor {
    let tensor = tensor.try_into_primitive::<Flex>().expect("a CPU tensor");
    if tensor.as_slice::<f32>().is_some() { tensor } else { tensor.to_contiguous() }
}

/// The tensor as a buffer to write to; copies only if it is shared or a view.
pub(super) fn write<const D: usize>(tensor: Tensor<D>) -> FlexTensor {
    let tensor = read(tensor);
    let whole = tensor.layout().start_offset() == 0
        && tensor.bytes().len() == tensor.layout().num_elements() * size_of::<f32>();
    if whole { tensor } else { FlexTensor::from_data(tensor.into_data()) }
}

/// The numbers of a tensor that came from [`read`].
pub(crate) fn slice(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice::<f32>().expect("contiguous f32")
}

/// A tensor around a buffer, without copying.
pub(crate) fn tensor<const D: usize>(numbers: Vec<f32>, shape: [usize; D]) -> Tensor<D> {
    Tensor::from_primitive::<Flex>(FlexTensor::from_data(TensorData::new(numbers, shape)))
}

/// A tensor around a buffer that came from [`write`].
pub(super) fn restore<const D: usize>(buffer: FlexTensor) -> Tensor<D> {
    Tensor::from_primitive::<Flex>(buffer)
}

/// Rows of numbers on a device, behind one another as kernels read them. What is uploaded as a matrix has memory between its
/// rows on CUDA, in all widths but some.
pub(crate) fn rows_on(device: &Device, numbers: Vec<f32>, shape: [usize; 2]) -> Tensor<2> {
    let row = TensorData::new(numbers, [shape[0] * shape[1]]);
    Tensor::<1>::from_data(row, (device, DType::F32)).reshape(shape)
}

/// The same of whole numbers.
pub(crate) fn integers_on(device: &Device, numbers: Vec<i32>, shape: [usize; 2]) -> Tensor<2, Int> {
    let row = TensorData::new(numbers, [shape[0] * shape[1]]);
    Tensor::<1, Int>::from_data(row, (device, DType::I32)).reshape(shape)
}
