//! int8 quantisation of rows with an error bound, to skip most float32 rows without reading them.
//!
//! A row is stored in float32 and quantised to int8: integers from -127 to 127, their step, and the distance between
//! the row and its quantised form. For a query q and a row x, quantised q' and x',
//!
//! `q·x = q'·x' + q'·(x - x') + (q - q')·x ≤ q'·x' + |q'|·|x - x'| + |q - q'|·|x|`
//!
//! so the product of the quantised forms bounds the score. Only a row whose bound exceeds the worst of the best scores
//! so far is read in float32 and scored; the result is that of scoring all rows.

use emotrain_kernels::{QueryCodes, product_of_rows};

/// Exceeds the rounding errors of a bound, and of a row's length.
const SLACK: f32 = 2e-5;
/// The maximum length of a row.
const LENGTH: f32 = 1.0 + crate::embed::UNIT_TOLERANCE;

/// Rows quantised to int8.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QuantisedRows<'a> {
    /// `[N × width]`.
    pub(crate) codes: &'a [i8],
    /// The step of each row.
    pub(crate) steps: &'a [f32],
    /// The distance of each row from its quantised form.
    pub(crate) errors: &'a [f32],
}

/// A quantised row: codes, step, distance.
pub(crate) fn quantise(row: &[f32]) -> (Vec<i8>, f32, f32) {
    let step = step(row, f32::from(i8::MAX));
    #[expect(clippy::cast_possible_truncation, reason = "a quotient of at most 127, rounded")]
    let codes: Vec<i8> = row.iter().map(|value| (value / step).round() as i8).collect();
    let error = distance(row, codes.iter().map(|code| f32::from(*code) * step));
    (codes, step, error)
}

/// A quantised query, with finer steps.
pub(crate) struct Query {
    codes: QueryCodes,
    step: f32,
    error: f32,
    length: f32,
}

impl Query {
    pub(crate) fn new(query: &[f32]) -> Self {
        // Products with a row's codes sum to at most width · 127 · 8,191, which fits in 32 bits up to width 2,064;
        // longer vectors get coarser steps.
        let most = (f64::from(i32::MAX) / (127.0 * query.len() as f64)).min(8191.0).floor();
        #[expect(clippy::cast_possible_truncation, reason = "at most 8,191")]
        let step = step(query, most as f32);
        #[expect(clippy::cast_possible_truncation, reason = "a quotient of at most 8,191, rounded")]
        let codes: Vec<i16> = query.iter().map(|value| (value / step).round() as i16).collect();
        let error = distance(query, codes.iter().map(|code| f32::from(*code) * step));
        let length = crate::embed::length(query) + error;
        Self { codes: QueryCodes::new(codes), step, error, length }
    }

    /// Writes into `bounds` the maximum score of each row from `first` on.
    pub(crate) fn bounds(&self, quantised: QuantisedRows<'_>, first: usize, bounds: &mut [f32]) {
        let width = self.codes.width();
        let codes = &quantised.codes[first * width..(first + bounds.len()) * width];
        let (steps, errors) = (&quantised.steps[first..], &quantised.errors[first..]);
        let mut products = [0; 256];
        let products = &mut products[..bounds.len()];
        self.codes.products(codes, products);
        for (at, (bound, product)) in bounds.iter_mut().zip(products).enumerate() {
            #[expect(clippy::cast_precision_loss, reason = "SLACK is greater than the loss")]
            let product = *product as f32 * (self.step * steps[at]);
            *bound = product + self.length * errors[at] + self.error * LENGTH + SLACK;
        }
    }

    /// The approximate score of a row.
    pub(crate) fn estimate(&self, quantised: QuantisedRows<'_>, row: usize) -> f32 {
        let mut product = [0];
        self.codes.products(quantised.row(row), &mut product);
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let product = product[0] as f32;
        product * (self.step * quantised.steps[row])
    }
}

impl<'a> QuantisedRows<'a> {
    /// The codes of a row.
    fn row(self, row: usize) -> &'a [i8] {
        let width = self.codes.len() / self.steps.len();
        &self.codes[row * width..(row + 1) * width]
    }

    /// Whether a row is the quantised form of this vector.
    pub(crate) fn is_of(self, row: usize, vector: &[f32]) -> bool {
        let (codes, step, error) = quantise(vector);
        self.row(row) == codes
            && self.steps[row].to_bits() == step.to_bits()
            && self.errors[row].to_bits() == error.to_bits()
    }

    /// The approximate product of two rows.
    pub(crate) fn estimate(self, one: usize, other: usize) -> f32 {
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let product = product_of_rows(self.row(one), self.row(other)) as f32;
        product * (self.steps[one] * self.steps[other])
    }
}

/// The step that maps the largest number to `most`; 1 for a row of zeros.
fn step(row: &[f32], most: f32) -> f32 {
    let greatest = row.iter().fold(0.0_f32, |greatest, value| greatest.max(value.abs()));
    if greatest > 0.0 { greatest / most } else { 1.0 }
}

/// The distance between two rows, rounded up.
fn distance(row: &[f32], other: impl Iterator<Item = f32>) -> f32 {
    let squares = row.iter().zip(other).map(|(one, other)| f64::from(one - other).powi(2));
    #[expect(clippy::cast_possible_truncation, reason = "rounded up by more than the loss")]
    let distance = squares.sum::<f64>().sqrt() as f32;
    distance * 1.0001 + 1e-7
}
