//! The sides of a product of tensors.

use std::ops::Range;

use burn::tensor::Tensor;

use super::multiplies;

/// A matrix as a product takes it: all or some of its columns, as they are or transposed.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    pub(super) matrix: Tensor<2>,
    /// The first column, and how many.
    pub(super) columns: [usize; 2],
    pub(super) transposed: bool,
}

impl Side {
    /// All of a matrix.
    pub(crate) fn of(matrix: &Tensor<2>) -> Self {
        Self { matrix: matrix.clone(), columns: [0, matrix.dims()[1]], transposed: false }
    }

    /// Some columns of a matrix: a tensor of their own, unless a library reads them where they are.
    pub(crate) fn columns(matrix: &Tensor<2>, columns: &Range<usize>) -> Self {
        if multiplies(matrix) {
            Self { matrix: matrix.clone(), columns: [columns.start, columns.len()], transposed: false }
        } else {
            Self::of(&matrix.clone().narrow(1, columns.start, columns.len()))
        }
    }

    /// The same, transposed.
    pub(crate) fn transposed(&self) -> Self {
        Self { transposed: !self.transposed, ..self.clone() }
    }

    /// Whether the product takes it transposed.
    pub(crate) fn is_transposed(&self) -> bool {
        self.transposed
    }

    /// The matrix that it is of.
    pub(crate) fn matrix(&self) -> &Tensor<2> {
        &self.matrix
    }

    /// Rows and columns as the product takes them.
    pub(crate) fn dims(&self) -> [usize; 2] {
        let ([rows, _], [_, columns]) = (self.matrix.dims(), self.columns);
        if self.transposed { [columns, rows] } else { [rows, columns] }
    }

    /// As a tensor of its own.
    pub(crate) fn tensor(&self) -> Tensor<2> {
        let ([_, width], [start, columns]) = (self.matrix.dims(), self.columns);
        let whole = self.matrix.clone();
        let part = if columns == width { whole } else { whole.narrow(1, start, columns) };
        if self.transposed { part.transpose() } else { part }
    }
}
