//! What work on a GPU launches, and the memory that it moves: told by what launches it, since a launch does not show its
//! tensors.

use std::cell::Cell;
use std::collections::BTreeMap;

use burn::tensor::{DType, Tensor};

/// The kernels of one kind that were launched on a GPU.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Launches {
    /// How many.
    pub count: usize,
    /// How long they took on the device, one after the other.
    pub seconds: f64,
}

/// What work launches on GPUs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    /// Kernel launches by the name of the kernel's function.
    pub kernels: BTreeMap<String, Launches>,
    /// Bytes that decoder blocks, losses, their gradients and the update read and write, each tensor of a launch once: what goes
    /// through the device's memory where no cache has it.
    pub bytes: u64,
}

thread_local! {
    /// Bytes of this thread's launches, while they are counted.
    static BYTES: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Calls `work`, and returns the bytes that its launches moved.
pub(super) fn counted<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let before = BYTES.replace(Some(0));
    let result = work();
    (result, BYTES.replace(before).unwrap_or_default())
}

/// Tells that a launch reads or writes all numbers of a tensor, so many times.
pub(crate) fn moves<const D: usize>(tensor: &Tensor<D>, times: usize) {
    if BYTES.get().is_some() {
        moves_numbers(times * tensor.shape().num_elements(), tensor.dtype());
    }
}

/// The same of so many numbers.
pub(crate) fn moves_numbers(numbers: usize, dtype: DType) {
    if let Some(bytes) = BYTES.get() {
        BYTES.set(Some(bytes + (numbers * dtype.size()) as u64));
    }
}
