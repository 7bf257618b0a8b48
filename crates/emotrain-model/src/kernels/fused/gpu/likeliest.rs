//! The largest number of each row: a row to a cube, and three numbers a row for the host.

use burn::tensor::{DType, Tensor};
use burn_cubecl::Cube;
use cubecl::ir::ElemType;
use cubecl::prelude::*;

use super::buffers::{contiguous, elem_type, empty_of, one_cube_a_row, vector_size};
use super::reduce;

/// The least number in f32.
const LEAST: f32 = f32::MIN;
/// The bits that are all set in a number that is not finite.
const EXPONENT: u32 = 0x7f80_0000;
/// Places up to here are numbers in f32 without rounding.
const PLACES: usize = 1 << 24;

/// How the kernel goes over rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Plan {
    /// Vectors of a row.
    pub(crate) vectors: usize,
    /// Threads of a cube.
    pub(crate) units: usize,
}

/// Of each row the place of the first of its largest numbers, that number, and how many numbers are not finite.
#[cube(launch)]
pub(crate) fn likeliest_of_rows<F: Float, N: Size>(
    logits: &[Vector<F, N>],
    out: &mut [f32],
    #[comptime] plan: Plan,
    #[define(F)] _dtype: ElemType,
) {
    let row = CUBE_POS;
    if 3 * row >= out.len() {
        terminate!();
    }
    let (start, unit) = (row * plan.vectors, UNIT_POS as usize);
    let mut best = LEAST.runtime();
    let mut place = 0.0f32.runtime();
    let mut wrong = 0.0f32.runtime();
    for at in range_stepped(unit, plan.vectors, plan.units) {
        let vector = Vector::<f32, N>::cast_from(logits[start + at]);
        #[unroll]
        for lane in 0..N::value() {
            let number = vector.extract(lane);
            // Told by its bits, since a compiler may take every number for finite.
            if u32::reinterpret(number) & EXPONENT == EXPONENT {
                wrong += 1.0f32;
            } else if number > best {
                best = number;
                place = f32::cast_from(at * N::value() + lane);
            }
        }
    }
    let largest = reduce::max_of_units(best, plan.units);
    // Of equal ones the first, which is the one that is furthest from the end.
    let width = f32::cast_from(plan.vectors * N::value());
    let mut before = 0.0f32;
    if best == largest {
        before = width - place;
    }
    let first = width - reduce::max_of_units(before, plan.units);
    let wrong = reduce::sum_of_units(wrong, plan.units);
    if unit == 0 {
        out[3 * row] = first;
        out[3 * row + 1] = largest;
        out[3 * row + 2] = wrong;
    }
}

/// See [`super::super::likeliest`].
pub(crate) fn launch(logits: &Tensor<2>) -> Option<Tensor<2>> {
    let ([rows, width], dtype) = (logits.dims(), logits.dtype());
    if rows * width == 0 || width > PLACES {
        return None;
    }
    let (element, size) = (elem_type(dtype)?, vector_size(width, DType::F32.size()));
    let plan = Plan { vectors: width / size, units: reduce::units(width / size) };
    let (source, out) = (contiguous(logits)?, empty_of([rows, 3], logits, DType::F32)?);
    likeliest_of_rows::launch(
        &source.client.clone(),
        one_cube_a_row(rows),
        CubeDim::new_1d(u32::try_from(plan.units).ok()?),
        size,
        source.into_buffer_arg(),
        out.clone().into_buffer_arg(),
        plan,
        element,
    );
    Some(Tensor::from_primitive::<Cube>(out))
}
