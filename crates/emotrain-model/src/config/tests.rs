#![expect(clippy::needless_raw_string_hashes, reason = "expect-test writes snapshots with them")]

mod families;
mod refusals;

use std::path::{Path, PathBuf};

use expect_test::expect;
use serde_json::{Value, json};

use super::*;

/// A `config.json` as transformers 4 writes it for a model of the Llama family.
fn llama() -> Value {
    json!({
        "_name_or_path": "somewhere/small-llama",
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": false,
        "attention_dropout": 0.0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "hidden_act": "silu",
        "hidden_size": 576,
        "initializer_range": 0.041_666_666_666_666_664,
        "intermediate_size": 1536,
        "is_llama_config": true,
        "max_position_embeddings": 8192,
        "mlp_bias": false,
        "model_type": "llama",
        "num_attention_heads": 9,
        "num_hidden_layers": 30,
        "num_key_value_heads": 3,
        "pad_token_id": 2,
        "pretraining_tp": 1,
        "rms_norm_eps": 1e-05,
        "rope_interleaved": false,
        "rope_scaling": null,
        "rope_theta": 100_000,
        "tie_word_embeddings": true,
        "torch_dtype": "bfloat16",
        "transformers_version": "4.42.3",
        "use_cache": true,
        "vocab_size": 49152
    })
}

/// A `config.json` as transformers 5 writes it for Qwen3.
fn qwen3() -> Value {
    json!({
        "architectures": ["Qwen3ForCausalLM"],
        "attention_bias": false,
        "attention_dropout": 0.0,
        "bos_token_id": null,
        "dtype": "bfloat16",
        "eos_token_id": [3, 4],
        "head_dim": 128,
        "hidden_act": "silu",
        "hidden_size": 1024,
        "initializer_range": 0.02,
        "intermediate_size": 3072,
        "layer_types": ["full_attention", "full_attention"],
        "max_position_embeddings": 40960,
        "max_window_layers": 28,
        "model_type": "qwen3",
        "num_attention_heads": 16,
        "num_hidden_layers": 2,
        "num_key_value_heads": 8,
        "rms_norm_eps": 1e-06,
        "rope_parameters": {"rope_theta": 1_000_000.0, "rope_type": "default"},
        "sliding_window": null,
        "tie_word_embeddings": true,
        "transformers_version": "5.23.0",
        "use_cache": true,
        "use_sliding_window": false,
        "vocab_size": 151_936
    })
}

/// A `config.json` as transformers 4 writes it for Qwen2.5: a window that is not in use.
fn qwen2() -> Value {
    json!({
        "architectures": ["Qwen2ForCausalLM"],
        "attention_dropout": 0.0,
        "hidden_act": "silu",
        "hidden_size": 896,
        "initializer_range": 0.02,
        "intermediate_size": 4864,
        "max_position_embeddings": 32768,
        "max_window_layers": 21,
        "model_type": "qwen2",
        "num_attention_heads": 14,
        "num_hidden_layers": 24,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-06,
        "rope_theta": 1_000_000.0,
        "sliding_window": 32768,
        "tie_word_embeddings": true,
        "torch_dtype": "bfloat16",
        "use_mrope": false,
        "use_sliding_window": false,
        "vocab_size": 151_936
    })
}

/// `base` with the keys of `patch` replaced; a key of `patch` that is the text "absent" is removed.
fn with(mut base: Value, patch: &Value) -> Value {
    let object = base.as_object_mut().unwrap();
    for (key, value) in patch.as_object().unwrap() {
        if value == "absent" {
            object.remove(key);
        } else {
            object.insert(key.clone(), value.clone());
        }
    }
    base
}

fn read(config: &Value) -> Result<ModelConfig, ModelError> {
    ModelConfig::from_json(&config.to_string(), Path::new("config.json"))
}

/// Message and advice.
fn complaint<T: std::fmt::Debug>(result: Result<T, ModelError>) -> String {
    let error = result.unwrap_err();
    match error.hint() {
        Some(hint) => format!("{error}\n  hint: {}\n", hint.replace('\n', "\n  hint: ")),
        None => format!("{error}\n"),
    }
}

#[test]
fn llama_of_transformers_4() {
    expect![[r#"
        ModelConfig {
            architecture: Llama,
            vocab_size: 49152,
            hidden_size: 576,
            intermediate_size: 1536,
            num_hidden_layers: 30,
            num_attention_heads: 9,
            num_key_value_heads: 3,
            head_dim: 64,
            rms_norm_eps: 1e-5,
            rope_theta: 100000.0,
            rotary_dim: 64,
            rope_scaling: None,
            sliding_window: None,
            query_pre_attn_scalar: None,
            max_position_embeddings: 8192,
            tie_word_embeddings: true,
            attention_bias: false,
            initializer_range: 0.041666666666666664,
        }
    "#]]
    .assert_debug_eq(&read(&llama()).unwrap());
}

#[test]
fn qwen_configurations() {
    let qwen2 = read(&qwen2()).unwrap();
    assert_eq!((qwen2.attention_bias, qwen2.head_dim, qwen2.rope_theta), (true, 64, 1e6));
    let qwen3 = read(&qwen3()).unwrap();
    assert_eq!((qwen3.attention_bias, qwen3.head_dim, qwen3.rope_theta), (false, 128, 1e6));
    assert_eq!((qwen3.query_size(), qwen3.key_value_size()), (2048, 1024));
}

#[test]
fn both_spellings_mean_the_same() {
    let old = llama();
    let new = with(
        llama(),
        &json!({
            "rope_theta": "absent",
            "rope_scaling": "absent",
            "rope_parameters": {"rope_theta": 100_000.0, "rope_type": "default"},
            "torch_dtype": "absent",
            "dtype": "bfloat16",
            "head_dim": 64,
        }),
    );
    assert_eq!(read(&old).unwrap(), read(&new).unwrap());

    let scaling = json!({
        "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    });
    let old = with(llama(), &json!({"rope_scaling": with(scaling.clone(), &json!({"type": "llama3"}))}));
    let new = with(scaling, &json!({"rope_type": "llama3", "rope_theta": 100_000.0}));
    let new = with(llama(), &json!({"rope_theta": "absent", "rope_parameters": new}));
    let read_old = read(&old).unwrap();
    assert_eq!(read_old, read(&new).unwrap());
    let expected = Llama3Scaling {
        factor: 8.0,
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_max_position_embeddings: 8192,
    };
    assert_eq!(read_old.rope_scaling, Some(RopeScaling::Llama3(expected)));
}

#[test]
fn absent_keys_with_a_known_meaning() {
    let absent = json!({
        "architectures": "absent", "num_key_value_heads": "absent", "attention_bias": "absent",
        "initializer_range": "absent", "tie_word_embeddings": "absent", "hidden_act": "absent",
    });
    let config = read(&with(llama(), &absent)).unwrap();
    assert_eq!(config.num_key_value_heads, 9);
    assert!(!config.tie_word_embeddings);
}

#[test]
fn written_configurations_read_back() {
    let scaling = json!({"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0,
        "high_freq_factor": 4.0, "original_max_position_embeddings": 8192});
    let llama3 = with(llama(), &json!({"rope_scaling": scaling, "head_dim": 80}));
    for config in [llama(), llama3, qwen2(), qwen3()] {
        let config = read(&config).unwrap();
        let text = ModelDescription::from(config.clone()).to_json(FloatType::Bf16, None);
        assert_eq!(ModelConfig::from_json(&text, Path::new("written")).unwrap(), config);
    }
    expect![[r#"
        {
          "architectures": [
            "LlamaForCausalLM"
          ],
          "attention_bias": false,
          "attention_dropout": 0.0,
          "bos_token_id": null,
          "eos_token_id": null,
          "head_dim": 64,
          "hidden_act": "silu",
          "hidden_size": 576,
          "initializer_range": 0.041666666666666664,
          "intermediate_size": 1536,
          "max_position_embeddings": 8192,
          "mlp_bias": false,
          "model_type": "llama",
          "num_attention_heads": 9,
          "num_hidden_layers": 30,
          "num_key_value_heads": 3,
          "pad_token_id": null,
          "rms_norm_eps": 0.00001,
          "rope_scaling": null,
          "rope_theta": 100000.0,
          "tie_word_embeddings": true,
          "torch_dtype": "float32",
          "vocab_size": 49152
        }
    "#]]
    .assert_eq(&ModelDescription::from(read(&llama()).unwrap()).to_json(FloatType::F32, None));
}

#[test]
fn an_original_keeps_what_it_says_beyond_the_model() {
    let original = with(qwen3(), &json!({"pad_token_id": 5, "unk_token_id": 7, "note": {"by": "me"}}));
    let config = read(&original).unwrap();
    let description = ModelDescription::from_json(&original.to_string(), Path::new("config.json")).unwrap();
    let text = description.to_json(FloatType::F32, None);
    let written: Value = serde_json::from_str(&text).unwrap();
    for key in ["bos_token_id", "eos_token_id", "pad_token_id", "unk_token_id", "note"] {
        assert_eq!(written[key], original[key], "{key}");
    }
    assert_eq!(written["torch_dtype"], "float32");
    assert_eq!(written["rope_theta"], 1e6);
    for replaced in ["rope_parameters", "dtype", "transformers_version"] {
        assert!(written.get(replaced).is_none(), "{replaced} would contradict");
    }
    assert_eq!(ModelConfig::from_json(&text, Path::new("written")).unwrap(), config);
}

#[test]
fn golden_configurations() {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/decoder"));
    let shape = |name: &str| {
        let path = folder.join(name).join("config.json");
        let config = ModelConfig::from_json(&fs_err::read_to_string(&path).unwrap(), &path).unwrap();
        let ModelConfig { architecture, head_dim, rms_norm_eps, rope_theta, rope_scaling, .. } = config;
        format!("{architecture:?} {head_dim} {rms_norm_eps} {rope_theta} {rope_scaling:?}\n")
    };
    let shapes = ["llama3_tiny", "qwen2_tiny", "qwen3_tiny", "phi4_tiny", "gemma3_tiny"].map(shape);
    expect![[r#"
        Llama 12 0.00001 100 Some(Llama3(Llama3Scaling { factor: 4.0, low_freq_factor: 1.0, high_freq_factor: 4.0, original_max_position_embeddings: 32 }))
        Qwen2 8 0.000001 5000 None
        Qwen3 16 0.001 2000 None
        Phi3 16 0.00001 1000 Some(LongRope(LongRope { short_factor: [1.0, 1.1, 1.3, 1.7, 2.5, 4.0], long_factor: [1.0, 1.5, 2.0, 4.0, 8.0, 16.0], original_max_position_embeddings: 48, attention_factor: 1.1195381289877042 }))
        Gemma3 10 0.0001 9000 Some(Linear(2.0))
    "#]].assert_eq(&shapes.concat());
}

#[test]
fn keys_that_nobody_knows_are_told_and_left_aside() {
    let noted = json!({
        "unk_token_id": 0, "_model_name_or_path": "mine", "wandb": {"run": "x"}, "num_experts": 0,
        "final_logit_softcapping": null, "residual_multiplier": 1.0, "use_rope": true, "use_qk_norm": false,
    });
    let noted = with(llama(), &noted);
    let description = ModelDescription::from_json(&noted.to_string(), Path::new("m/config.json")).unwrap();
    assert_eq!(description.config, read(&llama()).unwrap());
    expect![[r#"
        m/config.json: unk_token_id: 0 is left aside: this program does not know the key
        m/config.json: _model_name_or_path: "mine" is left aside: this program does not know the key
        m/config.json: wandb: {"run":"x"} is left aside: this program does not know the key"#]]
    .assert_eq(&description.warnings.join("\n"));
}

#[test]
fn windows_that_are_not_in_use_are_none() {
    let loads = |base: Value, patch: Value| assert!(read(&with(base, &patch)).is_ok(), "{patch}");
    loads(qwen2(), json!({"use_sliding_window": "absent"}));
    loads(qwen2(), json!({"use_sliding_window": null, "sliding_window": 512}));
    loads(qwen2(), json!({"use_sliding_window": true, "sliding_window": null}));
    loads(qwen2(), json!({"use_sliding_window": true, "max_window_layers": 24}));
    loads(qwen3(), json!({"use_sliding_window": "absent", "sliding_window": 4096}));
    loads(qwen3(), json!({"use_sliding_window": true, "sliding_window": 4096}));
}
