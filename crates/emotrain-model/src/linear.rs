//! Linear layers that read one input, stacked into one matrix product.

use std::ops::Range;

use burn::tensor::Tensor;

use crate::device::Side;
use crate::gradients::Gradients;
use crate::kernels::{add, sum_rows};
use crate::weight::Weight;

/// One of the stacked layers.
#[derive(Clone, Debug)]
pub(crate) struct Module {
    /// Hugging Face path, such as `model.layers.0.self_attn.q_proj`.
    pub(crate) path: String,
    /// Its rows of the stacked weight: its columns of the output.
    pub(crate) columns: Range<usize>,
}

/// `x·Wᵀ + bias`.
///
/// # Shapes
/// `weight` `[out, in]`, `bias` `[1, out]`; `out` is the sum over the modules.
#[derive(Clone, Debug)]
pub(crate) struct Linear {
    pub(crate) weight: Weight,
    pub(crate) bias: Option<Tensor<2>>,
    pub(crate) modules: Vec<Module>,
    /// Whether weight and bias receive gradients.
    pub(crate) trained: bool,
}

impl Linear {
    /// # Shapes
    /// `x` `[N, in]` → `[N, out]`.
    pub(crate) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let y = self.weight.times(x);
        match &self.bias {
            Some(bias) => add(y, bias),
            None => y,
        }
    }

    /// Adds the gradients of what is trained.
    ///
    /// # Shapes
    /// `grad` `[N, out]`, `x` `[N, in]`.
    pub(crate) fn add_gradients(&self, grad: &Tensor<2>, x: &Tensor<2>, gradients: &mut Gradients) {
        if self.trained {
            let sides = [&Side::of(grad).transposed(), &Side::of(x)];
            gradients.add_product(&self.weight_name(), sides, 1.0);
            if self.bias.is_some() {
                gradients.add(&self.bias_name(), sum_rows(grad.clone()));
            }
        }
    }

    /// The trained parameters by name.
    pub(crate) fn parameters<'a>(&'a mut self, visit: &mut dyn FnMut(String, &'a mut Tensor<2>)) {
        if !self.trained {
            return;
        }
        let (weight_name, bias_name) = (self.weight_name(), self.bias_name());
        visit(weight_name, self.weight.trained());
        if let Some(bias) = &mut self.bias {
            visit(bias_name, bias);
        }
    }

    /// The base tensors by Hugging Face name, unstacked.
    pub(crate) fn base_tensors(&self, visit: &mut dyn FnMut(String, Tensor<2>, bool)) {
        for Module { path, columns } in &self.modules {
            let rows = self.weight.dense().narrow(0, columns.start, columns.len());
            visit(format!("{path}.weight"), rows, false);
            if let Some(bias) = &self.bias {
                visit(format!("{path}.bias"), bias.clone().narrow(1, columns.start, columns.len()), true);
            }
        }
    }

    fn weight_name(&self) -> String {
        format!("{}.weight", self.stacked_path())
    }

    fn bias_name(&self) -> String {
        format!("{}.bias", self.stacked_path())
    }

    /// The paths of the stacked modules joined by `+`.
    pub(crate) fn stacked_path(&self) -> String {
        self.modules.iter().map(|module| module.path.as_str()).collect::<Vec<_>>().join("+")
    }
}
