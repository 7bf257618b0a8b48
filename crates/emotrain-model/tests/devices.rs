//! One tiny training run on every device of this build: the numbers agree, and what the model then generates.
//!
//! Without GPU features this compares the CPU with itself (two runs are bit-equal); with `--features wgpu` also
//! with every adapter that wgpu finds, a software one included.

#![expect(clippy::unwrap_used, reason = "a test")]
#![expect(clippy::cast_possible_truncation, reason = "norms of tiny models")]

use std::ops::ControlFlow;

use burn::tensor::Device;
use emotrain_model::random::Key;
use emotrain_model::{
    Architecture, Batch, CausalLm, Checkpoint, FloatType, Generated, GenerationConfig, Generator, Gradients,
    LoraConfig, LoraInit, ModelConfig, PassOptions, Prompt, Sampling, SentenceEncoder, SentenceFolder,
    Sequence, device,
};
use emotrain_recipe::{DeviceChoice, Dtype};

const STEPS: usize = 4;

fn config() -> ModelConfig {
    ModelConfig {
        architecture: Architecture::Qwen3,
        vocab_size: 64,
        hidden_size: 32,
        intermediate_size: 48,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        head_dim: 8,
        rms_norm_eps: 1e-6,
        rope_theta: 10_000.0,
        rope_scaling: None,
        max_position_embeddings: 128,
        tie_word_embeddings: true,
        attention_bias: false,
        initializer_range: 0.2,
    }
}

/// Losses and gradient norms of a few steps of gradient descent, and the label scores and likeliest answers after them.
fn run(choice: &DeviceChoice, dtype: Dtype) -> (String, Vec<f32>, Vec<Generated>) {
    let open = device::open(choice, dtype).unwrap();
    let folder = tempfile::tempdir().unwrap();
    CausalLm::random(&config(), &Device::flex(), 5).save_model(folder.path(), FloatType::F32).unwrap();
    let base = Checkpoint::open(folder.path()).unwrap();
    let mut model = CausalLm::load(&base, &open.device, open.dtype).unwrap();
    let lora = LoraConfig {
        r: 4,
        lora_alpha: 8.0,
        lora_dropout: 0.0,
        target_modules: None,
        use_rslora: false,
        init: LoraInit::Kaiming,
    };
    model.add_lora(&lora, 5).unwrap();
    let sequences: Vec<Vec<u32>> =
        [17, 9, 12].iter().map(|&n| (0..n).map(|i| (i * 13 + n) % 64).collect()).collect();
    let packed: Vec<Sequence> =
        sequences.iter().map(|ids| Sequence { ids, supervised_from: ids.len() - 3 }).collect();
    let batch = Batch::sequences(&packed);
    let mut numbers = Vec::new();
    for step in 0..STEPS {
        let options = PassOptions {
            factor: 1.0 / 9.0,
            random: Key::new(0),
            neftune_noise_alpha: 0.0,
            gradient_checkpointing: step % 2 == 1,
        };
        let mut gradients = Gradients::default();
        numbers.push(model.forward_backward(&batch, options, &mut gradients).sum().into_scalar::<f32>());
        numbers.push(gradients.norm() as f32);
        for (name, parameter) in model.parameters() {
            if let Some(gradient) = gradients.remove(&name) {
                *parameter = parameter.clone() - gradient * 0.5;
            }
        }
    }
    let scores = model.score(&[&sequences[0], &sequences[1]], &[vec![3], vec![4, 5], vec![6, 7, 8]]);
    numbers.extend(scores.concat());
    let config = GenerationConfig {
        max_new_tokens: Some(12),
        min_new_tokens: 0,
        sampling: Sampling::GREEDY,
        stop_tokens: vec![0],
        seed: 0,
        max_batch_size: 2,
    };
    let prompts: Vec<Prompt> = sequences.iter().map(|ids| Prompt { ids, sequence: 0 }).collect();
    let mut generator = Generator::new(&model);
    let answers = generator.generate(&prompts, &config, &mut |_| ControlFlow::Continue(())).unwrap();
    (open.name, numbers, answers)
}

#[test]
fn two_runs_on_the_cpu_are_bit_equal_and_learn() {
    let (_, first, answers) = run(&DeviceChoice::Cpu, Dtype::Float32);
    let (_, again, same) = run(&DeviceChoice::Cpu, Dtype::Float32);
    assert_eq!((&first, &answers), (&again, &same));
    assert!(answers.iter().any(|answer| answer.ids.len() > 3), "{answers:?}");
    assert!(first[2 * (STEPS - 1)] < first[0], "{first:?}");
}

#[test]
fn a_gpu_agrees_with_the_cpu() {
    if !device::compiled().contains(&"wgpu") {
        println!("skipped: built without the wgpu feature");
        return;
    }
    let (_, cpu, answers) = run(&DeviceChoice::Cpu, Dtype::Float32);
    for (dtype, tolerance) in [(Dtype::Float32, 1e-4), (Dtype::Float16, 2e-2)] {
        let (name, gpu, found) = run(&DeviceChoice::Wgpu(None), dtype);
        println!("cpu  {cpu:?}\n{name} in {dtype} {gpu:?}");
        for (a, b) in cpu.iter().zip(&gpu) {
            assert!((a - b).abs() <= tolerance * a.abs().max(1.0), "{name} in {dtype}: {b}, the CPU {a}");
        }
        if dtype == Dtype::Float32 {
            assert_eq!(found, answers, "{name}");
        }
    }
}

/// The vectors of a few rows of ids by a tiny encoder of `tests/golden/sentence`.
fn sentence_vectors(choice: &DeviceChoice) -> Vec<f32> {
    let open = device::open(choice, Dtype::Float32).unwrap();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/sentence/tiny_mean");
    let folder = SentenceFolder::open(folder.as_ref()).unwrap();
    let encoder = SentenceEncoder::load(&folder, &open.device, open.dtype).unwrap();
    let rows: Vec<Vec<u32>> =
        [9, 3, 30, 1].iter().map(|&n| (0..n).map(|i| (i * 29 + n) % 220).collect()).collect();
    encoder.encode(&rows.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

#[test]
fn a_gpu_gives_the_sentence_vectors_of_the_cpu() {
    let cpu = sentence_vectors(&DeviceChoice::Cpu);
    assert_eq!(cpu, sentence_vectors(&DeviceChoice::Cpu));
    if !device::compiled().contains(&"wgpu") {
        println!("skipped: built without the wgpu feature");
        return;
    }
    for (cpu, gpu) in cpu.iter().zip(sentence_vectors(&DeviceChoice::Wgpu(None))) {
        assert!((cpu - gpu).abs() <= 1e-4, "{gpu}, the CPU {cpu}");
    }
}
