//! A matrix of the base in the form in which it is kept, with the products that a linear layer, an embedding and a
//! head need of it. Dense today; another form of a frozen weight is a variant here and a file of its own.

use std::ops::Range;

use burn::tensor::{DType, Device, Tensor};

use crate::kernels::{Rows, linear, linear_backward};

/// `[out, in]`.
#[derive(Clone, Debug)]
pub(crate) enum Weight {
    /// One number after the other.
    Dense(Tensor<2>),
}

impl Weight {
    /// `[out, in]`.
    pub(crate) fn dims(&self) -> [usize; 2] {
        let Self::Dense(weight) = self;
        weight.dims()
    }

    pub(crate) fn device(&self) -> Device {
        let Self::Dense(weight) = self;
        weight.device()
    }

    /// Of what the products take and return.
    pub(crate) fn dtype(&self) -> DType {
        let Self::Dense(weight) = self;
        weight.dtype()
    }

    /// `x · Wᵀ`, each row batch-invariant on the CPU: it gives the same numbers whatever rows come with it.
    ///
    /// # Shapes
    /// `x` `[N, in]` → `[N, out]`.
    pub(crate) fn times(&self, x: Tensor<2>) -> Tensor<2> {
        let Self::Dense(weight) = self;
        linear(x, weight)
    }

    /// `grad · W`: the gradient for `x` of [`Weight::times`]. `parts` are the rows of each training, all there are: on
    /// the CPU each gives the same numbers whatever others come with it.
    ///
    /// # Shapes
    /// `grad` `[N, out]` → `[N, in]`.
    pub(crate) fn times_transposed(&self, grad: Tensor<2>, parts: &[Range<usize>]) -> Tensor<2> {
        let Self::Dense(weight) = self;
        linear_backward(grad, weight, parts)
    }

    /// Some of its rows: the embeddings of tokens.
    ///
    /// # Shapes
    /// `M` rows → `[M, in]`.
    pub(crate) fn rows(&self, rows: &Rows) -> Tensor<2> {
        let Self::Dense(weight) = self;
        rows.of(weight)
    }

    /// All numbers in one tensor: for saving, hashing and what reads memory.
    pub(crate) fn dense(&self) -> Tensor<2> {
        let Self::Dense(weight) = self;
        weight.clone()
    }

    /// The tensor that an optimizer updates.
    pub(crate) fn trained(&mut self) -> &mut Tensor<2> {
        let Self::Dense(weight) = self;
        weight
    }
}
