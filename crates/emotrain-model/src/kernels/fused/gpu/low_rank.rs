//! Products whose sums are short, as an adapter's are, added where they belong: nothing of the result's size is written
//! and read again on the way.

use burn::tensor::Tensor;
use burn_cubecl::Cube;
use cubecl::ir::ElemType;
use cubecl::prelude::*;

use super::buffers::{contiguous, elem_type, taken, vector_size};
use super::dropout::{Mask, kept, on_device};
use crate::kernels::fused::LowProduct;

/// A cube has so many threads along rows and along columns.
const SIDE: usize = 16;
/// Rows of a thread; it has one vector of columns.
const ROWS: usize = 4;
/// Terms of a sum that a cube has in shared memory at a time.
const DEPTH: usize = 16;
/// The longest sums: beyond, the device's own products are faster.
const LONGEST: usize = 128;

/// How a kernel goes over the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Plan {
    /// Terms of a sum.
    pub(crate) depth: usize,
    /// Whether the right side is given with its columns as rows.
    pub(crate) turned: bool,
    /// Whether dropout is applied to the product.
    pub(crate) drops: bool,
}

/// Shape and place of the product; columns in vectors.
#[derive(CubeLaunch, CubeType, Clone, Copy)]
pub(crate) struct Target {
    pub(crate) rows: u32,
    pub(crate) columns: u32,
    /// The first vector that is added to, and how many lie from a row to the next.
    pub(crate) first: u32,
    pub(crate) stride: u32,
}

/// `to += drop(left · right)`: `left` `[rows, depth]`, `right` `[depth, columns]`, or `[columns, depth]` if it is turned.
#[cube(launch)]
pub(crate) fn add_low_product<F: Float, N: Size>(
    to: &mut [Vector<F, N>],
    left: &[F],
    right: &[F],
    target: &Target,
    mask: &Mask,
    #[comptime] plan: Plan,
    #[define(F)] _dtype: ElemType,
) {
    let unit = UNIT_POS as usize;
    let (across, down) = (unit % SIDE, unit / SIDE);
    let (rows, columns) = (target.rows as usize, target.columns as usize);
    let first_row = CUBE_POS_Y as usize * SIDE * ROWS;
    let first_column = CUBE_POS_X as usize * SIDE;
    let width = columns * N::value();
    let mut lefts = Shared::<[f32]>::new_slice(comptime!(SIDE * ROWS * DEPTH));
    let mut rights = Shared::<[Vector<f32, N>]>::new_slice(comptime!(SIDE * DEPTH));
    let mut sums = Array::<Vector<f32, N>>::new(ROWS);
    #[unroll]
    for row in 0..ROWS {
        sums[row] = Vector::new(0.0f32);
    }
    for chunk in 0..comptime!(plan.depth.div_ceil(DEPTH)) {
        let from = chunk * DEPTH;
        // Each thread has ROWS numbers of the left side and one vector of the right to load.
        #[unroll]
        for part in 0..ROWS {
            let at = part * SIDE * SIDE + unit;
            let row = first_row + at / DEPTH;
            let term = from + at % DEPTH;
            let mut number = 0.0f32;
            if row < rows && term < plan.depth {
                number = f32::cast_from(left[row * plan.depth + term]);
            }
            lefts[at] = number;
        }
        let (term, column) = (from + down, (first_column + across) * N::value());
        let mut vector = Vector::<f32, N>::new(0.0f32);
        if term < plan.depth && column < width {
            #[unroll]
            for lane in 0..N::value() {
                let at = if comptime!(plan.turned) {
                    (column + lane) * plan.depth + term
                } else {
                    term * width + column + lane
                };
                vector.insert(lane, f32::cast_from(right[at]));
            }
        }
        rights[down * SIDE + across] = vector;
        sync_cube();
        for term in 0..DEPTH {
            let vector = rights[term * SIDE + across];
            #[unroll]
            for row in 0..ROWS {
                sums[row] += vector * Vector::new(lefts[(down * ROWS + row) * DEPTH + term]);
            }
        }
        sync_cube();
    }
    let column = first_column + across;
    #[unroll]
    for part in 0..ROWS {
        let row = first_row + down * ROWS + part;
        if row < rows && column < columns {
            let mut sum = sums[part];
            if comptime!(plan.drops) {
                sum = kept::<N>(sum, row * columns + column, mask);
            }
            let place = target.first as usize + row * target.stride as usize + column;
            to[place] = Vector::cast_from(Vector::<f32, N>::cast_from(to[place]) + sum);
        }
    }
}

/// See [`super::super::add_low_product`].
pub(crate) fn add(to: &mut Tensor<2>, [left, right]: [&Tensor<2>; 2], product: LowProduct) -> Option<()> {
    let LowProduct { place: [row, column], turned, mask } = product;
    let ([rows, depth], [_, stride], dtype) = (left.dims(), to.dims(), to.dtype());
    let columns = right.dims()[usize::from(!turned)];
    if rows * columns == 0 || depth > LONGEST || left.dtype() != dtype || right.dtype() != dtype {
        return None;
    }
    // The dropout of one vector is that of neighbours in a row of the product.
    let size = [columns, stride, column].map(|width| vector_size(width, 4)).into_iter().min()?;
    let number = |numbers: usize| u32::try_from(numbers).ok();
    let across = number((columns / size).div_ceil(SIDE))?;
    let down = number(rows.div_ceil(SIDE * ROWS))?;
    if across.max(down) > 65_535 {
        return None;
    }
    let (left, right, element) = (contiguous(left)?, contiguous(right)?, elem_type(dtype)?);
    let first = number((row * stride + column) / size)?;
    let sum = taken(to, 2 * rows * columns)?;
    add_low_product::launch(
        &left.client.clone(),
        CubeCount::Static(across, down, 1),
        CubeDim::new_1d(number(SIDE * SIDE)?),
        size,
        sum.clone().into_buffer_arg(),
        left.into_buffer_arg(),
        right.into_buffer_arg(),
        TargetLaunch::new(number(rows)?, number(columns / size)?, first, number(stride / size)?),
        on_device(mask),
        Plan { depth, turned, drops: mask.is_some() },
        element,
    );
    *to = Tensor::from_primitive::<Cube>(sum);
    Some(())
}
