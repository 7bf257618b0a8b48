//! Products of burn's whose sums are not rounded to the type of what is multiplied.

use burn::tensor::{DType, Tensor};
use burn_cubecl::Cube;
use burn_cubecl::kernel::matmul::{MatmulStrategy, matmul};
use burn_cubecl::tensor::CubeTensor;

/// See [`super::super::wide_product`].
pub(crate) fn wide(left: &Tensor<2>, right: &Tensor<2>) -> Option<Tensor<2>> {
    let [left, right] = [left, right].map(|side| side.clone().try_into_primitive::<Cube>().ok());
    let sums = matmul(left?, right?, None, MatmulStrategy::default(), DType::F32).ok()?;
    Some(Tensor::from_primitive::<Cube>(sums))
}

/// See [`super::super::product_into`].
pub(crate) fn into(to: &Tensor<2>, first: usize, left: &Tensor<4>, right: &Tensor<4>) -> Option<()> {
    let ([a, b, rows, _], [_, _, _, columns]) = (left.dims(), right.dims());
    let whole = to.clone().try_into_primitive::<Cube>().ok()?;
    let bytes = |numbers: usize| (numbers * whole.dtype.size()) as u64;
    let (place, size) = (bytes(first), bytes(a * b * rows * columns));
    if !place.is_multiple_of(whole.client.properties().memory.alignment) {
        return None;
    }
    let after = whole.handle.size_in_used().checked_sub(place + size)?;
    let handle = whole.handle.offset_start(place).offset_end(after);
    let shape = [a, b, rows, columns].into();
    let block = CubeTensor::new_contiguous(whole.client, whole.device, shape, handle, whole.dtype);
    let [left, right] = [left, right].map(|side| side.clone().try_into_primitive::<Cube>().ok());
    let dtype = block.dtype;
    matmul(left?, right?, Some(block), MatmulStrategy::default(), dtype).ok()?;
    Some(())
}
