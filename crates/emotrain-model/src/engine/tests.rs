//! The CPU's form against the tensor form, a cache against none, and shared beginnings against their own.

use burn::tensor::{DType, Device, TensorData};
use emotrain_base::random::{Key, normal};
use emotrain_recipe::LoraInit;

use super::*;
use crate::config::{Architecture, ModelConfig, SlidingWindow, WindowKeys};
use crate::lora::LoraConfig;

/// A tiny model with an adapter whose matrices are all far from zero.
pub(crate) fn model(architecture: Architecture) -> CausalLm {
    model_on(&Device::flex(), architecture)
}

pub(crate) fn model_on(device: &Device, architecture: Architecture) -> CausalLm {
    let config = ModelConfig {
        architecture,
        vocab_size: 70,
        hidden_size: 36,
        intermediate_size: 50,
        num_hidden_layers: 3,
        num_attention_heads: 6,
        num_key_value_heads: 2,
        head_dim: 10,
        rms_norm_eps: 1e-6,
        rope_theta: 10_000.0,
        rotary_dim: 10,
        rope_scaling: None,
        sliding_window: match architecture.family().window {
            WindowKeys::Refused { .. } => None,
            WindowKeys::All => {
                Some(SlidingWindow { size: 9, full_attention_layers: Vec::new(), rope_theta: None })
            }
            WindowKeys::Pattern => {
                Some(SlidingWindow { size: 9, full_attention_layers: vec![1], rope_theta: Some(700.0) })
            }
        },
        query_pre_attn_scalar: None,
        max_position_embeddings: 256,
        tie_word_embeddings: architecture == Architecture::Llama,
        attention_bias: architecture == Architecture::Qwen2,
        initializer_range: 0.3,
    };
    let mut model = CausalLm::random(&config, device, DType::F32, 3);
    let lora = LoraConfig {
        r: 5,
        lora_alpha: 4.0,
        lora_dropout: 0.5,
        init: LoraInit::Gaussian,
        ..LoraConfig::default()
    };
    model.add_lora(&lora, 4).unwrap();
    for (number, (_, parameter)) in model.parameters().into_iter().enumerate() {
        let shape = parameter.dims();
        let values = normal(Key::new(8).with(number as u64), shape.iter().product(), 0.3);
        *parameter = Tensor::from_data(TensorData::new(values, shape), (device, DType::F32));
    }
    model
}

pub(super) fn ids(count: usize, salt: usize) -> Vec<u32> {
    (0..count).map(|at| u32::try_from((at * 31 + salt * 17 + at * at) % 70).unwrap()).collect()
}

pub(super) fn forward(engine: &Engine, feeds: &mut [Feed]) -> Vec<f32> {
    engine.forward(feeds).numbers().into_owned()
}

fn forms(model: &CausalLm) -> [Engine; 2] {
    [Engine::new(model, Precision::Full), Engine::Tensors(Box::new(TensorModel::new(model)))]
}

/// Up to the rounding of f32 sums in another order, which is relative to the largest number of all.
pub(super) fn assert_close(ours: &[f32], expected: &[f32]) {
    assert_eq!(ours.len(), expected.len());
    let largest = expected.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    for (ours, expected) in ours.iter().zip(expected) {
        assert!((ours - expected).abs() < 1e-5 * largest, "{ours}, not {expected}; largest {largest}");
    }
}

#[test]
fn a_cache_gives_the_logits_of_the_whole() {
    for architecture in Architecture::ALL {
        let model = model(architecture);
        let ids = ids(90, 0);
        let expected = model.logits(&ids).try_into_vec_as::<f32>().unwrap();
        for engine in forms(&model) {
            let (mut cache, mut logits, mut fed) = (Cache::default(), Vec::new(), 0);
            for length in [1, 30, 1, 1, 40, 17] {
                let mut feed = Feed::new(&ids[fed..fed + length], std::mem::take(&mut cache));
                feed.wanted = length;
                let mut feeds = [feed];
                logits.extend(engine.logits(&engine.forward(&mut feeds)));
                let [feed] = feeds;
                cache = feed.cache;
                fed += length;
                assert_eq!(cache.tokens(), fed);
            }
            assert_close(&logits, &expected);
        }
    }
}

#[test]
fn shared_beginnings_change_nothing() {
    for architecture in Architecture::ALL {
        let model = model(architecture);
        let trunk = ids(45, 1);
        let tails = [ids(9, 2), ids(50, 3), ids(1, 4)];
        for (form, engine) in forms(&model).into_iter().enumerate() {
            let alone = |ids: &[u32]| forward(&engine, &mut [Feed::new(ids, Cache::default())]);
            let expected: Vec<f32> =
                tails.iter().flat_map(|tail| alone(&[&trunk[..40], tail].concat())).collect();
            // In one pass, two of them branching off a branch.
            let mut feeds = vec![Feed::new(&trunk, Cache::default())];
            feeds[0].wanted = 0;
            for tail in &tails {
                feeds.push(Feed { from: Some((0, 40)), ..Feed::new(tail, Cache::default()) });
            }
            let together = forward(&engine, &mut feeds);
            // And from a cache that was there before.
            let cache = feeds.swap_remove(0).cache;
            let later: Vec<f32> = tails
                .iter()
                .flat_map(|tail| forward(&engine, &mut [Feed::new(tail, cache.prefix(40))]))
                .collect();
            if form == 0 {
                assert_eq!(together, expected, "the CPU's form shares without a trace");
                assert_eq!(later, expected);
            } else {
                assert_close(&together, &expected);
                assert_close(&later, &expected);
            }
        }
    }
}

#[test]
fn branches_may_branch() {
    let model = model(Architecture::Qwen3);
    let (trunk, branch, twig) = (ids(33, 5), ids(5, 6), ids(3, 7));
    for engine in forms(&model) {
        let mut feeds = [
            Feed::new(&trunk, Cache::default()),
            Feed { from: Some((0, 33)), ..Feed::new(&branch, Cache::default()) },
            Feed { from: Some((1, 36)), ..Feed::new(&twig, Cache::default()) },
        ];
        let together = forward(&engine, &mut feeds);
        let whole = [&trunk, &branch[..3], &twig[..]].concat();
        let expected = forward(&engine, &mut [Feed::new(&whole, Cache::default())]);
        assert_close(&together[together.len() - expected.len()..], &expected);
        // What was branched off is as it was.
        let more = ids(2, 8);
        let went_on = forward(&engine, &mut [Feed::new(&more, feeds[0].cache.clone())]);
        let expected = forward(&engine, &mut [Feed::new(&[&trunk[..], &more].concat(), Cache::default())]);
        assert_close(&went_on, &expected);
    }
}
