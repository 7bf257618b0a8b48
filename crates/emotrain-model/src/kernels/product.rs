//! Products of matrices. On a CUDA device with cuBLASLt they are written where they belong: into columns of a wider matrix,
//! onto what is there, in f32. Everywhere else they are tensors that are put there.

#[cfg(test)]
mod fake_card;

use burn::tensor::{DType, Tensor};

use super::add_block;
use crate::device::{Side, Written, multiply, unwritten};

/// `left · right`, in the type of both.
///
/// # Shapes
/// `[n, k]` and `[k, w]` → `[n, w]`.
pub(crate) fn product(left: &Side, right: &Side) -> Tensor<2> {
    let dtype = left.matrix().dtype();
    written([left, right], dtype, 1.0).unwrap_or_else(|| in_tensors(left, right))
}

/// Adds `left · right` to the block of `to` that begins at this row and column.
///
/// # Shapes
/// `to` `[N, W]`, `[n, k]` and `[k, w]` with `row + n <= N` and `column + w <= W`.
pub(crate) fn add_product(to: Tensor<2>, place: [usize; 2], left: &Side, right: &Side) -> Tensor<2> {
    let mut to = to;
    match multiply(&mut to, [left, right], Written { place, factor: 1.0, adds: true }) {
        Some(()) => to,
        None => add_block(to, in_tensors(left, right), place),
    }
}

/// Adds `factor · left · right` to a sum in f32, which it begins where there is none. `None`, and nothing done, where a
/// product is a tensor, rounded to the type of the sides.
///
/// # Shapes
/// `sum` `[n, w]`, `[n, k]` and `[k, w]`.
pub(crate) fn sum_product(sum: &mut Option<Tensor<2>>, sides: [&Side; 2], factor: f64) -> Option<()> {
    #[expect(clippy::cast_possible_truncation, reason = "the numbers are f32 at most")]
    let factor = factor as f32;
    if let Some(sum) = sum {
        return multiply(sum, sides, Written { place: [0, 0], factor, adds: true });
    }
    *sum = Some(written(sides, DType::F32, factor)?);
    Some(())
}

/// Products next to one another.
pub(crate) struct Beside {
    /// All of them, where they are written in place.
    whole: Option<Tensor<2>>,
    /// Each on its own, elsewhere.
    parts: Vec<Tensor<2>>,
    /// Columns so far.
    columns: usize,
}

impl Beside {
    /// None yet of products of a device and type, which will have this shape together.
    pub(crate) fn new(shape: [usize; 2], like: &Tensor<2>) -> Self {
        Self { whole: unwritten(shape, like, like.dtype()), parts: Vec::new(), columns: 0 }
    }

    /// Appends `left · right`.
    ///
    /// # Shapes
    /// `[n, k]` and `[k, w]`.
    pub(crate) fn push(&mut self, left: &Side, right: &Side) {
        let ([rows, _], [_, columns]) = (left.dims(), right.dims());
        let first = self.columns;
        self.columns += columns;
        let Some(whole) = &mut self.whole else {
            self.parts.push(in_tensors(left, right));
            return;
        };
        let place = Written { place: [0, first], factor: 1.0, adds: false };
        if multiply(whole, [left, right], place).is_none() {
            let block = [0..rows, first..self.columns];
            whole.inplace(|whole| whole.slice_assign(block, in_tensors(left, right)));
        }
    }

    /// All of them, `[n, Σ w]`.
    ///
    /// # Panics
    /// If there is none.
    pub(crate) fn whole(self) -> Tensor<2> {
        let Self { whole, mut parts, .. } = self;
        match whole {
            Some(whole) => whole,
            None if parts.len() == 1 => parts.remove(0),
            None => Tensor::cat(parts, 1),
        }
    }
}

/// `factor · left · right` in this type, where a library multiplies into it.
fn written(sides: [&Side; 2], dtype: DType, factor: f32) -> Option<Tensor<2>> {
    let [left, right] = sides;
    let mut out = unwritten([left.dims()[0], right.dims()[1]], left.matrix(), dtype)?;
    multiply(&mut out, sides, Written { place: [0, 0], factor, adds: false })?;
    Some(out)
}

/// `left · right` as a tensor of the device's own product.
pub(crate) fn in_tensors(left: &Side, right: &Side) -> Tensor<2> {
    left.tensor().matmul(right.tensor())
}
