//! Mistral, Phi-3 and Gemma 3: what their files say, and what is refused in them.

use std::path::{Path, PathBuf};

use expect_test::expect;
use serde_json::{Value, json};

use super::refusals::check_refusals;
use super::{llama, qwen2, qwen3, read, with};
use crate::config::{ModelConfig, ModelDescription, SlidingWindow};
use crate::float::FloatType;

/// A `config.json` as transformers 4 writes it for Mistral 7B, made small.
fn mistral() -> Value {
    json!({
        "architectures": ["MistralForCausalLM"],
        "attention_dropout": 0.0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "hidden_act": "silu",
        "hidden_size": 32,
        "initializer_range": 0.02,
        "intermediate_size": 64,
        "max_position_embeddings": 32768,
        "model_type": "mistral",
        "num_attention_heads": 4,
        "num_hidden_layers": 2,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-05,
        "rope_theta": 10000.0,
        "sliding_window": 4096,
        "tie_word_embeddings": false,
        "torch_dtype": "bfloat16",
        "transformers_version": "4.34.0",
        "use_cache": true,
        "vocab_size": 32000
    })
}

/// The same of Phi-3-mini, which came with code of its own.
fn phi3() -> Value {
    json!({
        "architectures": ["Phi3ForCausalLM"],
        "attention_bias": false,
        "attention_dropout": 0.0,
        "auto_map": {
            "AutoConfig": "configuration_phi3.Phi3Config",
            "AutoModelForCausalLM": "modeling_phi3.Phi3ForCausalLM"
        },
        "bos_token_id": 1,
        "embd_pdrop": 0.0,
        "eos_token_id": 32000,
        "full_attn_mod": 1,
        "hidden_act": "silu",
        "hidden_size": 32,
        "initializer_range": 0.02,
        "intermediate_size": 64,
        "interpolate_factor": 1,
        "lm_head_bias": false,
        "max_position_embeddings": 4096,
        "mlp_bias": false,
        "model_type": "phi3",
        "num_attention_heads": 4,
        "num_hidden_layers": 2,
        "num_key_value_heads": 4,
        "original_max_position_embeddings": 4096,
        "pad_token_id": 32000,
        "resid_pdrop": 0.0,
        "rms_norm_eps": 1e-05,
        "rope_scaling": null,
        "rope_theta": 10000.0,
        "sliding_window": 2047,
        "tie_word_embeddings": false,
        "torch_dtype": "bfloat16",
        "transformers_version": "4.40.2",
        "use_cache": true,
        "vocab_size": 32064
    })
}

/// The same of the smallest Gemma 3.
fn gemma3() -> Value {
    json!({
        "architectures": ["Gemma3ForCausalLM"],
        "attention_bias": false,
        "attention_dropout": 0.0,
        "attn_logit_softcapping": null,
        "bos_token_id": 2,
        "cache_implementation": "hybrid",
        "eos_token_id": [1, 106],
        "final_logit_softcapping": null,
        "head_dim": 16,
        "hidden_activation": "gelu_pytorch_tanh",
        "hidden_size": 32,
        "initializer_range": 0.02,
        "intermediate_size": 64,
        "max_position_embeddings": 32768,
        "model_type": "gemma3_text",
        "num_attention_heads": 4,
        "num_hidden_layers": 2,
        "num_key_value_heads": 1,
        "pad_token_id": 0,
        "query_pre_attn_scalar": 256,
        "rms_norm_eps": 1e-06,
        "rope_local_base_freq": 10000,
        "rope_scaling": null,
        "rope_theta": 1_000_000,
        "sliding_window": 512,
        "sliding_window_pattern": 2,
        "torch_dtype": "bfloat16",
        "transformers_version": "4.50.0.dev0",
        "use_cache": true,
        "vocab_size": 262_144
    })
}

#[test]
fn every_family_survives_being_written() {
    for config in [llama(), qwen2(), qwen3(), mistral(), phi3(), gemma3()] {
        let description = ModelDescription::from_json(&config.to_string(), Path::new("original")).unwrap();
        assert_eq!(description.warnings, Vec::<String>::new());
        let text = description.to_json(FloatType::F32, None);
        let again = ModelDescription::from_json(&text, Path::new("written")).unwrap();
        assert_eq!(again.config, description.config);
        assert_eq!(again.warnings, Vec::<String>::new());
    }
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/decoder"));
    for name in ["mistral_tiny", "phi3_tiny", "phi4_tiny", "gemma3_tiny"] {
        let description = ModelDescription::read(&folder.join(name).join("config.json")).unwrap();
        assert_eq!(description.warnings, Vec::<String>::new());
        let text = description.to_json(FloatType::F32, None);
        assert_eq!(
            ModelConfig::from_json(&text, Path::new("written")).unwrap(),
            description.config,
            "{name}"
        );
    }
}

#[test]
fn windows_of_families() {
    let window = |config: &Value| read(config).unwrap().sliding_window;
    assert_eq!(window(&with(mistral(), &json!({"sliding_window": null}))), None);
    let all = |size| Some(SlidingWindow { size, full_attention_layers: Vec::new(), rope_theta: None });
    assert_eq!(window(&mistral()), all(4096));
    assert_eq!(window(&phi3()), all(2047));
    let local = Some(SlidingWindow { size: 512, full_attention_layers: vec![1], rope_theta: Some(10_000.0) });
    assert_eq!(window(&gemma3()), local);
    // A longer text would need the other factors.
    let longrope = json!({
        "rope_scaling": {
            "type": "su", "short_factor": [1, 1, 2, 2], "long_factor": [1, 2, 4, 8],
        },
        "max_position_embeddings": 131_072,
    });
    assert_eq!(read(&with(phi3(), &longrope)).unwrap().context_length(), 4096);
}

#[test]
fn mistral_is_refused_by_name() {
    check_refusals(
        &mistral(),
        &[
            json!({"sliding_window": "absent"}),
            json!({"sliding_window": 0}),
            json!({"sliding_window": "wide"}),
            json!({"partial_rotary_factor": 0.5}),
            json!({"num_key_value_heads": "absent"}),
            json!({"query_pre_attn_scalar": 256}),
        ],
        &expect![[r#"
            config.json: sliding_window: missing
              hint: add 4096 for the first Mistral 7B, null for later models
            config.json: sliding_window: must be at least 1
            config.json: sliding_window: expected a whole number, found "wide"
            config.json: partial_rotary_factor: 0.5 is not supported: partly rotated heads (must be 1)
            config.json: num_key_value_heads: missing
            config.json: query_pre_attn_scalar: 256 is not supported: scaled activations (must be absent)
        "#]],
    );
}

#[test]
fn phi3_is_refused_by_name() {
    let longrope = json!({
        "type": "longrope", "short_factor": [1.0, 1.5, 2.0, 4.0], "long_factor": [1.0, 2.0, 4.0, 8.0],
    });
    let scaled = |patch: Value| json!({"rope_scaling": with(longrope.clone(), &patch)});
    check_refusals(
        &phi3(),
        &[
            scaled(json!({"short_factor": [1.0, 1.5]})),
            scaled(json!({"long_factor": [1.0, 1.5, 2.0, -4.0]})),
            scaled(json!({"long_factor": "absent"})),
            json!({"rope_scaling": longrope, "original_max_position_embeddings": "absent"}),
            json!({"partial_rotary_factor": 0.1}),
            json!({"partial_rotary_factor": 1.5}),
            json!({"resid_pdrop": 0.1}),
            json!({"lm_head_bias": true}),
            json!({"auto_map": {"AutoModelForCausalLM": "modeling_phi3.OtherForCausalLM"}}),
        ],
        &expect![[r#"
            config.json: rope_scaling.short_factor: 2 numbers where 4 pairs of a head are rotated
            config.json: rope_scaling.long_factor: -4 is not above 0
            config.json: rope_scaling.long_factor: missing
            config.json: rope_scaling.original_max_position_embeddings: missing
            config.json: partial_rotary_factor: 0 of 8 numbers of a head cannot be rotated
            config.json: partial_rotary_factor: 12 of 8 numbers of a head cannot be rotated
            config.json: resid_pdrop: 0.1 is not supported: dropout while training (must be absent)
            config.json: lm_head_bias: true is not supported: biases (must be absent)
            config.json: auto_map: {"AutoModelForCausalLM":"modeling_phi3.OtherForCausalLM"} is not supported: model code of its own (must be absent)
        "#]],
    );
}

#[test]
fn gemma3_is_refused_by_name() {
    check_refusals(
        &gemma3(),
        &[
            json!({"final_logit_softcapping": 30.0}),
            json!({"hidden_activation": "silu"}),
            json!({"use_bidirectional_attention": true}),
            json!({"layer_types": ["sliding_attention", "chunked_attention"]}),
            json!({"layer_types": ["sliding_attention"]}),
            json!({"sliding_window_pattern": "absent"}),
            json!({"sliding_window": null}),
            json!({"head_dim": "absent"}),
            json!({"query_pre_attn_scalar": 0}),
            json!({"rope_local_base_freq": 0.5}),
            json!({"model_type": "gemma3", "architectures": ["Gemma3ForConditionalGeneration"]}),
        ],
        &expect![[r#"
            config.json: final_logit_softcapping: 30.0 is not supported: capped logits (must be absent)
            config.json: hidden_activation: "silu" is not supported: another activation (must be "gelu_pytorch_tanh")
            config.json: use_bidirectional_attention: true is not supported: attention to what comes later (must be absent)
            config.json: layer_types: "chunked_attention" is not supported ("full_attention" and "sliding_attention" are)
            config.json: layer_types: 1 entries for num_hidden_layers = 2
            config.json: layer_types: missing, and so is sliding_window_pattern
            config.json: sliding_window: missing
            config.json: head_dim: missing
            config.json: query_pre_attn_scalar: 0 is not above 0
            config.json: rope_local_base_freq: 0.5 is not a number above 1
            config.json: model_type: "gemma3" is not supported
              hint: supported: llama, mistral, qwen2, qwen3, phi3, gemma3_text
        "#]],
    );
}
