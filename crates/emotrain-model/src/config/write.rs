//! [`ModelConfig`] → `config.json`.
//!
//! Written in the spelling of transformers 4, which transformers 5 still reads.

use serde_json::{Map, Value, json};

use super::{Architecture, Llama3Scaling, ModelConfig};
use crate::float::FloatType;

/// Keys of an original file that say the same as keys written here, in another spelling, or that describe
/// who wrote it.
const REPLACED: &[&str] =
    &["rope_parameters", "dtype", "transformers_version", "_name_or_path", "layer_types", "use_mrope"];

/// The text of a `config.json` for weights stored as `dtype`. Keys of `original` that are not part of a
/// [`ModelConfig`], such as the ids of special tokens, are kept.
pub(super) fn to_json(config: &ModelConfig, dtype: FloatType, mut original: Map<String, Value>) -> String {
    original.retain(|key, _| !REPLACED.contains(&key.as_str()));
    for (key, value) in settings(config, dtype) {
        original.insert(key, value);
    }
    // Absent ids would become numbers of the Llama 1 tokenizer when transformers reads the file.
    for key in ["bos_token_id", "eos_token_id", "pad_token_id"] {
        original.entry(key).or_insert(Value::Null);
    }
    original.sort_keys();
    format!("{:#}\n", Value::Object(original))
}

fn settings(config: &ModelConfig, dtype: FloatType) -> Map<String, Value> {
    let architecture = config.architecture;
    let mut settings = Map::new();
    let mut set = |key: &str, value: Value| {
        settings.insert(key.to_owned(), value);
    };
    set("architectures", json!([architecture.class_name()]));
    set("model_type", json!(architecture.model_type()));
    set("torch_dtype", json!(dtype.torch_name()));
    set("vocab_size", json!(config.vocab_size));
    set("hidden_size", json!(config.hidden_size));
    set("intermediate_size", json!(config.intermediate_size));
    set("num_hidden_layers", json!(config.num_hidden_layers));
    set("num_attention_heads", json!(config.num_attention_heads));
    set("num_key_value_heads", json!(config.num_key_value_heads));
    set("head_dim", json!(config.head_dim));
    set("hidden_act", json!("silu"));
    set("rms_norm_eps", json!(config.rms_norm_eps));
    set("rope_theta", json!(config.rope_theta));
    set("rope_scaling", config.rope_scaling.map_or(Value::Null, |scaling| llama3(&scaling)));
    set("max_position_embeddings", json!(config.max_position_embeddings));
    set("tie_word_embeddings", json!(config.tie_word_embeddings));
    set("initializer_range", json!(config.initializer_range));
    set("attention_dropout", json!(0.0));
    match architecture {
        Architecture::Llama => {
            set("attention_bias", json!(false));
            set("mlp_bias", json!(false));
        }
        Architecture::Qwen2 => set("use_sliding_window", json!(false)),
        Architecture::Qwen3 => {
            set("attention_bias", json!(false));
            set("use_sliding_window", json!(false));
        }
    }
    settings
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
