//! Each kernel against its form in tensor operations, on the first GPU of this machine, a software one included.

use burn::tensor::{DType, Device, Tensor, TensorData};
use emotrain_base::random::{Key, normal};
use emotrain_recipe::{DeviceChoice, Dtype};

use crate::device;
use crate::kernels::rms_norm::in_tensors;

/// The types that the machine's GPU computes in, with the rounding error of each.
fn types() -> Vec<(Device, DType, f32)> {
    let all = [(Dtype::Float32, 2e-6), (Dtype::Float16, 2e-3), (Dtype::Bfloat16, 1.6e-2)];
    let opened = |(dtype, rounding)| {
        let open = device::open(&DeviceChoice::Wgpu(None), dtype).ok()?;
        Some((open.device, open.dtype, rounding))
    };
    all.into_iter().filter_map(opened).collect()
}

fn draw(purpose: u64, shape: [usize; 2], (device, dtype): (&Device, DType)) -> Tensor<2> {
    let numbers = normal(Key::new(3).with(purpose), shape[0] * shape[1], 1.0);
    Tensor::from_data(TensorData::new(numbers, shape), (device, dtype))
}

#[test]
fn rms_norm_on_a_gpu_is_that_of_tensor_operations() {
    let types = types();
    if !device::compiled().contains(&"wgpu") {
        println!("skipped: built without the wgpu feature");
        return;
    }
    assert!(!types.is_empty(), "a build with wgpu is tested where there is a device");
    for (device, dtype, rounding) in types {
        for [rows, width] in [[1, 1], [5, 7], [3, 64], [9, 100], [4, 576], [2, 4096], [70_000, 8]] {
            let on = (&device, dtype);
            let (x, weight) = (draw(1, [rows, width], on), draw(2, [1, width], on));
            let fused = super::rms_norm(&x, &weight, 1e-5).expect("a kernel for every width");
            assert_eq!((fused.dims(), fused.dtype()), ([rows, width], dtype));
            let difference = (fused - in_tensors(x, &weight, 1e-5)).cast(DType::F32).abs().max();
            let difference = difference.into_scalar::<f32>();
            assert!(difference <= rounding * 5.0, "{dtype:?} [{rows}, {width}]: {difference}");
        }
    }
}

#[test]
fn a_strided_view_is_normalised_in_its_own_order() {
    for (device, dtype, rounding) in types() {
        let (x, weight) = (draw(1, [6, 4], (&device, dtype)), draw(2, [1, 6], (&device, dtype)));
        let turned = x.transpose();
        let fused = super::rms_norm(&turned, &weight, 1e-5).expect("a kernel for every width");
        let difference = (fused - in_tensors(turned, &weight, 1e-5)).cast(DType::F32).abs().max();
        assert!(difference.into_scalar::<f32>() <= rounding * 5.0);
    }
}
