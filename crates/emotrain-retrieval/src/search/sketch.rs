//! Rows in a quarter of their size, to pass over most of them unread.
//!
//! A row is kept in float32 and as a sketch: whole numbers from -127 to 127, the step between them, and
//! how far the row is from its sketch. For a query q and a row x with sketches q' and x',
//!
//! `q·x = q'·x' + q'·(x - x') + (q - q')·x ≤ q'·x' + |q'|·|x - x'| + |q - q'|·|x|`
//!
//! so the product of the sketches bounds the score. Only a row whose bound is above the worst of the best
//! so far is read in float32 and scored; the outcome is that of scoring all.

use pulp::Arch;

/// Greater than the rounding errors of a bound, and of a row's length.
const SLACK: f32 = 2e-5;
/// The greatest length of a row.
const LENGTH: f32 = 1.0 + crate::embed::UNIT_TOLERANCE;

/// The sketches of rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sketches<'a> {
    /// `[N × width]`.
    pub(crate) codes: &'a [i8],
    /// The step of each row.
    pub(crate) steps: &'a [f32],
    /// The distance of each row from its sketch.
    pub(crate) errors: &'a [f32],
}

/// The sketch of a row: codes, step, distance.
pub(crate) fn sketch(row: &[f32]) -> (Vec<i8>, f32, f32) {
    let step = step(row, f32::from(i8::MAX));
    #[expect(clippy::cast_possible_truncation, reason = "a quotient of at most 127, rounded")]
    let codes: Vec<i8> = row.iter().map(|value| (value / step).round() as i8).collect();
    let error = distance(row, codes.iter().map(|code| f32::from(*code) * step));
    (codes, step, error)
}

/// A query's sketch, in finer steps.
pub(super) struct Query {
    codes: Vec<i16>,
    /// The same, sixteen at a time, as far as they go.
    #[cfg(target_arch = "x86_64")]
    wide: Vec<std::arch::x86_64::__m256i>,
    step: f32,
    error: f32,
    length: f32,
}

impl Query {
    pub(super) fn new(query: &[f32]) -> Self {
        // Products with a row's codes add up to at most width · 127 · 8,191, which 32 bits hold for
        // 2,064 numbers; longer vectors get coarser steps.
        let most = (f64::from(i32::MAX) / (127.0 * query.len() as f64)).min(8191.0).floor();
        #[expect(clippy::cast_possible_truncation, reason = "at most 8,191")]
        let step = step(query, most as f32);
        #[expect(clippy::cast_possible_truncation, reason = "a quotient of at most 8,191, rounded")]
        let codes: Vec<i16> = query.iter().map(|value| (value / step).round() as i16).collect();
        let error = distance(query, codes.iter().map(|code| f32::from(*code) * step));
        let length = crate::embed::length(query) + error;
        Self {
            #[cfg(target_arch = "x86_64")]
            wide: codes.as_chunks::<16>().0.iter().map(|part| bytemuck::cast(*part)).collect(),
            codes,
            step,
            error,
            length,
        }
    }

    /// Writes into `bounds` the most that each of the rows from `first` on can score.
    pub(super) fn bounds(&self, arch: Arch, sketches: Sketches<'_>, first: usize, bounds: &mut [f32]) {
        let width = self.codes.len();
        let codes = &sketches.codes[first * width..(first + bounds.len()) * width];
        let (steps, errors) = (&sketches.steps[first..], &sketches.errors[first..]);
        let mut products = [0; 256];
        let products = &mut products[..bounds.len()];
        self.integer_products(arch, codes, products);
        for (at, (bound, product)) in bounds.iter_mut().zip(products).enumerate() {
            #[expect(clippy::cast_precision_loss, reason = "SLACK is greater than the loss")]
            let product = *product as f32 * (self.step * steps[at]);
            *bound = product + self.length * errors[at] + self.error * LENGTH + SLACK;
        }
    }

    /// The products of the query's codes with those of each row.
    fn integer_products(&self, arch: Arch, rows: &[i8], products: &mut [i32]) {
        #[cfg(target_arch = "x86_64")]
        if let Arch::V3(simd) = arch {
            return simd.vectorize(Products { simd, query: self, rows, sums: products });
        }
        arch.dispatch(|| {
            for (product, row) in products.iter_mut().zip(rows.chunks_exact(self.codes.len())) {
                *product = plain_product(&self.codes, row);
            }
        });
    }
}

fn plain_product(query: &[i16], row: &[i8]) -> i32 {
    query.iter().zip(row).map(|(one, other)| i32::from(*one) * i32::from(*other)).sum()
}

/// As above with the instruction that multiplies sixteen pairs and adds neighbours, which the compiler
/// does not find by itself.
#[cfg(target_arch = "x86_64")]
struct Products<'a> {
    simd: pulp::x86::V3,
    query: &'a Query,
    rows: &'a [i8],
    sums: &'a mut [i32],
}

#[cfg(target_arch = "x86_64")]
impl pulp::NullaryFnOnce for Products<'_> {
    type Output = ();

    #[expect(clippy::inline_always, reason = "what is not inlined loses the vector instructions")]
    #[inline(always)]
    fn call(self) {
        let avx2 = self.simd.avx2;
        let Query { codes, wide, .. } = self.query;
        let tail = codes.as_chunks::<16>().1;
        for (product, row) in self.sums.iter_mut().zip(self.rows.chunks_exact(codes.len())) {
            let (row, row_tail) = row.as_chunks::<16>();
            let mut sum = self.simd.avx._mm256_setzero_si256();
            for (one, other) in wide.iter().zip(row) {
                let other = avx2._mm256_cvtepi8_epi16(bytemuck::cast(*other));
                sum = avx2._mm256_add_epi32(sum, avx2._mm256_madd_epi16(*one, other));
            }
            let sums: [i32; 8] = bytemuck::cast(sum);
            let sum = sums.iter().fold(0_i32, |sum, part| sum.wrapping_add(*part));
            *product = sum.wrapping_add(plain_product(tail, row_tail));
        }
    }
}

/// The step that takes the greatest number to `most`; 1 for a row of zeros.
fn step(row: &[f32], most: f32) -> f32 {
    let greatest = row.iter().fold(0.0_f32, |greatest, value| greatest.max(value.abs()));
    if greatest > 0.0 { greatest / most } else { 1.0 }
}

/// The distance between a row and another, rounded up.
fn distance(row: &[f32], other: impl Iterator<Item = f32>) -> f32 {
    let squares = row.iter().zip(other).map(|(one, other)| f64::from(one - other).powi(2));
    #[expect(clippy::cast_possible_truncation, reason = "rounded up by more than the loss")]
    let distance = squares.sum::<f64>().sqrt() as f32;
    distance * 1.0001 + 1e-7
}
