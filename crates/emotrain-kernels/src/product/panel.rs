//! The product `x · W` of a matrix whose rows are what is summed over: panels of `W`, a few columns of many rows, stay in
//! a core's cache while the rows of `x` pass by.
//!
//! Each number of the result is added up in the order of the rows of `W`: a row gives bitwise identical numbers whatever
//! rows come with it, on one core as on many.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use super::{PANEL, Place, in_panels};

/// Rows of a panel.
const DEPTH: usize = 512;
/// Rows of `x` that are multiplied together.
const ROWS: usize = 6;
/// Vectors that are multiplied with them, on processors with sixteen vector registers and with thirty-two wide ones.
const VECTORS: usize = 2;
const WIDE_VECTORS: usize = 4;

/// The product of `x` `[M, width]` and a matrix `[width, columns]` of which `lay` gives panels: for these rows, these
/// columns, at most [`PANEL`].
pub(super) fn panel_product_to(
    out: &mut Vec<f32>,
    x: &[f32],
    [width, columns]: [usize; 2],
    lay: impl Fn(Range<usize>, Range<usize>, &mut [[f32; PANEL]]) + Sync,
) {
    let arch = Arch::new();
    in_panels::<_, DEPTH>(
        out,
        [x.len() / width, width, columns],
        [0.0; PANEL],
        lay,
        |panel, out, Place { depth, columns }| {
            arch.dispatch(RowsTimesPanel { x, width, depth, panel, columns, out });
        },
    );
}

/// Adds the products of all rows with a panel to its columns of `out`, or begins with them.
struct RowsTimesPanel<'a, 'o> {
    x: &'a [f32],
    width: usize,
    /// The rows of the panel.
    depth: Range<usize>,
    panel: &'a [[f32; PANEL]],
    /// Of the result.
    columns: Range<usize>,
    /// The rows of the result.
    out: &'a mut [&'o mut [f32]],
}

impl WithSimd for RowsTimesPanel<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if S::F32_LANES < 16 {
            self.rows::<S, VECTORS>(simd);
        } else {
            self.rows::<S, WIDE_VECTORS>(simd);
        }
    }
}

impl RowsTimesPanel<'_, '_> {
    #[inline(always)]
    fn rows<S: Simd, const V: usize>(mut self, simd: S) {
        let rows = self.out.len();
        let whole = rows / ROWS * ROWS;
        for row in (0..whole).step_by(ROWS) {
            self.group::<S, ROWS, V>(simd, row);
        }
        for row in whole..rows {
            self.group::<S, 1, V>(simd, row);
        }
    }

    /// `R` rows from `first` on, `V` vectors of columns at a time.
    #[inline(always)]
    fn group<S: Simd, const R: usize, const V: usize>(&mut self, simd: S, first: usize) {
        let Self { x, width, depth, panel, columns, out } = self;
        let out = &mut out[first..first + R];
        let mut rows: [&[f32]; R] = [&[]; R];
        for (row, x) in rows.iter_mut().zip(x[first * *width..].chunks_exact(*width)) {
            *row = &x[depth.clone()];
        }
        // Plain loops: a closure that is not inlined would lose the vector instructions.
        let span = V * S::F32_LANES;
        for from in (0..columns.len()).step_by(span) {
            let here = columns.start + from..(columns.start + from + span).min(columns.end);
            let mut sums = [[simd.splat_f32s(0.0); V]; R];
            if depth.start > 0 {
                for row in 0..R {
                    let mut known = [0.0; PANEL];
                    known[..here.len()].copy_from_slice(&out[row][here.clone()]);
                    let known = S::as_simd_f32s(&known).0;
                    sums[row].copy_from_slice(&known[..V]);
                }
            }
            for (at, line) in panel.iter().enumerate() {
                let mut numbers = [0.0; R];
                for row in 0..R {
                    numbers[row] = rows[row][at];
                }
                add_line::<S, R, V>(simd, &mut sums, numbers, &line[from..from + span]);
            }
            for row in 0..R {
                let mut all = [0.0; PANEL];
                S::as_mut_simd_f32s(&mut all).0[..V].copy_from_slice(&sums[row]);
                out[row][here.clone()].copy_from_slice(&all[..here.len()]);
            }
        }
    }
}

/// Adds the products of a number of each of `R` rows with `V` vectors of a line.
#[inline(always)]
pub(crate) fn add_line<S: Simd, const R: usize, const V: usize>(
    simd: S,
    sums: &mut [[S::f32s; V]; R],
    numbers: [f32; R],
    line: &[f32],
) {
    let line = S::as_simd_f32s(line).0;
    for row in 0..R {
        let number = simd.splat_f32s(numbers[row]);
        for vector in 0..V {
            sums[row][vector] = simd.mul_add_f32s(number, line[vector], sums[row][vector]);
        }
    }
}
