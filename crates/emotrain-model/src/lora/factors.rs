//! The factors of an adapter as products take them: scaled, stacked, in the type of the activations.

use std::sync::OnceLock;

use burn::tensor::{DType, Tensor};

use super::{AdaptedModule, LinearAdapter};
use crate::kernels::{Form, stacked};

/// What is made of the factors on a GPU, until they may have changed.
#[derive(Clone, Debug)]
pub(super) struct Factors(OnceLock<Converted>);

impl Factors {
    /// Nothing yet.
    pub(super) const fn unknown() -> Self {
        Self(OnceLock::new())
    }

    /// These: the `A` matrices below one another, and `s · B` of each module.
    #[cfg(test)]
    pub(super) fn given(a: Tensor<2>, b: Vec<Tensor<2>>) -> Self {
        Self(OnceLock::from(Converted { a, b }))
    }
}

#[derive(Clone, Debug)]
struct Converted {
    /// `[Σ R, in]`.
    a: Tensor<2>,
    /// `s · B` of each module, `[out, R]`.
    b: Vec<Tensor<2>>,
}

impl LinearAdapter {
    /// The `A` matrices one below the other, `[Σ R, in]`; `None` where nothing is adapted.
    pub(super) fn factor_a(&self, dtype: DType) -> Option<Tensor<2>> {
        match self.converted(dtype) {
            Some(converted) => Some(converted.a.clone()),
            None => self.stacked_a(dtype),
        }
    }

    /// `s · B` of a module, `[out, R]`.
    pub(super) fn factor_b(&self, number: usize, dtype: DType) -> Tensor<2> {
        match self.converted(dtype) {
            Some(converted) => converted.b[number].clone(),
            None => self.modules[number].lora.scaled_b(dtype),
        }
    }

    /// On the CPU factors are read as they are, and nothing is kept.
    fn converted(&self, dtype: DType) -> Option<&Converted> {
        let AdaptedModule { lora, .. } = self.modules.first()?;
        if Form::of(&lora.a) != Form::Fused {
            return None;
        }
        let convert = || Converted {
            a: self.stacked_a(dtype).expect("an adapted module"),
            b: self.modules.iter().map(|module| module.lora.scaled_b(dtype)).collect(),
        };
        let converted = self.factors.0.get_or_init(convert);
        (converted.a.dtype() == dtype).then_some(converted)
    }

    /// The `A` matrices one below the other, `[Σ R, in]`.
    pub(crate) fn stacked_a(&self, dtype: DType) -> Option<Tensor<2>> {
        let all: Vec<&Tensor<2>> = self.modules.iter().map(|module| &module.lora.a).collect();
        (!all.is_empty()).then(|| stacked(&all, dtype))
    }
}
