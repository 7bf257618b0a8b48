//! Kernels of our own for GPUs: one `#[cube]` source for CUDA, Vulkan, Metal and DirectX.
//!
//! Every function here returns `None` where its kernel does not apply (another device, a build without a GPU, a width
//! that cannot be read in vectors), and the caller falls back to tensor operations. This file and `device.rs` are the
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
