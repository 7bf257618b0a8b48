//! The memory that work on a GPU moves: told by what launches it, since a launch does not show its tensors.

use std::cell::Cell;

use burn::tensor::{DType, Tensor};

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
pub(super) fn moves_numbers(numbers: usize, dtype: DType) {
    if let Some(bytes) = BYTES.get() {
        BYTES.set(Some(bytes + (numbers * dtype.size()) as u64));
    }
}
