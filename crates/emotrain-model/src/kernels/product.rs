//! Products of matrices. On a CUDA device with cuBLASLt they are written where they belong: into columns of a wider matrix,
//! onto what is there, in f32. Everywhere else they are tensors that are put there.

#[cfg(test)]
pub(super) mod fake_card;

use burn::tensor::{DType, Tensor};
use emotrain_base::random::Key;
use emotrain_kernels::DropoutMask;

use super::fused::{self, LowProduct};
use super::{Form, add_block, add_dropped, dense};
use crate::device::{Side, Written, moves, multiply, unwritten};

/// `left · right`, in the type of both.
///
/// # Shapes
/// `[n, k]` and `[k, w]` → `[n, w]`.
pub(crate) fn product(left: &Side, right: &Side) -> Tensor<2> {
    let dtype = left.matrix().dtype();
    written([left, right], dtype, 1.0).unwrap_or_else(|| in_tensors(left, right))
}

/// `left · right` in f32: on a GPU sums are not rounded to the type of the sides.
///
/// # Shapes
/// `[n, k]` and `[k, w]` → `[n, w]`.
pub(crate) fn wide_product(left: &Side, right: &Side) -> Tensor<2> {
    let by_kernel = || match Form::of(left.matrix()) {
        Form::Fused => {
            let sides = [left, right].map(Side::tensor);
            let product = fused::wide_product(&sides[0], &sides[1])?;
            sides.iter().chain([&product]).for_each(|matrix| moves(matrix, 1));
            Some(product)
        }
        Form::Host | Form::Tensor => None,
    };
    let written = written([left, right], DType::F32, 1.0).or_else(by_kernel);
    written.unwrap_or_else(|| in_tensors(left, right).cast(DType::F32))
}

/// Adds `left · right` to the block of `to` that begins at this row and column.
///
/// # Shapes
/// `to` `[N, W]`, `[n, k]` and `[k, w]` with `row + n <= N` and `column + w <= W`.
pub(crate) fn add_product(to: Tensor<2>, place: [usize; 2], left: &Side, right: &Side) -> Tensor<2> {
    let mut to = to;
    match multiply(&mut to, [left, right], Written { place, width: None, factor: 1.0, adds: true })
        .or_else(|| add_low_product(&mut to, place, [left, right], None))
    {
        Some(()) => to,
        None if Form::of(&to) == Form::Host => dense::add_product(to, place, left.tensor(), right.tensor()),
        None => add_block(to, in_tensors(left, right), place),
    }
}

/// Adds what dropout leaves of `left · right` to the rows of `to` from `row` on.
///
/// # Shapes
/// `to` `[N, D]`, `[n, k]` and `[k, D]` with `row + n <= N`.
pub(crate) fn add_dropped_product(
    to: Tensor<2>,
    row: usize,
    sides: [&Side; 2],
    p: f32,
    key: Key,
) -> Tensor<2> {
    let (mut to, mask) = (to, DropoutMask::new(p, key.bits()));
    match add_low_product(&mut to, [row, 0], sides, Some(mask)) {
        Some(()) => to,
        None => add_dropped(to, product(sides[0], sides[1]), row, p, key),
    }
}

/// Adds a product with short sums by a kernel of our own, if there is one.
fn add_low_product(
    to: &mut Tensor<2>,
    place: [usize; 2],
    [left, right]: [&Side; 2],
    mask: Option<DropoutMask>,
) -> Option<()> {
    if Form::of(to) != Form::Fused {
        return None;
    }
    // A side that is taken transposed is read as it lies.
    let turned = right.is_transposed();
    let matrix = if turned { right.transposed() } else { right.clone() }.tensor();
    fused::add_low_product(to, [&left.tensor(), &matrix], LowProduct { place, turned, mask })
}

/// Adds `factor · left · right` to numbers in f32 that are behind one another, from `first` on, where a library
/// multiplies into them; else `None`, and nothing done.
///
/// # Shapes
/// `sums` `[1, N]`, `[n, k]` and `[k, w]`.
pub(crate) fn add_product_at(
    sums: &mut Tensor<2>,
    first: usize,
    sides: [&Side; 2],
    factor: f64,
) -> Option<()> {
    let written =
        Written { place: [0, first], width: Some(sides[1].dims()[1]), factor: narrow(factor), adds: true };
    multiply(sums, sides, written)
}

/// Adds `factor · left · right` to a sum in f32, which it begins where there is none. `None`, and nothing done, where a
/// product is a tensor, rounded to the type of the sides.
///
/// # Shapes
/// `sum` `[n, w]`, `[n, k]` and `[k, w]`.
pub(crate) fn sum_product(sum: &mut Option<Tensor<2>>, sides: [&Side; 2], factor: f64) -> Option<()> {
    let factor = narrow(factor);
    if let Some(sum) = sum {
        return multiply(sum, sides, Written { place: [0, 0], width: None, factor, adds: true });
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
        let place = Written { place: [0, first], width: None, factor: 1.0, adds: false };
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

#[expect(clippy::cast_possible_truncation, reason = "the numbers are f32 at most")]
fn narrow(factor: f64) -> f32 {
    factor as f32
}

/// `factor · left · right` in this type, where a library multiplies into it.
fn written(sides: [&Side; 2], dtype: DType, factor: f32) -> Option<Tensor<2>> {
    let [left, right] = sides;
    let mut out = unwritten([left.dims()[0], right.dims()[1]], left.matrix(), dtype)?;
    multiply(&mut out, sides, Written { place: [0, 0], width: None, factor, adds: false })?;
    Some(out)
}

/// `left · right` as a tensor of its own.
pub(crate) fn in_tensors(left: &Side, right: &Side) -> Tensor<2> {
    matmul(left.tensor(), right.tensor())
}

/// The product of matrices where no library writes it into place, of which a side may stand for several of the other's.
///
/// # Shapes
/// `[…, n, k]` and `[…, k, w]` → `[…, n, w]`.
pub(crate) fn matmul<const D: usize>(left: Tensor<D>, right: Tensor<D>) -> Tensor<D> {
    if Form::of(&left) == Form::Host {
        return dense::matmul(left, right);
    }
    moves(&left, 1);
    moves(&right, 1);
    let product = left.matmul(right);
    moves(&product, 1);
    product
}
