//! Rows of a matrix by their numbers: taken out, and put back.

use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor, TensorData};
use emotrain_kernels::{select_rows, spread_rows};

use super::host::{read, slice, tensor};
use super::{Form, fused};

/// Numbers of rows, for the host and for the device of the matrices that they are rows of.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    /// `None` where the device alone knows them.
    numbers: Option<Vec<usize>>,
    index: Tensor<1, Int>,
}

impl Rows {
    /// # Panics
    /// On numbers beyond i32.
    pub(crate) fn new(numbers: Vec<usize>, device: &Device) -> Self {
        let index: Vec<i32> =
            numbers.iter().map(|&row| i32::try_from(row).expect("row numbers fit i32")).collect();
        let shape = [index.len()];
        Self { index: Tensor::from_data(TensorData::new(index, shape), device), numbers: Some(numbers) }
    }

    /// Numbers that the device alone knows, in i32, for kernels on it.
    pub(crate) fn on_device(index: Tensor<1, Int>) -> Self {
        Self { numbers: None, index }
    }

    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.index.dims()[0]
    }

    /// The numbers.
    ///
    /// # Panics
    /// Where the device alone knows them.
    pub(crate) fn numbers(&self) -> &[usize] {
        self.numbers.as_deref().expect("numbers that the host knows")
    }

    /// The numbers on the device, `[M]`.
    pub(super) fn index(&self) -> &Tensor<1, Int> {
        &self.index
    }

    /// As many rows of `x`, in this order.
    ///
    /// # Shapes
    /// `x` `[N, D]` → `[M, D]`.
    ///
    /// # Panics
    /// If `x` has no such row.
    pub(crate) fn of(&self, x: &Tensor<2>) -> Tensor<2> {
        match Form::of(x) {
            Form::Host => {
                let [_, width] = x.dims();
                let selected = select_rows(slice(&read(x.clone())), width, self.numbers());
                tensor(selected, [self.len(), width])
            }
            Form::Fused => {
                fused::gather_rows(x, &self.index).unwrap_or_else(|| x.clone().select(0, self.index.clone()))
            }
            Form::Tensor => x.clone().select(0, self.index.clone()),
        }
    }

    /// The backward of [`Rows::of`]: each row of `grad` added to its place among `rows` rows of zeros.
    ///
    /// # Shapes
    /// `grad` `[M, D]` → `[rows, D]`.
    pub(crate) fn spread(&self, grad: Tensor<2>, rows: usize) -> Tensor<2> {
        let [_, width] = grad.dims();
        match Form::of(&grad) {
            Form::Host => tensor(spread_rows(slice(&read(grad)), width, self.numbers(), rows), [rows, width]),
            Form::Fused | Form::Tensor => {
                let zeros = Tensor::zeros([rows, width], (&grad.device(), grad.dtype()));
                zeros.select_assign(0, self.index.clone(), grad, IndexingUpdateOp::Add)
            }
        }
    }
}
