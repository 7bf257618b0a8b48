//! Matrices that are multiplied each with its own: the heads of attention.

use std::ops::Range;

use burn::tensor::Tensor;

/// Matrices of heads as a product takes them, each multiplied with its own: of `[K, G, n, w]` the `K` matrices of `G·n`
/// rows, all or some of their columns, as they are or transposed.
#[derive(Clone, Debug)]
pub(crate) struct Stack {
    pub(super) heads: Tensor<4>,
    /// The first column, and how many.
    pub(super) columns: [usize; 2],
    pub(super) transposed: bool,
}

impl Stack {
    /// All columns of some heads.
    pub(crate) fn of(heads: &Tensor<4>) -> Self {
        let [.., width] = heads.dims();
        Self { heads: heads.clone(), columns: [0, width], transposed: false }
    }

    /// Some columns of them.
    pub(crate) fn columns(heads: &Tensor<4>, columns: &Range<usize>) -> Self {
        Self { columns: [columns.start, columns.len()], ..Self::of(heads) }
    }

    /// The same, transposed.
    pub(crate) fn transposed(self) -> Self {
        Self { transposed: !self.transposed, ..self }
    }
}

/// Where the product of stacks is written: matrices whose rows are behind one another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StackPlace {
    /// Numbers before the first matrix.
    pub(crate) first: usize,
    /// Numbers from the beginning of one to that of the next.
    pub(crate) between: usize,
    /// Whether it is added to what is there.
    pub(crate) adds: bool,
}
