//! A matrix of the base in the form in which it is kept, with the products that a linear layer, an embedding and a
//! head need of it. Another form of a frozen weight is a variant here and a file of its own.

use std::ops::Range;
use std::sync::Arc;

use burn::tensor::{DType, Device, Tensor, TensorData};
use emotrain_kernels::{Arithmetic, FrozenMatrix, frozen_product, frozen_product_back};

use crate::coded::Coded;
use crate::kernels::{Form, Rows, from_host, linear, linear_backward, read, slice};

/// `[out, in]`.
#[derive(Clone, Debug)]
pub(crate) enum Weight {
    /// One number after the other, in the type of the activations.
    Dense(Tensor<2>),
    /// In fewer bits, in the memory of the CPU; not trained.
    Frozen(Frozen),
    /// In fewer bits, in tensors of any device; not trained.
    Coded(Coded),
}

/// A matrix that the CPU multiplies as it is kept.
#[derive(Clone, Debug)]
pub(crate) struct Frozen {
    /// Copies share it.
    pub(crate) matrix: Arc<FrozenMatrix>,
    /// In what products multiply.
    pub(crate) arithmetic: Arithmetic,
}

impl Weight {
    /// `[out, in]`.
    pub(crate) fn dims(&self) -> [usize; 2] {
        match self {
            Self::Dense(weight) => weight.dims(),
            Self::Frozen(Frozen { matrix, .. }) => [matrix.rows(), matrix.width()],
            Self::Coded(coded) => coded.dims(),
        }
    }

    pub(crate) fn device(&self) -> Device {
        match self {
            Self::Dense(weight) => weight.device(),
            Self::Frozen(_) => Device::flex(),
            Self::Coded(coded) => coded.device(),
        }
    }

    /// Of what the products take and return.
    pub(crate) fn dtype(&self) -> DType {
        match self {
            Self::Dense(weight) => weight.dtype(),
            Self::Frozen(_) => DType::F32,
            Self::Coded(coded) => coded.dtype(),
        }
    }

    /// In what the CPU multiplies with it.
    pub(crate) fn arithmetic(&self) -> Arithmetic {
        match self {
            Self::Frozen(Frozen { arithmetic, .. }) => *arithmetic,
            Self::Dense(_) | Self::Coded(_) => Arithmetic::F32,
        }
    }

    /// `x · Wᵀ`, each row batch-invariant on the CPU: it gives the same numbers whatever rows come with it.
    ///
    /// # Shapes
    /// `x` `[N, in]` → `[N, out]`.
    pub(crate) fn times(&self, x: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Dense(weight) => linear(x, weight),
            Self::Frozen(Frozen { matrix, arithmetic }) => {
                let rows = x.dims()[0];
                from_host(frozen_product(slice(&read(x)), matrix, *arithmetic), [rows, matrix.rows()])
            }
            Self::Coded(coded) => linear(x, &coded.numbers()),
        }
    }

    /// `grad · W`: the gradient for `x` of [`Weight::times`]. `parts` are the rows of each training, all there are: on
    /// the CPU each gives the same numbers whatever others come with it.
    ///
    /// # Shapes
    /// `grad` `[N, out]` → `[N, in]`.
    pub(crate) fn times_transposed(&self, grad: Tensor<2>, parts: &[Range<usize>]) -> Tensor<2> {
        match self {
            Self::Dense(weight) => linear_backward(&grad, weight, parts),
            Self::Frozen(Frozen { matrix, arithmetic }) => {
                let rows = grad.dims()[0];
                from_host(
                    frozen_product_back(slice(&read(grad)), matrix, *arithmetic),
                    [rows, matrix.width()],
                )
            }
            Self::Coded(coded) => linear_backward(&grad, &coded.numbers(), parts),
        }
    }

    /// Some of its rows: the embeddings of tokens.
    ///
    /// # Shapes
    /// `M` rows → `[M, in]`.
    pub(crate) fn rows(&self, rows: &Rows) -> Tensor<2> {
        match self {
            Self::Dense(weight) => rows.of(weight),
            Self::Frozen(Frozen { matrix, .. }) => {
                let width = matrix.width();
                let mut all = vec![0.0; rows.numbers().len() * width];
                for (out, row) in all.chunks_exact_mut(width).zip(rows.numbers()) {
                    matrix.read(*row, 0, out);
                }
                from_host(all, [rows.numbers().len(), width])
            }
            Self::Coded(coded) => rows.of(&coded.numbers()),
        }
    }

    /// The form of the kernels that work on what the products return.
    pub(crate) fn form(&self) -> Form {
        match self {
            Self::Dense(weight) => Form::of(weight),
            Self::Frozen(_) => Form::Host,
            Self::Coded(_) => Form::Tensor,
        }
    }

    /// All numbers in one tensor: for saving and hashing.
    pub(crate) fn dense(&self) -> Tensor<2> {
        match self {
            Self::Dense(weight) => weight.clone(),
            Self::Frozen(Frozen { matrix, .. }) => {
                let data = TensorData::new(matrix.to_vec(), [matrix.rows(), matrix.width()]);
                Tensor::from_data(data, (&Device::flex(), DType::F32))
            }
            Self::Coded(coded) => coded.numbers(),
        }
    }

    /// The tensor that an optimizer updates.
    ///
    /// # Panics
    /// If the weight is frozen: [`Storage`](crate::storage::Storage) keeps trained weights dense.
    pub(crate) fn trained(&mut self) -> &mut Tensor<2> {
        match self {
            Self::Dense(weight) => weight,
            Self::Frozen(_) | Self::Coded(_) => unreachable!("weights in fewer bits are not trained"),
        }
    }
}
