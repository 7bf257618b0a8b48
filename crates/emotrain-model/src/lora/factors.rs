//! The factors of an adapter as products take them: scaled, stacked, in the type of the activations.

use std::ops::Range;
use std::sync::OnceLock;

use burn::tensor::{DType, Tensor};

use super::{AdaptedModule, LinearAdapter};
use crate::kernels::{Form, add_block, stacked};

/// What is made of the factors on a GPU, until they may have changed.
#[derive(Clone, Debug)]
pub(super) struct Factors(OnceLock<Converted>);

impl Factors {
    /// Nothing yet.
    pub(super) const fn unknown() -> Self {
        Self(OnceLock::new())
    }

    /// These: the `A` matrices below one another, and the `s · B` in one matrix.
    pub(super) fn given(a: Tensor<2>, b: Tensor<2>) -> Self {
        Self(OnceLock::from(Converted { a, b: Some(b) }))
    }
}

#[derive(Clone, Debug)]
struct Converted {
    /// `[Σ R, in]`.
    a: Tensor<2>,
    /// `s · B` of all modules in one matrix, each in its rows and columns, zeros elsewhere, `[out, Σ R]`; none where there
    /// are magnitudes, which come between the modules' products and their sum.
    b: Option<Tensor<2>>,
}

impl LinearAdapter {
    /// The `A` matrices one below the other, `[Σ R, in]`; `None` where nothing is adapted.
    pub(super) fn factor_a(&self, dtype: DType) -> Option<Tensor<2>> {
        match self.converted(dtype) {
            Some(converted) => Some(converted.a.clone()),
            None => self.stacked_a(dtype),
        }
    }

    /// On a GPU, `s · B` of all modules as one matrix, `[columns, Σ R]`; `None` where each is multiplied on its own.
    pub(super) fn factor_b(&self, dtype: DType) -> Option<Tensor<2>> {
        self.converted(dtype)?.b.clone()
    }

    /// The type of what is known of the factors.
    pub(super) fn taken_in(&self) -> Option<DType> {
        self.factors.0.get().map(|converted| converted.a.dtype())
    }

    /// The columns of the output from the first that is adapted to the last.
    pub(super) fn columns(&self) -> Range<usize> {
        let [first, last] = [self.modules.first(), self.modules.last()];
        let [first, last] = [first, last].map(|module| module.map_or(0..0, |module| module.columns.clone()));
        first.start..last.end
    }

    /// Columns of the low-rank product.
    pub(super) fn rank(&self) -> usize {
        self.modules.last().map_or(0, |module| module.ranks.end)
    }

    /// On the CPU factors are read as they are, and nothing is kept.
    fn converted(&self, dtype: DType) -> Option<&Converted> {
        let AdaptedModule { lora, .. } = self.modules.first()?;
        if Form::of(&lora.a) != Form::Fused {
            return None;
        }
        let convert = || Converted {
            a: self.stacked_a(dtype).expect("an adapted module"),
            b: (!self.has_magnitudes()).then(|| self.joined_b(dtype)),
        };
        let converted = self.factors.0.get_or_init(convert);
        (converted.a.dtype() == dtype).then_some(converted)
    }

    /// `s · B` of all modules in one matrix, `[columns, Σ R]`.
    fn joined_b(&self, dtype: DType) -> Tensor<2> {
        let scaled = |module: &AdaptedModule| module.lora.scaled_b(dtype);
        if let [module] = self.modules.as_slice() {
            return scaled(module);
        }
        let columns = self.columns();
        let device = self.modules[0].lora.b.device();
        let zeros = Tensor::zeros([columns.len(), self.rank()], (&device, dtype));
        let put = |joined, module: &AdaptedModule| {
            add_block(joined, scaled(module), [module.columns.start - columns.start, module.ranks.start])
        };
        self.modules.iter().fold(zeros, put)
    }

    /// The `A` matrices one below the other, `[Σ R, in]`.
    pub(crate) fn stacked_a(&self, dtype: DType) -> Option<Tensor<2>> {
        let all: Vec<&Tensor<2>> = self.modules.iter().map(|module| &module.lora.a).collect();
        (!all.is_empty()).then(|| stacked(&all, dtype))
    }
}
