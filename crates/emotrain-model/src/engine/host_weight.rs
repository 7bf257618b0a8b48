//! A matrix of the base as memory, shared with the model.

use burn_flex::FlexTensor;
use emotrain_kernels::{Arithmetic, frozen_product_to, product_bf16_to, product_to};

use super::Precision;
use crate::kernels::{read, slice};
use crate::weight::{Frozen, Weight};

/// `[out, in]`.
pub(super) enum HostWeight {
    Dense { numbers: FlexTensor, width: usize },
    Frozen(Frozen),
}

impl HostWeight {
    pub(super) fn new(weight: &Weight) -> Self {
        match weight {
            Weight::Dense(weight) => Self::Dense { numbers: read(weight.clone()), width: weight.dims()[1] },
            Weight::Frozen(frozen) => Self::Frozen(frozen.clone()),
            Weight::Coded(_) => unreachable!("the engine on memory is for weights in memory"),
        }
    }

    /// `x` `[M, in]` → `out` `[M, out]`.
    pub(super) fn product_to(&self, out: &mut Vec<f32>, x: &[f32], precision: Precision) {
        match (self, precision) {
            (Self::Dense { numbers, width }, Precision::Full) => {
                product_to(out, x, slice(numbers), *width);
            }
            (Self::Dense { numbers, width }, Precision::Bf16) => {
                product_bf16_to(out, x, slice(numbers), *width);
            }
            (Self::Frozen(frozen), precision) => {
                let arithmetic = match precision {
                    Precision::Full => frozen.arithmetic,
                    Precision::Bf16 => Arithmetic::Bf16,
                };
                frozen_product_to(out, x, &frozen.matrix, arithmetic);
            }
        }
    }

    /// Adds a row to the end of `out`.
    pub(super) fn extend_by_row(&self, row: usize, out: &mut Vec<f32>) {
        match self {
            Self::Dense { numbers, width } => out.extend_from_slice(&slice(numbers)[row * width..][..*width]),
            Self::Frozen(frozen) => {
                let start = out.len();
                out.resize(start + frozen.matrix.width(), 0.0);
                frozen.matrix.read(row, 0, &mut out[start..]);
            }
        }
    }
}
