//! Sums and products number by number, and sums over all rows.

use burn::tensor::{DType, Tensor};
use pulp::Arch;
use rayon::prelude::*;

use super::host::{for_rows, is_host, read, restore, slice, sum_of, tensor, write};

/// Columns that one piece of a sum over rows is made of.
const COLUMNS: usize = 256;

/// `to + from`, in place of `to` where it is not shared.
///
/// # Shapes
/// `to` `[N, D]`, `from` `[N, D]` or one row `[1, D]` for all.
pub(crate) fn add(to: Tensor<2>, from: &Tensor<2>) -> Tensor<2> {
    if !is_host(&to) {
        return to + from.clone();
    }
    let ([rows, width], [others, _]) = (to.dims(), from.dims());
    assert!(others == rows || others == 1, "rows to add");
    let (mut to, from) = (write(to), read(from.clone()));
    let from = slice(&from);
    for_rows(to.storage_mut(), width, |row, to| {
        let start = if others == 1 { 0 } else { row * width };
        for (to, from) in to.iter_mut().zip(&from[start..start + width]) {
            *to += from;
        }
    });
    restore(to)
}

/// Adds `delta` to the columns of `to` that begin at `start`.
///
/// # Shapes
/// `to` `[N, W]`, `delta` `[N, w]` with `start + w <= W`.
pub(crate) fn add_columns(to: Tensor<2>, delta: Tensor<2>, start: usize) -> Tensor<2> {
    let ([rows, width], [_, columns]) = (to.dims(), delta.dims());
    if columns == width {
        return add(to, &delta);
    }
    if !is_host(&to) {
        let place = [0..rows, start..start + columns];
        let sum = to.clone().slice(place.clone()) + delta;
        return to.slice_assign(place, sum);
    }
    let (mut to, delta) = (write(to), read(delta));
    let delta = slice(&delta);
    for_rows(to.storage_mut(), width, |row, out| {
        let from = &delta[row * columns..(row + 1) * columns];
        for (out, add) in out[start..start + columns].iter_mut().zip(from) {
            *out += add;
        }
    });
    restore(to)
}

/// `x · factor`, in place where it is not shared.
///
/// # Shapes
/// `[N, D]` → `[N, D]`.
pub(crate) fn scale(x: Tensor<2>, factor: f64) -> Tensor<2> {
    if !is_host(&x) {
        return x * factor;
    }
    #[expect(clippy::cast_possible_truncation, reason = "the numbers are f32")]
    let factor = factor as f32;
    let [_, width] = x.dims();
    let mut x = write(x);
    for_rows(x.storage_mut(), width, |_, x| x.iter_mut().for_each(|x| *x *= factor));
    restore(x)
}

/// The sum of the rows.
///
/// # Shapes
/// `[N, D]` → `[1, D]`.
pub(crate) fn sum_rows(x: Tensor<2>) -> Tensor<2> {
    if !is_host(&x) {
        return x.sum_dim(0);
    }
    let [_, width] = x.dims();
    let x = read(x);
    let x = slice(&x);
    column_sums(width, |start, sums| {
        for row in x.chunks_exact(width) {
            for (sum, x) in sums.iter_mut().zip(&row[start..]) {
                *sum += x;
            }
        }
    })
}

/// A row of sums, piece by piece on all cores: `work` gets the first column of its piece, and adds to the piece row
/// after row, so that the result does not depend on the number of cores.
pub(super) fn column_sums(width: usize, work: impl Fn(usize, &mut [f32]) + Sync) -> Tensor<2> {
    let mut sums = vec![0.0; width];
    let arch = Arch::new();
    sums.par_chunks_mut(COLUMNS).enumerate().for_each(|(piece, sums)| {
        arch.dispatch(|| work(piece * COLUMNS, sums));
    });
    tensor(sums, [1, width])
}

/// The sum of the squares of all numbers, `[1]` in f32. NaN or infinite if any number is.
///
/// # Shapes
/// `[N, D]` → `[1]`.
pub(crate) fn sum_of_squares(x: &Tensor<2>) -> Tensor<1> {
    if !is_host(x) {
        return x.clone().cast(DType::F32).square().sum();
    }
    let [rows, width] = x.dims();
    let x = read(x.clone());
    let x = slice(&x);
    let mut sums = vec![0.0; rows];
    for_rows(&mut sums, 1, |row, sum| {
        let row = &x[row * width..(row + 1) * width];
        sum[0] = sum_of(row, row, |a, b| a * b);
    });
    tensor(vec![sums.iter().sum()], [1])
}
