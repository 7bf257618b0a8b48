//! Each field of a specification over every form of a block: training on the CPU and in tensor operations, the engine's
//! two forms; and its backward against finite differences of the loss.

mod checkpointing;
mod shared_prefix;

use burn::tensor::{DType, Device, Tensor, TensorData};
use emotrain_base::random::{Key, normal};
use emotrain_recipe::LoraInit;

use super::*;
use crate::batch::{Batch, Sequence};
use crate::checkpointing::Checkpointing;
use crate::config::Architecture;
use crate::decoder::CausalLm;
use crate::engine::{Cache, Engine, Feed, Precision, TensorModel};
use crate::gradients::Gradients;
use crate::layer::{Layer, ShareRows};
use crate::lora::LoraConfig;
use crate::pass::{PassOptions, Passes, Share, forward_backward};

pub(crate) fn config() -> ModelConfig {
    ModelConfig {
        architecture: Architecture::Llama,
        vocab_size: 50,
        hidden_size: 24,
        intermediate_size: 30,
        num_hidden_layers: 3,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        head_dim: 6,
        rms_norm_eps: 1e-6,
        rope_theta: 10_000.0,
        rotary_dim: 6,
        rope_scaling: None,
        sliding_window: None,
        query_pre_attn_scalar: None,
        max_position_embeddings: 256,
        tie_word_embeddings: true,
        attention_bias: true,
        initializer_range: 0.2,
    }
}

/// Every field on its own in the middle layer or in all, and all of them together.
fn specs() -> Vec<(&'static str, DecoderSpec)> {
    type Change = fn(&mut DecoderSpec);
    let changes: [(&str, Change); 10] = [
        ("window", |spec| spec.blocks[1].attention.window = Some(5)),
        ("scale", |spec| spec.blocks[1].attention.scale = 0.9),
        ("rope", |spec| {
            // Two of three pairs are rotated, and stretched.
            spec.ropes.push(Rope { frequencies: vec![1.0, 0.2], factor: 1.3 });
            spec.blocks[1].rope = 1;
        }),
        ("head_norms", |spec| spec.blocks[1].head_norms = true),
        ("output_norms", |spec| spec.blocks[1].output_norms = true),
        ("activation", |spec| spec.blocks[1].activation = Activation::GeluTanh),
        ("fused", |spec| spec.blocks[1].fused = true),
        ("fused_last", |spec| spec.blocks[2].fused = true),
        ("embedding_scale", |spec| spec.embedding_scale = Some(4.9)),
        ("norm_offset", |spec| spec.norm_offset = true),
    ];
    let base = DecoderSpec::of(&config());
    let changed = |change: &Change| {
        let mut spec = base.clone();
        change(&mut spec);
        spec
    };
    let mut all = base.clone();
    for (_, change) in &changes {
        change(&mut all);
    }
    let single = changes.iter().map(|(name, change)| (*name, changed(change)));
    [("none", base.clone())].into_iter().chain(single).chain([("all", all)]).collect()
}

/// A fully trained model whose norms and biases are no constants.
fn model(spec: &DecoderSpec, dtype: DType) -> CausalLm {
    let mut model = CausalLm::random_as(&config(), spec.clone(), &Device::flex(), dtype, 3);
    model.train_all();
    for (number, (name, parameter)) in model.parameters().into_iter().enumerate() {
        if name.ends_with("norm.weight") || name.ends_with("bias") {
            *parameter = parameter.clone() + draw(number, parameter.dims(), 0.3).cast(dtype);
        }
    }
    model
}

fn draw(purpose: usize, shape: [usize; 2], deviation: f32) -> Tensor<2> {
    let values = normal(Key::new(5).with(purpose as u64), shape.iter().product(), deviation);
    Tensor::from_data(TensorData::new(values, shape), (&Device::flex(), DType::F32))
}

fn ids(count: usize, salt: usize) -> Vec<u32> {
    (0..count).map(|at| u32::try_from((at * 31 + salt * 17 + at * at) % 50).unwrap()).collect()
}

fn furthest(ours: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(ours.len(), expected.len());
    let largest = expected.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    ours.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / largest
}

#[test]
fn every_form_computes_every_field() {
    let ids = ids(40, 0);
    let logits = |spec: &DecoderSpec, dtype| {
        model(spec, dtype).logits(&ids).cast(DType::F32).try_into_vec_as::<f32>().unwrap()
    };
    let plain = logits(&specs()[0].1, DType::F64);
    for (name, spec) in specs() {
        let expected = logits(&spec, DType::F64);
        // Norms stored around 0 are, with the 1 that is added, those around 1.
        let same = ["none", "norm_offset"].contains(&name);
        assert_eq!(furthest(&expected, &plain) < 1e-3, same, "{name} changes something");
        assert!(furthest(&logits(&spec, DType::F32), &expected) < 2e-5, "{name}: training on the CPU");
        let model = model(&spec, DType::F32);
        let forms =
            [Engine::new(&model, Precision::Full), Engine::Tensors(Box::new(TensorModel::new(&model)))];
        for (form, engine) in forms.iter().enumerate() {
            let (mut cache, mut found, mut fed) = (Cache::default(), Vec::new(), 0);
            for length in [1, 8, 1, 30] {
                let mut feeds = [Feed::new(&ids[fed..fed + length], std::mem::take(&mut cache))];
                feeds[0].wanted = length;
                found.extend(engine.logits(&engine.forward(&mut feeds)));
                let [feed] = feeds;
                cache = feed.cache;
                fed += length;
            }
            assert!(furthest(&found, &expected) < 2e-5, "{name}: form {form} of the engine");
        }
    }
}

#[test]
fn the_backward_of_every_field_is_that_of_its_forward() {
    let (first, second) = (ids(12, 1), ids(9, 2));
    let batch = Batch::sequences(&[
        Sequence { ids: &first, supervised_from: 7 },
        Sequence { ids: &second, supervised_from: 0 },
    ]);
    let options = PassOptions {
        factor: 1.0,
        random: Key::new(1),
        neftune_noise_alpha: 0.0,
        label_smoothing_factor: 0.0,
        gradient_checkpointing: Checkpointing::Off,
    };
    let run = |model: &CausalLm| {
        let mut gradients = Gradients::default();
        let losses = model.forward_backward(&batch, options, &mut gradients);
        let losses = losses.cast(DType::F64).try_into_vec_as::<f64>().unwrap();
        (losses.iter().sum::<f64>(), gradients)
    };
    for (name, spec) in specs() {
        let mut exact = model(&spec, DType::F64);
        let (_, gradients) = run(&exact);
        let (_, on_cpu) = run(&model(&spec, DType::F32));
        let mut slope = 0.0;
        let mut moved = [exact.clone(), exact.clone()];
        for (number, (path, parameter)) in exact.parameters().into_iter().enumerate() {
            let gradient = gradients.get(&path).unwrap_or_else(|| panic!("{name}: a gradient of {path}"));
            let flat = |x: &Tensor<2>| x.clone().cast(DType::F32).try_into_vec_as::<f32>().unwrap();
            let apart = furthest(&flat(&on_cpu.get(&path).unwrap()), &flat(&gradient));
            assert!(apart < 1e-3, "{name}: {path} on the CPU: {apart}");
            let direction = draw(100 + number, parameter.dims(), 1.0).cast(DType::F64);
            slope += (gradient.clone().cast(DType::F64) * direction.clone()).sum().into_scalar::<f64>();
            for (model, step) in moved.iter_mut().zip([1e-4, -1e-4]) {
                let (_, place) = model.parameters().swap_remove(number);
                *place = place.clone() + direction.clone() * step;
            }
        }
        let numeric = (run(&moved[0]).0 - run(&moved[1]).0) / 2e-4;
        assert!((numeric - slope).abs() < 5e-3 * slope.abs().max(1.0), "{name}: {numeric}, not {slope}");
    }
}

/// The same model, not trained.
fn frozen(mut model: CausalLm) -> CausalLm {
    model.trained = false;
    model.norm.trained = false;
    for layer in &mut model.layers {
        let Layer { input_norm, q, kv, head_norms, o, post_norm, gate_up, down, output_norms, .. } = layer;
        let heads = head_norms.iter_mut().flat_map(|norms| [&mut norms.q, &mut norms.k]);
        let outputs = output_norms.iter_mut();
        let outputs = outputs.flat_map(|norms| [&mut norms.attention, &mut norms.feed_forward]);
        for norm in [input_norm, post_norm].into_iter().chain(heads).chain(outputs) {
            norm.trained = false;
        }
        q.iter_mut().chain([kv, o, gate_up, down]).for_each(|linear| linear.trained = false);
    }
    model
}

/// One adapter on a base that is frozen, with numbers in both of its halves.
fn adapted(base: &CausalLm, number: usize) -> CausalLm {
    let mut model = base.clone();
    let lora = LoraConfig {
        r: 3,
        lora_alpha: 6.0,
        lora_dropout: [0.0, 0.3, 0.1, 0.0][number % 4],
        use_dora: number % 2 == 1,
        init: [LoraInit::Kaiming, LoraInit::Kaiming, LoraInit::PissaNiter(2), LoraInit::Kaiming][number % 4],
        ..LoraConfig::default()
    };
    model.add_lora(&lora, number as u64).unwrap();
    for (at, (_, parameter)) in model.parameters().into_iter().enumerate() {
        *parameter = parameter.clone() + draw(1000 * (number + 1) + at, parameter.dims(), 0.1);
    }
    model
}

/// What a training takes from a pass: its losses and gradients.
type Taken = (Vec<f32>, Vec<(String, Vec<f32>)>);

fn taken(losses: Tensor<1>, gradients: &Gradients) -> Taken {
    let numbers = |x: &Tensor<2>| x.clone().cast(DType::F32).try_into_vec_as::<f32>().unwrap();
    let gradients =
        gradients.names().into_iter().map(|name| (name.clone(), numbers(&gradients.get(&name).unwrap())));
    (losses.cast(DType::F32).try_into_vec_as().unwrap(), gradients.collect())
}

/// Four micro-batches: of many rows, with noise, of a single target, of more targets than the head takes at once.
fn micro_batches() -> Vec<(Batch, PassOptions)> {
    let lengths: [&[(usize, usize)]; 4] =
        [&[(40, 30), (1, 0), (17, 2)], &[(9, 3), (60, 0)], &[(12, 11)], &[(200, 1), (90, 5)]];
    let batch = |number: usize, lengths: &[(usize, usize)]| {
        let ids: Vec<Vec<u32>> = lengths.iter().map(|&(length, _)| ids(length, number + length)).collect();
        let sequences = ids.iter().zip(lengths);
        let sequences = sequences.map(|(ids, &(_, supervised_from))| Sequence { ids, supervised_from });
        let options = PassOptions {
            factor: 1.0 / (number as f64 + 3.0),
            random: Key::new(number as u64),
            neftune_noise_alpha: [0.0, 5.0][number % 2],
            label_smoothing_factor: [0.0, 0.0, 0.2][number % 3],
            gradient_checkpointing: Checkpointing::Off,
        };
        let batch = Batch::sequences(&sequences.collect::<Vec<_>>());
        let weights = (0..batch.targets().len()).map(|target| 0.5 + target as f32).collect();
        (if number % 2 == 1 { batch.with_weights(weights) } else { batch }, options)
    };
    lengths.into_iter().enumerate().map(|(number, lengths)| batch(number, lengths)).collect()
}

/// Passes of each micro-batch alone, and of all together, with these models.
fn alone_and_together(models: &[CausalLm], checkpointing: Checkpointing) -> [Vec<Taken>; 2] {
    let batches = micro_batches();
    let shared = models.iter().zip(&batches).map(|(model, (batch, options))| {
        let options = PassOptions { gradient_checkpointing: checkpointing, ..*options };
        (model, batch, options)
    });
    let alone = shared.clone().map(|(model, batch, options)| {
        let mut gradients = Gradients::default();
        let losses = model.forward_backward(batch, options, &mut gradients);
        taken(losses, &gradients)
    });
    let alone = alone.collect();
    let mut gradients: Vec<Gradients> = models.iter().map(|_| Gradients::default()).collect();
    let shares = shared.zip(&mut gradients);
    let shares =
        shares.map(|((model, batch, options), gradients)| Share { model, batch, options, gradients });
    let losses = forward_backward(shares.collect());
    [alone, losses.into_iter().zip(&gradients).map(|(losses, gradients)| taken(losses, gradients)).collect()]
}

#[test]
fn trainings_that_share_a_pass_get_what_they_get_alone() {
    for (name, spec) in specs() {
        for dtype in [DType::F32, DType::F64] {
            let base = frozen(model(&spec, dtype));
            let models: Vec<CausalLm> = (0..4).map(|number| adapted(&base, number)).collect();
            let [alone, together] = alone_and_together(
                &models,
                if name == "all" { Checkpointing::Every(1) } else { Checkpointing::Off },
            );
            for (number, (alone, together)) in alone.iter().zip(&together).enumerate() {
                if dtype == DType::F32 {
                    assert!(alone == together, "{name}: share {number}");
                    continue;
                }
                assert!(furthest(&together.0, &alone.0) < 1e-5, "{name}: share {number} in tensors");
                for ((path, one), (_, other)) in alone.1.iter().zip(&together.1) {
                    // Masks of tensor operations are drawn on the device.
                    assert!(furthest(other, one) < 1e-4, "{name}: share {number}, {path} in tensors");
                }
            }
        }
    }
}

/// What is not a number stays with the training that it belongs to.
#[test]
fn a_training_that_fails_leaves_the_others_of_its_pass_as_they_are() {
    let base = CausalLm::random(&config(), &Device::flex(), DType::F32, 3);
    let mut models: Vec<CausalLm> = (0..4).map(|number| adapted(&base, number)).collect();
    for (_, parameter) in models[1].parameters() {
        *parameter = parameter.clone() * f32::NAN;
    }
    let [alone, together] = alone_and_together(&models, Checkpointing::Off);
    assert!(together[1].0.iter().all(|loss| loss.is_nan()));
    for number in [0, 2, 3] {
        assert!(alone[number] == together[number], "share {number}");
    }
}
