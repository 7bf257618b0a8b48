//! Adapters in many words against PEFT (`tests/golden/adapters/make.py`): which layers are adapted, with which ranks
//! and scales.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device};
use emotrain_model::{BaseModel, CausalLm, Checkpoint, FloatType, Precision, SafetensorsFile, Scorer};

const CASES: [(&str, &str); 7] = [
    ("pattern", "qwen2_tiny"),
    ("excluded", "qwen2_tiny"),
    ("layers", "llama3_tiny"),
    ("ranks", "qwen3_tiny"),
    ("nothing_named", "llama3_tiny"),
    ("other_words", "qwen2_tiny"),
    ("dora", "qwen2_tiny"),
];

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden")
}

fn adapted(base: &str, adapter: &Path) -> CausalLm {
    let checkpoint = Checkpoint::open(&golden().join("decoder").join(base)).unwrap();
    let mut model = CausalLm::load(&checkpoint, &Device::flex(), DType::F32).unwrap();
    model.load_adapter(adapter).unwrap();
    model
}

fn logits(model: &CausalLm, ids: &[u32]) -> Vec<f32> {
    model.logits(ids).try_into_vec_as().unwrap()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small whole numbers")]
fn ids(file: &SafetensorsFile) -> Vec<u32> {
    file.tensor("ids").unwrap().1.into_iter().map(|id| id as u32).collect()
}

fn largest_difference(ours: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(ours.len(), expected.len());
    ours.iter().zip(expected).fold(0.0, |largest, (a, b)| largest.max((a - b).abs()))
}

#[test]
fn adapters_compute_what_they_compute_in_peft() {
    let folder = golden().join("adapters");
    let expected = SafetensorsFile::open(&folder.join("logits.safetensors")).unwrap();
    let ids = ids(&expected);
    for (case, base) in CASES {
        let (shape, expected) = expected.tensor(case).unwrap();
        let model = adapted(base, &folder.join(case));
        let difference = largest_difference(&logits(&model, &ids), &expected);
        assert!(difference < 1e-4, "{case}: {difference}");

        // The engine that scores and generates has a form of its own.
        let (prompt, answer) = ids.split_at(ids.len() - 1);
        let answers = [answer.to_vec()];
        let scored = Scorer::new(&model, &answers, Precision::Full).score(&[prompt])[0][0];
        let row = &expected[(prompt.len() - 1) * shape[1]..][..shape[1]];
        let log_sum = row.iter().map(|logit| f64::from(*logit).exp()).sum::<f64>().ln();
        let log_probability = f64::from(row[answer[0] as usize]) - log_sum;
        assert!((f64::from(scored) - log_probability).abs() < 1e-4, "{case}: {scored}, {log_probability}");
    }
}

#[test]
fn an_adapter_that_was_saved_again_computes_the_same() {
    for (case, base) in CASES {
        let model = adapted(base, &golden().join("adapters").join(case));
        let again = tempfile::tempdir().unwrap();
        model.save_adapter(again.path(), BaseModel { name: base, revision: None }, FloatType::F32).unwrap();
        let ids = [1, 2, 3, 40, 50];
        assert_eq!(logits(&model, &ids), logits(&adapted(base, again.path()), &ids), "{case}");
    }
}
