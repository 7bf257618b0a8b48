//! Codes, scales and numbers against bitsandbytes (`tests/golden/bitsandbytes/make.py`).

#![allow(clippy::unwrap_used, reason = "a test")]

use std::path::Path;

use emotrain_kernels::{
    Absmax, AdamWStep, DYNAMIC_MAP, DynamicCodes, FourBit, FourBitQuantiser, FourBitType, FrozenMatrix,
    Int8Rows, NestedAbsmax, Numbers, UNSIGNED_DYNAMIC_MAP,
};
use safetensors::SafeTensors;

struct Golden(Vec<u8>);

impl Golden {
    fn open(file: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/bitsandbytes");
        Self(fs_err::read(folder.join(file)).unwrap())
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
    let golden = Golden::open("states.safetensors");
    for (case, quant_type, double) in CASES {
        let of = |key: &str| format!("{case}.{key}");
        let (input, width) = (golden.floats(&of("input")), golden.width(&of("input")));
        let ours = FourBit::quantise(&input, quant_type, double);
        assert_eq!(ours.codes(), golden.bytes(&of("weight")).unwrap(), "{case}");
        match ours.absmax() {
            Absmax::Plain(absmax) => assert_eq!(*absmax, golden.floats(&of("weight.absmax")), "{case}"),
            Absmax::Nested(NestedAbsmax { scales: DynamicCodes { codes, absmax }, offset }) => {
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
    let expected = Golden::open("states.safetensors").floats("nf4_double.weight.nested_quant_map");
    for (one, other) in DYNAMIC_MAP.numbers().iter().zip(expected) {
        assert!((one - other).abs() <= 2.0 * f32::EPSILON * other.abs(), "{one}, {other}");
    }
}

#[test]
fn eight_bit_rows_are_those_of_bitsandbytes() {
    let golden = Golden::open("states.safetensors");
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
    let golden = Golden::open("states.safetensors");
    let input = golden.floats("nf4_double.input");
    for piece in [1, 7, 64, 1000] {
        let mut quantiser = FourBitQuantiser::new(FourBitType::Nf4, true);
        input.chunks(piece).for_each(|numbers| quantiser.push(numbers));
        assert_eq!(quantiser.finish(), FourBit::quantise(&input, FourBitType::Nf4, true), "{piece}");
    }
}

/// The root of the mean square of differences.
fn distance(ours: &[f32], others: &[f32]) -> f64 {
    let squares = ours.iter().zip(others).map(|(one, other)| f64::from(one - other).powi(2));
    (squares.sum::<f64>() / ours.len() as f64).sqrt()
}

/// Ten updates of AdamW: with states in 8 bits the parameters are much nearer to those of bitsandbytes than those are to
/// the ones of AdamW in float32. Its CPU build finds codes by a table: of small numbers from 0 up three in a hundred are
/// not the nearest.
#[test]
fn optimizer_states_in_eight_bits_are_those_of_bitsandbytes() {
    let golden = Golden::open("adamw_8bit.safetensors");
    let mut parameter = golden.floats("parameter");
    let (begin, mut exact, count) = (parameter.clone(), parameter.clone(), parameter.len());
    let [mut m, mut v] = [vec![0.0; count], vec![0.0; count]];
    let mut first = DynamicCodes::quantise(&m, &DYNAMIC_MAP);
    let mut second = DynamicCodes::quantise(&v, &UNSIGNED_DYNAMIC_MAP);
    for time in 1..=10 {
        let gradient = golden.floats(&format!("gradient.{time}"));
        let (beta_1, beta_2, learning_rate): (f32, f32, f32) = (0.9, 0.999, 1e-2);
        let corrections = [1.0 - beta_1.powi(time), 1.0 - beta_2.powi(time)];
        let keep = 1.0 - learning_rate * 0.01;
        let step = AdamWStep { beta_1, beta_2, epsilon: 1e-8, keep, learning_rate, corrections };
        step.update_8bit(&mut parameter, &gradient, &mut first, &mut second);
        step.update(&mut exact, &gradient, [&mut m, &mut v], count);
        if let 1 | 5 | 10 = time {
            let expected = golden.floats(&format!("parameter.{time}"));
            let (ours, own) = (distance(&parameter, &expected), distance(&exact, &expected));
            assert!(
                ours <= 0.25 * own + 1e-7,
                "step {time}: {ours} from bitsandbytes, that is {own} from float32"
            );
        }
    }
    for (name, ours) in [("state1", &first), ("state2", &second)] {
        let codes = golden.bytes(name).unwrap();
        let other = ours.codes.iter().zip(&codes).filter(|(one, other)| one != other).count();
        let far = ours.codes.iter().zip(&codes).filter(|(one, other)| one.abs_diff(**other) > 1).count();
        assert!(other * 20 <= codes.len() && far * 100 <= codes.len(), "{name}: {other} and {far}");
        for (one, other) in ours.absmax.iter().zip(golden.floats(&name.replace("state", "absmax"))) {
            assert!((one - other).abs() <= 1e-2 * other, "{name}: {one}, {other}");
        }
    }
    assert!(distance(&begin, &parameter) > 0.03, "ten steps of about 0.01");
}

#[test]
fn the_scale_of_second_moments_is_bitsandbytes_unsigned_map() {
    let expected = Golden::open("adamw_8bit.safetensors").floats("udynamic");
    for (one, other) in UNSIGNED_DYNAMIC_MAP.numbers().iter().zip(expected) {
        assert!((one - other).abs() <= 2.0 * f32::EPSILON * other.abs(), "{one}, {other}");
    }
}
