//! [`ModelConfig`] → `config.json`.
//!
//! Written in the spelling of transformers 4, which transformers 5 still reads.

use emotrain_base::sha256_hex;
use serde_json::{Map, Value, json};

use super::{Architecture, Llama3Scaling, ModelConfig, ModelDescription, RopeScaling, WindowKeys, quantised};
use crate::codes::Codes;
use crate::float::FloatType;

/// Keys of an original file that say the same as keys written here, in another spelling, or that describe
/// who wrote it.
const REPLACED: &[&str] = &[
    "rope_parameters",
    "partial_rotary_factor",
    "dtype",
    "transformers_version",
    "_name_or_path",
    "layer_types",
    "sliding_window_pattern",
    "hidden_activation",
    "activation_function",
    "auto_map",
    "use_mrope",
    "quantization_config",
];

/// See [`ModelDescription::to_json`]. Keys of the original file that are not part of a [`ModelConfig`], such as the ids
/// of special tokens, are kept.
pub(super) fn to_json(description: &ModelDescription, dtype: FloatType, codes: Option<Codes>) -> String {
    let ModelDescription { config, original, .. } = description;
    let mut original = original.clone();
    original.retain(|key, _| !REPLACED.contains(&key.as_str()));
    for (key, value) in settings(config, dtype) {
        original.insert(key, value);
    }
    if let Some(codes) = codes {
        original.insert("quantization_config".to_owned(), quantised::to_json(codes, dtype));
    }
    // Absent ids would become numbers of the Llama 1 tokenizer when transformers reads the file.
    for key in ["bos_token_id", "eos_token_id", "pad_token_id"] {
        original.entry(key).or_insert(Value::Null);
    }
    original.sort_keys();
    format!("{:#}\n", Value::Object(original))
}

/// See [`ModelConfig::sha256`].
pub(super) fn sha256(config: &ModelConfig) -> String {
    sha256_hex(Value::Object(settings(config, FloatType::F32)).to_string().as_bytes())
}

fn settings(config: &ModelConfig, dtype: FloatType) -> Map<String, Value> {
    let architecture = config.architecture;
    let family = architecture.family();
    let mut settings = Map::new();
    let mut set = |key: &str, value: Value| {
        settings.insert(key.to_owned(), value);
    };
    set("architectures", json!([architecture.family().class_name]));
    set("model_type", json!(architecture.model_type()));
    set("torch_dtype", json!(dtype.torch_name()));
    set("vocab_size", json!(config.vocab_size));
    set("hidden_size", json!(config.hidden_size));
    set("intermediate_size", json!(config.intermediate_size));
    set("num_hidden_layers", json!(config.num_hidden_layers));
    set("num_attention_heads", json!(config.num_attention_heads));
    set("num_key_value_heads", json!(config.num_key_value_heads));
    set("head_dim", json!(config.head_dim));
    set(if family.gemma { "hidden_activation" } else { "hidden_act" }, json!(family.activation.name()));
    set("rms_norm_eps", json!(config.rms_norm_eps));
    set("rope_theta", json!(config.rope_theta));
    set("rope_scaling", config.rope_scaling.as_ref().map_or(Value::Null, scaling));
    set("max_position_embeddings", json!(config.max_position_embeddings));
    set("tie_word_embeddings", json!(config.tie_word_embeddings));
    set("initializer_range", json!(config.initializer_range));
    set("attention_dropout", json!(0.0));
    if !family.query_key_value_bias {
        set("attention_bias", json!(false));
    }
    if architecture == Architecture::Llama {
        set("mlp_bias", json!(false));
    }
    if config.rotary_dim != config.head_dim {
        set("partial_rotary_factor", json!(config.rotary_dim as f64 / config.head_dim as f64));
    }
    if let Some(RopeScaling::LongRope(scaling)) = &config.rope_scaling {
        set("original_max_position_embeddings", json!(scaling.original_max_position_embeddings));
    }
    if let Some(scalar) = config.query_pre_attn_scalar {
        set("query_pre_attn_scalar", number(scalar));
    }
    match family.window {
        WindowKeys::Refused { unless_used: true } => set("use_sliding_window", json!(false)),
        WindowKeys::Refused { unless_used: false } => {}
        WindowKeys::All => {
            set("sliding_window", json!(config.sliding_window.as_ref().map(|window| window.size)));
        }
        WindowKeys::Pattern => {
            let window = config.sliding_window.as_ref();
            let kind = |layer| {
                let full = window.is_none_or(|window| window.full_attention_layers.contains(&layer));
                if full { "full_attention" } else { "sliding_attention" }
            };
            set("sliding_window", json!(window.map(|window| window.size)));
            set("layer_types", json!((0..config.num_hidden_layers).map(kind).collect::<Vec<_>>()));
            set("rope_local_base_freq", json!(window.and_then(|window| window.rope_theta)));
        }
    }
    settings
}

/// A whole number as one: some readers take nothing else.
#[expect(clippy::cast_possible_truncation, reason = "a number without a fraction")]
fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 1e9 { json!(value as i64) } else { json!(value) }
}

fn scaling(scaling: &RopeScaling) -> Value {
    match scaling {
        RopeScaling::Linear(factor) => json!({ "rope_type": "linear", "factor": factor }),
        RopeScaling::Llama3(scaling) => llama3(scaling),
        RopeScaling::LongRope(scaling) => json!({
            "rope_type": "longrope",
            "short_factor": scaling.short_factor,
            "long_factor": scaling.long_factor,
            "original_max_position_embeddings": scaling.original_max_position_embeddings,
            "attention_factor": scaling.attention_factor,
        }),
    }
}

fn llama3(scaling: &Llama3Scaling) -> Value {
    json!({
        "rope_type": "llama3",
        "factor": scaling.factor,
        "low_freq_factor": scaling.low_freq_factor,
        "high_freq_factor": scaling.high_freq_factor,
        "original_max_position_embeddings": scaling.original_max_position_embeddings,
    })
}
