//! Models that transformers saved quantised by bitsandbytes, and models in the same form (`tests/golden/bitsandbytes`).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device};
use emotrain_model::{
    CausalLm, Checkpoint, Codes, FloatType, Merged, ModelError, Quantization, Storage, write_quantised,
};
use expect_test::expect;
use safetensors::SafeTensors;
use serde_json::Value;
use tempfile::TempDir;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/bitsandbytes").join(name)
}

fn stored(name: &str) -> Storage {
    let codes = Codes::named(name, true).unwrap();
    let quantization = Quantization { codes, compute: FloatType::F32, skip_modules: Vec::new() };
    Storage { dtype: DType::F32, quantization: Some(quantization) }
}

fn open(folder: &Path, storage: impl Into<Storage>) -> Result<CausalLm, ModelError> {
    CausalLm::load(&Checkpoint::open(folder)?, &Device::flex(), storage)
}

fn logits(model: &CausalLm) -> Vec<f32> {
    let ids: Vec<u32> = (0..30).map(|at| (at * 37) % 96).collect();
    model.logits(&ids).try_into_vec_as().unwrap()
}

#[test]
fn a_saved_base_is_the_base_that_was_quantised() {
    let quantised = logits(&open(&golden("tiny"), stored("nf4")).unwrap());
    let saved = golden("tiny_nf4");
    let as_saved = logits(&open(&saved, DType::F32).unwrap());
    let far = as_saved.iter().zip(&quantised).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max);
    assert!(far < 1e-5, "{far}: torch's mean of scales ends in other bits");
    assert_eq!(logits(&open(&saved, stored("nf4")).unwrap()), as_saved, "as the recipe says");
    let error = open(&saved, stored("fp4")).unwrap_err();
    expect![
        "[quantization] says 4 bits (fp4 with double quantisation), but the base is saved in 4 bits (nf4 with double quantisation)"
    ]
    .assert_eq(&error.to_string());
    expect!["leave the section out, and the base is taken as it is saved; or begin with a base that is not quantised"]
        .assert_eq(&error.hint().unwrap());
}

#[test]
fn eight_bits_are_read_as_bitsandbytes_means_them() {
    let [plain, saved] = ["tiny", "tiny_int8"].map(|name| Checkpoint::open(&golden(name)).unwrap());
    let file = fs_err::read(golden("tiny_int8/model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&file).unwrap();
    for path in ["model.layers.0.self_attn.q_proj", "model.layers.1.mlp.down_proj"] {
        let (shape, numbers) = saved.tensor(&format!("{path}.weight")).unwrap();
        let codes = file.tensor(&format!("{path}.weight")).unwrap();
        let scales = floats(file.tensor(&format!("{path}.SCB")).unwrap().data());
        for (at, (number, code)) in numbers.iter().zip(codes.data()).enumerate() {
            let expected = f32::from(code.cast_signed()) * scales[at / shape[1]] / 127.0;
            assert!((number - expected).abs() <= 2.0 * f32::EPSILON * expected.abs(), "{number}, {expected}");
        }
        let (_, unquantised) = plain.tensor(&format!("{path}.weight")).unwrap();
        let largest = unquantised.iter().fold(0.0_f32, |most, number| most.max(number.abs()));
        let far = numbers.iter().zip(&unquantised).map(|(one, other)| (one - other).abs());
        assert!(far.fold(0.0, f32::max) < 0.6 * largest / 127.0);
    }
    open(&golden("tiny_int8"), DType::F32).unwrap();
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect()
}

/// A model in the same form, of several files or one.
fn written(name: &str, max_shard_size: usize) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = Checkpoint::open(&golden("tiny")).unwrap();
    let codes = Codes::named(name, true).unwrap();
    let merged = Merged::new(&checkpoint, None);
    write_quantised(&merged, folder.path(), FloatType::F32, codes, max_shard_size).unwrap();
    folder
}

#[test]
fn what_is_written_is_what_transformers_saves() {
    for (name, codes) in [("tiny_nf4", "nf4"), ("tiny_int8", "int8")] {
        let folder = written(codes, usize::MAX);
        let [ours, expected] = [folder.path().to_path_buf(), golden(name)]
            .map(|folder| fs_err::read(folder.join("model.safetensors")).unwrap());
        let [ours, expected] = [&ours, &expected].map(|file| SafeTensors::deserialize(file).unwrap());
        let tensors = |file: &SafeTensors| -> BTreeMap<String, (String, Vec<usize>)> {
            let tensors = file.tensors().into_iter().filter(|(name, _)| !name.contains("quant_state"));
            tensors
                .map(|(name, tensor)| (name, (format!("{:?}", tensor.dtype()), tensor.shape().to_vec())))
                .collect()
        };
        assert_eq!(tensors(&ours), tensors(&expected));
        for (name, expected) in expected.tensors() {
            let ours = ours.tensor(&name).unwrap();
            if name.contains("quant_state") {
                same_state(ours.data(), expected.data());
            } else if format!("{:?}", expected.dtype()) == "F32" {
                // The mean of scales and a map of codes end in other bits, and 8 bits are of numbers in float16 there.
                let tolerance = if name.ends_with("SCB") { 1e-3 } else { 5e-7 };
                for (one, other) in floats(ours.data()).iter().zip(floats(expected.data())) {
                    assert!((one - other).abs() <= tolerance * other.abs(), "{name}: {one}, {other}");
                }
            } else if codes == "int8" {
                let far = |(one, other): (&u8, &u8)| one.cast_signed().abs_diff(other.cast_signed()) > 1;
                assert!(!ours.data().iter().zip(expected.data()).any(far), "{name}");
            } else {
                assert!(ours.data() == expected.data(), "{name}");
            }
        }
        let [ours, expected] = [folder.path().to_path_buf(), golden(name)].map(|folder| {
            let text = fs_err::read_to_string(folder.join("config.json")).unwrap();
            serde_json::from_str::<Value>(&text).unwrap()["quantization_config"].clone()
        });
        for key in expected.as_object().unwrap().keys().filter(|key| codes == "nf4" || !key.contains("bnb")) {
            assert_eq!(ours[key], expected[key], "{key}");
        }
    }
}

fn same_state(ours: &[u8], expected: &[u8]) {
    let [ours, expected] = [ours, expected].map(|text| serde_json::from_slice::<Value>(text).unwrap());
    for (key, value) in expected.as_object().unwrap() {
        if key == "nested_offset" {
            let [ours, expected] = [&ours[key], value].map(|offset| offset.as_f64().unwrap());
            assert!((ours - expected).abs() <= 1e-7 * expected, "{ours}, {expected}");
        } else {
            assert_eq!(ours[key], *value, "{key}");
        }
    }
    assert_eq!(ours.as_object().unwrap().len(), expected.as_object().unwrap().len());
}

#[test]
fn what_is_written_is_opened_as_what_it_was() {
    for name in Codes::NAMES {
        let quantised = logits(&open(&golden("tiny"), stored(name)).unwrap());
        for max_shard_size in [usize::MAX, 40_000] {
            let folder = written(name, max_shard_size);
            let files = fs_err::read_dir(folder.path()).unwrap().count();
            assert!(if max_shard_size == usize::MAX { files == 2 } else { files > 3 }, "{files}");
            assert_eq!(logits(&open(folder.path(), DType::F32).unwrap()), quantised, "{name}");
        }
    }
}

/// Opens a quantised model after its file or its configuration was changed.
fn changed(from: &str, to: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    for name in ["config.json", "model.safetensors"] {
        let mut bytes = fs_err::read(golden("tiny_nf4").join(name)).unwrap();
        assert_eq!(from.len(), to.len(), "offsets stay what they are");
        while let Some(at) = bytes.windows(from.len()).position(|part| part == from.as_bytes()) {
            bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        }
        fs_err::write(folder.path().join(name), bytes).unwrap();
    }
    let error = open(folder.path(), DType::F32).unwrap_err();
    let hint = error.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
    format!("{error}{hint}").replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn what_is_wrong_with_codes_is_told_by_tensor() {
    let changes = [
        ("\"quantization_config\"", "\"quantization_confog\""),
        ("\"bitsandbytes\"", "\"compressed-t\""),
        ("\"load_in_4bit\": true", "\"load_in_4bit\": null"),
        ("\"bnb_4bit_quant_type\": \"nf4\"", "\"bnb_4bit_quant_type\": \"nf3\""),
        ("1.self_attn.q_proj.weight.absmax", "1.self_attn.q_proj.weight.absmix"),
        ("1.mlp.up_proj.weight.quant_map", "1.mlp.up_proj.weight.quant_mop"),
        ("\"nested_blocksize\": 256", "\"nested_blocksize\": 128"),
        ("\"blocksize\": 64", "\"blocksize\": 63"),
        ("\"shape\": [64, 128]", "\"shape\": [64, 127]"),
        ("\"quant_type\": \"nf4\", \"blocksize\"", "\"quant_type\": \"fp4\", \"blocksize\""),
        ("bitsandbytes__nf4", "bitsandbytes__fp4"),
        ("bitsandbytes__nf4", "bitsandbytes__nf8"),
    ];
    let told: Vec<String> = changes.map(|(from, to)| changed(from, to)).to_vec();
    expect![[r#"
        config.json: its weights are codes of bitsandbytes, which quantization_config does not say (download config.json again: transformers saves it with the weights)
        config.json: quantization_config.quant_method: "compressed-t" is not supported ("bitsandbytes" is) (begin with the model's own weights in 16 bits: [quantization] of the recipe quantises them while they are read)
        config.json: quantization_config.load_in_4bit: either this or load_in_8bit must be true
        config.json: quantization_config.bnb_4bit_quant_type: "nf3" is not supported ("nf4" and "fp4" are)
        model.safetensors: tensor "model.layers.1.self_attn.q_proj.weight.absmax": a part of a quantised matrix is not in any file
        model.safetensors: tensor "model.layers.1.mlp.up_proj.weight.quant_map": a part of a quantised matrix is not in any file
        model.safetensors: tensor "model.layers.0.mlp.down_proj.weight.quant_state.bitsandbytes__nf4": blocks of 128 scales
        model.safetensors: tensor "model.layers.0.mlp.down_proj.weight.quant_state.bitsandbytes__nf4": blocks of 63 numbers
        model.safetensors: tensor "model.layers.0.mlp.down_proj.weight": 4096 bytes where the matrix needs 4064
        model.safetensors: tensor "model.layers.0.mlp.down_proj.weight.quant_state.bitsandbytes__nf4": quant_type is "fp4"
        model.safetensors: tensor "model.layers.0.mlp.down_proj.weight.quant_state.bitsandbytes__fp4": quant_type is "nf4"
        model.safetensors: tensor "model.layers.0.mlp.down_proj.weight.quant_state.bitsandbytes__nf8": codes of type "nf8" (supported: nf4, fp4)"#]].assert_eq(&told.join("\n"));
}
