//! Whether CUDA can be used here. burn ends the process where a library is missing, so each is looked for first.
//!
//! Two things are needed at run time: NVIDIA's driver (`libcuda.so.1`), and of the CUDA toolkit its run-time compiler
//! (NVRTC, `libnvrtc.so`) with the headers that kernels include. Both libraries are found as every program finds
//! them, through the system's list and `LD_LIBRARY_PATH`; the headers through `CUDA_PATH`, else in `/usr/local/cuda`
//! or `/opt/cuda`. A third is used where it is there: cuBLASLt, for matrix products.

pub(super) mod counted;
mod door;
mod library;
pub(super) mod products;

use std::path::{Path, PathBuf};

use burn::tensor::{Device, DeviceType};
use cudarc::driver::DriverError;
use cudarc::driver::result::{device, init};
use cudarc::driver::sys::CUresult;

use super::problem;
use crate::error::ModelError;

/// A header that kernels include, in the toolkit's `include` folder.
const HEADER: &str = "cuda_fp16.h";

/// The CUDA devices of this machine; none where there is no driver, or one without a device.
///
/// # Errors
/// A driver that does not start, a toolkit that lacks what kernels are compiled with.
pub(super) fn devices() -> Result<Vec<Device>, ModelError> {
    if !driver_is_present() {
        return Ok(Vec::new());
    }
    let count = match init().and_then(|()| device::get_count()) {
        Ok(count) => count,
        Err(DriverError(CUresult::CUDA_ERROR_NO_DEVICE)) => 0,
        Err(error) => return Err(driver_problem(error)),
    };
    if count == 0 {
        return Ok(Vec::new());
    }
    check_toolkit(compiler_is_present(), cubecl::cuda::install::cuda_path())?;
    Ok(Device::enumerate(DeviceType::Cuda).into_iter().collect())
}

#[expect(unsafe_code, reason = "opens a library by name")]
fn driver_is_present() -> bool {
    // SAFETY: opening NVIDIA's driver runs its initialisers, which the first use of the device would run as well.
    unsafe { cudarc::driver::sys::is_culib_present() }
}

#[expect(unsafe_code, reason = "opens a library by name")]
fn compiler_is_present() -> bool {
    // SAFETY: as for the driver.
    unsafe { cudarc::nvrtc::sys::is_culib_present() }
}

fn driver_problem(error: DriverError) -> ModelError {
    let message = format!("model.device = \"cuda\": the CUDA driver does not start: {error}");
    let hint = "look whether `nvidia-smi` lists the GPU; a container has to be started with the GPU";
    problem(message, hint)
}

/// What compiles kernels: the library, and the folder that has the headers.
fn check_toolkit(compiler: bool, toolkit: Option<PathBuf>) -> Result<(), ModelError> {
    let hint = "install the CUDA toolkit, or its parts alone with `pip install nvidia-cuda-nvrtc nvidia-cuda-runtime \
                nvidia-cuda-cccl`; then name the folder of the library in LD_LIBRARY_PATH and the folder above \
                include/ in CUDA_PATH";
    let missing = |what: String| Err(problem(format!("model.device = \"cuda\": {what}"), hint));
    if !compiler {
        return missing("CUDA's run-time compiler is missing (libnvrtc.so.13 or .12)".to_owned());
    }
    let Some(toolkit) = toolkit else {
        return missing(
            "no CUDA toolkit in /usr/local/cuda or /opt/cuda, and CUDA_PATH names none".to_owned(),
        );
    };
    let header = toolkit.join("include").join(HEADER);
    if Path::exists(&header) { Ok(()) } else { missing(format!("{} is missing", header.display())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_of_the_toolkit_is_named() {
        let message = |compiler, toolkit: Option<&Path>| {
            check_toolkit(compiler, toolkit.map(Path::to_path_buf)).map_err(|error| error.to_string())
        };
        let folder = tempfile::tempdir().unwrap();
        assert!(message(false, Some(folder.path())).unwrap_err().contains("libnvrtc.so.13"));
        assert!(message(true, None).unwrap_err().contains("CUDA_PATH"));
        let missing = message(true, Some(folder.path())).unwrap_err();
        assert!(missing.ends_with("include/cuda_fp16.h is missing"), "{missing}");
        fs_err::create_dir(folder.path().join("include")).unwrap();
        fs_err::write(folder.path().join("include").join(HEADER), "").unwrap();
        assert_eq!(message(true, Some(folder.path())), Ok(()));
    }

    #[test]
    fn a_machine_without_a_driver_has_an_error_and_no_panic() {
        if !driver_is_present() {
            assert_eq!(devices().unwrap(), Vec::new());
        }
    }
}
