//! Where tensors live: the file that knows which back ends were compiled in.

#[cfg(feature = "cuda")]
mod cuda;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod gpu;
#[cfg(any(feature = "cuda", test))]
mod plan;
mod recorded;
mod sent;
mod side;
#[cfg_attr(
    not(feature = "cuda"),
    expect(dead_code, reason = "only the CUDA build has a library that reads them")
)]
mod stack;
#[cfg(test)]
pub(crate) mod tests;
mod threads;
mod traffic;

use std::collections::BTreeMap;
use std::ops::Range;

use burn::tensor::{DType, Device, Tensor};
use emotrain_recipe::{DeviceChoice, Dtype};

pub(crate) use self::recorded::Recorded;
pub use self::sent::sent;
pub(crate) use self::side::Side;
pub(crate) use self::stack::{Stack, StackPlace};
pub use self::threads::{keep_memory, set_threads};
pub use self::traffic::{Launches, Profile};
pub(crate) use self::traffic::{moves, moves_numbers};
use crate::error::ModelError;

/// An opened device and the type in which base weights and activations are kept on it.
#[derive(Clone, Debug)]
pub struct OpenDevice {
    /// The device.
    pub device: Device,
    /// The type of weights, and on GPUs of activations; the CPU computes on f32. Adapters, optimizer and losses are f32
    /// always.
    pub dtype: DType,
    /// For people: `cpu (AVX2)`, `wgpu:0 (…)`.
    pub name: String,
}

impl OpenDevice {
    /// Whether it is the CPU.
    pub fn is_cpu(&self) -> bool {
        self.device == Device::flex()
    }

    /// The type of activations.
    pub fn computed(&self) -> DType {
        computed(self.dtype, &self.device)
    }

    /// Whether products of float32 matrices are rounded to TF32 (10 bits of mantissa), as burn's are on CUDA, where cuBLASLt
    /// is missing.
    pub fn rounds_products(&self) -> bool {
        self.name.starts_with("cuda") && !multiplies(&Tensor::empty([1, 1], &self.device))
    }

    /// The same with what copies between devices go through in its name: on CUDA NCCL, where its library is found.
    fn among_several(self) -> Self {
        #[cfg(any(feature = "wgpu", feature = "cuda"))]
        let sends = gpu::sends(&self.device);
        #[cfg(not(any(feature = "wgpu", feature = "cuda")))]
        let sends = false;
        let by = if sends { "through NCCL" } else { "through the host's memory" };
        Self { name: format!("{}, copies to others {by})", self.name.trim_end_matches(')')), ..self }
    }

    /// Bytes that this process has reserved in the device's own memory; `None` for the CPU, whose memory is the host's.
    pub fn reserved_bytes(&self) -> Option<u64> {
        #[cfg(any(feature = "wgpu", feature = "cuda"))]
        {
            gpu::reserved_bytes(&self.device)
        }
        #[cfg(not(any(feature = "wgpu", feature = "cuda")))]
        {
            None
        }
    }
}

/// The type of activations where weights are of this type: the CPU computes on f32 where they have 16 bits.
pub(crate) fn computed(weights: DType, device: &Device) -> DType {
    let narrow = matches!(weights, DType::BF16 | DType::F16);
    if narrow && *device == Device::flex() { DType::F32 } else { weights }
}

/// Under this name products of cuBLASLt are counted.
#[cfg(feature = "cuda")]
const PRODUCT: &str = "CublasLtMatmul";

/// Calls `work` and counts and times the kernels that it launches on GPUs, one at a time; the CPU launches none.
pub fn profiled<T>(work: impl FnOnce() -> T) -> (T, Profile) {
    let ((result, kernels), bytes) = traffic::counted(|| watched(work));
    (result, Profile { kernels, bytes })
}

fn watched<T>(work: impl FnOnce() -> T) -> (T, BTreeMap<String, Launches>) {
    #[cfg(feature = "cuda")]
    {
        let ((result, products), mut kernels) = gpu::profiled(|| cuda::counted::counted(work));
        kernels.extend((products.count > 0).then(|| (PRODUCT.to_owned(), products)));
        (result, kernels)
    }
    #[cfg(all(feature = "wgpu", not(feature = "cuda")))]
    {
        gpu::profiled(work)
    }
    #[cfg(not(any(feature = "wgpu", feature = "cuda")))]
    {
        (work(), BTreeMap::new())
    }
}

/// How a product is written into a block of a matrix.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(
    not(feature = "cuda"),
    expect(dead_code, reason = "only the CUDA build has a library that writes")
)]
pub(crate) struct Written {
    /// The first row and column of the block.
    pub(crate) place: [usize; 2],
    /// The numbers from one of its rows to the next, where they are not those of the matrix: one of one row, in which the
    /// rows of the block are behind one another.
    pub(crate) width: Option<usize>,
    /// What the product is multiplied by.
    pub(crate) factor: f32,
    /// Whether it is added to what is there.
    pub(crate) adds: bool,
}

/// Whether products of this tensor go through a library that writes them where they belong: see [`multiply`].
pub(crate) fn multiplies(tensor: &Tensor<2>) -> bool {
    #[cfg(feature = "cuda")]
    {
        cuda::products::multiplies(tensor)
    }
    #[cfg(not(feature = "cuda"))]
    {
        let _ = tensor;
        false
    }
}

/// Writes the product of two sides into a block of `to`, in place where no other tensor has the buffer. `None` where there
/// is no library for it, or nothing to multiply; a product that the library refuses is an error of whoever reads `to`.
///
/// # Shapes
/// `[n, k]` and `[k, w]`; `to` `[N, W]`, with the block at its place of `n` rows and `w` columns.
pub(crate) fn multiply(to: &mut Tensor<2>, sides: [&Side; 2], written: Written) -> Option<()> {
    #[cfg(feature = "cuda")]
    {
        cuda::products::multiply(to, sides, written)
    }
    #[cfg(not(feature = "cuda"))]
    {
        let _ = (to, sides, written);
        None
    }
}

/// A matrix for [`multiply`] to write, on the device of another, whose numbers may be anything; `None` where there is no
/// library.
pub(crate) fn unwritten(shape: [usize; 2], like: &Tensor<2>, dtype: DType) -> Option<Tensor<2>> {
    #[cfg(feature = "cuda")]
    {
        cuda::products::unwritten(shape, like, dtype)
    }
    #[cfg(not(feature = "cuda"))]
    {
        let _ = (shape, like, dtype);
        None
    }
}

/// Writes the product of each matrix of a stack with its own into `to`, in place where no other tensor has the buffer;
/// otherwise as [`multiply`].
///
/// # Shapes
/// `K` of `[n, k]` and of `[k, w]`; to `K` of `[n, w]`, whose rows are behind one another.
pub(crate) fn multiply_stacks<const D: usize>(
    to: &mut Tensor<D>,
    sides: [&Stack; 2],
    place: StackPlace,
) -> Option<()> {
    #[cfg(feature = "cuda")]
    {
        cuda::products::multiply_stacks(to, sides, place)
    }
    #[cfg(not(feature = "cuda"))]
    {
        let _ = (to, sides, place);
        None
    }
}

/// The product of each matrix of a stack with its own, in the type of both, in rows of which each begins at a multiple of
/// 16 bytes; `None` as for [`multiply`].
///
/// # Shapes
/// Heads `[K, G, n, k]` and `K` of `[k, w]` → `[K, G, n, w]`.
pub(crate) fn multiplied_stacks(sides: [&Stack; 2]) -> Option<Tensor<4>> {
    #[cfg(feature = "cuda")]
    {
        cuda::products::multiplied_stacks(sides)
    }
    #[cfg(not(feature = "cuda"))]
    {
        let _ = sides;
        None
    }
}

/// Some of a tensor along a dimension, where it lies: burn copies what begins at no multiple of 512 bytes on CUDA, where
/// kernels need 32.
pub(crate) fn part<const D: usize>(tensor: &Tensor<D>, dim: usize, range: &Range<usize>) -> Tensor<D> {
    #[cfg(feature = "cuda")]
    if let Some(part) = cuda::products::part(tensor, dim, range) {
        return part;
    }
    tensor.clone().narrow(dim, range.start, range.len())
}

/// The kinds of device of this build, as a recipe names them.
pub fn compiled() -> Vec<&'static str> {
    let mut kinds = vec!["cpu"];
    if cfg!(feature = "wgpu") {
        kinds.push("wgpu");
    }
    if cfg!(feature = "cuda") {
        kinds.push("cuda");
    }
    kinds
}

/// Opens the device a recipe asks for. `auto` takes the first of a CUDA device, a hardware GPU, the CPU.
///
/// # Errors
/// A kind that is not compiled in, has no driver or adapter, an index that does not exist, a dtype the device lacks.
pub fn open(choice: &DeviceChoice, dtype: Dtype) -> Result<OpenDevice, ModelError> {
    match choice {
        DeviceChoice::Cpu => Ok(cpu(dtype)),
        DeviceChoice::Wgpu(index) => pick("wgpu", wgpu_devices()?, *index, dtype),
        DeviceChoice::Cuda(index) => pick("cuda", cuda_devices()?, *index, dtype),
        DeviceChoice::Auto => {
            // A GPU that cannot be used is an error: nobody wants to find out by the time that a CPU takes.
            let cuda = if cfg!(feature = "cuda") { cuda_devices()? } else { Vec::new() };
            if !cuda.is_empty() {
                return pick("cuda", cuda, None, dtype);
            }
            let gpu = |device: &Device| !format!("{device:?}").contains("Cpu");
            let wgpu = if cfg!(feature = "wgpu") { wgpu_devices()? } else { Vec::new() };
            let hardware: Vec<Device> = wgpu.into_iter().filter(gpu).collect();
            if hardware.is_empty() { Ok(cpu(dtype)) } else { pick("wgpu", hardware, None, dtype) }
        }
    }
}

/// Opens this device and the ones after it of its kind, so many in all.
///
/// # Errors
/// As [`open`]; several of what is one device, or of no kind in particular.
pub fn open_all(choice: &DeviceChoice, count: usize, dtype: Dtype) -> Result<Vec<OpenDevice>, ModelError> {
    let at = |first: Option<usize>, number: usize| Some(first.unwrap_or(0) + number);
    let one = |number: usize| match choice {
        _ if count < 2 => open(choice, dtype),
        DeviceChoice::Wgpu(first) => open(&DeviceChoice::Wgpu(at(*first, number)), dtype),
        DeviceChoice::Cuda(first) => open(&DeviceChoice::Cuda(at(*first, number)), dtype),
        DeviceChoice::Cpu | DeviceChoice::Auto => Err(problem(
            format!(
                "model.num_devices = {count} with model.device = \"{choice}\": these are GPUs of one kind"
            ),
            "set model.device = \"cuda\" or \"wgpu\", or model.num_devices = 1",
        )),
    };
    let opened: Vec<OpenDevice> = (0..count.max(1)).map(one).collect::<Result<_, _>>()?;
    Ok(if count < 2 { opened } else { opened.into_iter().map(OpenDevice::among_several).collect() })
}

fn cpu(dtype: Dtype) -> OpenDevice {
    OpenDevice {
        device: Device::flex(),
        dtype: tensor_type(dtype),
        name: format!("cpu ({})", emotrain_kernels::instructions()),
    }
}

fn tensor_type(dtype: Dtype) -> DType {
    match dtype {
        Dtype::Float32 => DType::F32,
        Dtype::Bfloat16 => DType::BF16,
        Dtype::Float16 => DType::F16,
    }
}

fn pick(
    kind: &str,
    devices: Vec<Device>,
    index: Option<usize>,
    dtype: Dtype,
) -> Result<OpenDevice, ModelError> {
    let (index, count) = (index.unwrap_or(0), devices.len());
    if count == 0 {
        return Err(problem(
            format!("model.device = \"{kind}\": no {kind} device on this machine"),
            "install the GPU's driver, or set model.device = \"cpu\"",
        ));
    }
    let Some(device) = devices.into_iter().nth(index) else {
        return Err(problem(
            format!("model.device = \"{kind}:{index}\": there is no such device"),
            &format!("this machine has {count}: {kind}:0 to {kind}:{}", count - 1),
        ));
    };
    let wanted = tensor_type(dtype);
    let name = format!("{kind}:{index} ({device:?})");
    if !device.supports_dtype(wanted) {
        return Err(problem(
            format!("model.dtype = \"{dtype}\": {name} cannot compute in it"),
            "set model.dtype = \"float32\" or \"float16\"",
        ));
    }
    let name = format!("{kind}:{index} ({device:?}{})", multiplier(kind, &device));
    Ok(OpenDevice { device, dtype: wanted, name })
}

/// What multiplies matrices on a device of this kind, if it is not always the same.
#[cfg(feature = "cuda")]
fn multiplier(kind: &str, device: &Device) -> String {
    if kind == "cuda" { format!(", {}", cuda::products::multiplier(device)) } else { String::new() }
}

#[cfg(not(feature = "cuda"))]
fn multiplier(_kind: &str, _device: &Device) -> &'static str {
    ""
}

fn problem(message: String, hint: &str) -> ModelError {
    ModelError::Device { message, hint: hint.to_owned() }
}

#[cfg(feature = "wgpu")]
#[expect(clippy::unnecessary_wraps, reason = "the form of the build without the feature")]
fn wgpu_devices() -> Result<Vec<Device>, ModelError> {
    Ok(Device::enumerate(burn::tensor::DeviceType::Wgpu).into_iter().collect())
}

#[cfg(not(feature = "wgpu"))]
fn wgpu_devices() -> Result<Vec<Device>, ModelError> {
    Err(not_compiled("wgpu"))
}

#[cfg(feature = "cuda")]
fn cuda_devices() -> Result<Vec<Device>, ModelError> {
    cuda::devices()
}

#[cfg(not(feature = "cuda"))]
fn cuda_devices() -> Result<Vec<Device>, ModelError> {
    Err(not_compiled("cuda"))
}

#[cfg(any(not(feature = "wgpu"), not(feature = "cuda")))]
fn not_compiled(kind: &str) -> ModelError {
    problem(
        format!("model.device = \"{kind}\": this program was built without {kind}"),
        &format!("build with `cargo build --release --features {kind}`, or set model.device = \"cpu\""),
    )
}

/// Another device of wgpu's than those that are enumerated, with memory of its own, on the same hardware.
#[cfg(test)]
pub(crate) fn another() -> Option<Device> {
    #[cfg(feature = "wgpu")]
    {
        Some(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice))
    }
    #[cfg(not(feature = "wgpu"))]
    {
        None
    }
}
