//! `config.json` → [`ModelConfig`].

use std::path::Path;

use serde_json::{Map, Value};

use super::check;
use super::fields::Fields;
use super::keys::{
    FOREIGN, FOREIGN_TO_DECODERS, HARMLESS, ONLY, QUERY_KEY_NORM, QUERY_KEY_VALUE_BIAS, WINDOW_DETAILS,
};
use super::{Architecture, ModelConfig, ModelDescription, rope};
use crate::error::ModelError;
use crate::files::parse_json;

/// See [`ModelDescription::from_json`].
pub(super) fn read(text: &str, origin: &Path) -> Result<ModelDescription, ModelError> {
    let object: Map<String, Value> = parse_json(text, origin)?;
    let mut fields = Fields::new(&object, "");
    // What a model of another family says beyond its name would only hide the one thing that matters.
    let config = architecture(&mut fields).map(|architecture| model(&mut fields, architecture));
    let warnings = fields.unknown(&[HARMLESS, WINDOW_DETAILS], origin);
    let mut problems = fields.problems;
    if let Some(config) = config {
        if problems.is_empty() {
            problems = check::problems(&config);
        }
        if problems.is_empty() {
            return Ok(ModelDescription { config, warnings, original: object });
        }
    }
    Err(ModelError::Config { path: origin.to_path_buf(), problems })
}

fn architecture(fields: &mut Fields) -> Option<Architecture> {
    let Some(model_type) = fields.text("model_type") else {
        if fields.problems.is_empty() {
            fields.report("model_type", "missing");
        }
        return None;
    };
    let Some(architecture) = Architecture::from_model_type(&model_type) else {
        fields.report_with_hint("model_type", format!("\"{model_type}\" is not supported"), supported());
        return None;
    };
    let class = architecture.class_name();
    match fields.get("architectures") {
        None => {}
        Some(Value::Array(classes)) if classes.iter().all(|name| name == class) => {}
        Some(other) => {
            fields.report_with_hint(
                "architectures",
                format!("{other} is not supported"),
                format!("for model_type \"{model_type}\" it must be [\"{class}\"]"),
            );
            return None;
        }
    }
    Some(architecture)
}

/// The hint that names the families.
pub(crate) fn supported() -> String {
    let names: Vec<&str> = Architecture::ALL.into_iter().map(Architecture::model_type).collect();
    format!("supported: {}", names.join(", "))
}

/// Reads every key; what is wrong is left in `fields.problems`, with a stand-in value in the result.
fn model(fields: &mut Fields, architecture: Architecture) -> ModelConfig {
    let hidden_size = fields.required_size("hidden_size");
    let num_attention_heads = fields.required_size("num_attention_heads");
    let num_hidden_layers = fields.required_size("num_hidden_layers");
    let (rope_theta, rope_scaling) = rope::read(fields);
    let config = ModelConfig {
        architecture,
        vocab_size: fields.required_size("vocab_size"),
        hidden_size,
        intermediate_size: fields.required_size("intermediate_size"),
        num_hidden_layers,
        num_attention_heads,
        num_key_value_heads: key_value_heads(fields, architecture, num_attention_heads),
        head_dim: head_dim(fields, architecture, hidden_size, num_attention_heads),
        rms_norm_eps: fields.required_number("rms_norm_eps"),
        rope_theta,
        rope_scaling,
        max_position_embeddings: fields.required_size("max_position_embeddings"),
        tie_word_embeddings: fields.flag("tie_word_embeddings").unwrap_or(false),
        attention_bias: fields.flag("attention_bias").unwrap_or(architecture == Architecture::Qwen2),
        initializer_range: fields.number("initializer_range").unwrap_or(0.02),
    };
    windows(fields, architecture, num_hidden_layers);
    for list in [ONLY, FOREIGN, FOREIGN_TO_DECODERS] {
        fields.neutral_keys(list);
    }
    natures(fields, architecture);
    config
}

/// Keys that must say what the family is anyway.
fn natures(fields: &mut Fields, architecture: Architecture) {
    let norm = (QUERY_KEY_NORM.as_slice(), architecture.has_query_key_norm());
    let bias = (QUERY_KEY_VALUE_BIAS.as_slice(), architecture == Architecture::Qwen2);
    for (keys, nature) in [norm, bias] {
        for key in keys {
            if let Some(stated) = fields.flag(key).filter(|stated| *stated != nature) {
                let family = architecture.model_type();
                fields.report(key, format!("{stated} is not supported for model_type \"{family}\""));
            }
        }
    }
}

/// Absent means "as many as query heads" for Llama; Qwen's own default is a fixed number, so there a file
/// without the key is incomplete. Null means the former in both.
fn key_value_heads(fields: &mut Fields, architecture: Architecture, queries: usize) -> usize {
    let key = "num_key_value_heads";
    if architecture == Architecture::Llama || fields.object.get(key).is_some_and(Value::is_null) {
        return fields.size(key).unwrap_or(queries);
    }
    fields.required_size(key)
}

/// Qwen3's head width is not tied to the hidden size: its files state it.
fn head_dim(fields: &mut Fields, architecture: Architecture, hidden_size: usize, heads: usize) -> usize {
    if architecture == Architecture::Qwen3 {
        return fields.required_size("head_dim");
    }
    if let Some(stated) = fields.size("head_dim") {
        return stated;
    }
    if heads > 0 && !hidden_size.is_multiple_of(heads) {
        let message = format!("{heads} does not divide hidden_size = {hidden_size}");
        fields.report_with_hint("num_attention_heads", message, "or state head_dim");
    }
    hidden_size.checked_div(heads).unwrap_or(0)
}

/// Qwen's `use_sliding_window` is off unless a file says otherwise, and then the first `max_window_layers` layers see
/// everything all the same. `layer_types`, where it is given, has the last word.
fn windows(fields: &mut Fields, architecture: Architecture, layers: usize) {
    let by_default = architecture == Architecture::Llama;
    let in_use = fields.flag("use_sliding_window").unwrap_or(by_default);
    let window = fields.get("sliding_window");
    let whole = if by_default { None } else { fields.size("max_window_layers") };
    let kinds = fields.get("layer_types");
    if let Some(window) = window
        && in_use
        && kinds.is_none()
        && whole.is_none_or(|whole| whole < layers)
    {
        fields.report("sliding_window", format!("{window}: sliding-window attention is not supported"));
    }
    let Some(kinds) = kinds else { return };
    let Value::Array(kinds) = kinds else {
        fields.report("layer_types", format!("expected a list, found {kinds}"));
        return;
    };
    if let Some(other) = kinds.iter().find(|kind| *kind != "full_attention") {
        fields.report("layer_types", format!("{other} is not supported (only \"full_attention\")"));
    } else if kinds.len() != layers {
        let message = format!("{} entries for num_hidden_layers = {layers}", kinds.len());
        fields.report("layer_types", message);
    }
}
