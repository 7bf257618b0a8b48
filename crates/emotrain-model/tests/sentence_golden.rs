//! Sentence vectors against sentence-transformers (`tests/golden/sentence/make.py`).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device};
use emotrain_model::{Pooling, SentenceEncoder, SentenceFolder};
use safetensors::SafeTensors;
use serde_json::Value;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/sentence")
}

fn load(folder: &Path) -> SentenceEncoder {
    let folder = SentenceFolder::open(folder).unwrap();
    SentenceEncoder::load(&folder, &Device::flex(), DType::F32).unwrap()
}

fn rows(ids: &[Vec<u32>]) -> Vec<&[u32]> {
    ids.iter().map(Vec::as_slice).collect()
}

fn largest_difference(ours: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(ours.len(), expected.len());
    let largest = ours.iter().zip(expected).fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
    assert!(largest.is_finite() && ours.iter().all(|value| value.is_finite()));
    largest
}

#[test]
fn tiny_encoders_equal_sentence_transformers() {
    let numbers = fs_err::read_to_string(golden().join("tiny.json")).unwrap();
    let numbers: Value = serde_json::from_str(&numbers).unwrap();
    let cases = [
        ("tiny_mean", Pooling::Mean, true, 32),
        ("tiny_cls", Pooling::Cls, false, 40),
        ("tiny_max", Pooling::Max, false, 40),
    ];
    for (name, pooling, normalize, length) in cases {
        let encoder = load(&golden().join(name));
        let config = encoder.config();
        assert_eq!((config.pooling, config.normalize, config.max_seq_length), (pooling, normalize, length));
        let ids: Vec<Vec<u32>> = serde_json::from_value(numbers[name]["ids"].clone()).unwrap();
        assert_eq!(ids.iter().map(Vec::len).max(), Some(length), "a text is longer than what is read");
        let expected: Vec<Vec<f32>> = serde_json::from_value(numbers[name]["vectors"].clone()).unwrap();
        // Two layers in float32 whose values go up to 5.
        let difference = largest_difference(&encoder.encode(&rows(&ids)), &expected.concat());
        assert!(difference < 1e-5, "{name}: {difference}");
    }
}

/// `all-MiniLM-L6-v2`; `tests/fixtures/fetch-models.sh` brings it.
#[test]
fn minilm_equals_sentence_transformers_whatever_the_company() {
    let script = golden().join("../../fixtures/fetch-models.sh");
    let output = std::process::Command::new("bash").arg(script).arg("all-minilm-l6-v2").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let encoder = load(Path::new(String::from_utf8(output.stdout).unwrap().trim()));

    let bytes = fs_err::read(golden().join("minilm.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let whole = |name: &str| -> Vec<usize> {
        let numbers = file.tensor(name).unwrap().data().chunks_exact(8);
        numbers.map(|raw| usize::try_from(i64::from_le_bytes(raw.try_into().unwrap())).unwrap()).collect()
    };
    let mut flat = whole("ids").into_iter().map(|id| u32::try_from(id).unwrap());
    let ids: Vec<Vec<u32>> =
        whole("lengths").into_iter().map(|length| flat.by_ref().take(length).collect()).collect();
    let expected: Vec<f32> = file
        .tensor("vectors")
        .unwrap()
        .data()
        .chunks_exact(4)
        .map(|raw| f32::from_le_bytes(raw.try_into().unwrap()))
        .collect();

    let vectors = encoder.encode(&rows(&ids));
    // Six layers in float32; vectors have length 1.
    let difference = largest_difference(&vectors, &expected);
    println!("all-MiniLM-L6-v2: largest difference {difference:.1e}");
    assert!(difference < 1e-5, "{difference}");

    let width = encoder.dimensions();
    let mut backwards = rows(&ids);
    backwards.reverse();
    let reversed = encoder.encode(&backwards);
    for (number, vector) in vectors.chunks_exact(width).enumerate() {
        let there = ids.len() - 1 - number;
        assert_eq!(vector, &reversed[there * width..][..width], "text {number} among others");
        assert_eq!(vector, encoder.encode(&[&ids[number]]), "text {number} alone");
    }
}
