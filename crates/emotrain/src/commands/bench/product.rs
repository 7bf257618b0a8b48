//! Plain matrix products on a device: what a training step can reach at most.

use std::time::Instant;

use burn::tensor::{Distribution, Tensor};
use emotrain_model::device::OpenDevice;
use emotrain_model::linear_product;

use crate::cli::Product;

/// Products measured, after as many that are not.
const TIMES: usize = 10;

/// A product, and the TFLOP/s of it.
pub(super) struct MeasuredProduct {
    pub(super) product: Product,
    /// As the layers of a model multiply.
    pub(super) tflops: f64,
    /// By burn's own product.
    pub(super) burn_tflops: f64,
}

/// The product in the device's dtype, both sides drawn at random, the second transposed as weights are.
pub(super) fn measured(product: Product, on: &OpenDevice) -> MeasuredProduct {
    MeasuredProduct {
        product,
        tflops: tflops(product, on, &|a, b| linear_product(a.clone(), b)),
        burn_tflops: tflops(product, on, &|a, b| a.clone().matmul(b.clone().transpose())),
    }
}

fn tflops(product: Product, on: &OpenDevice, multiply: &dyn Fn(&Tensor<2>, &Tensor<2>) -> Tensor<2>) -> f64 {
    let Product { m, k, n } = product;
    let draw = |shape: [usize; 2]| {
        Tensor::<2>::random(shape, Distribution::Normal(0.0, 1.0), (&on.device, on.computed()))
    };
    let (a, b) = (draw([m, k]), draw([n, k]));
    let run = || {
        let begin = Instant::now();
        let mut last = None;
        for _ in 0..TIMES {
            last = Some(multiply(&a, &b));
        }
        // Reading one number waits for all that was launched before.
        last.map(|product| product.slice([0..1, 0..1]).into_scalar::<f32>());
        begin.elapsed().as_secs_f64()
    };
    run();
    2.0 * (m * k * n * TIMES) as f64 / run() / 1e12
}

#[cfg(test)]
mod tests {
    use emotrain_model::device;
    use emotrain_recipe::{DeviceChoice, Dtype};

    use super::*;

    #[test]
    fn a_product_takes_time() {
        let cpu = device::open(&DeviceChoice::Cpu, Dtype::Float32).unwrap();
        let MeasuredProduct { tflops, burn_tflops, .. } = measured(Product { m: 64, k: 64, n: 64 }, &cpu);
        for tflops in [tflops, burn_tflops] {
            assert!(tflops > 0.0 && tflops.is_finite(), "{tflops}");
        }
    }
}
