//! Sums and products number by number, sums over all rows, and rows by their numbers.

use std::ops::Range;

use crate::reduce::sum_of;
use crate::rows::{column_sums, for_rows, new_rows, of_rows};

/// Adds a row to another.
#[inline(always)]
pub fn add_row(to: &mut [f32], from: &[f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += from;
    }
}

/// Adds `from` to `to`.
///
/// # Shapes
/// `to` `[N, width]`, `from` `[N, width]` or one row `[1, width]` for all.
pub fn add_rows(to: &mut [f32], from: &[f32], width: usize) {
    let step = if from.len() == width { 0 } else { width };
    for_rows(to, width, |row, to| add_row(to, &from[row * step..][..width]));
}

/// Adds `from` to some of the columns of `to`.
///
/// # Shapes
/// `to` `[N, width]`, `from` `[N, columns]`.
pub fn add_columns(to: &mut [f32], width: usize, from: &[f32], columns: &Range<usize>) {
    for_rows(to, width, |row, to| {
        add_row(&mut to[columns.clone()], &from[row * columns.len()..][..columns.len()]);
    });
}

/// Multiplies every number by `factor`.
pub fn scale(x: &mut [f32], width: usize, factor: f32) {
    for_rows(x, width, |_, x| x.iter_mut().for_each(|x| *x *= factor));
}

/// The sum of the rows of `x` `[N, width]`.
pub fn sum_rows(x: &[f32], width: usize) -> Vec<f32> {
    column_sums(width, |start, sums| {
        for row in x.chunks_exact(width) {
            add_row(sums, &row[start..]);
        }
    })
}

/// The sum of the squares of all numbers of `x` `[N, width]`. NaN or infinite if any number is.
pub fn sum_of_squares(x: &[f32], width: usize) -> f32 {
    let sums = of_rows(x.len() / width, width, |row| {
        let row = &x[row * width..(row + 1) * width];
        sum_of(row, row, |a, b| a * b)
    });
    sums.iter().sum()
}

/// The rows of `x` `[N, width]` with these numbers, in their order.
pub fn select_rows(x: &[f32], width: usize, numbers: &[usize]) -> Vec<f32> {
    new_rows(numbers.len(), width, |row, out| out.copy_from_slice(&x[numbers[row] * width..][..width]))
}

/// The backward of [`select_rows`]: each row of `grad` added to its place among `rows` rows of zeros.
pub fn spread_rows(grad: &[f32], width: usize, numbers: &[usize], rows: usize) -> Vec<f32> {
    let mut out = vec![0.0f32; rows * width];
    for (grad, &row) in grad.chunks_exact(width).zip(numbers) {
        add_row(&mut out[row * width..][..width], grad);
    }
    out
}
