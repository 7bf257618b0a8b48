//! Linear layers that read one input, stacked into one matrix product, with their adapters.

use std::ops::Range;

use burn::tensor::Tensor;

use crate::gradients::Gradients;
use crate::kernels::{add, add_columns, dropout, linear, scale, sum_rows};
use crate::lora::Lora;
use crate::random::Key;

/// Dropout of this pass: probability, and the key from which each layer derives its mask.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dropout {
    pub(crate) p: f32,
    pub(crate) key: Key,
}

/// One of the stacked layers.
#[derive(Clone, Debug)]
pub(crate) struct Module {
    /// Hugging Face path, such as `model.layers.0.self_attn.q_proj`.
    pub(crate) path: String,
    /// Its rows of the stacked weight: its columns of the output.
    pub(crate) columns: Range<usize>,
    pub(crate) lora: Option<Lora>,
}

/// `x·Wᵀ + bias`, and `s·(drop(x)·Aᵀ)·Bᵀ` for each adapted module. Modules that read the same input share one
/// dropout mask.
///
/// # Shapes
/// `weight` `[out, in]`, `bias` `[1, out]`; `out` is the sum over the modules.
#[derive(Clone, Debug)]
pub(crate) struct Linear {
    pub(crate) weight: Tensor<2>,
    pub(crate) bias: Option<Tensor<2>>,
    pub(crate) modules: Vec<Module>,
    /// Whether weight and bias receive gradients.
    pub(crate) trained: bool,
}

/// What [`Linear::backward`] needs beside the input: `drop(x)·Aᵀ` of the adapted modules, `[N, Σ R]`.
pub(crate) type Low = Option<Tensor<2>>;

impl Linear {
    /// # Shapes
    /// `x` `[N, in]` → `[N, out]`.
    pub(crate) fn forward(&self, x: &Tensor<2>, dropout: Option<Dropout>) -> (Tensor<2>, Low) {
        let mut y = linear(x.clone(), &self.weight);
        if let Some(bias) = &self.bias {
            y = add(y, bias);
        }
        let Some(a) = self.stacked_a(x) else { return (y, None) };
        let low = self.dropped(x.clone(), dropout).matmul(a.transpose());
        for (module, lora, ranks) in self.adapted() {
            let low = low.clone().narrow(1, ranks.start, ranks.len());
            y = add_columns(y, low.matmul(lora.scaled_b(x.dtype()).transpose()), module.columns.start);
        }
        (y, Some(low))
    }

    /// Adds the gradients of what is trained and returns that of `x`, unless `input` is false.
    ///
    /// # Shapes
    /// `grad` `[N, out]`, `x` `[N, in]` → `[N, in]`.
    pub(crate) fn backward(
        &self,
        grad: &Tensor<2>,
        saved: Saved,
        gradients: &mut Gradients,
    ) -> Option<Tensor<2>> {
        let Saved { x, low, dropout, input } = saved;
        if self.trained {
            gradients.add(&self.weight_name(), grad.clone().transpose().matmul(x.clone()));
            if self.bias.is_some() {
                gradients.add(&self.bias_name(), sum_rows(grad.clone()));
            }
        }
        let dx = input.then(|| grad.clone().matmul(self.weight.clone()));
        let (Some(a), Some(low)) = (self.stacked_a(&x), low) else { return dx };

        let mut low_grads = Vec::new();
        for (module, lora, ranks) in self.adapted() {
            let dy = grad.clone().narrow(1, module.columns.start, module.columns.len());
            let db = dy.clone().transpose().matmul(low.clone().narrow(1, ranks.start, ranks.len()));
            gradients.add(&format!("{}.lora_B.weight", module.path), scale(db, lora.scale));
            low_grads.push(dy.matmul(lora.scaled_b(x.dtype())));
        }
        let low_grad = Tensor::cat(low_grads, 1);
        let dropped = self.dropped(x, dropout);
        let da = low_grad.clone().transpose().matmul(dropped);
        for (module, _, ranks) in self.adapted() {
            let part = da.clone().narrow(0, ranks.start, ranks.len());
            gradients.add(&format!("{}.lora_A.weight", module.path), part);
        }
        dx.map(|dx| add(dx, &self.dropped(low_grad.matmul(a), dropout)))
    }

    /// The adapted modules with the columns of the low-rank product that are theirs.
    pub(crate) fn adapted(&self) -> impl Iterator<Item = (&Module, &Lora, Range<usize>)> {
        self.modules
            .iter()
            .scan(0, |start, module| {
                let Some(lora) = &module.lora else { return Some(None) };
                let ranks = *start..*start + lora.a.dims()[0];
                *start = ranks.end;
                Some(Some((module, lora, ranks)))
            })
            .flatten()
    }

    /// The `A` matrices one below the other, `[Σ R, in]`, in the dtype of `x`.
    fn stacked_a(&self, x: &Tensor<2>) -> Option<Tensor<2>> {
        let all: Vec<Tensor<2>> = self.adapted().map(|(_, lora, _)| lora.a.clone()).collect();
        (!all.is_empty()).then(|| Tensor::cat(all, 0).cast(x.dtype()))
    }

    fn dropped(&self, x: Tensor<2>, drop: Option<Dropout>) -> Tensor<2> {
        match drop {
            Some(drop) if drop.p > 0.0 => dropout(x, drop.p, drop.key.named(&self.modules[0].path)),
            _ => x,
        }
    }

    /// The trained parameters by name.
    pub(crate) fn parameters<'a>(&'a mut self, visit: &mut dyn FnMut(String, &'a mut Tensor<2>)) {
        let (weight_name, bias_name) = (self.weight_name(), self.bias_name());
        if self.trained {
            visit(weight_name, &mut self.weight);
            if let Some(bias) = &mut self.bias {
                visit(bias_name, bias);
            }
        }
        for module in &mut self.modules {
            if let Some(lora) = &mut module.lora {
                visit(format!("{}.lora_A.weight", module.path), &mut lora.a);
                visit(format!("{}.lora_B.weight", module.path), &mut lora.b);
            }
        }
    }

    /// The base tensors by Hugging Face name, unstacked.
    pub(crate) fn base_tensors(&self, visit: &mut dyn FnMut(String, Tensor<2>, bool)) {
        for Module { path, columns, .. } in &self.modules {
            visit(
                format!("{path}.weight"),
                self.weight.clone().narrow(0, columns.start, columns.len()),
                false,
            );
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

/// The forward's input and by-products that [`Linear::backward`] takes.
pub(crate) struct Saved {
    pub(crate) x: Tensor<2>,
    pub(crate) low: Low,
    pub(crate) dropout: Option<Dropout>,
    /// Whether the gradient of `x` is wanted.
    pub(crate) input: bool,
}
