//! Products of matrices on the CPU in f32, as they lie in memory.

use burn::tensor::Tensor;
use burn_flex::{Flex, FlexTensor};
use emotrain_kernels::{Dense, add_dense_product, dense_products};

use super::host::{restore, tensor, write};

/// `left · right`, of which a side may stand for several of the other's.
///
/// # Shapes
/// `[…, n, k]` and `[…, k, w]` → `[…, n, w]`.
///
/// # Panics
/// Unless both are on the CPU in f32 and no dimension is reversed, and on other shapes.
pub(super) fn matmul<const D: usize>(left: Tensor<D>, right: Tensor<D>) -> Tensor<D> {
    let (one, other) = (left.dims(), right.dims());
    assert_eq!(one[D - 1], other[D - 2], "{one:?} and {other:?}");
    let mut shape = one;
    shape[D - 1] = other[D - 1];
    for at in 0..D - 2 {
        assert!(one[at] == other[at] || one[at] == 1 || other[at] == 1, "{one:?} and {other:?}");
        shape[at] = if one[at] == 1 { other[at] } else { one[at] };
    }
    if shape.contains(&0) {
        return tensor(Vec::new(), shape);
    }
    let (left, right) = (flex(left), flex(right));
    let (stacked, count) = (&shape[..D - 2], shape[..D - 2].iter().product());
    let pairs: Vec<[Dense; 2]> =
        (0..count).map(|number| [matrix(&left, stacked, number), matrix(&right, stacked, number)]).collect();
    tensor(dense_products(&pairs), shape)
}

/// Adds `left · right` to the block of `to` that begins at this row and column.
///
/// # Shapes
/// `to` `[N, W]`, `[n, k]` and `[k, w]` with `row + n <= N` and `column + w <= W`.
///
/// # Panics
/// As [`matmul`].
pub(super) fn add_product(
    to: Tensor<2>,
    [row, column]: [usize; 2],
    left: Tensor<2>,
    right: Tensor<2>,
) -> Tensor<2> {
    let ([rows, width], [height, _], [_, columns]) = (to.dims(), left.dims(), right.dims());
    assert!(row + height <= rows && column + columns <= width, "a block that is not there");
    if height == 0 || columns == 0 {
        return to;
    }
    let (mut to, left, right) = (write(to), flex(left), flex(right));
    let sides = [&matrix(&left, &[], 0), &matrix(&right, &[], 0)];
    add_dense_product(&mut to.storage_mut()[row * width + column..], width, sides);
    restore(to)
}

fn flex<const D: usize>(tensor: Tensor<D>) -> FlexTensor {
    tensor.try_into_primitive::<Flex>().expect("a CPU tensor")
}

/// The matrix of a tensor that has this number among as many as the shape `stacked` has.
fn matrix<'t>(tensor: &'t FlexTensor, stacked: &[usize], number: usize) -> Dense<'t> {
    let layout = tensor.layout();
    let stride = |at: usize| usize::try_from(layout.strides()[at]).expect("rows go forward");
    let (mut left, mut first) = (number, layout.start_offset());
    for (at, count) in stacked.iter().enumerate().rev() {
        // A dimension of one stands for all.
        if layout.shape()[at] > 1 {
            first += left % count * stride(at);
        }
        left /= count;
    }
    let [row, column] = [stacked.len(), stacked.len() + 1];
    let shape = [layout.shape()[row], layout.shape()[column]];
    Dense::new(&tensor.storage()[first..], shape, [stride(row), stride(column)])
}
