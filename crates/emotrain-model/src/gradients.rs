//! Gradients by parameter name, summed over the micro-batches of an accumulation window.

use std::collections::BTreeMap;

use burn::tensor::{DType, Tensor};

use crate::kernels::{add, scale, squares};

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
