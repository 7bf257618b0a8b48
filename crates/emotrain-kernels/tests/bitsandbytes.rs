//! Codes, scales and numbers against bitsandbytes (`tests/golden/bitsandbytes/make.py`).

#![allow(clippy::unwrap_used, reason = "a test")]

use std::path::Path;

use emotrain_kernels::{
    Absmax, DYNAMIC_MAP, FourBit, FourBitQuantiser, FourBitType, FrozenMatrix, Int8Rows, NestedAbsmax,
    Numbers,
};
use safetensors::SafeTensors;

struct Golden(Vec<u8>);

impl Golden {
    fn open() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/bitsandbytes");
        Self(fs_err::read(folder.join("states.safetensors")).unwrap())
    }

    fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        file.tensor(name).ok().map(|tensor| tensor.data().to_vec())
    }

    fn width(&self, name: &str) -> usize {
        SafeTensors::deserialize(&self.0).unwrap().tensor(name).unwrap().shape()[1]
    }

    fn floats(&self, name: &str) -> Vec<f32> {
        let bytes = self.bytes(name).unwrap();
        bytes.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect()
    }
}

const CASES: [(&str, FourBitType, bool); 6] = [
    ("nf4", FourBitType::Nf4, false),
    ("nf4_double", FourBitType::Nf4, true),
    ("nf4_double_bfloat16", FourBitType::Nf4, true),
    ("nf4_narrow", FourBitType::Nf4, false),
    ("fp4", FourBitType::Fp4, false),
    ("fp4_double", FourBitType::Fp4, true),
];

#[test]
fn codes_scales_and_numbers_are_those_of_bitsandbytes() {
    let golden = Golden::open();
    for (case, quant_type, double) in CASES {
        let of = |key: &str| format!("{case}.{key}");
        let (input, width) = (golden.floats(&of("input")), golden.width(&of("input")));
        let ours = FourBit::quantise(&input, quant_type, double);
        assert_eq!(ours.codes(), golden.bytes(&of("weight")).unwrap(), "{case}");
        match ours.absmax() {
            Absmax::Plain(absmax) => assert_eq!(*absmax, golden.floats(&of("weight.absmax")), "{case}"),
            Absmax::Nested(NestedAbsmax { codes, absmax, offset }) => {
                assert_eq!(*codes, golden.bytes(&of("weight.absmax")).unwrap(), "{case}");
                let expected = golden.floats(&of("weight.nested_absmax"));
                for (one, other) in absmax.iter().zip(expected) {
                    assert!((one - other).abs() <= 2.0 * f32::EPSILON * other, "{case}: {one}, {other}");
                }
                let kind = if quant_type == FourBitType::Nf4 { "nf4" } else { "fp4" };
                let state = golden.bytes(&of(&format!("weight.quant_state.bitsandbytes__{kind}"))).unwrap();
                let state: serde_json::Value = serde_json::from_slice(&state).unwrap();
                let expected = state["nested_offset"].as_f64().unwrap();
                assert!(
                    (f64::from(*offset) - expected).abs() <= 1e-7 * expected,
                    "{case}: {offset}, {expected}"
                );
            }
        }
        let table = golden.floats(&of("weight.quant_map"));
        assert_eq!(quant_type.numbers().to_vec(), table, "{case}");
        let matrix = FrozenMatrix::new(width, vec![Numbers::FourBit(ours)]);
        // A scale in 8 bits is a sum with the offset, and the numbers of its map end in other bits (below).
        let largest = input.iter().fold(0.0_f32, |most, number| most.max(number.abs()));
        for (one, other) in matrix.to_vec().iter().zip(golden.floats(&of("dequantized"))) {
            let tolerance = if double { largest } else { 0.0 };
            assert!((one - other).abs() <= f32::EPSILON * tolerance, "{case}: {one}, {other}");
        }
    }
}

/// torch's `linspace`, of which the map is made, ends in other bits on CPUs with other vectors.
#[test]
fn the_scale_of_scales_is_bitsandbytes_dynamic_map() {
    let expected = Golden::open().floats("nf4_double.weight.nested_quant_map");
    for (one, other) in DYNAMIC_MAP.iter().zip(expected) {
        assert!((one - other).abs() <= 2.0 * f32::EPSILON * other.abs(), "{one}, {other}");
    }
}

#[test]
fn eight_bit_rows_are_those_of_bitsandbytes() {
    let golden = Golden::open();
    let (input, width) = (golden.floats("int8.input"), golden.width("int8.input"));
    let ours = Int8Rows::quantise(&input, width);
    let codes: Vec<i8> = golden.bytes("int8.weight").unwrap().iter().map(|byte| byte.cast_signed()).collect();
    // bitsandbytes scales in float16, so a code may be the other neighbour.
    let far = ours.codes.iter().zip(&codes).filter(|(one, other)| one.abs_diff(**other) > 1).count();
    let other = ours.codes.iter().zip(&codes).filter(|(one, other)| one != other).count();
    assert!(far == 0 && other * 50 < codes.len(), "{far} and {other} of {}", codes.len());
    assert_eq!(ours.absmax, golden.floats("int8.SCB"));
    let matrix = FrozenMatrix::new(width, vec![Numbers::Int8(Int8Rows { codes, absmax: ours.absmax })]);
    for (one, other) in matrix.to_vec().iter().zip(golden.floats("int8.dequantized")) {
        assert!((one - other).abs() <= 3.0 * f32::EPSILON * other.abs(), "{one}, {other}");
    }
}

#[test]
fn pieces_are_quantised_as_the_whole() {
    let golden = Golden::open();
    let input = golden.floats("nf4_double.input");
    for piece in [1, 7, 64, 1000] {
        let mut quantiser = FourBitQuantiser::new(FourBitType::Nf4, true);
        input.chunks(piece).for_each(|numbers| quantiser.push(numbers));
        assert_eq!(quantiser.finish(), FourBit::quantise(&input, FourBitType::Nf4, true), "{piece}");
    }
}
