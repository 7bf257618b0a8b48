use burn::tensor::{DType, Device, Tensor, TensorData};

use super::{types, wide};
use crate::batch::Target;
use crate::kernels::{LossTerms, cross_entropy, target_log_probabilities};

/// Of rows with no target, one and several, as they may come.
#[test]
fn cross_entropies_on_a_gpu_are_those_of_tensor_operations() {
    for on in types() {
        for [rows, width] in [[1, 1], [5, 7], [3, 64], [9, 1002], [2, 40_000]] {
            let logits = on.draw(1, [rows, width]) * 3.0;
            let target = |number: usize| Target {
                row: (number * number + 3) % rows,
                id: u32::try_from((number * 7919 + 5) % width).unwrap(),
            };
            let targets: Vec<Target> = (0..2 * rows).map(target).collect();
            let factors: Vec<f32> = (0..targets.len()).map(|number| 0.25 + number as f32).collect();
            for smoothing in [0.0, 0.1] {
                let smoothing = (0..rows).map(|row| if row % 2 == 0 { smoothing } else { 0.0 }).collect();
                let terms = LossTerms { factors: factors.clone(), smoothing };
                let (losses, grad) = cross_entropy(logits.clone(), &targets, &terms);
                let (expected, expected_grad) = cross_entropy::in_tensors(wide(&logits), &targets, &terms);
                assert_eq!((losses.dtype(), grad.dtype()), (DType::F32, on.dtype));
                let difference = (losses - expected.clone()).abs().max().into_scalar::<f32>();
                let largest = expected.abs().max().into_scalar::<f32>();
                assert!(difference <= 1e-5 * (1.0 + largest), "{rows} x {width}: {difference}");
                let largest = expected_grad.clone().abs().max().into_scalar::<f32>();
                on.check(&grad, expected_grad, 2.0 * (1.0 + largest));
            }
            let found = target_log_probabilities(logits.clone(), &targets);
            let expected = target_log_probabilities(to_cpu(&logits), &targets);
            for (found, expected) in found.iter().zip(&expected) {
                assert!((found - expected).abs() <= 1e-5 * (1.0 + expected.abs()), "{found} {expected}");
            }
        }
    }
}

fn to_cpu(x: &Tensor<2>) -> Tensor<2> {
    let numbers = wide(x).try_into_vec_as::<f32>().unwrap();
    Tensor::from_data(TensorData::new(numbers, x.dims()), (&Device::flex(), DType::F32))
}
