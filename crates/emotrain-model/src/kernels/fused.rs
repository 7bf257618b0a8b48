//! Kernels of our own for GPUs: one `#[cube]` source for CUDA, Vulkan, Metal and DirectX.
//!
//! [`Form::Fused`](super::Form) leads here. A function returns `None` where its kernel does not apply (no rows, factors
//! of another dtype), and the caller falls back to tensor operations. This file and `device.rs` are the
//! only ones that know which GPU back ends were compiled in.

#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod gpu;
#[cfg(feature = "cuda")]
#[cfg(test)]
mod ptx_tests;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod rms_norm;
#[cfg(test)]
mod tests;

use burn::tensor::Tensor;

/// Whether the tensor is on a GPU that kernels of our own are compiled for.
pub(super) fn takes<const D: usize>(tensor: &Tensor<D>) -> bool {
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    {
        gpu::takes(tensor)
    }
    #[cfg(not(any(feature = "wgpu", feature = "cuda")))]
    {
        let _ = tensor;
        false
    }
}

/// `w · x / √(mean(x²) + ε)` per row in one launch, where the tensor operations take nine.
///
/// # Shapes
/// `x` `[N, D]`, `weight` `[1, D]`, both of one type → `[N, D]`.
pub(super) fn rms_norm(x: &Tensor<2>, weight: &Tensor<2>, epsilon: f32) -> Option<Tensor<2>> {
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    {
        rms_norm::launch(x, weight, epsilon)
    }
    #[cfg(not(any(feature = "wgpu", feature = "cuda")))]
    {
        let _ = (x, weight, epsilon);
        None
    }
}
