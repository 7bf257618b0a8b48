//! Tensors from one device to another.

use burn::tensor::{Device, Tensor};

/// The tensor on another device, behind all that is asked of that one so far: where devices send to each other, cubecl lets
/// them write what the other still works on.
pub fn sent<const D: usize>(tensor: Tensor<D>, to: &Device) -> Tensor<D> {
    if tensor.device() == *to {
        return tensor;
    }
    // An error of the device's own is met again by who reads the result.
    let _ = to.sync();
    tensor.to_device(to)
}
