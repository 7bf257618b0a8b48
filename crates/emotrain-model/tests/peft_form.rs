//! What we write is what PEFT writes: an adapter that PEFT has saved (`tests/golden/lora/make.py`), loaded and saved
//! again, has the same tensors and the same configuration.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device};
use emotrain_model::{BaseModel, CausalLm, Checkpoint, FloatType, SafetensorsFile};
use serde_json::Value;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden")
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs_err::read_to_string(path).unwrap()).unwrap()
}

/// The header of a safetensors file.
fn header(path: &Path) -> Value {
    let bytes = fs_err::read(path).unwrap();
    let length = usize::try_from(u64::from_le_bytes(bytes[..8].try_into().unwrap())).unwrap();
    serde_json::from_slice(&bytes[8..8 + length]).unwrap()
}

/// Loads PEFT's adapter of a case and saves it into a folder.
fn save_again(case: &str, to: &Path, dtype: FloatType) -> PathBuf {
    let folder = golden().join("lora").join(case);
    let name = json(&folder.join("trajectory.json"))["model"].as_str().unwrap().to_owned();
    let base = Checkpoint::open(&golden().join("decoder").join(name)).unwrap();
    let mut model = CausalLm::load(&base, &Device::flex(), DType::F32).unwrap();
    let peft = folder.join("initial");
    model.load_adapter(&peft).unwrap();
    let config = json(&peft.join("adapter_config.json"));
    let name = config["base_model_name_or_path"].as_str().unwrap();
    model.save_adapter(to, BaseModel { name, revision: None }, dtype).unwrap();
    peft
}

#[test]
fn a_saved_adapter_is_pefts_to_the_bit() {
    for case in [
        "llama3_all_linear",
        "qwen2_query_value",
        "qwen2_rslora",
        "qwen3_all_linear",
        "mistral_all_linear",
        "phi3_all_linear",
        "phi4_query_key_value",
        "gemma3_all_linear",
        "qwen2_dora",
        "phi3_dora_loraplus",
    ] {
        let ours = tempfile::tempdir().unwrap();
        let peft = save_again(case, ours.path(), FloatType::F32);
        let files = [ours.path(), &peft].map(|folder| folder.join("adapter_model.safetensors"));
        let headers = files.each_ref().map(|file| header(file));
        assert_eq!(headers[0]["__metadata__"], headers[1]["__metadata__"], "{case}");
        let [ours_file, pefts_file] = files.map(|file| SafetensorsFile::open(&file).unwrap());
        let names = |file: &SafetensorsFile| {
            let mut names: Vec<String> = file.names().map(str::to_owned).collect();
            names.sort();
            names
        };
        assert_eq!(names(&ours_file), names(&pefts_file), "{case}");
        for name in names(&pefts_file) {
            assert_eq!(headers[0][&name]["dtype"], headers[1][&name]["dtype"], "{case}: {name}");
            assert!(ours_file.tensor(&name).unwrap() == pefts_file.tensor(&name).unwrap(), "{case}: {name}");
        }

        let [ours, peft] = [ours.path(), &peft].map(|folder| json(&folder.join("adapter_config.json")));
        let sorted = |value: &Value| {
            let mut list: Vec<String> = serde_json::from_value(value.clone()).unwrap();
            list.sort();
            list
        };
        for (key, value) in ours.as_object().unwrap() {
            let expected = &peft[key];
            if key == "target_modules" {
                assert_eq!(sorted(value), sorted(expected), "{case}");
            } else {
                assert_eq!(value, expected, "{case}: {key}");
            }
        }
    }
}

#[test]
fn a_smaller_type_rounds_every_weight() {
    let ours = tempfile::tempdir().unwrap();
    let peft = save_again("qwen3_all_linear", ours.path(), FloatType::Bf16);
    let [ours, peft] = [ours.path(), &peft]
        .map(|folder| SafetensorsFile::open(&folder.join("adapter_model.safetensors")).unwrap());
    let mut rounded = 0;
    for name in peft.names() {
        let (shape, ours) = ours.tensor(name).unwrap();
        let (expected_shape, peft) = peft.tensor(name).unwrap();
        assert_eq!(shape, expected_shape);
        for (a, b) in ours.iter().zip(&peft) {
            assert!((a - b).abs() <= b.abs() / 256.0, "{name}: {a}, {b}");
            rounded += usize::from(a.to_bits() != b.to_bits());
        }
    }
    assert!(rounded > 0);
}
