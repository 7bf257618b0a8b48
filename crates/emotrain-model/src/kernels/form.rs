//! The form in which a kernel computes.

use burn::tensor::{DType, Tensor};
use burn_flex::Flex;

use super::fused;

/// A kernel has up to three forms of one meaning, and chooses by the tensor that it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Loops over memory, of `emotrain-kernels`: on the CPU in f32.
    Host,
    /// A kernel of our own, of [`fused`], where there is one: on a GPU that this build supports.
    Fused,
    /// Tensor operations: on every other device and dtype.
    Tensor,
}

impl Form {
    /// The form for a tensor's device and dtype.
    pub(crate) fn of<const D: usize>(tensor: &Tensor<D>) -> Self {
        if tensor.dtype() == DType::F32 && tensor.clone().try_into_primitive::<Flex>().is_ok() {
            Self::Host
        } else if fused::takes(tensor) {
            Self::Fused
        } else {
            Self::Tensor
        }
    }
}
