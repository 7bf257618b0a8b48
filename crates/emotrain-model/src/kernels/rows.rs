//! Rows of a matrix by their numbers: taken out, and put back.

use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor, TensorData};

use super::host::{for_rows, is_host, read, slice, tensor};

/// Numbers of rows, for the host and for the device of the matrices that they are rows of.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    numbers: Vec<usize>,
    index: Tensor<1, Int>,
}

impl Rows {
    /// # Panics
    /// On numbers beyond i32.
    pub(crate) fn new(numbers: Vec<usize>, device: &Device) -> Self {
        let index: Vec<i32> =
            numbers.iter().map(|&row| i32::try_from(row).expect("row numbers fit i32")).collect();
        let shape = [index.len()];
        Self { index: Tensor::from_data(TensorData::new(index, shape), device), numbers }
    }

    /// As many rows of `x`, in this order.
    ///
    /// # Shapes
    /// `x` `[N, D]` → `[M, D]`.
    ///
    /// # Panics
    /// If `x` has no such row.
    pub(crate) fn of(&self, x: &Tensor<2>) -> Tensor<2> {
        if !is_host(x) {
            return x.clone().select(0, self.index.clone());
        }
        let [_, width] = x.dims();
        let x = read(x.clone());
        let x = slice(&x);
        let mut out = vec![0.0; self.numbers.len() * width];
        for_rows(&mut out, width, |row, out| {
            out.copy_from_slice(&x[self.numbers[row] * width..][..width]);
        });
        tensor(out, [self.numbers.len(), width])
    }

    /// The backward of [`Rows::of`]: each row of `grad` added to its place among `rows` rows of zeros.
    ///
    /// # Shapes
    /// `grad` `[M, D]` → `[rows, D]`.
    pub(crate) fn spread(&self, grad: Tensor<2>, rows: usize) -> Tensor<2> {
        let [_, width] = grad.dims();
        if !is_host(&grad) {
            let zeros = Tensor::zeros([rows, width], (&grad.device(), grad.dtype()));
            return zeros.select_assign(0, self.index.clone(), grad, IndexingUpdateOp::Add);
        }
        let grad = read(grad);
        let mut out = vec![0.0f32; rows * width];
        for (grad, &row) in slice(&grad).chunks_exact(width).zip(&self.numbers) {
            for (out, grad) in out[row * width..][..width].iter_mut().zip(grad) {
                *out += grad;
            }
        }
        tensor(out, [rows, width])
    }
}
