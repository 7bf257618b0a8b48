//! Products of row-major matrices in the terms of cuBLASLt, which is column-major: arithmetic on shapes alone.
//!
//! A row-major matrix whose rows begin `stride` numbers after one another is, in memory, a column-major matrix with
//! rows and columns exchanged and `stride` as its leading dimension. So `out = left · right` is asked for as
//! `outᵀ = rightᵀ · leftᵀ`: the sides change places, and none is copied, whether it is taken transposed, is some
//! columns of a wider matrix, or has rows that memory is left between (`ld` and operations as in NVIDIA's cuBLAS
//! library documentation, `cublasLtMatmul`).

#[cfg(test)]
mod tests;

use std::fmt;

use burn::tensor::DType;

/// Some columns of a row-major matrix, or of several that begin the same distance after one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    /// Numbers from the beginning of a row to that of the next.
    pub(crate) stride: usize,
    /// Numbers before the first of the block.
    pub(crate) first: usize,
    pub(crate) dtype: DType,
    /// How many matrices, and numbers from the beginning of one to that of the next.
    pub(crate) batch: Batch,
}

/// Matrices of one shape, each multiplied with its own: a strided batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Batch {
    pub(crate) count: usize,
    /// Numbers from the beginning of one to that of the next, if there are several.
    pub(crate) between: usize,
}

impl Batch {
    /// A single matrix.
    pub(crate) const ONE: Self = Self { count: 1, between: 0 };
}

impl Block {
    /// Whether each of its matrices ends before the next.
    fn is_apart(self) -> bool {
        let Batch { count, between } = self.batch;
        let length = (self.rows.max(1) - 1) * self.stride + self.columns;
        count == 1 || between >= length
    }
}

/// One side of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Factor {
    pub(crate) block: Block,
    /// Whether the product takes it transposed.
    pub(crate) transposed: bool,
}

impl Factor {
    /// Rows and columns as the product takes them.
    pub(crate) fn shape(self) -> [usize; 2] {
        let Block { rows, columns, .. } = self.block;
        if self.transposed { [columns, rows] } else { [rows, columns] }
    }
}

/// `out = alpha · left · right + beta · out`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Asked {
    pub(crate) left: Factor,
    pub(crate) right: Factor,
    pub(crate) out: Block,
    pub(crate) alpha: f32,
    pub(crate) beta: f32,
}

/// A column-major matrix of cuBLASLt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Layout {
    pub(crate) dtype: DType,
    pub(crate) rows: u64,
    pub(crate) columns: u64,
    /// Numbers from the beginning of a column to that of the next.
    pub(crate) ld: i64,
    /// Whether the product takes it transposed.
    pub(crate) transposed: bool,
    pub(crate) batch: Batch,
}

/// `D = alpha · op(A) · op(B) + beta · D`, column-major; `D` is `m × n`, the sums are of `k` products.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Plan {
    pub(crate) m: u64,
    pub(crate) n: u64,
    pub(crate) k: u64,
    /// `A`, `B` and `D`.
    pub(crate) layouts: [Layout; 3],
    /// Bytes before the first number of each.
    pub(crate) offsets: [u64; 3],
    pub(crate) alpha: f32,
    pub(crate) beta: f32,
}

/// The product in cuBLASLt's terms. `None` where it has none: no rows, no columns or nothing to sum up, rows or matrices
/// that overlap, types that it does not multiply. It multiplies two matrices of one type, f32, f16 or bf16, into one of the
/// same type or of f32.
///
/// # Panics
/// If the shapes do not fit, or there are not as many matrices of each.
pub(crate) fn plan(asked: &Asked) -> Option<Plan> {
    let Asked { left, right, out, alpha, beta } = *asked;
    let ([rows, sum], [sums, columns]) = (left.shape(), right.shape());
    assert!(
        sum == sums && [rows, columns] == [out.rows, out.columns],
        "the shapes of a product: {rows}x{sum} times {sums}x{columns} is no {}x{}",
        out.rows,
        out.columns,
    );
    let multiplied = left.block.dtype;
    let known = matches!(multiplied, DType::F32 | DType::F16 | DType::BF16);
    let written = out.dtype == multiplied || out.dtype == DType::F32;
    let blocks = [right.block, left.block, out];
    let Batch { count, .. } = out.batch;
    assert!(blocks.iter().all(|block| block.batch.count == count), "as many matrices of each: {asked:?}");
    // What is read may be anywhere, such as heads next to one another in rows.
    let apart = blocks.iter().all(|block| block.stride >= block.columns) && out.is_apart();
    if !known || !written || right.block.dtype != multiplied || !apart || rows * columns * sum * count == 0 {
        return None;
    }
    let layout = |block: Block, transposed| {
        Some(Layout {
            dtype: block.dtype,
            rows: block.columns as u64,
            columns: block.rows as u64,
            ld: i64::try_from(block.stride).ok()?,
            transposed,
            batch: block.batch,
        })
    };
    Some(Plan {
        m: columns as u64,
        n: rows as u64,
        k: sum as u64,
        layouts: [
            layout(right.block, right.transposed)?,
            layout(left.block, left.transposed)?,
            layout(out, false)?,
        ],
        offsets: blocks.map(|block| (block.first * block.dtype.size()) as u64),
        alpha,
        beta,
    })
}

impl fmt::Display for Plan {
    /// In the row-major terms of the caller.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { m, n, k, layouts: [a, _, d], .. } = self;
        if d.batch.count > 1 {
            write!(f, "{} times ", d.batch.count)?;
        }
        write!(f, "[{n}, {k}] · [{k}, {m}] of {} into {}", a.dtype.name(), d.dtype.name())
    }
}
