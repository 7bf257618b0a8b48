//! Logits and gradients against transformers and PEFT (`tests/golden/{decoder,lora}/make.py`).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device, Tensor};
use emotrain_base::random::Key;
use emotrain_model::{
    Batch, CausalLm, Checkpoint, Checkpointing, FloatType, Gradients, PassOptions, SafetensorsFile, Sequence,
    Storage,
};
use serde_json::Value;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden")
}

fn load(name: &str) -> CausalLm {
    let checkpoint = Checkpoint::open(&golden().join("decoder").join(name)).unwrap();
    CausalLm::load(&checkpoint, &Device::flex(), DType::F32).unwrap()
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.try_into_vec_as().unwrap()
}

/// The largest difference over the largest expected magnitude.
fn relative(ours: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(ours.len(), expected.len());
    let largest = expected.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    let difference = ours.iter().zip(expected).fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
    assert!(difference.is_finite());
    difference / largest
}

/// A file with token ids (I64) beside f32 tensors; the crate's own reader is for weights and refuses I64.
struct Expected(Vec<u8>);

impl Expected {
    fn open(name: &str) -> Self {
        Self(fs_err::read(golden().join("decoder").join(name)).unwrap())
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        let file = safetensors::SafeTensors::deserialize(&self.0).unwrap();
        file.tensor(name).unwrap().data().to_vec()
    }

    fn ids(&self, name: &str) -> Vec<u32> {
        let id = |bytes: &[u8]| u32::try_from(i64::from_le_bytes(bytes.try_into().unwrap())).unwrap();
        self.bytes(name).chunks_exact(8).map(id).collect()
    }

    fn floats(&self, name: &str) -> Vec<f32> {
        self.bytes(name).chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect()
    }
}

#[test]
fn logits_equal_those_of_transformers() {
    let expected = Expected::open("expected.safetensors");
    for name in
        ["llama3_tiny", "qwen2_tiny", "qwen3_tiny", "mistral_tiny", "phi3_tiny", "phi4_tiny", "gemma3_tiny"]
    {
        let model = load(name);
        for case in 0..2 {
            let ids = expected.ids(&format!("{name}.ids.{case}"));
            let logits = expected.floats(&format!("{name}.logits.{case}"));
            let difference = relative(&numbers(model.logits(&ids)), &logits);
            assert!(difference < 1e-5, "{name} {case}: {difference}");
        }
    }
}

/// NF4 with double quantisation, computed in float32.
fn nf4() -> Storage {
    let text = "[model]\nmodel_name_or_path = \"tiny\"\n[quantization]\nload_in_4bit = true\n[data]\ntrain = \"none\"\n\
                [eval]\nload_best_model_at_end = false\n";
    let recipe = emotrain_recipe::parse(text, Path::new("nf4.toml"), &[]).unwrap();
    Storage::planned(FloatType::F32, &recipe.quantization)
}

/// NF4 with double quantisation, computed in float32 (`tests/golden/bitsandbytes/make.py`).
#[test]
fn a_base_in_nf4_equals_that_of_transformers_on_bitsandbytes() {
    let folder = golden().join("bitsandbytes");
    let checkpoint = Checkpoint::open(&folder.join("tiny")).unwrap();
    let load = |storage: Storage| CausalLm::load(&checkpoint, &Device::flex(), storage).unwrap();
    let expected = Expected(fs_err::read(folder.join("logits.safetensors")).unwrap());
    let (ids, logits) = (expected.ids("ids"), expected.floats("logits"));
    let difference = relative(&numbers(load(nf4()).logits(&ids)), &logits);
    assert!(difference < 1e-5, "{difference}");
    let unquantised = relative(&numbers(load(DType::F32.into()).logits(&ids)), &logits);
    assert!(unquantised > 1e-2, "{unquantised}: quantisation changes something");
}

/// `SmolLM2-135M-Instruct` from its `Q4_1` file; `tests/fixtures/fetch-models.sh` brings it.
#[test]
fn smollm2_equals_transformers() {
    let script = golden().join("../fixtures/fetch-models.sh");
    let output =
        std::process::Command::new("bash").arg(script).arg("smollm2-135m-instruct").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let folder = String::from_utf8(output.stdout).unwrap();
    let checkpoint = Checkpoint::open(Path::new(folder.trim())).unwrap();
    let model = CausalLm::load(&checkpoint, &Device::flex(), DType::F32).unwrap();
    let expected = Expected::open("smollm2.safetensors");
    for prompt in 0..2 {
        let ids = expected.ids(&format!("prompt.{prompt}.ids"));
        let logits = model.logits(&ids);
        let [rows, vocabulary] = logits.dims();
        let logits = logits.narrow(0, rows - 1, 1);
        let last = expected.floats(&format!("prompt.{prompt}.last_logits"));
        assert_eq!(last.len(), vocabulary);
        let difference = relative(&numbers(logits), &last);
        assert!(difference < 1e-4, "prompt {prompt}: logits differ by {difference}");
        let all = Batch::sequences(&[Sequence { ids: &ids, supervised_from: 1 }]);
        let log_probs = expected.floats(&format!("prompt.{prompt}.next_logprobs"));
        let difference = relative(&model.log_probabilities(&all), &log_probs);
        assert!(difference < 1e-4, "prompt {prompt}: log-probabilities differ by {difference}");
    }
}

#[test]
fn shards_and_bf16_load_as_the_same_model() {
    let ids: Vec<u32> = (0..30).map(|i| (i * 37) % 96).collect();
    let (whole, sharded) = (load("qwen3_tiny").logits(&ids), load("qwen3_tiny_sharded").logits(&ids));
    assert_eq!(numbers(whole), numbers(sharded));
    let (f32, bf16) = (load("llama3_tiny").logits(&ids), load("llama3_tiny_bf16").logits(&ids));
    assert!(relative(&numbers(bf16), &numbers(f32)) < 0.05);
}

#[test]
fn first_gradients_equal_those_of_peft_and_torch() {
    for case in [
        "llama3_all_linear",
        "qwen2_query_value",
        "qwen2_rslora",
        "qwen3_all_linear",
        "llama3_full",
        "qwen2_full",
        "mistral_all_linear",
        "phi3_all_linear",
        "phi4_query_key_value",
        "gemma3_all_linear",
        "phi3_full",
        "gemma3_full",
    ] {
        for gradient_checkpointing in [Checkpointing::Off, Checkpointing::Every(1)] {
            check_first_gradients(case, gradient_checkpointing);
        }
    }
}

fn check_first_gradients(case: &str, gradient_checkpointing: Checkpointing) {
    let folder = golden().join("lora").join(case);
    let trajectory: Value =
        serde_json::from_str(&fs_err::read_to_string(folder.join("trajectory.json")).unwrap()).unwrap();
    let mut model = load(trajectory["model"].as_str().unwrap());
    if trajectory["kind"] == "lora" {
        model.load_adapter(&folder.join("initial")).unwrap();
    } else {
        model.train_all();
    }
    let step = &trajectory["steps"][0];
    let sequences: Vec<(Vec<u32>, usize)> = step["ids"]
        .as_array()
        .unwrap()
        .iter()
        .zip(step["prompt_len"].as_array().unwrap())
        .map(|(ids, from)| {
            (serde_json::from_value(ids.clone()).unwrap(), usize::try_from(from.as_u64().unwrap()).unwrap())
        })
        .collect();
    let packed: Vec<Sequence> =
        sequences.iter().map(|(ids, from)| Sequence { ids, supervised_from: *from }).collect();
    let tokens = step["supervised_tokens"].as_f64().unwrap();
    let options = PassOptions {
        factor: 1.0 / tokens,
        random: Key::new(0),
        neftune_noise_alpha: 0.0,
        label_smoothing_factor: 0.0,
        gradient_checkpointing,
    };
    let mut gradients = Gradients::default();
    let losses = model.forward_backward(&Batch::sequences(&packed), options, &mut gradients);
    let loss = f64::from(losses.sum().into_scalar::<f32>()) / tokens;
    let expected_loss = step["loss"].as_f64().unwrap();
    assert!((loss - expected_loss).abs() < 1e-5 * expected_loss, "{case}: loss {loss}, not {expected_loss}");
    let expected = SafetensorsFile::open(&folder.join("first_grads.safetensors")).unwrap();
    let norm = gradients.norm();
    let ours = model.unstack(gradients);
    let mut compared = 0;
    for name in expected.names() {
        let (_, values) = expected.tensor(name).unwrap();
        let name = name.strip_prefix("base_model.model.").unwrap_or(name);
        let (_, found) =
            ours.iter().find(|(n, _)| n == name).unwrap_or_else(|| panic!("{case}: no gradient {name}"));
        let difference = relative(&numbers(found.clone()), &values);
        assert!(difference < 1e-4, "{case}: {name}: {difference}");
        compared += 1;
    }
    assert_eq!(compared, ours.len(), "{case}");
    let expected_norm = step["grad_norm"].as_f64().unwrap();
    assert!((norm - expected_norm).abs() < 1e-5 * expected_norm, "{case}: norm {norm}, not {expected_norm}");
}
