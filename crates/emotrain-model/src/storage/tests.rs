//! Each form of a frozen base against the same numbers as a plain one.

use burn::tensor::Tensor;
use emotrain_base::random::Key;

use super::*;
use crate::config::{Architecture, ModelConfig};
use crate::engine::{Engine, Feed, Precision};
use crate::kernels::{read, slice};
use crate::spec;
use crate::{Batch, CausalLm, Checkpoint, Checkpointing, Gradients, LoraConfig, PassOptions, Sequence};

/// Rows of 24 and 40 numbers, so that blocks of 64 and words go over their ends.
fn config() -> ModelConfig {
    ModelConfig {
        architecture: Architecture::Qwen3,
        intermediate_size: 40,
        num_hidden_layers: 2,
        tie_word_embeddings: false,
        attention_bias: false,
        ..spec::tests::config()
    }
}

fn quantised(codes: Codes, compute: FloatType, skip: &[&str]) -> Storage {
    let skip_modules = skip.iter().map(|name| (*name).to_owned()).collect();
    Storage { dtype: DType::F32, quantization: Some(Quantization { codes, compute, skip_modules }) }
}

fn nf4(double: bool) -> Codes {
    Codes::FourBit { quant_type: FourBitType::Nf4, double }
}

/// Every form with what products may be off by.
fn forms() -> Vec<(&'static str, Storage, f32)> {
    let fp4 = Codes::FourBit { quant_type: FourBitType::Fp4, double: true };
    vec![
        ("bfloat16", DType::BF16.into(), 3e-2),
        ("float16", DType::F16.into(), 1e-5),
        ("nf4", quantised(nf4(false), FloatType::F32, &[]), 1e-5),
        ("nf4, double", quantised(nf4(true), FloatType::F32, &[]), 1e-5),
        (
            "nf4 in bfloat16",
            Storage { dtype: DType::BF16, ..quantised(nf4(true), FloatType::Bf16, &[]) },
            3e-2,
        ),
        ("fp4", quantised(fp4, FloatType::F32, &[]), 1e-5),
        ("int8", quantised(Codes::Int8, FloatType::F32, &[]), 1e-5),
        ("nf4 but for some", quantised(nf4(true), FloatType::F32, &["k_proj", "layers.1.mlp"]), 1e-5),
    ]
}

fn adapted(mut model: CausalLm) -> CausalLm {
    let lora = LoraConfig { r: 4, lora_alpha: 8.0, ..LoraConfig::default() };
    model.add_lora(&lora, 3).unwrap();
    for (name, parameter) in model.parameters() {
        let seed = name.len() as u64;
        let noise = emotrain_base::random::normal(Key::new(seed), parameter.dims().iter().product(), 0.05);
        let shape = parameter.dims();
        let noise =
            Tensor::from_data(burn::tensor::TensorData::new(noise, shape), (&Device::flex(), DType::F32));
        *parameter = parameter.clone() + noise;
    }
    model
}

/// The model whose weights are the numbers that this one's stand for.
fn plain(model: &CausalLm) -> CausalLm {
    let folder = tempfile::tempdir().unwrap();
    model.base().save_model(folder.path(), FloatType::F32).unwrap();
    CausalLm::load(&Checkpoint::open(folder.path()).unwrap(), &Device::flex(), DType::F32).unwrap()
}

fn furthest(ours: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(ours.len(), expected.len());
    let largest = expected.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    ours.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / largest
}

fn ids(count: u32) -> Vec<u32> {
    (0..count).map(|at| (at * 31 + at * at) % 50).collect()
}

/// Losses and gradients of a pass.
fn pass(model: &CausalLm) -> (Vec<f32>, Vec<(String, Vec<f32>)>) {
    let (first, second) = (ids(23), ids(11));
    let batch = Batch::sequences(&[
        Sequence { ids: &first, supervised_from: 20 },
        Sequence { ids: &second, supervised_from: 5 },
    ]);
    let options = PassOptions {
        factor: 0.1,
        random: Key::new(1),
        neftune_noise_alpha: 0.0,
        label_smoothing_factor: 0.0,
        gradient_checkpointing: Checkpointing::Off,
    };
    let mut gradients = Gradients::default();
    let losses = model.forward_backward(&batch, options, &mut gradients).try_into_vec_as().unwrap();
    let numbers = |tensor: Tensor<2>| tensor.try_into_vec_as::<f32>().unwrap();
    let gradients = model.unstack(gradients).into_iter().map(|(name, gradient)| (name, numbers(gradient)));
    (losses, gradients.collect())
}

#[test]
fn a_frozen_base_computes_with_the_numbers_that_it_stands_for() {
    for (name, storage, tolerance) in forms() {
        let base = CausalLm::random(&config(), &Device::flex(), storage, 7);
        assert!(matches!(base.layers[0].down.weight, Weight::Frozen(_)), "{name}");
        let (model, reference) = (adapted(base.clone()), adapted(plain(&base)));
        let ((losses, gradients), (expected, expected_gradients)) = (pass(&model), pass(&reference));
        assert!(furthest(&losses, &expected) < tolerance, "{name}: losses");
        assert_eq!(gradients.len(), expected_gradients.len());
        for ((path, one), (_, other)) in gradients.iter().zip(&expected_gradients) {
            let off = furthest(one, other);
            assert!(off < 10.0 * tolerance, "{name}: {path} by {off}");
        }
        let engine = Engine::new(&model, Precision::Full);
        let ids = ids(17);
        let mut feeds = [Feed::new(&ids, crate::engine::Cache::default())];
        feeds[0].wanted = ids.len();
        let logits = engine.logits(&engine.forward(&mut feeds));
        let expected = reference.logits(&ids).try_into_vec_as::<f32>().unwrap();
        assert!(furthest(&logits, &expected) < tolerance, "{name}: the engine");
    }
}

#[test]
fn codes_in_tensors_are_the_same_numbers() {
    for (name, storage, _) in forms() {
        let base = CausalLm::random(&config(), &Device::flex(), storage, 7);
        for linear in base.layers[0].linears() {
            let Weight::Frozen(Frozen { matrix, .. }) = &linear.weight else { panic!("{name} is frozen") };
            let coded = Coded::new(matrix, &Device::flex(), DType::F32);
            let numbers = read(coded.numbers());
            let off = furthest(slice(&numbers), &matrix.to_vec());
            assert!(off < 1e-7, "{name}: {} by {off}", linear.stacked_path());
        }
    }
}

/// Of several pieces, the last of which is shorter.
#[test]
fn numbers_are_drawn_alike_by_every_number_of_threads() {
    let drawn = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let mut numbers = Vec::new();
        let draw = || {
            crate::assemble::drawn(Key::new(3), 0.02, [700, 4096], &mut |piece| {
                numbers.extend_from_slice(piece);
            });
        };
        pool.install(draw);
        numbers
    };
    let (one, three) = (drawn(1), drawn(3));
    assert!(one == three && one.len() == 700 * 4096);
    let variance = one.iter().map(|number| f64::from(number * number)).sum::<f64>() / one.len() as f64;
    assert!((variance.sqrt() - 0.02).abs() < 1e-4, "{variance}");
    assert_ne!(one[..4096], one[256 * 4096..257 * 4096], "the pieces differ");
}

#[test]
fn a_base_in_few_bits_takes_few_bytes() {
    let bytes = |storage: Storage| -> usize {
        let base = CausalLm::random(&config(), &Device::flex(), storage, 7);
        let linears = base.layers.iter().flat_map(crate::layer::Layer::linears);
        let bytes = linears.map(|linear| match &linear.weight {
            Weight::Frozen(frozen) => frozen.matrix.bytes(),
            Weight::Dense(_) | Weight::Coded(_) => 4 * linear.weight.dims().iter().product::<usize>(),
        });
        bytes.sum()
    };
    let full = bytes(DType::F32.into());
    assert_eq!(bytes(DType::BF16.into()) * 2, full);
    let (single, double) = (nf4(false), nf4(true));
    assert!(bytes(quantised(single, FloatType::F32, &[])) * 32 < full * 5);
    assert!(bytes(quantised(double, FloatType::F32, &[])) * 32 < full * 5);
    assert!(bytes(quantised(Codes::Int8, FloatType::F32, &[])) < full / 3);
}
