//! The products of a frozen matrix that is kept in fewer bits than f32, tile by tile: both of a linear layer, `x · Wᵀ` and
//! that of its backward, `grad · W`.
//!
//! A row gives bitwise identical numbers whatever rows come with it, on one core as on many.

use std::borrow::Cow;
use std::ops::Range;

use pulp::Arch;

use super::panel::panel_product_to;
use super::{Product, WIDE_COLUMNS, in_pieces};
use crate::frozen::{FrozenMatrix, bf16_bits};

/// In what a product multiplies; sums are f32 in both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// Single precision.
    F32,
    /// Both factors rounded to bfloat16.
    Bf16,
}

/// Rows of `W` in a tile: as many as are multiplied together, a few times.
const TILE: usize = 4 * WIDE_COLUMNS;

/// The product `x · weightᵀ`.
///
/// # Shapes
/// `x` `[M, in]`, `weight` `[out, in]` → `[M, out]`.
pub fn frozen_product(x: &[f32], weight: &FrozenMatrix, arithmetic: Arithmetic) -> Vec<f32> {
    let mut out = Vec::new();
    frozen_product_to(&mut out, x, weight, arithmetic);
    out
}

/// As [`frozen_product`], in place of what `out` holds. In f32 it is what [`super::product_to`] gives for the numbers of
/// the matrix, to the bit.
pub fn frozen_product_to(out: &mut Vec<f32>, x: &[f32], weight: &FrozenMatrix, arithmetic: Arithmetic) {
    let (width, columns) = (weight.width(), weight.rows());
    let x = match arithmetic {
        Arithmetic::F32 => Cow::Borrowed(x),
        Arithmetic::Bf16 => {
            #[cfg(target_arch = "x86_64")]
            if bf16::has_dot_products() {
                return bf16::product_to(out, x, weight);
            }
            Cow::Owned(rounded(x))
        }
    };
    let arch = Arch::new();
    in_pieces(out, [x.len() / width, columns], width, TILE, |out, columns| {
        let mut tile = vec![0.0; TILE.min(columns.len()) * width];
        for start in columns.clone().step_by(TILE) {
            let rows = start..(start + TILE).min(columns.end);
            let tile = &mut tile[..rows.len() * width];
            for (row, tile) in rows.clone().zip(tile.chunks_exact_mut(width)) {
                read(weight, arithmetic, row, 0..width, tile);
            }
            let place = rows.start - columns.start..rows.end - columns.start;
            let mut out: Vec<&mut [f32]> = out.iter_mut().map(|row| &mut row[place.clone()]).collect();
            arch.dispatch(Product { x: &x, weight: tile, width, out: &mut out });
        }
    });
}

/// The product `grad · weight`: the gradient for `x` of [`frozen_product`].
///
/// # Shapes
/// `grad` `[M, out]`, `weight` `[out, in]` → `[M, in]`.
pub fn frozen_product_back(grad: &[f32], weight: &FrozenMatrix, arithmetic: Arithmetic) -> Vec<f32> {
    let (terms, columns) = (weight.rows(), weight.width());
    let mut out = Vec::new();
    let grad = match arithmetic {
        Arithmetic::F32 => Cow::Borrowed(grad),
        Arithmetic::Bf16 => {
            #[cfg(target_arch = "x86_64")]
            if bf16::has_dot_products() {
                return bf16::product_back(grad, weight);
            }
            Cow::Owned(rounded(grad))
        }
    };
    panel_product_to(&mut out, &grad, [terms, columns], |rows, columns, panel| {
        for (row, line) in rows.zip(panel) {
            read(weight, arithmetic, row, columns.clone(), &mut line[..columns.len()]);
        }
    });
    out
}

/// The numbers of a row as they are multiplied.
fn read(weight: &FrozenMatrix, arithmetic: Arithmetic, row: usize, columns: Range<usize>, out: &mut [f32]) {
    weight.read(row, columns.start, out);
    if arithmetic == Arithmetic::Bf16 {
        for number in out {
            *number = round(*number);
        }
    }
}

fn rounded(numbers: &[f32]) -> Vec<f32> {
    numbers.iter().map(|number| round(*number)).collect()
}

/// The nearest bfloat16.
fn round(number: f32) -> f32 {
    f32::from_bits(u32::from(bf16_bits(number)) << 16)
}

/// With AVX512-BF16.
#[cfg(target_arch = "x86_64")]
mod bf16 {
    use super::super::PANEL;
    use super::super::bf16::x86::{self, panel_product_to};
    use super::FrozenMatrix;

    pub(super) use x86::has_dot_products;

    /// Numbers of a row that are laid at a time.
    const STRETCH: usize = 512;

    pub(super) fn product_to(out: &mut Vec<f32>, x: &[f32], weight: &FrozenMatrix) {
        let (width, columns) = (weight.width(), weight.rows());
        panel_product_to(out, x, [width, columns], |pairs, columns, panel| {
            let mut stretch = [0; STRETCH];
            for (number, panel) in panel.chunks_mut(STRETCH / 2).enumerate() {
                let start = 2 * pairs.start + number * STRETCH;
                let count = (2 * panel.len()).min(width - start);
                for (column, row) in columns.clone().enumerate() {
                    stretch[count..].fill(0);
                    weight.read_bf16(row, start, &mut stretch[..count]);
                    for (line, [first, second]) in panel.iter_mut().zip(stretch.as_chunks::<2>().0) {
                        line[column] = pair(*first, *second);
                    }
                }
            }
        });
    }

    pub(super) fn product_back(grad: &[f32], weight: &FrozenMatrix) -> Vec<f32> {
        let (terms, columns) = (weight.rows(), weight.width());
        let mut out = Vec::new();
        panel_product_to(&mut out, grad, [terms, columns], |pairs, columns, panel| {
            let (mut one, mut other) = ([0; PANEL], [0; PANEL]);
            for (pair_number, line) in pairs.zip(panel) {
                weight.read_bf16(2 * pair_number, columns.start, &mut one[..columns.len()]);
                if 2 * pair_number + 1 < terms {
                    weight.read_bf16(2 * pair_number + 1, columns.start, &mut other[..columns.len()]);
                } else {
                    other.fill(0);
                }
                for ((line, one), other) in line.iter_mut().zip(one).zip(other) {
                    *line = pair(one, other);
                }
            }
        });
        out
    }

    fn pair(first: u16, second: u16) -> u32 {
        u32::from(first) | u32::from(second) << 16
    }
}
