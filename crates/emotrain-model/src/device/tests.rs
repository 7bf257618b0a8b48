use super::*;

/// The GPU that tests run on: the first that wgpu finds, a software one included, or in a build with CUDA the driver of
/// `tests/gpu/fake`, if it computes kernels. None in a build without one.
pub(crate) fn gpu() -> Option<DeviceChoice> {
    if compiled().contains(&"wgpu") {
        return Some(DeviceChoice::Wgpu(None));
    }
    if compiled().contains(&"cuda") && std::env::var_os("EMOTRAIN_FAKE_KERNELS").is_some() {
        return Some(DeviceChoice::Cuda(None));
    }
    println!("skipped: no GPU for tests, or built without the features for one");
    None
}

#[test]
fn the_cpu_computes_in_float32_whatever_weights_are_kept_in() {
    for (dtype, kept) in [(Dtype::Float32, DType::F32), (Dtype::Bfloat16, DType::BF16)] {
        let on = open(&DeviceChoice::Cpu, dtype).unwrap();
        assert_eq!(on.name, format!("cpu ({})", emotrain_kernels::instructions()));
        assert_eq!((on.dtype, on.computed()), (kept, DType::F32));
    }
}

#[test]
fn a_device_that_is_not_there_is_an_error_with_a_way_out() {
    for choice in [DeviceChoice::Cuda(None), DeviceChoice::Wgpu(Some(99))] {
        let error = open(&choice, Dtype::Float32).unwrap_err();
        assert!(error.hint().is_some(), "{error}");
    }
}
