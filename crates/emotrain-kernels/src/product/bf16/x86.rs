//! The form for x86 with AVX512-BF16: rows of `x` and panels of `W` as pairs, which are multiplied pair by pair, or tile by
//! tile where there are tiles.

use std::arch::x86_64::{__m512, __m512bh, _mm512_dpbf16_ps, _mm512_set1_epi32, _mm512_setzero_ps};
use std::ops::Range;

use super::super::{PANEL, Place, in_panels};
use super::{Pair, amx, upper_half};
use crate::fresh;

/// Rows of `x` that are multiplied together.
const ROWS: usize = 6;
/// Vectors of sixteen columns that are multiplied with them: with these as many sums as the registers hold.
const VECTORS: usize = 4;
const _: () = assert!(PANEL == 16 * VECTORS, "a panel is as wide as the vectors");
/// Pairs of a panel, which stays in a core's cache while rows pass by.
const DEPTH: usize = 1024;
/// Rows of `x` that are rounded as one piece of work.
const ROUNDED: usize = 16;

/// Whether this CPU has what [`product_to`] needs.
pub(crate) fn has_dot_products() -> bool {
    is_x86_feature_detected!("avx512bf16")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
}

/// As [`super::product_bf16_to`].
///
/// # Panics
/// Without [`has_dot_products`].
#[expect(unsafe_code, reason = "what is called needs instructions that not every CPU has")]
pub(super) fn product_to(out: &mut Vec<f32>, x: &[f32], weight: &[f32], width: usize) {
    assert!(has_dot_products(), "instructions that this CPU lacks");
    panel_product_to(out, x, [width, weight.len() / width], |pairs, columns, panel| {
        // SAFETY: this CPU has the instructions.
        unsafe { lay(&weight[columns.start * width..columns.end * width], width, pairs.start, panel) }
    });
}

/// The product of `x`, rounded, and a matrix `[width, columns]` of which `lay` gives panels: for these pairs of its rows,
/// these columns of both, at most [`PANEL`].
///
/// # Panics
/// Without [`has_dot_products`].
#[expect(unsafe_code, reason = "what is called needs instructions that not every CPU has")]
pub(in super::super) fn panel_product_to(
    out: &mut Vec<f32>,
    x: &[f32],
    [width, columns]: [usize; 2],
    lay: impl Fn(Range<usize>, Range<usize>, &mut [[Pair; PANEL]]) + Sync,
) {
    assert!(has_dot_products(), "instructions that this CPU lacks");
    let (rows, pairs, tiles) = (x.len() / width, width.div_ceil(2), amx::allowed());
    // Tiles are whole: behind the last row, and behind the last pair of each row and panel, are zeros.
    let (all_rows, all_pairs) = if tiles {
        (rows.next_multiple_of(amx::ROWS), pairs.next_multiple_of(amx::PAIRS))
    } else {
        (rows, pairs)
    };
    let mut rounded = Vec::new();
    fresh::in_pieces(&mut rounded, all_rows * all_pairs, ROUNDED * all_pairs, |piece, to| {
        let from = &x[(piece * ROUNDED * width).min(x.len())..((piece + 1) * ROUNDED * width).min(x.len())];
        // SAFETY: this CPU has the instructions.
        unsafe { round_rows(from, width, to, all_pairs) }
    });
    let lay = |depth: Range<usize>, columns: Range<usize>, panel: &mut [[Pair; PANEL]]| {
        let there = depth.end.min(pairs) - depth.start;
        lay(depth.start..depth.start + there, columns, &mut panel[..there]);
        panel[there..].fill([0; PANEL]);
    };
    in_panels::<_, DEPTH>(out, [rows, all_pairs, columns], [0; PANEL], lay, |panel, out, place| {
        if tiles {
            amx::rows_times_panel(&rounded, all_pairs, panel, out, &place);
        } else {
            // SAFETY: as above.
            unsafe { rows_times_panel(&rounded, pairs, panel, out, &place) }
        }
    });
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
fn round_rows(from: &[f32], width: usize, to: &mut [Pair], stride: usize) {
    for (from, to) in from.chunks_exact(width).zip(to.chunks_exact_mut(stride)) {
        round_row(from, to);
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
fn round_row(from: &[f32], to: &mut [Pair]) {
    let (whole, rest) = from.as_chunks::<2>();
    for ([first, second], to) in whole.iter().zip(&mut *to) {
        *to = upper_half(*first) | upper_half(*second) << 16;
    }
    if let [last] = rest {
        to[whole.len()] = upper_half(*last);
    }
}

/// Adds the products of all rows with a panel to its columns of `out`, or begins with them.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
fn rows_times_panel(
    x: &[Pair],
    pairs: usize,
    panel: &[[Pair; PANEL]],
    out: &mut [&mut [f32]],
    place: &Place,
) {
    let whole = out.len() / ROWS * ROWS;
    for (x, out) in x.chunks_exact(ROWS * pairs).zip(out.chunks_exact_mut(ROWS)) {
        multiply::<ROWS>(x, panel, out, place);
    }
    for (x, out) in x[whole * pairs..].chunks_exact(pairs).zip(out[whole..].chunks_exact_mut(1)) {
        multiply::<1>(x, panel, out, place);
    }
}

/// Lays rows of `W` from pair `first` on into a panel: operands of one product are contiguous.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
fn lay(weight: &[f32], width: usize, first: usize, panel: &mut [[Pair; PANEL]]) {
    /// Pairs at a time: a row of W is read from memory in long stretches, and the lines of the panel stay in a cache.
    const STRETCH: usize = 256;
    let mut stretch = [0; STRETCH];
    for (number, panel) in panel.chunks_mut(STRETCH).enumerate() {
        let start = 2 * (first + number * STRETCH);
        for (column, row) in weight.chunks_exact(width).enumerate() {
            round_row(&row[start..(start + 2 * panel.len()).min(width)], &mut stretch);
            for (panel, pair) in panel.iter_mut().zip(&stretch) {
                panel[column] = *pair;
            }
        }
    }
}

/// The products of `R` rows of `x` with a panel.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
#[expect(unsafe_code, reason = "vectors are read from and written to arrays of their size")]
fn multiply<const R: usize>(x: &[Pair], panel: &[[Pair; PANEL]], out: &mut [&mut [f32]], place: &Place) {
    let (pairs, Place { depth, columns }) = (x.len() / R, place);
    // Loops: closures would be compiled without the vector instructions.
    let mut rows: [&[Pair]; R] = [&[]; R];
    for (row, x) in rows.iter_mut().zip(x.chunks_exact(pairs)) {
        *row = &x[depth.clone()];
    }
    let mut sums = [[_mm512_setzero_ps(); VECTORS]; R];
    if depth.start > 0 {
        for (sums, out) in sums.iter_mut().zip(&*out) {
            let mut sum = [0.0; PANEL];
            sum[..columns.len()].copy_from_slice(&out[columns.clone()]);
            // SAFETY: both are 256 bytes of which every value is valid.
            *sums = unsafe { std::mem::transmute::<[f32; PANEL], [__m512; VECTORS]>(sum) };
        }
    }
    for (at, line) in panel.iter().enumerate() {
        let mut pairs = [0; R];
        for row in 0..R {
            pairs[row] = rows[row][at];
        }
        add_line(&mut sums, pairs, line);
    }
    for (out, sums) in out.iter_mut().zip(sums) {
        // SAFETY: both are 256 bytes of which every value is valid.
        let sums: [f32; PANEL] = unsafe { std::mem::transmute(sums) };
        let out = &mut out[columns.clone()];
        match out.first_chunk_mut::<PANEL>() {
            Some(out) => *out = sums,
            None => out.copy_from_slice(&sums[..columns.len()]),
        }
    }
}

/// A tile's numbers, rounded, in pairs of neighbours of a row: row after row.
///
/// # Panics
/// Without [`has_dot_products`].
#[expect(unsafe_code, reason = "what is called needs instructions that not every CPU has")]
pub(crate) fn pairs_of_columns(tile: &[[f32; PANEL]; PANEL], out: &mut [Pair]) {
    assert!(has_dot_products(), "instructions that this CPU lacks");
    // SAFETY: this CPU has the instructions.
    unsafe { round_rows(tile.as_flattened(), PANEL, out, PANEL / 2) };
}

/// A tile's numbers, rounded, in pairs of neighbours of a column: a line for two rows.
///
/// # Panics
/// Without [`has_dot_products`].
#[expect(unsafe_code, reason = "what is called needs instructions that not every CPU has")]
pub(crate) fn pairs_of_rows(tile: &[[f32; PANEL]; PANEL], out: &mut [Pair]) {
    assert!(has_dot_products(), "instructions that this CPU lacks");
    // SAFETY: this CPU has the instructions.
    unsafe { join_rows(tile, out) };
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
fn join_rows(tile: &[[f32; PANEL]; PANEL], out: &mut [Pair]) {
    for ([first, second], line) in tile.as_chunks::<2>().0.iter().zip(out.chunks_exact_mut(PANEL)) {
        for ((first, second), pair) in first.iter().zip(second).zip(line) {
            *pair = upper_half(*first) | upper_half(*second) << 16;
        }
    }
}

/// Adds to rows, [`TOGETHER`] at a time, the products of rows of pairs, [`PANEL`]`/ 2` of each, with lines: as many of each
/// as there are lines.
///
/// # Panics
/// Without [`has_dot_products`].
#[expect(unsafe_code, reason = "what is called needs instructions that not every CPU has")]
pub(crate) fn add_products(out: &mut [[f32; PANEL]], left: &[Pair], lines: &[[Pair; PANEL]]) {
    assert!(has_dot_products(), "instructions that this CPU lacks");
    // SAFETY: this CPU has the instructions.
    unsafe { add_by_rows(out, left, lines) };
}

/// The same of columns of pairs, whose lines are as those of the right side.
///
/// # Panics
/// Without [`has_dot_products`].
#[expect(unsafe_code, reason = "what is called needs instructions that not every CPU has")]
pub(crate) fn add_turned_products(out: &mut [[f32; PANEL]], left: &[Pair], lines: &[[Pair; PANEL]]) {
    assert!(has_dot_products(), "instructions that this CPU lacks");
    // SAFETY: this CPU has the instructions.
    unsafe { add_by_columns(out, left, lines) };
}

/// Rows of a tile that are multiplied together.
const TOGETHER: usize = 4;

/// The sums of these rows.
type Sums = [[__m512; VECTORS]; TOGETHER];

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
fn add_by_rows(out: &mut [[f32; PANEL]], left: &[Pair], lines: &[[Pair; PANEL]]) {
    let (out, _) = out.as_chunks_mut::<TOGETHER>();
    for (out, left) in out.iter_mut().zip(left.chunks_exact(TOGETHER * PANEL / 2)) {
        let mut rows: [&[Pair]; TOGETHER] = [&[]; TOGETHER];
        for (row, left) in rows.iter_mut().zip(left.chunks_exact(PANEL / 2)) {
            *row = &left[..lines.len()];
        }
        let mut sums = as_sums(out);
        for (at, line) in lines.iter().enumerate() {
            add_line(&mut sums, [rows[0][at], rows[1][at], rows[2][at], rows[3][at]], line);
        }
        *out = as_rows(&sums);
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
fn add_by_columns(out: &mut [[f32; PANEL]], left: &[Pair], lines: &[[Pair; PANEL]]) {
    let (columns, _) = left.as_chunks::<PANEL>();
    for (number, out) in out.as_chunks_mut::<TOGETHER>().0.iter_mut().enumerate() {
        let first = number * TOGETHER;
        let mut sums = as_sums(out);
        for (line, left) in lines.iter().zip(columns) {
            let pairs = [left[first], left[first + 1], left[first + 2], left[first + 3]];
            add_line(&mut sums, pairs, line);
        }
        *out = as_rows(&sums);
    }
}

/// Adds the products of a pair of each of `R` rows with a line.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
#[expect(unsafe_code, reason = "vectors are read from arrays of their size")]
fn add_line<const R: usize>(sums: &mut [[__m512; VECTORS]; R], pairs: [Pair; R], line: &[Pair; PANEL]) {
    // SAFETY: both are 256 bytes of which every value is valid.
    let line: [__m512bh; VECTORS] = unsafe { std::mem::transmute(*line) };
    for row in 0..R {
        // SAFETY: vectors of 64 bytes of which every value is valid.
        let pair: __m512bh = unsafe { std::mem::transmute(_mm512_set1_epi32(pairs[row].cast_signed())) };
        for vector in 0..VECTORS {
            sums[row][vector] = _mm512_dpbf16_ps(sums[row][vector], pair, line[vector]);
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
#[expect(unsafe_code, reason = "vectors are read from arrays of their size")]
fn as_sums(rows: &[[f32; PANEL]; TOGETHER]) -> Sums {
    // SAFETY: both are 1,024 bytes of which every value is valid.
    unsafe { std::mem::transmute(*rows) }
}

#[inline]
#[target_feature(enable = "avx512f")]
#[expect(unsafe_code, reason = "vectors are written to arrays of their size")]
fn as_rows(sums: &Sums) -> [[f32; PANEL]; TOGETHER] {
    // SAFETY: both are 1,024 bytes of which every value is valid.
    unsafe { std::mem::transmute(*sums) }
}
