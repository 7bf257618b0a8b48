//! The rotation of heads by their angles: each number is read with its partner and written once, and what is not rotated
//! is copied.

use burn::tensor::{DType, Tensor};
use burn_cubecl::Cube;
use cubecl::ir::ElemType;
use cubecl::prelude::*;

use super::buffers::{Spread, contiguous, elem_type, empty, spread, vector_size};

/// Rows of heads, in vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Plan {
    /// Of a row.
    pub(crate) row: usize,
    /// Of the heads that are rotated.
    pub(crate) turned: usize,
    /// Of a head.
    pub(crate) head: usize,
    /// Of half of what is rotated of a head.
    pub(crate) half: usize,
}

/// `cos` and `sin` `[N, half]`; `sign` -1 rotates back.
#[cube(launch)]
pub(crate) fn rotate_heads<F: Float, N: Size>(
    x: &[Vector<F, N>],
    cos: &[Vector<f32, N>],
    sin: &[Vector<f32, N>],
    out: &mut [Vector<F, N>],
    sign: f32,
    #[comptime] plan: Plan,
    #[define(F)] _dtype: ElemType,
) {
    let at = ABSOLUTE_POS;
    if at >= out.len() {
        terminate!();
    }
    let column = at % plan.row;
    let place = column % plan.head;
    if column < plan.turned && place < 2 * plan.half {
        let angle = at / plan.row * plan.half + place % plan.half;
        let is_first = place < plan.half;
        let partner = select(is_first, at + plan.half, at - plan.half);
        let signed = select(is_first, -sign, sign);
        let (own, other) = (Vector::<f32, N>::cast_from(x[at]), Vector::<f32, N>::cast_from(x[partner]));
        out[at] = Vector::cast_from(own * cos[angle] + other * sin[angle] * Vector::new(signed));
    } else {
        out[at] = x[at];
    }
}

/// See [`super::super::rotate`].
pub(crate) fn launch(
    x: &Tensor<2>,
    heads: [usize; 2],
    angles: [&Tensor<2>; 2],
    sign: f32,
) -> Option<Tensor<2>> {
    let ([rows, width], [heads, dim], [_, half]) = (x.dims(), heads, angles[0].dims());
    let dtype = x.dtype();
    if half == 0 || angles.iter().any(|angle| angle.dtype() != DType::F32) {
        return None;
    }
    let (element, source, [cos, sin]) = (elem_type(dtype)?, contiguous(x)?, angles.map(contiguous));
    let size = [width, dim, half].map(|width| vector_size(width, 4)).into_iter().min()?;
    let Spread { cubes, units } = spread(rows * width / size)?;
    let plan = Plan { row: width / size, turned: heads * dim / size, head: dim / size, half: half / size };
    let out = empty([rows, width], x)?;
    rotate_heads::launch(
        &source.client.clone(),
        cubes,
        units,
        size,
        source.into_buffer_arg(),
        cos?.into_buffer_arg(),
        sin?.into_buffer_arg(),
        out.clone().into_buffer_arg(),
        sign,
        plan,
        element,
    );
    Some(Tensor::from_primitive::<Cube>(out))
}
