//! Weight-decomposed adaptation (`DoRA`, Liu et al. 2024, eq. 5): `y = m ∘ (W + s·BA)·x / ‖W + s·BA‖`, with the norm of
//! each row. As in the paper's section 4.3 and PEFT's `tuners/lora/dora.py`, the norm is a constant in the backward
//! (eq. 11).

use std::ops::Range;
use std::sync::OnceLock;

use burn::tensor::{DType, Tensor};

use super::Lora;
use crate::device::Side;
use crate::kernels::product;
use crate::linear::Linear;

/// The magnitudes of an adapter, in f32.
#[derive(Clone, Debug)]
pub(crate) struct Dora {
    /// `m`, `[1, out]`; trained.
    pub(crate) magnitude: Tensor<2>,
    /// `‖W‖²` of each row, `[1, out]`.
    squares: Tensor<2>,
    /// `‖W + s·BA‖` of each row, `[1, out]`; unknown where `A` or `B` may have changed.
    norm: OnceLock<Tensor<2>>,
}

impl Dora {
    /// Of the rows `columns` of a weight, to which `B = 0` adds nothing yet.
    pub(super) fn new(squares: &Tensor<2>, columns: &Range<usize>) -> Self {
        let squares = squares.clone().narrow(1, columns.start, columns.len());
        Self { magnitude: squares.clone().sqrt(), squares, norm: OnceLock::new() }
    }

    /// All tensors, to be replaced by the same numbers.
    pub(super) fn tensors(&mut self) -> [&mut Tensor<2>; 2] {
        self.norm = OnceLock::new();
        [&mut self.magnitude, &mut self.squares]
    }

    /// The magnitudes, to be changed together with `A` and `B`.
    pub(super) fn changed(&mut self) -> &mut Tensor<2> {
        self.norm = OnceLock::new();
        &mut self.magnitude
    }
}

/// `‖W‖²` of each row of a weight, `[1, out]` in f32. A weight that is kept in another form is unpacked for as long as
/// this takes.
pub(super) fn row_squares(linear: &Linear) -> Tensor<2> {
    let [out, _] = linear.weight.dims();
    linear.weight.dense().cast(DType::F32).square().sum_dim(1).reshape([1, out])
}

impl Lora {
    /// The factor of each output, `m / ‖W + s·BA‖`, and the norm, each `[1, out]` in f32; `columns` are the adapter's of
    /// the output of `linear`. None where there are no magnitudes.
    pub(crate) fn gain(&self, linear: &Linear, columns: &Range<usize>) -> Option<Gain> {
        let dora = self.dora.as_ref()?;
        let norm = dora.norm.get_or_init(|| self.row_norms(&dora.squares, linear, columns)).clone();
        Some(Gain { factor: dora.magnitude.clone() / norm.clone(), norm })
    }

    /// `‖W + s·BA‖² = ‖W‖² + 2s·⟨W·Aᵀ, B⟩ + s²·⟨B·(A·Aᵀ), B⟩` for each row: nothing of the weight's size is formed.
    fn row_norms(&self, squares: &Tensor<2>, linear: &Linear, columns: &Range<usize>) -> Tensor<2> {
        let products = linear.weight.times(self.a.clone().cast(linear.weight.dtype()));
        let products = products.narrow(1, columns.start, columns.len()).cast(DType::F32);
        let b = self.b.clone().transpose();
        let (a, b_side) = (Side::of(&self.a), Side::of(&self.b).transposed());
        let gram = product(&a, &a.transposed());
        let mixed = (products * b.clone()).sum_dim(0) * (2.0 * self.scale);
        let own = (product(&Side::of(&gram), &b_side) * b).sum_dim(0) * (self.scale * self.scale);
        (squares.clone() + mixed + own).sqrt()
    }
}

/// By what the outputs of a layer are multiplied.
pub(crate) struct Gain {
    /// `m / ‖W + s·BA‖`, `[1, out]`.
    pub(crate) factor: Tensor<2>,
    /// `‖W + s·BA‖`, `[1, out]`.
    pub(super) norm: Tensor<2>,
}
