//! Products of matrices as they lie in memory, by the library `gemm`, into memory of ours: beside or onto what is there, which
//! saves a matrix of its own, and without the clearing and copying that a tensor's buffer costs.
//!
//! The result does not depend on the number of cores. The order in which the library adds a row up depends on the number of
//! rows, and on the CPU's caches.

use gemm::Parallelism;
use rayon::prelude::*;

/// Multiplications from which on one product is worth all cores, and from which on several are worth a core each.
const LARGE: usize = 192 * 192 * 192;
const MANY: usize = 128 * 128 * 128;

/// A matrix in memory.
#[derive(Clone, Copy, Debug)]
pub struct Dense<'a> {
    numbers: &'a [f32],
    shape: [usize; 2],
    strides: [usize; 2],
}

impl<'a> Dense<'a> {
    /// Of numbers of which each row, and each column, begins as many after the one before.
    ///
    /// # Panics
    /// Unless all numbers of such a matrix are there.
    pub fn new(numbers: &'a [f32], shape: [usize; 2], strides: [usize; 2]) -> Self {
        let there = reach(shape, strides).is_some_and(|reach| reach <= numbers.len());
        assert!(there, "{shape:?} in steps of {strides:?}: {} numbers", numbers.len());
        // Where there is one row, or column, no step is taken.
        let taken = |at: usize| if shape[at] > 1 { strides[at] } else { 0 };
        Self { numbers, shape, strides: [taken(0), taken(1)] }
    }

    fn steps(&self) -> [isize; 2] {
        self.strides.map(|stride| isize::try_from(stride).expect("a step within memory"))
    }
}

/// Numbers up to the last of a matrix; `None` for more than there can be.
fn reach([rows, columns]: [usize; 2], [row, column]: [usize; 2]) -> Option<usize> {
    if rows == 0 || columns == 0 {
        return Some(0);
    }
    let (down, across) = ((rows - 1).checked_mul(row)?, (columns - 1).checked_mul(column)?);
    down.checked_add(across)?.checked_add(1)
}

/// The products of pairs of matrices, behind one another.
///
/// # Shapes
/// `[M, K]` and `[K, N]`, the same of each pair → `[pairs, M, N]`.
///
/// # Panics
/// If there is no pair, or on other shapes.
#[expect(unsafe_code, reason = "memory that is written before it is read")]
pub fn dense_products(pairs: &[[Dense; 2]]) -> Vec<f32> {
    let [left, right] = pairs[0];
    let ([rows, terms], columns) = (left.shape, right.shape[1]);
    for [left, right] in pairs {
        assert_eq!([left.shape, right.shape], [[rows, terms], [terms, columns]]);
    }
    let each = rows.checked_mul(columns).expect("a product that fits memory");
    let total = each.checked_mul(pairs.len()).expect("products that fit memory");
    if total == 0 || terms == 0 {
        return vec![0.0; total];
    }
    let work = each.saturating_mul(terms);
    let mut out: Vec<f32> = Vec::with_capacity(total);
    let many =
        pairs.len() > 1 && work.saturating_mul(pairs.len()) >= MANY && (pairs.len() >= 4 || work < LARGE);
    let of_one = |([left, right], out): (&[Dense; 2], &mut [std::mem::MaybeUninit<f32>]),
                  cores: Parallelism| {
        assert_eq!(out.len(), each);
        // SAFETY: there is room for a matrix of these rows behind one another.
        unsafe { multiply(out.as_mut_ptr().cast(), columns, [left, right], false, cores) };
    };
    let places = out.spare_capacity_mut()[..total].chunks_exact_mut(each);
    if many {
        let all: Vec<_> = pairs.iter().zip(places).collect();
        all.into_par_iter().for_each(|one| of_one(one, Parallelism::None));
    } else {
        pairs.iter().zip(places).for_each(|one| of_one(one, cores(work)));
    }
    // SAFETY: a place of each pair, all of which were written.
    unsafe { out.set_len(total) };
    out
}

/// Adds the product of two matrices to rows of `out` that begin `stride` numbers after one another.
///
/// # Shapes
/// `[M, K]` and `[K, N]`.
///
/// # Panics
/// Unless these rows are in `out`, and do not overlap.
#[expect(unsafe_code, reason = "the library takes pointers")]
pub fn add_dense_product(out: &mut [f32], stride: usize, [left, right]: [&Dense; 2]) {
    let ([rows, terms], [inner, columns]) = (left.shape, right.shape);
    assert_eq!(terms, inner);
    let there = reach([rows, columns], [stride, 1]).is_some_and(|reach| reach <= out.len());
    assert!(columns <= stride && there, "rows that are not there");
    if rows > 0 && columns > 0 && terms > 0 {
        let work = rows.saturating_mul(columns).saturating_mul(terms);
        // SAFETY: as asserted.
        unsafe { multiply(out.as_mut_ptr(), stride, [left, right], true, cores(work)) };
    }
}

fn cores(work: usize) -> Parallelism {
    if work >= LARGE { Parallelism::Rayon(0) } else { Parallelism::None }
}

/// # Safety
/// There is memory for as many rows as the left matrix has, of as many numbers as the right one has columns, `stride`
/// after one another, which are initialised if they are added to.
#[expect(unsafe_code, reason = "the library takes pointers")]
unsafe fn multiply(out: *mut f32, stride: usize, [left, right]: [&Dense; 2], adds: bool, cores: Parallelism) {
    let ([rows, terms], columns) = (left.shape, right.shape[1]);
    let ([left_row, left_column], [right_row, right_column]) = (left.steps(), right.steps());
    let stride = isize::try_from(stride).expect("rows are in memory");
    let (left, right) = (left.numbers.as_ptr(), right.numbers.as_ptr());
    // SAFETY: sides are whole (`Dense::new`) and have shapes that fit, as the callers assert; the rest is the caller's.
    unsafe {
        gemm::gemm(
            rows,
            columns,
            terms,
            out,
            1,
            stride,
            adds,
            left,
            left_column,
            left_row,
            right,
            right_column,
            right_row,
            1.0,
            1.0,
            false,
            false,
            false,
            cores,
        );
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixture::noise;

    /// A matrix of these numbers, as it lies: by rows or by columns, with gaps, or every row the same.
    #[derive(Clone, Copy, Debug)]
    enum Lies {
        ByRows,
        ByColumns,
        WithGaps,
        Repeated,
    }

    fn lies() -> impl Strategy<Value = Lies> {
        prop_oneof![Just(Lies::ByRows), Just(Lies::ByColumns), Just(Lies::WithGaps), Just(Lies::Repeated)]
    }

    fn strides([rows, columns]: [usize; 2], lies: Lies) -> [usize; 2] {
        match lies {
            Lies::ByRows => [columns, 1],
            Lies::ByColumns => [1, rows],
            Lies::WithGaps => [columns + 3, 1],
            Lies::Repeated => [0, 1],
        }
    }

    fn exact(left: &Dense, right: &Dense) -> Vec<f64> {
        let at = |side: &Dense, row: usize, column: usize| {
            f64::from(side.numbers[row * side.strides[0] + column * side.strides[1]])
        };
        let ([rows, terms], columns) = (left.shape, right.shape[1]);
        let number = |place: usize| {
            let (row, column) = (place / columns, place % columns);
            (0..terms).map(|term| at(left, row, term) * at(right, term, column)).sum()
        };
        (0..rows * columns).map(number).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn products_of_matrices_as_they_lie(
            rows in 0_usize..40, columns in 0_usize..40, short in 0_usize..9, long in prop::bool::ANY,
            gap in 0_usize..5, count in 1_usize..6, left in lies(), right in lies(), seed in 0_u32..1000,
        ) {
            let terms = if long { 900 + short } else { short };
            let (one, other) = ([rows, terms], [terms, columns]);
            let memory = noise(seed, 50_000 + count);
            let pair = |number: usize| {
                [Dense::new(&memory[number..], one, strides(one, left)), Dense::new(&memory[1..], other, strides(other, right))]
            };
            let pairs: Vec<[Dense; 2]> = (0..count).map(pair).collect();
            let near = |found: f32, expected: f64| (f64::from(found) - expected).abs() < 2e-6 * (terms + 1) as f64;
            let found = dense_products(&pairs);
            let expected: Vec<f64> = pairs.iter().flat_map(|[left, right]| exact(left, right)).collect();
            prop_assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(&expected) {
                prop_assert!(near(*found, *expected), "{} {}", found, expected);
            }

            let stride = columns + gap;
            let before = noise(seed + 1, rows * stride + 1);
            let mut added = before.clone();
            add_dense_product(&mut added, stride, [&pairs[0][0], &pairs[0][1]]);
            for (at, (found, before)) in added.iter().zip(&before).enumerate() {
                let (row, column) = (at / stride.max(1), at % stride.max(1));
                if row < rows && column < columns {
                    let expected = expected[row * columns + column] + f64::from(*before);
                    prop_assert!(near(*found, expected), "{} {}", found, expected);
                } else {
                    prop_assert_eq!(found.to_bits(), before.to_bits());
                }
            }
        }
    }

    #[test]
    fn what_does_not_fit_memory_is_refused() {
        let refused = |work: &(dyn Fn() + std::panic::RefUnwindSafe)| std::panic::catch_unwind(work).is_err();
        let side = |rows: usize, columns: usize| Dense::new(&[1.0], [rows, columns], [0, 0]);
        // Products of sizes that are 1 in 64 bits.
        assert!(refused(&|| _ = dense_products(&[[side(274_177, 1), side(1, 67_280_421_310_721)]])));
        assert!(refused(&|| _ = Dense::new(&[1.0], [(1 << 32) + 1, 1], [1 << 32, 0])));
        assert!(refused(&|| add_dense_product(&mut [0.0], 1 << 32, [&side((1 << 32) + 1, 1), &side(1, 1)])));
        assert!(refused(&|| _ = dense_products(&[[side(2, 0), side(3, 4)]])));
    }
}
