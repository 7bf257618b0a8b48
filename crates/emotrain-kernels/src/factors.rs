//! Low-rank factors of a matrix: by orthogonal columns, and by its largest singular values (randomised subspace
//! iteration with Rayleigh-Ritz, Halko et al. 2011, algorithms 4.4 and 5.1).

use crate::product::product;

/// `W ≈ B·A`.
#[derive(Clone, Debug)]
pub struct Factors {
    /// `[r, in]`.
    pub a: Vec<f32>,
    /// `[out, r]`.
    pub b: Vec<f32>,
}

/// A subspace has settled when less than this of an orthonormal basis has left it between two looks.
const SETTLED: f64 = 1e-4;
/// Iterations after which a subspace is taken as it is.
const MOST: usize = 200;
/// Iterations between two looks at it.
const LOOKS: usize = 4;

/// `B` = the first `r` columns of `Q` and `A` = the first `r` rows of `R` in `W = Q·R`, up to signs, which cancel.
///
/// # Shapes
/// `w` `[out, width]` with `r` at most either.
pub fn qr_factors(w: &[f32], width: usize, r: usize) -> Factors {
    let out = w.len() / width;
    let mut q: Vec<f32> =
        (0..r).flat_map(|column| (0..out).map(move |row| w[row * width + column])).collect();
    orthonormalise(&mut q, out);
    Factors { a: product(&q, &transposed(w, width), out), b: transposed(&q, out) }
}

/// `B·A` = the part of `W` that belongs to its `r` largest singular values, each half with their roots.
///
/// `iterations` are powers of `W·Wᵀ`; with none given, as many as it takes for the part to settle. `start` are random
/// numbers.
///
/// # Shapes
/// `w` `[out, width]`, `start` `[l, width]` with `r <= l` and `l` at most `out` and `width`.
pub fn singular_factors(
    w: &[f32],
    width: usize,
    r: usize,
    iterations: Option<usize>,
    start: &[f32],
) -> Factors {
    let out = w.len() / width;
    let across = transposed(w, width);
    let mut left = product(start, w, width);
    orthonormalise(&mut left, out);
    let mut before: Option<Vec<f32>> = None;
    for number in 0..iterations.unwrap_or(MOST) {
        let mut right = product(&left, &across, out);
        orthonormalise(&mut right, width);
        left = product(&right, w, width);
        orthonormalise(&mut left, out);
        if iterations.is_none() && number % LOOKS == 0 {
            let now = Ritz::of(&left, &across, out).leading(&left, out, r);
            if before.is_some_and(|before| turn(&before, &now, out) < SETTLED) {
                break;
            }
            before = Some(now);
        }
    }
    let ritz = Ritz::of(&left, &across, out);
    let directions = ritz.leading(&left, out, r);
    let (mut a, mut b) = (product(&directions, &across, out), directions);
    for (at, (right, left)) in a.chunks_exact_mut(width).zip(b.chunks_exact_mut(out)).enumerate() {
        // `uᵀ·W = σ·vᵀ`.
        let root = ritz.values[at].max(0.0).sqrt().sqrt();
        let shrink = if root > 0.0 { 1.0 / root } else { 0.0 };
        scale(right, shrink);
        scale(left, root);
    }
    Factors { a, b: transposed(&b, out) }
}

#[expect(clippy::cast_possible_truncation, reason = "matrices are f32")]
fn scale(row: &mut [f32], factor: f64) {
    for value in row {
        *value = (f64::from(*value) * factor) as f32;
    }
}

/// Squares of singular values within a subspace, the largest first, and their directions in its basis.
struct Ritz {
    values: Vec<f64>,
    /// `[l, l]`, a direction a row.
    directions: Vec<f64>,
}

impl Ritz {
    /// Of a basis `[l, out]`; `across` `[width, out]` is `Wᵀ`.
    fn of(basis: &[f32], across: &[f32], out: usize) -> Self {
        let image = product(basis, across, out);
        let width = across.len() / out;
        let rows: Vec<&[f32]> = image.chunks_exact(width).collect();
        let count = rows.len();
        let mut gram = vec![0.0; count * count];
        for (i, one) in rows.iter().enumerate() {
            for (j, other) in rows.iter().enumerate().take(i + 1) {
                gram[i * count + j] = dot(one, other);
                gram[j * count + i] = gram[i * count + j];
            }
        }
        let (values, directions) = eigen(gram, count);
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by(|i, j| values[*j].total_cmp(&values[*i]));
        Self {
            values: order.iter().map(|at| values[*at]).collect(),
            directions: order.iter().flat_map(|at| directions[at * count..][..count].to_vec()).collect(),
        }
    }

    /// The first `r` directions in the space of the basis, `[r, out]`.
    #[expect(clippy::cast_possible_truncation, reason = "matrices are f32")]
    fn leading(&self, basis: &[f32], out: usize, r: usize) -> Vec<f32> {
        let count = self.values.len();
        let mut leading = Vec::with_capacity(r * out);
        for weights in self.directions.chunks_exact(count).take(r) {
            let mut sum = vec![0.0; out];
            for (weight, row) in weights.iter().zip(basis.chunks_exact(out)) {
                sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += weight * f64::from(*value));
            }
            leading.extend(sum.iter().map(|value| *value as f32));
        }
        leading
    }
}

/// How much of a subspace lies outside of another: the norm of what is left of its basis.
fn turn(before: &[f32], now: &[f32], out: usize) -> f64 {
    let left = |row: &[f32]| {
        let mut rest: Vec<f64> = row.iter().map(|value| f64::from(*value)).collect();
        for other in now.chunks_exact(out) {
            let part = dot(row, other);
            rest.iter_mut().zip(other).for_each(|(to, from)| *to -= part * f64::from(*from));
        }
        rest.iter().map(|value| value * value).sum::<f64>()
    };
    before.chunks_exact(out).map(left).sum::<f64>().sqrt()
}

/// Eigenvalues of a symmetric matrix `[n, n]`, and their vectors, a row each (cyclic Jacobi rotations, Golub and Van
/// Loan, section 8.5).
fn eigen(mut matrix: Vec<f64>, n: usize) -> (Vec<f64>, Vec<f64>) {
    let mut vectors: Vec<f64> = (0..n * n).map(|at| f64::from(u8::from(at / n == at % n))).collect();
    let all: f64 = matrix.iter().map(|value| value * value).sum();
    for _ in 0..60 {
        let mut rest = 0.0;
        for p in 0..n {
            for q in p + 1..n {
                let off = matrix[p * n + q];
                rest += off * off;
                if off * off > all * 1e-34 {
                    let theta = (matrix[q * n + q] - matrix[p * n + p]) / (2.0 * off);
                    let tangent = theta.signum() / (theta.abs() + theta.hypot(1.0));
                    let cosine = tangent.hypot(1.0).recip();
                    rotate(&mut matrix, n, [p, q], [cosine, tangent * cosine]);
                    rotate_rows(&mut vectors, n, [p, q], [cosine, tangent * cosine]);
                }
            }
        }
        if rest <= all * 1e-30 {
            break;
        }
    }
    ((0..n).map(|at| matrix[at * n + at]).collect(), vectors)
}

/// Rotates two rows and the same columns, by cosine and sine.
fn rotate(matrix: &mut [f64], n: usize, places: [usize; 2], turn: [f64; 2]) {
    let [p, q] = places;
    for row in matrix.chunks_exact_mut(n) {
        [row[p], row[q]] = turned([row[p], row[q]], turn);
    }
    rotate_rows(matrix, n, places, turn);
}

fn rotate_rows(matrix: &mut [f64], n: usize, [p, q]: [usize; 2], turn: [f64; 2]) {
    for at in 0..n {
        let both = [matrix[p * n + at], matrix[q * n + at]];
        [matrix[p * n + at], matrix[q * n + at]] = turned(both, turn);
    }
}

fn turned([x, y]: [f64; 2], [cosine, sine]: [f64; 2]) -> [f64; 2] {
    [cosine * x - sine * y, sine * x + cosine * y]
}

/// Makes the rows orthonormal one after the other (Gram-Schmidt, twice, which is enough). A row that adds nothing to
/// those before it is replaced.
#[expect(clippy::cast_possible_truncation, reason = "matrices are f32")]
fn orthonormalise(rows: &mut [f32], width: usize) {
    let mut done: Vec<Vec<f64>> = Vec::new();
    for row in rows.chunks_exact_mut(width) {
        let mut given: Vec<f64> = row.iter().map(|value| f64::from(*value)).collect();
        let mut axis = 0;
        let mut one = rest(&given, &done);
        while one.is_none() {
            // There is an axis outside of fewer directions than there are axes.
            given = vec![0.0; width];
            given[axis] = 1.0;
            axis += 1;
            one = rest(&given, &done);
        }
        let one = one.expect("the loop ends with one");
        row.iter_mut().zip(&one).for_each(|(to, value)| *to = *value as f32);
        done.push(one);
    }
}

/// What is left of a row outside of the space of others, in unit length; none where nothing is.
fn rest(row: &[f64], others: &[Vec<f64>]) -> Option<Vec<f64>> {
    let length = |row: &[f64]| row.iter().map(|value| value * value).sum::<f64>().sqrt();
    let whole = length(row);
    let mut rest = row.to_vec();
    for _ in 0..2 {
        for other in others {
            let part: f64 = rest.iter().zip(other).map(|(a, b)| a * b).sum();
            rest.iter_mut().zip(other).for_each(|(to, from)| *to -= part * from);
        }
    }
    let left = length(&rest);
    (left > whole * 1e-7 && left > 0.0).then(|| rest.iter().map(|value| value / left).collect())
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

/// `[n, width]` → `[width, n]`.
fn transposed(matrix: &[f32], width: usize) -> Vec<f32> {
    let rows = matrix.len() / width;
    (0..width).flat_map(|column| (0..rows).map(move |row| matrix[row * width + column])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers between -1 and 1 from a linear congruence.
    #[expect(clippy::cast_possible_truncation, reason = "matrices are f32")]
    fn draw(count: usize, seed: u64) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (f64::from(u32::try_from(state >> 33).unwrap()) / f64::from(1 << 30) - 1.0) as f32
        };
        (0..count).map(|_| next()).collect()
    }

    fn multiplied(factors: &Factors, r: usize) -> Vec<f32> {
        product(&factors.b, &transposed(&factors.a, factors.a.len() / r), r)
    }

    fn distance(one: &[f32], other: &[f32]) -> f64 {
        one.iter().zip(other).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt()
    }

    /// `Σ σᵢ uᵢ vᵢᵀ` of orthonormal rows.
    fn known(out: usize, width: usize, values: &[f32]) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
        let count = values.len();
        let (mut u, mut v) = (draw(count * out, 1), draw(count * width, 2));
        orthonormalise(&mut u, out);
        orthonormalise(&mut v, width);
        let scaled: Vec<f32> = u
            .chunks_exact(out)
            .zip(values)
            .flat_map(|(row, value)| row.iter().map(move |x| x * value))
            .collect();
        let w = product(&transposed(&scaled, out), &transposed(&v, width), count);
        (w, scaled, v)
    }

    #[test]
    fn the_part_of_the_largest_singular_values_is_found() {
        for (out, width) in [(40, 24), (24, 40), (30, 30)] {
            let values: Vec<f32> = (0..20).map(|at| 2.0 * 0.93f32.powi(at)).collect();
            let (w, u, v) = known(out, width, &values);
            for r in [1, 5, 12] {
                let expected =
                    product(&transposed(&u[..r * out], out), &transposed(&v[..r * width], width), r);
                let found = singular_factors(&w, width, r, None, &draw((r + 8) * width, 3));
                let apart = distance(&multiplied(&found, r), &expected);
                assert!(apart < 1e-3, "{out}·{width}, {r}: {apart}");
                let rough = singular_factors(&w, width, r, Some(2), &draw(r * width, 3));
                let rough = distance(&multiplied(&rough, r), &w);
                let best = distance(&expected, &w);
                assert!(rough >= best - 1e-4 && rough < 1.3 * best, "{rough}, at best {best}");
            }
        }
    }

    #[test]
    fn the_columns_of_qr_are_orthonormal_and_carry_the_first_of_the_matrix() {
        let (out, width, r) = (20, 30, 6);
        let mut w = draw(out * width, 9);
        // A column that is the sum of two before it.
        w.chunks_exact_mut(width).for_each(|row| row[4] = row[0] + row[2]);
        let factors = qr_factors(&w, width, r);
        let columns = transposed(&factors.b, r);
        for (i, one) in columns.chunks_exact(out).enumerate() {
            for (j, other) in columns.chunks_exact(out).enumerate() {
                assert!((dot(one, other) - f64::from(u8::from(i == j))).abs() < 1e-6, "{i}, {j}");
            }
        }
        for (row, original) in multiplied(&factors, r).chunks_exact(width).zip(w.chunks_exact(width)) {
            assert!(distance(&row[..r], &original[..r]) < 1e-5);
        }
    }

    #[test]
    fn nothing_has_no_singular_values() {
        let factors = singular_factors(&[0.0; 12], 4, 2, None, &draw(8, 1));
        assert_eq!(multiplied(&factors, 2), [0.0; 12]);
    }
}
