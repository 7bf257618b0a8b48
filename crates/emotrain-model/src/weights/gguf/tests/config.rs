use std::collections::BTreeMap;
use std::path::Path;

use expect_test::expect;

use crate::config::{Llama3Scaling, ModelConfig, RopeScaling, llama3_divisors};
use crate::error::ModelError;
use crate::weights::gguf::config::{TensorFacts, from_metadata};
use crate::weights::gguf::{Metadata, Value};
use crate::weights::tests::complaint;

/// The metadata of a GGUF file of a small Llama 3.
fn gguf() -> BTreeMap<String, Value> {
    use Value::{Integer, Number, Text};
    let values = [
        ("general.architecture", Text("llama".to_owned())),
        ("general.name", Text("a small one".to_owned())),
        ("llama.attention.head_count", Integer(32)),
        ("llama.attention.head_count_kv", Integer(8)),
        ("llama.attention.layer_norm_rms_epsilon", Number(1e-5)),
        ("llama.block_count", Integer(16)),
        ("llama.context_length", Integer(131_072)),
        ("llama.embedding_length", Integer(2048)),
        ("llama.feed_forward_length", Integer(8192)),
        ("llama.rope.dimension_count", Integer(64)),
        ("llama.rope.freq_base", Number(500_000.0)),
        ("llama.vocab_size", Integer(128_256)),
    ];
    values.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// Message and advice.
fn told(result: Result<ModelConfig, ModelError>) -> String {
    complaint(result, Path::new("/nowhere"))
}

fn read_gguf(
    values: BTreeMap<String, Value>,
    rope_factors: Option<Vec<f32>>,
) -> Result<ModelConfig, ModelError> {
    let metadata = Metadata::new(Path::new("model.gguf"), values);
    let facts = TensorFacts {
        vocabulary: Some(128_256),
        has_head: false,
        rope_factors,
        short_factors: None,
        long_factors: None,
    };
    from_metadata(&metadata, &facts)
}

#[test]
fn gguf_metadata() {
    let config = read_gguf(gguf(), None).unwrap();
    assert_eq!((config.head_dim, config.rope_theta, &config.rope_scaling), (64, 500_000.0, &None));
    assert!(config.tie_word_embeddings);

    let mut by_layer = gguf();
    for (key, size) in
        [("attention.head_count", 32), ("attention.head_count_kv", 8), ("feed_forward_length", 8192)]
    {
        by_layer.insert(format!("llama.{key}"), Value::Integers(vec![size; 16]));
    }
    assert_eq!(read_gguf(by_layer, None).unwrap(), config);
}

#[test]
fn llama3_scaling_is_recovered_from_gguf_factors() {
    let known = Llama3Scaling {
        factor: 32.0,
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_max_position_embeddings: 8192,
    };
    let divisors = llama3_divisors(&known, 64, 500_000.0);
    #[expect(clippy::cast_possible_truncation, reason = "GGUF stores them as f32")]
    let stored: Vec<f32> = divisors.iter().map(|divisor| *divisor as f32).collect();
    assert_eq!((stored[0], stored[31]), (1.0, 32.0));
    assert_eq!(
        read_gguf(gguf(), Some(stored.clone())).unwrap().rope_scaling,
        Some(RopeScaling::Llama3(known))
    );
    assert_eq!(read_gguf(gguf(), Some(vec![1.0; 32])).unwrap().rope_scaling, None);

    let mut other = stored;
    other[20] *= 1.01;
    let messages = [other, vec![1.0; 31]].map(|factors| told(read_gguf(gguf(), Some(factors)))).concat();
    expect![[r#"
        model.gguf: rope_freqs.weight: these rotary frequencies are not Llama 3's scaling of a context of 8192 tokens
        model.gguf: rope_freqs.weight: these rotary frequencies are not Llama 3's scaling of a context of 8192 tokens
    "#]].assert_eq(&messages);
}

#[test]
fn gguf_refusals() {
    use Value::{Integer, Integers, Number, Text};
    let patches = [
        ("general.architecture", Some(Text("gemma2".to_owned()))),
        ("general.architecture", None),
        ("general.type", Some(Text("adapter".to_owned()))),
        ("split.count", Some(Integer(3))),
        ("llama.rope.freq_base", None),
        ("llama.rope.scaling.type", Some(Text("yarn".to_owned()))),
        ("llama.rope.scaling.factor", Some(Number(4.0))),
        ("llama.rope.dimension_count", Some(Integer(32))),
        ("llama.attention.head_count", Some(Integers(vec![32, 16]))),
        ("llama.attention.head_count_kv", Some(Integers(Vec::new()))),
        ("llama.feed_forward_length", Some(Integers((1..=16).collect()))),
        ("llama.attention.head_count_kv", Some(Integer(5))),
        ("llama.attention.sliding_window", Some(Integer(4096))),
        ("llama.expert_count", Some(Integer(8))),
        ("llama.logit_scale", Some(Number(0.5))),
        ("llama.vocab_size", Some(Integer(32_000))),
        ("llama.block_count", Some(Integer(-1))),
    ];
    let mut messages = String::new();
    for (key, value) in patches {
        let mut values = gguf();
        match value {
            Some(value) => values.insert(key.to_owned(), value),
            None => values.remove(key),
        };
        messages += &told(read_gguf(values, None));
    }
    expect![[r#"
        model.gguf: general.architecture: "gemma2" is not supported
          hint: supported: llama, qwen2, qwen3, phi3, gemma3
        model.gguf: general.architecture: missing
        model.gguf: general.type: "adapter" is not a model
        model.gguf: split.count: the model is split into 3 files
          hint: merge them with llama.cpp's gguf-split first
        model.gguf: llama.rope.freq_base: missing
        model.gguf: llama.rope.scaling.type: "yarn" is not supported
        model.gguf: llama.rope.scaling.factor: 4 is not supported
        model.gguf: llama.rope.dimension_count: 32 differs from the width of a head, 64
        model.gguf: llama.attention.head_count: expected the same whole number for all layers, found 32 and 16
        model.gguf: llama.attention.head_count_kv: expected the same whole number for all layers, found a list of whole numbers
        model.gguf: llama.feed_forward_length: expected the same whole number for all layers, found 1 and 2
        model.gguf: num_key_value_heads: 5 does not divide num_attention_heads = 32
        model.gguf: llama.attention.sliding_window: 4096 is not supported
        model.gguf: llama.expert_count: 8 is not supported
        model.gguf: llama.logit_scale: a setting this program does not know
        model.gguf: llama.vocab_size: 32000, but the embedding table has 128256 rows
        model.gguf: llama.block_count: expected a whole number, found -1
    "#]]
    .assert_eq(&messages);
}
