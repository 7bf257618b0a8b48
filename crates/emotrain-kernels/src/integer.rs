//! Integer dot products, sixteen or thirty-two pairs at a time.
//!
//! Integer sums do not depend on the order of summation, so every machine may use its widest instructions, unlike
//! [`similarity`](crate::similarity).

use pulp::Arch;

/// The codes of a query, prepared for products with those of rows.
#[derive(Debug)]
pub struct QueryCodes {
    codes: Vec<i16>,
    /// The same, in complete registers.
    #[cfg(target_arch = "x86_64")]
    narrow: Vec<pulp::i16x16>,
    #[cfg(target_arch = "x86_64")]
    wide: Vec<pulp::i16x32>,
    arch: Arch,
}

impl QueryCodes {
    /// Prepares codes of at most 8,191, whose products with a row's do not overflow 32 bits up to a width of 2,064.
    pub fn new(codes: Vec<i16>) -> Self {
        Self {
            #[cfg(target_arch = "x86_64")]
            narrow: codes.as_chunks::<16>().0.iter().map(|part| pulp::cast(*part)).collect(),
            #[cfg(target_arch = "x86_64")]
            wide: codes.as_chunks::<32>().0.iter().map(|part| pulp::cast(*part)).collect(),
            codes,
            arch: Arch::new(),
        }
    }

    /// The number of codes.
    pub fn width(&self) -> usize {
        self.codes.len()
    }

    /// The products with each of `rows`.
    pub fn products(&self, rows: &[i8], products: &mut [i32]) {
        #[cfg(target_arch = "x86_64")]
        if let Arch::V4(simd) = self.arch {
            return simd.vectorize(Wide { simd, query: self, rows, products });
        } else if let Arch::V3(simd) = self.arch {
            return simd.vectorize(Narrow { simd, query: self, rows, products });
        }
        self.arch.dispatch(|| {
            for (product, row) in products.iter_mut().zip(rows.chunks_exact(self.codes.len())) {
                *product = plain_product(&self.codes, row);
            }
        });
    }
}

/// The dot product of two rows.
pub fn product_of_rows(one: &[i8], other: &[i8]) -> i32 {
    Arch::new().dispatch(
        #[inline(always)]
        || one.iter().zip(other).map(|(one, other)| i32::from(i16::from(*one) * i16::from(*other))).sum(),
    )
}

fn plain_product(query: &[i16], row: &[i8]) -> i32 {
    query.iter().zip(row).map(|(one, other)| i32::from(*one) * i32::from(*other)).sum()
}

/// With AVX2's instruction that multiplies sixteen pairs and adds neighbours, which the compiler does not use by
/// itself.
#[cfg(target_arch = "x86_64")]
struct Narrow<'a> {
    simd: pulp::x86::V3,
    query: &'a QueryCodes,
    rows: &'a [i8],
    products: &'a mut [i32],
}

#[cfg(target_arch = "x86_64")]
impl pulp::NullaryFnOnce for Narrow<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let (avx, avx2) = (self.simd.avx, self.simd.avx2);
        let QueryCodes { codes, narrow, .. } = self.query;
        let tail = codes.as_chunks::<16>().1;
        for (product, row) in self.products.iter_mut().zip(self.rows.chunks_exact(codes.len())) {
            let (row, row_tail) = row.as_chunks::<16>();
            let mut sum = avx._mm256_setzero_si256();
            for (one, other) in narrow.iter().zip(row) {
                let other = avx2._mm256_cvtepi8_epi16(pulp::cast(*other));
                sum = avx2._mm256_add_epi32(sum, avx2._mm256_madd_epi16(pulp::cast(*one), other));
            }
            let sums: [i32; 8] = pulp::cast(sum);
            let sum = sums.iter().fold(0_i32, |sum, part| sum.wrapping_add(*part));
            *product = sum.wrapping_add(plain_product(tail, row_tail));
        }
    }
}

/// The same with AVX-512, thirty-two pairs at a time.
#[cfg(target_arch = "x86_64")]
struct Wide<'a> {
    simd: pulp::x86::V4,
    query: &'a QueryCodes,
    rows: &'a [i8],
    products: &'a mut [i32],
}

#[cfg(target_arch = "x86_64")]
impl pulp::NullaryFnOnce for Wide<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let (avx512f, avx512bw) = (self.simd.avx512f, self.simd.avx512bw);
        let QueryCodes { codes, wide, .. } = self.query;
        let tail = codes.as_chunks::<32>().1;
        for (product, row) in self.products.iter_mut().zip(self.rows.chunks_exact(codes.len())) {
            let (row, row_tail) = row.as_chunks::<32>();
            let mut sum = avx512f._mm512_setzero_si512();
            for (one, other) in wide.iter().zip(row) {
                let other = avx512bw._mm512_cvtepi8_epi16(pulp::cast(*other));
                sum = avx512f._mm512_add_epi32(sum, avx512bw._mm512_madd_epi16(pulp::cast(*one), other));
            }
            let sum = avx512f._mm512_reduce_add_epi32(sum);
            *product = sum.wrapping_add(plain_product(tail, row_tail));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn all_instructions_give_the_same_products(
            query in proptest::collection::vec(-8191_i16..=8191, 1..150),
            rows in proptest::collection::vec(-127_i8..=127, 600),
            count in 1_usize..5,
        ) {
            let rows = &rows[..query.len() * count];
            let expected: Vec<i32> =
                rows.chunks_exact(query.len()).map(|row| plain_product(&query, row)).collect();
            let mut codes = QueryCodes::new(query);
            let mut archs = vec![Arch::Scalar, Arch::new()];
            #[cfg(target_arch = "x86_64")]
            archs.extend(pulp::x86::V3::try_new().map(Arch::V3));
            for arch in archs {
                codes.arch = arch;
                let mut products = vec![0; count];
                codes.products(rows, &mut products);
                prop_assert_eq!(&products, &expected, "{:?}", arch);
            }
            let pair = product_of_rows(&rows[..codes.width()], &rows[rows.len() - codes.width()..]);
            let widened: Vec<i16> = rows[..codes.width()].iter().map(|code| i16::from(*code)).collect();
            prop_assert_eq!(pair, plain_product(&widened, &rows[rows.len() - codes.width()..]));
        }
    }
}
