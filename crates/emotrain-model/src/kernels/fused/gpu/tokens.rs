//! What a generation does between the last layer of a token and the first of the next, so that the host is not asked.

use burn::tensor::{DType, Int, Tensor};
use cubecl::prelude::*;

use super::buffers::{Spread, in_part, integers, own_integers, spread};
use crate::kernels::fused::TokenTables;

/// `from` → `to`, so many numbers.
#[cube(launch)]
pub(crate) fn overwrite_numbers(from: &[i32], to: &mut [i32], count: u32) {
    let at = ABSOLUTE_POS;
    if at < count as usize {
        to[at] = from[at];
    }
}

/// The slot of each sequence's place, and where in `slots`, `capacity` numbers a sequence, those begin and end that are seen
/// from there: of a window's width, or all where it is 0.
#[cube(launch)]
pub(crate) fn places_of_tokens(
    places: &[i32],
    slots: &[i32],
    new: &mut [i32],
    ranges: &mut [i32],
    sequences: u32,
    window: i32,
    #[comptime] capacity: usize,
) {
    let row = ABSOLUTE_POS;
    if row >= sequences as usize {
        terminate!();
    }
    let first = i32::cast_from(row * capacity);
    let place = first + places[row];
    new[row] = slots[place as usize];
    let mut start = first;
    if window > 0 {
        start = max(first, place + 1 - window);
    }
    ranges[2 * row] = start;
    ranges[2 * row + 1] = place + 1;
}

/// What was found after each sequence's place, three numbers a sequence as [`super::super::likeliest`] has them, is its next token;
/// told at its place in `told`, `kept` numbers a sequence and the next over the first, and -1 where a logit is not finite.
#[cube(launch)]
pub(crate) fn next_tokens(
    found: &[f32],
    ids: &mut [i32],
    places: &mut [i32],
    told: &mut [i32],
    sequences: u32,
    #[comptime] capacity: usize,
    #[comptime] kept: usize,
) {
    let row = ABSOLUTE_POS;
    if row >= sequences as usize {
        terminate!();
    }
    let place = places[row];
    let mut id = i32::cast_from(found[3 * row]);
    if found[3 * row + 2] > 0.0f32 {
        id = -1i32;
    }
    told[row * kept + place as usize % kept] = id;
    ids[row] = max(id, 0i32);
    places[row] = min(place + 1, capacity as i32 - 1);
}

/// See [`super::super::overwrite`].
pub(crate) fn overwrite(to: &Tensor<1, Int>, from: &Tensor<1, Int>) -> Option<()> {
    if [to.dtype(), from.dtype()] != [DType::I32; 2] || to.dims() != from.dims() {
        return None;
    }
    let [count] = to.dims();
    let Spread { cubes, units } = spread(count)?;
    let (source, target) = (integers(from)?, own_integers(to)?);
    overwrite_numbers::launch(
        &source.client.clone(),
        cubes,
        units,
        source.into_buffer_arg(),
        target.into_buffer_arg(),
        u32::try_from(count).ok()?,
    );
    Some(())
}

/// See [`super::super::place_tokens`].
pub(crate) fn place(tables: &TokenTables, ranges: &Tensor<2, Int>, window: Option<usize>) -> Option<()> {
    let TokenTables { places, slots, new, capacity, .. } = tables;
    let [sequences] = places.dims();
    let Spread { cubes, units } = spread(sequences)?;
    let source = integers(places)?;
    places_of_tokens::launch(
        &source.client.clone(),
        cubes,
        units,
        source.into_buffer_arg(),
        integers(slots)?.into_buffer_arg(),
        own_integers(new)?.into_buffer_arg(),
        own_integers(ranges)?.into_buffer_arg(),
        u32::try_from(sequences).ok()?,
        i32::try_from(window.unwrap_or(0)).ok()?,
        *capacity,
    );
    Some(())
}

/// See [`super::super::take_tokens`].
pub(crate) fn take(tables: &TokenTables, found: &Tensor<2>) -> Option<()> {
    let TokenTables { ids, places, told, capacity, kept, .. } = tables;
    let [sequences] = places.dims();
    let Spread { cubes, units } = spread(sequences)?;
    let source = in_part(found)?;
    next_tokens::launch(
        &source.client.clone(),
        cubes,
        units,
        source.into_buffer_arg(),
        own_integers(ids)?.into_buffer_arg(),
        own_integers(places)?.into_buffer_arg(),
        own_integers(told)?.into_buffer_arg(),
        u32::try_from(sequences).ok()?,
        *capacity,
        *kept,
    );
    Some(())
}
