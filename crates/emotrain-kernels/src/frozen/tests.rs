use half::{bf16, f16};
use proptest::prelude::*;

use super::*;
use crate::fixture::noise;
use crate::{Arithmetic, frozen_product, frozen_product_back, product};

/// One of every form, of rows that do not fill blocks.
fn forms(numbers: &[f32], width: usize) -> Vec<FrozenMatrix> {
    let bits = |of: fn(f32) -> u16| numbers.iter().map(|number| of(*number)).collect::<Vec<u16>>();
    let four_bit = |quant_type, nested| Numbers::FourBit(FourBit::quantise(numbers, quant_type, nested));
    let whole = [
        Numbers::F32(numbers.to_vec()),
        Numbers::Bf16(bits(|number| bf16::from_f32(number).to_bits())),
        Numbers::F16(bits(|number| f16::from_f32(number).to_bits())),
        four_bit(FourBitType::Nf4, false),
        four_bit(FourBitType::Nf4, true),
        four_bit(FourBitType::Fp4, true),
        Numbers::Int8(Int8Rows::quantise(numbers, width)),
    ];
    let mut forms: Vec<FrozenMatrix> =
        whole.into_iter().map(|numbers| FrozenMatrix::new(width, vec![numbers])).collect();
    let half = numbers.len() / width / 2 * width;
    let (upper, lower) = numbers.split_at(half);
    let parts = [upper, lower].map(|part| Numbers::FourBit(FourBit::quantise(part, FourBitType::Nf4, true)));
    forms.push(FrozenMatrix::new(width, parts.into()));
    forms
}

/// `a · b` in f64, `[rows, terms] · [terms, columns]`.
fn exact(a: &[f32], b: &[f32], terms: usize, columns: usize) -> Vec<f64> {
    let sum = |row: &[f32], column: usize| -> f64 {
        row.iter().enumerate().map(|(at, a)| f64::from(*a) * f64::from(b[at * columns + column])).sum()
    };
    a.chunks_exact(terms).flat_map(|row| (0..columns).map(move |column| sum(row, column))).collect()
}

#[test]
fn halves_are_widened_exactly() {
    let all: Vec<u16> = (0..=u16::MAX).collect();
    let mut wide = vec![0.0; all.len()];
    widen_f16(&all, &mut wide);
    for (bits, wide) in all.iter().zip(&wide) {
        let expected = f16::from_bits(*bits).to_f32();
        assert!(wide.to_bits() == expected.to_bits() || (wide.is_nan() && expected.is_nan()), "{bits:#x}");
    }
    widen_bf16(&all, &mut wide);
    for (bits, wide) in all.iter().zip(&wide) {
        assert_eq!(wide.to_bits(), u32::from(*bits) << 16);
        let again = bf16_bits(*wide);
        assert!(again == *bits || wide.is_nan(), "{bits:#x}");
    }
}

#[test]
fn a_stretch_of_a_row_is_what_the_whole_has_there() {
    let (rows, width) = (6, 77);
    for matrix in forms(&noise(1, rows * width), width) {
        let all = matrix.to_vec();
        for row in 0..rows {
            for first in [0, 1, 30, 63, 64, 76] {
                let mut part = vec![0.0; width - first];
                matrix.read(row, first, &mut part);
                assert_eq!(part, all[row * width + first..(row + 1) * width], "{row}, {first}");
            }
        }
    }
}

#[test]
fn quantised_numbers_are_near() {
    let (rows, width) = (8, 96);
    let numbers = noise(3, rows * width);
    // Half the widest gap of each type, with the error of the scales.
    for (matrix, tolerance) in
        forms(&numbers, width).into_iter().zip([0.0, 4e-3, 5e-4, 0.16, 0.17, 0.18, 4e-3, 0.17])
    {
        let error = numbers.iter().zip(matrix.to_vec()).map(|(one, other)| (one - other).abs());
        let worst = error.fold(0.0, f32::max);
        assert!(worst <= tolerance, "{worst} of {tolerance}");
    }
    let zeros = FourBit::quantise(&[0.0; 64], FourBitType::Nf4, true);
    assert_eq!(FrozenMatrix::new(64, vec![Numbers::FourBit(zeros)]).to_vec(), [0.0; 64]);
}

#[test]
fn long_sums_of_many_rows_and_few_are_those_of_the_numbers() {
    // More pairs than a panel has lines, and widths and heights around those of tiles.
    for (rows, columns, width) in [(1, 3, 4500), (33, 70, 2081), (67, 31, 2048), (64, 129, 64)] {
        let (x, numbers) = (noise(1, rows * width), noise(2, columns * width));
        let matrix = FrozenMatrix::new(width, vec![Numbers::F32(numbers)]);
        let round = |numbers: &[f32]| -> Vec<f32> {
            numbers.iter().map(|number| bf16::from_f32(*number).to_f32()).collect()
        };
        let numbers = round(&matrix.to_vec());
        let transposed: Vec<f32> =
            (0..width * columns).map(|at| numbers[at % columns * width + at / columns]).collect();
        let found = frozen_product(&x, &matrix, Arithmetic::Bf16);
        for (one, other) in found.iter().zip(exact(&round(&x), &transposed, width, columns)) {
            assert!(
                (f64::from(*one) - other).abs() < 1e-6 * width as f64,
                "{rows}, {columns}, {width}: {one} {other}"
            );
        }
        let last = frozen_product(&x[(rows - 1) * width..], &matrix, Arithmetic::Bf16);
        assert_eq!(found[(rows - 1) * columns..], last);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn products_are_those_of_the_numbers(rows in 1_usize..30, columns in 1_usize..150, width in 1_usize..150, seed in 0_u32..1000) {
        let x = noise(seed, rows * width);
        let grad = noise(seed + 1, rows * columns);
        for matrix in forms(&noise(seed + 2, columns * width), width) {
            let numbers = matrix.to_vec();
            prop_assert_eq!(frozen_product(&x, &matrix, Arithmetic::F32), product(&x, &numbers, width));
            let back = frozen_product_back(&grad, &matrix, Arithmetic::F32);
            for (one, other) in back.iter().zip(exact(&grad, &numbers, columns, width)) {
                prop_assert!((f64::from(*one) - other).abs() < 1e-5 * columns as f64, "{} {}", one, other);
            }
            let round = |numbers: &[f32]| -> Vec<f32> { numbers.iter().map(|number| bf16::from_f32(*number).to_f32()).collect() };
            let transposed: Vec<f32> = (0..width * columns).map(|at| numbers[at % columns * width + at / columns]).collect();
            let forward = frozen_product(&x, &matrix, Arithmetic::Bf16);
            for (one, other) in forward.iter().zip(exact(&round(&x), &round(&transposed), width, columns)) {
                prop_assert!((f64::from(*one) - other).abs() < 1e-5 * width as f64, "{} {}", one, other);
            }
            let back = frozen_product_back(&grad, &matrix, Arithmetic::Bf16);
            for (one, other) in back.iter().zip(exact(&round(&grad), &round(&numbers), columns, width)) {
                prop_assert!((f64::from(*one) - other).abs() < 1e-5 * columns as f64, "{} {}", one, other);
            }
        }
    }

    #[test]
    fn a_row_gives_the_same_numbers_alone(rows in 2_usize..20, columns in 1_usize..130, width in 1_usize..700, seed in 0_u32..1000) {
        let x = noise(seed, rows * width);
        let grad = noise(seed + 1, rows * columns);
        let matrix = FrozenMatrix::new(width, vec![Numbers::FourBit(FourBit::quantise(&noise(seed + 2, columns * width), FourBitType::Nf4, true))]);
        for arithmetic in [Arithmetic::F32, Arithmetic::Bf16] {
            let (all, back) = (frozen_product(&x, &matrix, arithmetic), frozen_product_back(&grad, &matrix, arithmetic));
            for row in 0..rows {
                let alone = frozen_product(&x[row * width..(row + 1) * width], &matrix, arithmetic);
                prop_assert_eq!(&all[row * columns..(row + 1) * columns], &alone);
                let alone = frozen_product_back(&grad[row * columns..(row + 1) * columns], &matrix, arithmetic);
                prop_assert_eq!(&back[row * width..(row + 1) * width], &alone);
            }
        }
    }
}
