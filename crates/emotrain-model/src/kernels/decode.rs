//! The numbers of a matrix that is kept as codes.

use burn::tensor::{DType, Tensor};

use super::{Form, fused};
pub(crate) use fused::Codes as CodedNumbers;

/// The numbers in this type; `None` where there is no kernel of our own for them.
///
/// # Shapes
/// → `[rows, width]`.
pub(crate) fn decode(codes: &CodedNumbers, shape: [usize; 2], dtype: DType) -> Option<Tensor<2>> {
    match Form::of(codes.table) {
        Form::Fused => fused::decode(codes, shape, dtype),
        Form::Host | Form::Tensor => None,
    }
}
