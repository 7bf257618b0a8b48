//! Gradients by parameter name, summed over the micro-batches of an accumulation window.

use std::collections::BTreeMap;

use burn::tensor::{DType, Tensor};

use crate::device::Side;
use crate::kernels::{add, product_in_tensors, scale, scaled_to, squares, sum_product};

/// Sums of gradients by parameter name, in f32.
#[derive(Debug, Default)]
pub struct Gradients(BTreeMap<String, Tensor<2>>);

impl Gradients {
    /// Adds to the sum of one parameter.
    pub(crate) fn add(&mut self, name: &str, gradient: Tensor<2>) {
        let gradient = gradient.cast(DType::F32);
        let sum = match self.0.remove(name) {
            Some(sum) => add(sum, &gradient),
            None => gradient,
        };
        self.0.insert(name.to_owned(), sum);
    }

    /// Adds `factor · left · right` to the sum of one parameter.
    ///
    /// # Shapes
    /// `[n, k]` and `[k, w]`, of a parameter `[n, w]`.
    pub(crate) fn add_product(&mut self, name: &str, sides: [&Side; 2], factor: f64) {
        let mut sum = self.0.remove(name);
        let done = sum_product(&mut sum, sides, factor);
        self.0.extend(sum.map(|sum| (name.to_owned(), sum)));
        if done.is_none() {
            let product = product_in_tensors(sides[0], sides[1]);
            let unscaled = factor.to_bits() == 1.0_f64.to_bits();
            self.add(name, if unscaled { product } else { scaled_to(product, factor, DType::F32) });
        }
    }

    /// The gradient of a parameter, if the window has touched it.
    pub fn get(&self, name: &str) -> Option<&Tensor<2>> {
        self.0.get(name)
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Takes a gradient out.
    pub fn remove(&mut self, name: &str) -> Option<Tensor<2>> {
        self.0.remove(name)
    }

    /// The 2-norm over all gradients; reads one number back from the device. NaN or infinite if any gradient is.
    pub fn norm(&self) -> f64 {
        let all: Vec<&Tensor<2>> = self.0.values().collect();
        if all.is_empty() {
            return 0.0;
        }
        f64::from(squares(&all).sum().into_scalar::<f32>()).sqrt()
    }

    /// Multiplies all gradients by `factor`.
    pub fn scale(&mut self, factor: f64) {
        for gradient in self.0.values_mut() {
            gradient.inplace(|gradient| scale(gradient, factor));
        }
    }
}
