//! The product of a linear layer, `x · Wᵀ`, and that of its backward, `grad · W`, for the rows of several trainings at
//! once: what a training's rows give does not depend on the others.

use std::ops::Range;

use burn::tensor::Tensor;

use super::Form;
use super::host::{read, slice, tensor};
use super::product::{matmul, product};
use crate::device::Side;

/// `x · Wᵀ`.
///
/// # Shapes
/// `x` `[M, in]`, `weight` `[out, in]` → `[M, out]`.
pub fn linear(x: Tensor<2>, weight: &Tensor<2>) -> Tensor<2> {
    match Form::of(&x) {
        Form::Host => {
            let ([rows, width], [columns, _]) = (x.dims(), weight.dims());
            let (x, weight) = (read(x), read(weight.clone()));
            tensor(emotrain_kernels::product(slice(&x), slice(&weight), width), [rows, columns])
        }
        Form::Fused | Form::Tensor => product(&Side::of(&x), &Side::of(weight).transposed()),
    }
}

/// The gradient for `x` of [`linear`]. `parts` are the rows of each training, in order, and all there are; on the CPU
/// each gives the numbers that it gives alone, to the bit.
///
/// # Shapes
/// `grad` `[M, out]`, `weight` `[out, in]` → `[M, in]`.
pub(crate) fn linear_backward(grad: &Tensor<2>, weight: &Tensor<2>, parts: &[Range<usize>]) -> Tensor<2> {
    let groups = match Form::of(grad) {
        Form::Host => alike(parts, weight.dims()),
        Form::Fused | Form::Tensor => Vec::new(),
    };
    if groups.len() < 2 {
        return product(&Side::of(grad), &Side::of(weight));
    }
    let of_group =
        |rows: Range<usize>| matmul(grad.clone().narrow(0, rows.start, rows.len()), weight.clone());
    Tensor::cat(groups.into_iter().map(of_group).collect(), 0)
}

/// How the matrix product of the CPU (`gemm` 0.19, `gemm_basic_generic`) adds up a row of the result: an order that its
/// number of rows may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Summation {
    /// A product of a vector and a matrix.
    Vector,
    /// Blocks of 512 along the sum: small matrices.
    Small,
    /// Blocks that depend on its length alone.
    Blocked,
}

impl Summation {
    /// Beyond this, sums are added up in blocks.
    const BLOCK: usize = 512;
    /// Up to as many rows and columns a matrix is small.
    const SMALL: usize = 64;

    fn of(rows: usize, [sum, columns]: [usize; 2]) -> Self {
        match rows {
            1 => Self::Vector,
            2..=Self::SMALL if columns <= Self::SMALL && sum > Self::BLOCK => Self::Small,
            _ => Self::Blocked,
        }
    }
}

/// Neighbouring parts together, as far as their rows are added up in the same order together as alone.
fn alike(parts: &[Range<usize>], weight: [usize; 2]) -> Vec<Range<usize>> {
    let of = |rows: &Range<usize>| Summation::of(rows.len(), weight);
    let mut groups: Vec<Range<usize>> = Vec::new();
    for part in parts {
        if let Some(group) = groups.last_mut() {
            let both = group.start..part.end;
            if of(group) == of(part) && of(&both) == of(part) {
                *group = both;
                continue;
            }
        }
        groups.push(part.clone());
    }
    groups
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device, TensorData};
    use emotrain_base::random::{Key, uniform};

    use super::*;

    fn draw(key: u64, shape: [usize; 2]) -> Tensor<2> {
        let numbers = uniform(Key::new(key), shape[0] * shape[1], 1.0);
        Tensor::from_data(TensorData::new(numbers, shape), (&Device::flex(), DType::F32))
    }

    fn bits(x: Tensor<2>) -> Vec<u32> {
        x.try_into_vec_as::<f32>().unwrap().into_iter().map(f32::to_bits).collect()
    }

    /// Of every number of rows, in shapes on both sides of each of the product's thresholds.
    #[test]
    fn rows_give_the_same_numbers_together_as_alone() {
        for (number, weight) in
            [[40, 24], [700, 32], [1500, 64], [1500, 65], [96, 576], [1600, 96], [300, 300]]
                .into_iter()
                .enumerate()
        {
            let [out, _] = weight;
            let weights = draw(1, weight);
            let lengths: Vec<usize> = (1..70).chain([100, 1, 129, 2, 257]).collect();
            let grad = draw(2 + number as u64, [lengths.iter().sum(), out]);
            let mut start = 0;
            let part = |&length: &usize| {
                start += length;
                start - length..start
            };
            let parts: Vec<Range<usize>> = lengths.iter().map(part).collect();
            let alone = |rows: &Range<usize>| {
                bits(grad.clone().narrow(0, rows.start, rows.len()).matmul(weights.clone()))
            };
            let together = bits(linear_backward(&grad, &weights, &parts));
            let forward = bits(linear(grad.clone(), &weights.clone().transpose()));
            for rows in &parts {
                let [_, columns] = weight;
                let own = rows.start * columns..rows.end * columns;
                assert!(together[own.clone()] == alone(rows), "{weight:?}, {rows:?}");
                let one =
                    linear(grad.clone().narrow(0, rows.start, rows.len()), &weights.clone().transpose());
                assert!(forward[own] == bits(one), "forward, {weight:?}, {rows:?}");
            }
        }
    }

    #[test]
    fn parts_that_add_up_alike_are_one_product() {
        assert_eq!(alike(&[0..40, 40..90, 90..300, 300..301], [1536, 576]), [0..300, 300..301]);
        assert_eq!(alike(&[0..40, 40..41, 41..90], [1536, 576]), [0..40, 40..41, 41..90]);
        assert_eq!(alike(&[0..40, 40..60, 60..90, 90..300], [2048, 64]), [0..60, 60..90, 90..300]);
    }
}
