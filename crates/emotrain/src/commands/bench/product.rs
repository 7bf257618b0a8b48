//! Plain matrix products on a device: what a training step can reach at most.

use std::fmt;
use std::str::FromStr;
use std::time::Instant;

use burn::tensor::{Distribution, Tensor};
use emotrain_model::device::OpenDevice;

/// Products measured, after as many that are not.
const TIMES: usize = 10;

/// `[m, k] · [k, n]`, written `MxKxN`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Product {
    m: usize,
    k: usize,
    n: usize,
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}", self.m, self.k, self.n)
    }
}

impl FromStr for Product {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let sides: Vec<usize> = text.split('x').map_while(|side| side.parse().ok()).collect();
        match sides.as_slice() {
            &[m, k, n] if m.min(k).min(n) > 0 && text.matches('x').count() == 2 => Ok(Self { m, k, n }),
            _ => Err("three sizes above 0, as in 2048x4096x12288".to_owned()),
        }
    }
}

impl Product {
    /// TFLOP/s of the product in the device's dtype, both sides drawn at random, the second transposed as weights are.
    pub(super) fn tflops(self, on: &OpenDevice) -> f64 {
        let Self { m, k, n } = self;
        let draw = |shape: [usize; 2]| {
            Tensor::<2>::random(shape, Distribution::Normal(0.0, 1.0), (&on.device, on.dtype))
        };
        let (a, b) = (draw([m, k]), draw([n, k]));
        let run = || {
            let begin = Instant::now();
            let mut last = None;
            for _ in 0..TIMES {
                last = Some(a.clone().matmul(b.clone().transpose()));
            }
            // Reading one number waits for all that was launched before.
            last.map(|product| product.slice([0..1, 0..1]).into_scalar::<f32>());
            begin.elapsed().as_secs_f64()
        };
        run();
        2.0 * (m * k * n * TIMES) as f64 / run() / 1e12
    }
}

#[cfg(test)]
mod tests {
    use emotrain_model::device;
    use emotrain_recipe::{DeviceChoice, Dtype};

    use super::*;

    #[test]
    fn a_product_is_three_sizes() {
        assert_eq!("2x3x4".parse(), Ok(Product { m: 2, k: 3, n: 4 }));
        for wrong in ["2x3", "2x3x0", "2x3x4x5", "ax3x4", "2x3x"] {
            assert!(wrong.parse::<Product>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_product_takes_time() {
        let cpu = device::open(&DeviceChoice::Cpu, Dtype::Float32).unwrap();
        let tflops = Product { m: 64, k: 64, n: 64 }.tflops(&cpu);
        assert!(tflops > 0.0 && tflops.is_finite(), "{tflops}");
    }
}
