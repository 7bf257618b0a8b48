//! Ten optimizer steps equal PEFT's and torch's, step by step (`tests/golden/lora/make.py`): losses, gradient norms,
//! learning rates and the final parameters; with the recorded micro-batches and with others. So do those with smoothed
//! and weighted losses (`tests/golden/loss/make.py`).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device, Tensor};
use emotrain_model::{
    BaseModel, Batch, CausalLm, Checkpoint, FloatType, LoraConfig, SafetensorsFile, Sequence, Storage,
};
use emotrain_recipe::{LoraInit, Recipe};
use emotrain_train::{AdamWOptimizer, LearningRate, StepAt, Turn};
use serde_json::Value;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden")
}

fn recipe(settings: &Value) -> Recipe {
    let text = format!(
        "[model]\nmodel_name_or_path = \"tiny\"\n[data]\ntrain = \"train.jsonl\"\n[train]\nlearning_rate = {}\n\
         weight_decay = {}\nmax_grad_norm = {}\nmax_steps = {}\nwarmup_steps = {}\nwarmup_ratio = 0.0\n\
         loraplus_lr_ratio = {}\nlr_scheduler_type = \"linear\"\n[eval]\nload_best_model_at_end = false\nbaseline = false\n",
        settings["learning_rate"],
        float(&settings["weight_decay"]),
        settings["max_grad_norm"],
        settings["steps"],
        settings["warmup_steps"],
        settings["loraplus_lr_ratio"].as_f64().unwrap_or(1.0),
    );
    emotrain_recipe::parse(&text, Path::new("golden.toml"), &[]).unwrap_or_else(|error| panic!("{error}"))
}

fn float(value: &Value) -> String {
    format!("{:?}", value.as_f64().unwrap())
}

fn relative(ours: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(ours.len(), expected.len());
    let largest = expected.iter().fold(1e-6f32, |m, v| m.max(v.abs()));
    ours.iter().zip(expected).fold(0.0f32, |m, (a, b)| m.max((a - b).abs())) / largest
}

/// Runs a recorded trajectory with micro-batches of `micro` sequences.
fn check(case: &str, micro: usize) {
    let folder = golden().join("lora").join(case);
    check_from(case, &folder, &folder.join("initial"), micro);
}

/// The same with an initial adapter from elsewhere.
fn check_from(case: &str, folder: &Path, initial: &Path, micro: usize) {
    let trajectory: Value =
        serde_json::from_str(&fs_err::read_to_string(folder.join("trajectory.json")).unwrap()).unwrap();
    let (base, storage) = base_of(case, trajectory["model"].as_str().unwrap());
    let mut model = CausalLm::load(&Checkpoint::open(&base).unwrap(), &Device::flex(), storage).unwrap();
    let frozen = base_numbers(&model);
    let full = trajectory["kind"] == "full";
    if full {
        model.train_all();
    } else {
        model.load_adapter(initial).unwrap();
    }
    follow(case, &mut model, &trajectory, micro);
    compare_final(case, &mut model, &folder.join("final.safetensors"), full);
    assert_eq!(frozen == base_numbers(&model), !full, "{case}: the base changes exactly if it is trained");
}

/// The model that is trained, and the same on other devices.
struct Models<'a> {
    model: &'a mut CausalLm,
    replicas: &'a mut [CausalLm],
}

/// Makes the recorded steps and compares each.
fn follow(case: &str, model: &mut CausalLm, trajectory: &Value, micro: usize) {
    follow_on(case, Models { model, replicas: &mut [] }, trajectory, micro);
}

/// The same with replicas on other devices.
fn follow_on(case: &str, models: Models, trajectory: &Value, micro: usize) {
    let Models { model, replicas } = models;
    let mut section = recipe(&trajectory["settings"]).train;
    section.label_smoothing_factor = trajectory["label_smoothing_factor"].as_f64().unwrap_or(0.0);
    let steps = trajectory["steps"].as_array().unwrap();
    let schedule = LearningRate::new(&section, steps.len());
    let mut optimizer = AdamWOptimizer::new(&section);
    for (number, expected) in steps.iter().enumerate() {
        let at = StepAt { number, learning_rate: schedule.at(number) };
        let batches = &batches(expected, micro);
        let (section, model, optimizer) = (&section, &mut *model, &mut optimizer);
        let replicas = &mut *replicas;
        let result = emotrain_train::step(Turn { section, model, replicas, optimizer, batches, at }).unwrap();
        for (what, ours, key, tolerance) in [
            ("loss", result.loss, "loss", 1e-4),
            ("gradient norm", result.grad_norm, "grad_norm", 1e-4),
            ("learning rate", result.learning_rate, "lr", 1e-9),
        ] {
            let expected = expected[key].as_f64().unwrap();
            assert!(
                (ours - expected).abs() <= tolerance * expected.abs(),
                "{case} step {number}: {what} {ours}, not {expected}"
            );
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

/// A model of the goldens, and in what it is kept.
fn base_of(case: &str, model: &str) -> (PathBuf, Storage) {
    if case != "qlora" {
        return (golden().join("decoder").join(model), DType::F32.into());
    }
    (golden().join("bitsandbytes").join(model), nf4())
}

/// The window of a recorded step, `micro` sequences per batch.
fn batches(step: &Value, micro: usize) -> Vec<Batch> {
    let ids: Vec<Vec<u32>> = serde_json::from_value(step["ids"].clone()).unwrap();
    let prompt_lengths: Vec<usize> = serde_json::from_value(step["prompt_len"].clone()).unwrap();
    let sequences: Vec<Sequence> = ids
        .iter()
        .zip(prompt_lengths)
        .map(|(ids, supervised_from)| Sequence { ids, supervised_from })
        .collect();
    let weights: Option<Vec<f32>> = serde_json::from_value(step["weights"].clone()).unwrap();
    let Some(weights) = weights else { return sequences.chunks(micro).map(Batch::sequences).collect() };
    let weighted = |(sequences, weights): (&[Sequence], &[f32])| {
        let supervised = |sequence: &Sequence| sequence.ids.len() - sequence.supervised_from;
        let of_tokens = sequences.iter().zip(weights);
        let of_tokens = of_tokens.flat_map(|(sequence, &weight)| vec![weight; supervised(sequence)]);
        Batch::sequences(sequences).with_weights(of_tokens.collect())
    };
    sequences.chunks(micro).zip(weights.chunks(micro)).map(weighted).collect()
}

fn compare_final(case: &str, model: &mut CausalLm, path: &Path, full: bool) {
    let expected = SafetensorsFile::open(path).unwrap();
    let ours: Vec<(String, Tensor<2>)> = if full {
        model.base_tensors().into_iter().map(|(name, _, tensor)| (name, tensor)).collect()
    } else {
        model
            .parameters()
            .into_iter()
            .map(|(name, t)| (format!("base_model.model.{name}"), t.clone()))
            .collect()
    };
    assert_eq!(expected.names().count(), ours.len(), "{case}");
    for (name, tensor) in ours {
        let (_, values) = expected.tensor(&name).unwrap();
        let difference = relative(&tensor.try_into_vec_as().unwrap(), &values);
        assert!(difference < 1e-4, "{case}: {name}: {difference}");
    }
}

fn base_numbers(model: &CausalLm) -> Vec<Vec<u32>> {
    let bits =
        |tensor: Tensor<2>| tensor.try_into_vec_as::<f32>().unwrap().into_iter().map(f32::to_bits).collect();
    model.base_tensors().into_iter().map(|(_, _, tensor)| bits(tensor)).collect()
}

/// Micro-batches are dealt to three devices, each of which is the CPU here: four, or two, and one has nothing to do.
#[test]
fn steps_that_several_devices_make_equal_pefts() {
    for (case, micro) in
        [("llama3_all_linear", 1), ("llama3_loraplus", 2), ("qwen2_dora", 1), ("qwen3_all_linear", 1)]
    {
        let folder = golden().join("lora").join(case);
        let trajectory: Value =
            serde_json::from_str(&fs_err::read_to_string(folder.join("trajectory.json")).unwrap()).unwrap();
        let (base, storage) = base_of(case, trajectory["model"].as_str().unwrap());
        let mut model = CausalLm::load(&Checkpoint::open(&base).unwrap(), &Device::flex(), storage).unwrap();
        let mut replicas = vec![model.clone(), model.clone()];
        model.load_adapter(&folder.join("initial")).unwrap();
        for replica in &mut replicas {
            replica.follow(&model);
        }
        let models = Models { model: &mut model, replicas: &mut replicas };
        follow_on(case, models, &trajectory, micro);
        compare_final(case, &mut model, &folder.join("final.safetensors"), false);
        for replica in &mut replicas {
            compare_final(case, replica, &folder.join("final.safetensors"), false);
        }
    }
}

#[test]
fn lora_trajectories_equal_pefts() {
    for case in [
        "llama3_all_linear",
        "qwen2_query_value",
        "qwen2_rslora",
        "qwen3_all_linear",
        "mistral_all_linear",
        "phi3_all_linear",
        "phi4_query_key_value",
        "gemma3_all_linear",
        "llama3_loraplus",
        "qwen2_dora",
        "phi3_dora_loraplus",
    ] {
        check(case, 2);
    }
}

/// On a base in NF4 with double quantisation (`tests/golden/bitsandbytes/make.py`).
#[test]
fn qlora_trajectories_equal_those_of_peft_on_bitsandbytes() {
    let folder = golden().join("bitsandbytes/qlora");
    for micro in [2, 4] {
        check_from("qlora", &folder, &folder.join("initial"), micro);
    }
}

#[test]
fn full_trajectories_equal_torchs() {
    check("llama3_full", 2);
    check("qwen2_full", 2);
}

#[test]
fn the_result_does_not_depend_on_how_a_window_is_split() {
    for micro in [1, 3, 4] {
        check("llama3_all_linear", micro);
    }
}

#[test]
fn smoothed_and_weighted_losses_equal_torchs() {
    let initial = golden().join("lora/llama3_all_linear/initial");
    for case in ["smoothed", "weighted", "both"] {
        for micro in [1, 2, 3] {
            check_from(case, &golden().join("loss").join(case), &initial, micro);
        }
    }
}

/// `B·A` times a scale, by the names that a file has before `.lora_A.weight`.
fn product(file: &SafetensorsFile, path: &str, scale: f32) -> Vec<f32> {
    let half = |half: &str| file.tensor(&format!("base_model.model.{path}.lora_{half}.weight")).unwrap();
    let ((a_shape, a), (b_shape, b)) = (half("A"), half("B"));
    let (r, width, out) = (a_shape[0], a_shape[1], b_shape[0]);
    let at = |row: usize, column: usize| (0..r).map(|k| b[row * r + k] * a[k * width + column]).sum::<f32>();
    (0..out)
        .flat_map(|row| (0..width).map(move |column| (row, column)))
        .map(|(r, c)| scale * at(r, c))
        .collect()
}

fn saved(model: &CausalLm) -> (tempfile::TempDir, SafetensorsFile) {
    let folder = tempfile::tempdir().unwrap();
    model.save_adapter(folder.path(), BaseModel { name: "tiny", revision: None }, FloatType::F32).unwrap();
    let file = SafetensorsFile::open(&folder.path().join("adapter_model.safetensors")).unwrap();
    (folder, file)
}

/// `PiSSA` and `OLoRA` (`tests/golden/starts/make.py`): an untrained adapter changes nothing, and what it begins with, each
/// step, and what is saved for the base as it is are PEFT's.
#[test]
fn starts_that_are_a_part_of_the_weight_equal_pefts() {
    for (case, init) in
        [("pissa", LoraInit::Pissa), ("pissa_rslora", LoraInit::Pissa), ("olora", LoraInit::Olora)]
    {
        let folder = golden().join("starts").join(case);
        let trajectory: Value =
            serde_json::from_str(&fs_err::read_to_string(folder.join("trajectory.json")).unwrap()).unwrap();
        let base = golden().join("decoder").join(trajectory["model"].as_str().unwrap());
        let mut model =
            CausalLm::load(&Checkpoint::open(&base).unwrap(), &Device::flex(), DType::F32).unwrap();
        let bare = model.clone();
        let use_rslora = case == "pissa_rslora";
        let config = LoraConfig { r: 4, lora_alpha: 8.0, use_rslora, init, ..LoraConfig::default() };
        model.add_lora(&config, 5).unwrap();
        let logits = |model: &CausalLm| model.logits(&[1, 2, 3, 40, 50]).try_into_vec_as::<f32>().unwrap();
        assert!(relative(&logits(&model), &logits(&bare)) < 1e-5, "{case}: a start changes nothing");

        #[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
        let scale = config.scale() as f32;
        let start = SafetensorsFile::open(&folder.join("start.safetensors")).unwrap();
        let update = SafetensorsFile::open(&folder.join("update.safetensors")).unwrap();
        let parameters: Vec<_> = model.parameters().into_iter().map(|(name, t)| (name, t.clone())).collect();
        let mut compared = 0;
        for pair in parameters.chunks_exact(2) {
            let path = pair[0].0.strip_suffix(".lora_A.weight").unwrap();
            let ours = pair[1].1.clone().matmul(pair[0].1.clone()) * scale;
            let (_, expected) = start.tensor(path).unwrap();
            let difference = relative(&ours.try_into_vec_as().unwrap(), &expected);
            assert!(difference < 1e-3, "{case}: {path} begins {difference} apart");
            compared += 1;
        }
        assert_eq!(compared, start.names().count());

        follow(case, &mut model, &trajectory, 2);
        let (again, file) = saved(&model);
        for path in update.names() {
            let (_, expected) = update.tensor(path).unwrap();
            let difference = relative(&product(&file, path, scale), &expected);
            assert!(difference < 3e-3, "{case}: {path} ends {difference} apart");
        }
        let mut loaded = bare;
        loaded.load_adapter(again.path()).unwrap();
        assert!(relative(&logits(&loaded), &logits(&model)) < 1e-5, "{case}: saved for the base as it is");
        assert_eq!(loaded.lora().unwrap().r, 8);
        // The trained half alone comes back into what is trained.
        let before = logits(&model);
        for (_, parameter) in model.parameters() {
            *parameter = parameter.zeros_like();
        }
        model.reload_adapter(again.path()).unwrap();
        assert_eq!(logits(&model), before, "{case}");
    }
}
