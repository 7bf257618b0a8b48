//! NVIDIA's cuBLASLt, opened when the program runs: the matrix products of CUDA.
//!
//! What a product needs beside its numbers (descriptors, and the algorithm that the library proposes) is its plan, made when a
//! product of these shapes, leading dimensions, types and alignments is first asked for, and kept. Products of f32 are
//! computed in f32 (`CUBLAS_COMPUTE_32F`, not TF32), all others are summed up in f32.

#![expect(unsafe_code, reason = "calls of a library of C; the only module that makes them")]

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::ffi::c_void;
use std::ptr;

use burn::tensor::DType;
use cudarc::cublaslt::result::{self, CublasError};
use cudarc::cublaslt::sys::{
    self, cublasComputeType_t, cublasLtMatmulAlgo_t, cublasLtMatmulDescAttributes_t,
    cublasLtMatmulPreferenceAttributes_t, cublasLtMatrixLayoutAttribute_t, cublasStatus_t, cudaDataType,
};
use cudarc::driver::result::device;
use cudarc::driver::sys::{CUdevice_attribute, CUstream};

use crate::device::plan::{Layout, Plan};

/// The oldest major version that knows all products of ours.
const OLDEST: usize = 12;

/// Plans kept for a device: batches have ever other numbers of rows, and sequences other lengths.
const MOST_PLANS: usize = 1 << 14;

/// The largest alignment of an address that the library asks for, in bytes.
const ALIGNMENT: u64 = 256;

/// The library's version, `13.0.2`, or why it cannot be used.
///
/// # Errors
/// No library under any of its names, or one that is too old.
pub(super) fn version() -> Result<String, String> {
    // SAFETY: opening the library runs its initialisers, which its first use would run as well.
    if !unsafe { sys::is_culib_present() } {
        return Err(format!("libcublasLt.so.13 is missing, or libcublasLt.so.{OLDEST}"));
    }
    // SAFETY: the library is there, and the function takes nothing.
    let number = unsafe { sys::cublasLtGetVersion() };
    let (major, minor, patch) = (number / 10_000, number / 100 % 100, number % 100);
    let version = format!("{major}.{minor}.{patch}");
    if major < OLDEST { Err(format!("libcublasLt {version} is older than {OLDEST}")) } else { Ok(version) }
}

/// How many algorithms the library of `tests/gpu/fake` was asked for so far.
#[cfg(test)]
pub(super) fn algorithms_asked_for() -> usize {
    let mut count = 0;
    // SAFETY: the function writes one number. NVIDIA's own library tells something else by it.
    unsafe { sys::cublasLtHeuristicsCacheGetCapacity(&raw mut count) };
    count
}

/// Bytes of working memory for a product on the device with this number: what NVIDIA advises, 32 MiB since Hopper (compute
/// capability 9), 4 MiB before.
pub(super) fn workspace_bytes(device: u16) -> usize {
    let attribute = CUdevice_attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR;
    let capability = device::get(i32::from(device)).and_then(|device| {
        // SAFETY: the device is one of the driver's.
        unsafe { device::get_attribute(device, attribute) }
    });
    if capability.is_ok_and(|major| major < 9) { 4 << 20 } else { 32 << 20 }
}

/// Memory on the device: the first byte of `A`, `B` and `D` before the plan's offsets, and the working memory.
#[derive(Clone, Copy)]
pub(super) struct Memory {
    pub(super) matrices: [u64; 3],
    pub(super) workspace: u64,
    pub(super) workspace_bytes: usize,
}

/// Launches a product on a stream. To be called on the thread of the device with this number, on which its context is current.
///
/// # Errors
/// What the library says where it refuses.
pub(super) fn launch(plan: &Plan, memory: Memory, device: u16, stream: CUstream) -> Result<(), String> {
    thread_local! {
        // Never closed: the thread ends with the process.
        static OPENED: RefCell<BTreeMap<u16, Library>> = const { RefCell::new(BTreeMap::new()) };
    }
    OPENED.with_borrow_mut(|opened| {
        let library = match opened.remove(&device) {
            Some(library) => Ok(library),
            None => Library::open(),
        };
        let launched =
            library.and_then(|library| opened.entry(device).or_insert(library).launch(plan, memory, stream));
        launched.map_err(|CublasError(status)| format!("cuBLASLt refuses the product {plan}: {status:?}"))
    })
}

/// The library on one device.
struct Library {
    handle: sys::cublasLtHandle_t,
    plans: HashMap<Key, Prepared>,
}

/// What a plan depends on.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    layouts: [Layout; 3],
    /// Of the first number of each matrix, in bytes.
    alignments: [u32; 3],
}

impl Library {
    fn open() -> Result<Self, CublasError> {
        Ok(Self { handle: result::create_handle()?, plans: HashMap::new() })
    }

    fn launch(&mut self, plan: &Plan, memory: Memory, stream: CUstream) -> Result<(), CublasError> {
        let place = |which: usize| memory.matrices[which] + plan.offsets[which];
        let places = [place(0), place(1), place(2)];
        let alignments = [0, 1, 2].map(|which| alignment(places[which], plan.layouts[which]));
        let key = Key { layouts: plan.layouts, alignments };
        if !self.plans.contains_key(&key) {
            if self.plans.len() >= MOST_PLANS {
                self.plans.clear();
            }
            self.plans.insert(key, Prepared::new(self.handle, &key, memory.workspace_bytes)?);
        }
        let Prepared { product, matrices: [a, b, d], algorithm } = &self.plans[&key];
        let (alpha, beta) = (plan.alpha, plan.beta);
        let [a_place, b_place, d_place] = places.map(|place| place as *mut c_void);
        // SAFETY: the descriptors live in the plans, and the addresses hold while this call is made on the device's thread:
        // the matrices lie in the buffers that the plan was made for, the working memory has as many bytes as are named. D is
        // its own C, with the same layout. The stream is one of the current context's.
        unsafe {
            result::matmul(
                self.handle,
                product.0,
                ptr::from_ref(&alpha).cast(),
                ptr::from_ref(&beta).cast(),
                a_place,
                a.0,
                b_place,
                b.0,
                d_place,
                d.0,
                d_place,
                d.0,
                algorithm,
                memory.workspace as *mut c_void,
                memory.workspace_bytes,
                stream.cast(),
            )
        }
    }
}

/// The largest power of two, at most [`ALIGNMENT`], that divides the address of each matrix of a batch.
fn alignment(first: u64, Layout { dtype, batch, .. }: Layout) -> u32 {
    let between = if batch.count > 1 { (batch.between * dtype.size()) as u64 } else { 0 };
    1 << (first | between | ALIGNMENT).trailing_zeros()
}

/// A plan as the library takes it.
struct Prepared {
    product: Descriptor,
    /// `A`, `B`, and `D`.
    matrices: [Matrix; 3],
    algorithm: cublasLtMatmulAlgo_t,
}

impl Prepared {
    fn new(handle: sys::cublasLtHandle_t, key: &Key, workspace: usize) -> Result<Self, CublasError> {
        let [a, b, d] = key.layouts;
        let product = Descriptor::new(a.transposed, b.transposed)?;
        let matrices = [Matrix::new(a)?, Matrix::new(b)?, Matrix::new(d)?];
        let preference = Preference::new(workspace, key.alignments)?;
        let [a, b, d] = [0, 1, 2].map(|number: usize| matrices[number].0);
        // SAFETY: all descriptors were made above.
        let proposed =
            unsafe { result::get_matmul_algo_heuristic(handle, product.0, a, b, d, d, preference.0)? };
        Ok(Self { product, matrices, algorithm: proposed.algo })
    }
}

/// Which operations a product consists of.
struct Descriptor(sys::cublasLtMatmulDesc_t);

impl Descriptor {
    /// Summed up in f32, with factors on the host.
    fn new(a_transposed: bool, b_transposed: bool) -> Result<Self, CublasError> {
        let (compute, scale) = (cublasComputeType_t::CUBLAS_COMPUTE_32F, cudaDataType::CUDA_R_32F);
        let made = Self(result::create_matmul_desc(compute, scale)?);
        for (attribute, transposed) in [
            (cublasLtMatmulDescAttributes_t::CUBLASLT_MATMUL_DESC_TRANSA, a_transposed),
            (cublasLtMatmulDescAttributes_t::CUBLASLT_MATMUL_DESC_TRANSB, b_transposed),
        ] {
            // `CUBLAS_OP_N` and `CUBLAS_OP_T`.
            let operation = i32::from(transposed);
            let value = ptr::from_ref(&operation).cast();
            // SAFETY: the descriptor was made above, and the attribute is one operation.
            unsafe {
                result::set_matmul_desc_attribute(made.0, attribute, value, size_of_val(&operation))?;
            }
        }
        Ok(made)
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        // SAFETY: made by the library, and destroyed once. That it can fail is nothing to act upon.
        let _ = unsafe { result::destroy_matmul_desc(self.0) };
    }
}

/// How a matrix lies in memory.
struct Matrix(sys::cublasLtMatrixLayout_t);

impl Matrix {
    fn new(Layout { dtype, rows, columns, ld, batch, .. }: Layout) -> Result<Self, CublasError> {
        use cublasLtMatrixLayoutAttribute_t as Attribute;
        // A plan has no other types.
        let kind = if dtype == DType::F16 {
            cudaDataType::CUDA_R_16F
        } else if dtype == DType::BF16 {
            cudaDataType::CUDA_R_16BF
        } else {
            cudaDataType::CUDA_R_32F
        };
        let made = Self(result::create_matrix_layout(kind, rows, columns, ld)?);
        if batch.count > 1 {
            let refused = |_| CublasError(cublasStatus_t::CUBLAS_STATUS_INVALID_VALUE);
            let count = i32::try_from(batch.count).map_err(refused)?;
            let between = i64::try_from(batch.between).map_err(refused)?;
            made.set(Attribute::CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, count)?;
            made.set(Attribute::CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, between)?;
        }
        Ok(made)
    }

    fn set<T>(&self, attribute: cublasLtMatrixLayoutAttribute_t, value: T) -> Result<(), CublasError> {
        // SAFETY: the descriptor was made, and the value has the type of the attribute.
        unsafe {
            result::set_matrix_layout_attribute(
                self.0,
                attribute,
                ptr::from_ref(&value).cast(),
                size_of::<T>(),
            )
        }
    }
}

impl Drop for Matrix {
    fn drop(&mut self) {
        // SAFETY: as for the operations.
        let _ = unsafe { result::destroy_matrix_layout(self.0) };
    }
}

/// What algorithms may be proposed.
struct Preference(sys::cublasLtMatmulPreference_t);

impl Preference {
    /// Those that need no more working memory and no larger alignments.
    fn new(workspace: usize, [a, b, d]: [u32; 3]) -> Result<Self, CublasError> {
        use cublasLtMatmulPreferenceAttributes_t as Attribute;
        let made = Self(result::create_matmul_pref()?);
        let set = |attribute, value: *const c_void, bytes| {
            // SAFETY: the descriptor was made above, and the value has as many bytes as the attribute.
            unsafe { result::set_matmul_pref_attribute(made.0, attribute, value, bytes) }
        };
        let most = ptr::from_ref(&workspace).cast();
        set(Attribute::CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, most, size_of::<usize>())?;
        for (attribute, alignment) in [
            (Attribute::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, a),
            (Attribute::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, b),
            (Attribute::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, d),
            (Attribute::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, d),
        ] {
            set(attribute, ptr::from_ref(&alignment).cast(), size_of::<u32>())?;
        }
        Ok(made)
    }
}

impl Drop for Preference {
    fn drop(&mut self) {
        // SAFETY: as for the operations.
        let _ = unsafe { result::destroy_matmul_pref(self.0) };
    }
}
