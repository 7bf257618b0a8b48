//! Sums and products number by number, and sums over all rows.

use std::ops::Range;

use burn::tensor::{DType, Tensor};

use super::fused::{Columns, Part};
use super::host::{read, restore, slice, tensor, write};
use super::{Form, fused};
use crate::device::moves;

/// `to + from`, in place of `to` where it is not shared.
///
/// # Shapes
/// `to` `[N, D]`, `from` `[N, D]` or one row `[1, D]` for all.
pub(crate) fn add(to: Tensor<2>, from: &Tensor<2>) -> Tensor<2> {
    match Form::of(&to) {
        Form::Host => {
            let ([rows, width], [others, _]) = (to.dims(), from.dims());
            assert!(others == rows || others == 1, "rows to add");
            let (mut to, from) = (write(to), read(from.clone()));
            emotrain_kernels::add_rows(to.storage_mut(), slice(&from), width);
            restore(to)
        }
        Form::Fused | Form::Tensor => {
            moves(&to, 2);
            moves(from, 1);
            to + from.clone()
        }
    }
}

/// Adds `delta` to the block of `to` that begins at this row and column.
///
/// # Shapes
/// `to` `[N, W]`, `delta` `[n, w]` with `row + n <= N` and `column + w <= W`.
pub(crate) fn add_block(to: Tensor<2>, delta: Tensor<2>, [row, column]: [usize; 2]) -> Tensor<2> {
    let ([rows, width], [height, count]) = (to.dims(), delta.dims());
    if count == width && height == rows {
        return add(to, &delta);
    }
    let columns = column..column + count;
    match Form::of(&to) {
        Form::Host => {
            let (mut to, delta) = (write(to), read(delta));
            let block = &mut to.storage_mut()[row * width..(row + height) * width];
            emotrain_kernels::add_columns(block, width, slice(&delta), &columns);
            restore(to)
        }
        Form::Fused => {
            let mut to = to;
            let (first, shape) = (row * width + column, delta.dims());
            let part = Part { first, stride: width, from: [0, 0], shape, factor: 1.0 };
            match fused::add_part(&mut to, &delta, part) {
                Some(()) => to,
                None => block_in_tensors(to, delta, [row..row + height, columns]),
            }
        }
        Form::Tensor => block_in_tensors(to, delta, [row..row + height, columns]),
    }
}

/// The form of [`add_block`] in tensor operations.
pub(super) fn block_in_tensors(to: Tensor<2>, delta: Tensor<2>, place: [Range<usize>; 2]) -> Tensor<2> {
    let sum = to.clone().slice(place.clone()) + delta;
    to.slice_assign(place, sum)
}

/// Adds a part of `delta` to numbers that are behind one another.
///
/// # Shapes
/// `to` `[1, N]`, `delta` `[n, w]`; the part's rows are behind one another in `to`, too.
pub(crate) fn add_part(mut to: Tensor<2>, delta: &Tensor<2>, part: Part) -> Tensor<2> {
    match fused::add_part(&mut to, delta, part) {
        Some(()) => to,
        None => part_in_tensors(to, delta, part),
    }
}

/// The form of [`add_part`] in tensor operations.
pub(super) fn part_in_tensors(to: Tensor<2>, delta: &Tensor<2>, part: Part) -> Tensor<2> {
    let Part { first, from: [row, column], shape: [rows, columns], factor, .. } = part;
    let numbers = rows * columns;
    let added = delta.clone().slice([row..row + rows, column..column + columns]).cast(to.dtype());
    block_in_tensors(to, (added * factor).reshape([1, numbers]), [0..1, first..first + numbers])
}

/// Matrices that stand behind one another in `x`, in the columns that are theirs, zeros elsewhere; `None` where there is no
/// kernel for it, as on the CPU.
///
/// # Shapes
/// `x` `[1, X]` in f32 → `[1, numbers]`.
pub(crate) fn spread(x: &Tensor<2>, columns: &Columns, dtype: DType) -> Option<Tensor<2>> {
    fused::spread(x, columns, dtype)
}

/// `x · factor`, in place where it is not shared.
///
/// # Shapes
/// `[N, D]` → `[N, D]`.
pub(crate) fn scale(x: Tensor<2>, factor: f64) -> Tensor<2> {
    match Form::of(&x) {
        Form::Host => {
            #[expect(clippy::cast_possible_truncation, reason = "the numbers are f32")]
            let factor = factor as f32;
            let [_, width] = x.dims();
            let mut x = write(x);
            emotrain_kernels::scale(x.storage_mut(), width, factor);
            restore(x)
        }
        Form::Fused | Form::Tensor => x * factor,
    }
}

/// `x · factor` in this type.
///
/// # Shapes
/// `[N, D]` → `[N, D]`.
pub(crate) fn scaled_to(x: Tensor<2>, factor: f64, dtype: DType) -> Tensor<2> {
    #[expect(clippy::cast_possible_truncation, reason = "the numbers are f32 at most")]
    let narrow = factor as f32;
    match Form::of(&x) {
        Form::Fused => fused::stacked(&[&x], narrow, dtype).unwrap_or_else(|| scale(x, factor).cast(dtype)),
        Form::Host | Form::Tensor => scale(x, factor).cast(dtype),
    }
}

/// Matrices below one another in this type.
///
/// # Shapes
/// Each `[R, D]` → `[Σ R, D]`.
///
/// # Panics
/// If there is none.
pub(crate) fn stacked(parts: &[&Tensor<2>], dtype: DType) -> Tensor<2> {
    let in_tensors = || Tensor::cat(parts.iter().map(|&part| part.clone()).collect(), 0).cast(dtype);
    match Form::of(parts[0]) {
        Form::Fused => fused::stacked(parts, 1.0, dtype).unwrap_or_else(in_tensors),
        Form::Host | Form::Tensor => in_tensors(),
    }
}

/// The sum of the rows.
///
/// # Shapes
/// `[N, D]` → `[1, D]`.
pub(crate) fn sum_rows(x: Tensor<2>) -> Tensor<2> {
    match Form::of(&x) {
        Form::Host => {
            let [_, width] = x.dims();
            tensor(emotrain_kernels::sum_rows(slice(&read(x)), width), [1, width])
        }
        Form::Fused => fused::sum_rows(&x).unwrap_or_else(|| x.sum_dim(0)),
        Form::Tensor => x.sum_dim(0),
    }
}

/// The sum of the squares of all numbers of the tensors, in f32. NaN or infinite if any number is.
///
/// # Shapes
/// Each `[N, D]` → `[1]`.
///
/// # Panics
/// If there is no tensor.
pub(crate) fn squares(tensors: &[&Tensor<2>]) -> Tensor<1> {
    let of_each = || Tensor::cat(tensors.iter().map(|tensor| sum_of_squares(tensor)).collect(), 0).sum();
    match Form::of(tensors[0]) {
        Form::Fused => fused::squares(tensors).unwrap_or_else(of_each),
        Form::Host | Form::Tensor => of_each(),
    }
}

/// The sum of the squares of all numbers, `[1]` in f32.
pub(super) fn sum_of_squares(x: &Tensor<2>) -> Tensor<1> {
    match Form::of(x) {
        Form::Host => {
            let [_, width] = x.dims();
            tensor(vec![emotrain_kernels::sum_of_squares(slice(&read(x.clone())), width)], [1])
        }
        Form::Fused | Form::Tensor => x.clone().cast(DType::F32).square().sum(),
    }
}
