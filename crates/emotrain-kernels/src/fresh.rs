//! New buffers, which are cleared where and when they are written: by the core that writes a piece, while it is in that core's
//! cache. One core that clears all before the others begin takes a fifteenth of a training step.

use std::mem::MaybeUninit;
use std::ops::Range;

use rayon::prelude::*;

/// Makes `out` so many numbers: `work(number of the piece, piece)` writes pieces of `size` numbers, which it finds zero, on all
/// cores.
#[inline]
#[expect(unsafe_code, reason = "memory that is cleared piece by piece")]
pub(crate) fn in_pieces<N: Copy + Default + Send>(
    out: &mut Vec<N>,
    count: usize,
    size: usize,
    work: impl Fn(usize, &mut [N]) + Sync,
) {
    let places = room(out, count).par_chunks_mut(size);
    places.enumerate().for_each(|(piece, place)| work(piece, cleared(place)));
    // SAFETY: there is room for them, and the pieces, which are all of them, were cleared.
    unsafe { out.set_len(count) };
}

/// Columns, and their part of each row.
type Part<'a> = (Range<usize>, Vec<&'a mut [MaybeUninit<f32>]>);

/// Makes `out` a matrix: `work` writes pieces of so many columns of all rows, which it finds zero, on all cores.
#[expect(unsafe_code, reason = "memory that is cleared piece by piece")]
pub(crate) fn in_columns(
    out: &mut Vec<f32>,
    [rows, columns]: [usize; 2],
    piece: usize,
    work: impl Fn(&mut [&mut [f32]], Range<usize>) + Sync,
) {
    let ranges = (0..columns).step_by(piece).map(|start| start..(start + piece).min(columns));
    let mut parts: Vec<Part> = ranges.map(|range| (range, Vec::with_capacity(rows))).collect();
    for row in room(out, rows * columns).chunks_exact_mut(columns) {
        for ((_, part), row) in parts.iter_mut().zip(row.chunks_mut(piece)) {
            part.push(row);
        }
    }
    let one = |(range, part): Part| {
        work(&mut part.into_iter().map(cleared).collect::<Vec<_>>(), range);
    };
    match parts.len() {
        1 => parts.into_iter().for_each(one),
        _ => parts.into_par_iter().for_each(one),
    }
    // SAFETY: there is room for them, and the pieces, which are all of them, were cleared.
    unsafe { out.set_len(rows * columns) };
}

/// Room for so many numbers in place of what a buffer holds.
fn room<N>(out: &mut Vec<N>, count: usize) -> &mut [MaybeUninit<N>] {
    out.clear();
    if out.capacity() < count {
        // Growing would copy what is not wanted.
        *out = Vec::with_capacity(count);
    }
    &mut out.spare_capacity_mut()[..count]
}

/// The same memory as zeros.
#[inline]
#[expect(unsafe_code, reason = "memory that is cleared")]
fn cleared<N: Copy + Default>(place: &mut [MaybeUninit<N>]) -> &mut [N] {
    place.fill(MaybeUninit::new(N::default()));
    // SAFETY: every number was written, and the layout is that of the number.
    unsafe { &mut *(std::ptr::from_mut(place) as *mut [N]) }
}
