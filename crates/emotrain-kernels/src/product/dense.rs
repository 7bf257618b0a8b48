//! Products of matrices as they lie in memory, by the library `gemm`, into memory of ours: beside or onto what is there, which
//! saves a matrix of its own, and without the clearing and copying that a tensor's buffer costs.

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
        assert!(
            reach(shape, strides) <= numbers.len(),
            "{shape:?} in steps of {strides:?}: {} numbers",
            numbers.len()
        );
        Self { numbers, shape, strides }
    }

    fn steps(&self) -> [isize; 2] {
        self.strides.map(|stride| isize::try_from(stride).expect("less than its memory, or never taken"))
    }
}

/// Numbers up to the last of a matrix.
fn reach([rows, columns]: [usize; 2], [row, column]: [usize; 2]) -> usize {
    if rows == 0 || columns == 0 { 0 } else { (rows - 1) * row + (columns - 1) * column + 1 }
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
    let (each, work) = (rows * columns, rows * columns * terms);
    let total = each * pairs.len();
    if work == 0 {
        return vec![0.0; total];
    }
    let mut out: Vec<f32> = Vec::with_capacity(total);
    let many = pairs.len() > 1 && work * pairs.len() >= MANY && (pairs.len() >= 4 || work < LARGE);
    let of_one = |([left, right], out): (&[Dense; 2], &mut [std::mem::MaybeUninit<f32>]),
                  cores: Parallelism| {
        assert_eq!([left.shape, right.shape], [[rows, terms], [terms, columns]]);
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
    assert!(columns <= stride && reach([rows, columns], [stride, 1]) <= out.len(), "rows that are not there");
    if rows * columns * terms > 0 {
        // SAFETY: as asserted.
        unsafe { multiply(out.as_mut_ptr(), stride, [left, right], true, cores(rows * columns * terms)) };
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
