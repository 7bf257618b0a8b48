//! `config.json` → [`ModelConfig`].

use std::path::Path;

use serde_json::{Map, Value};

use super::check;
use super::check::MOST_LAYERS;
use super::fields::Fields;
use super::keys::{
    ACTIVATION, FOREIGN, FOREIGN_TO_DECODERS, HARMLESS, Neutral, ONLY, Only, QUERY_KEY_NORM,
    QUERY_KEY_VALUE_BIAS, WINDOW_DETAILS,
};
use super::{
    Architecture, Family, ModelConfig, ModelDescription, SlidingWindow, WindowKeys, quantised, rope,
};
use crate::error::ModelError;
use crate::files::parse_json;

/// See [`ModelDescription::from_json`].
pub(super) fn read(text: &str, origin: &Path) -> Result<ModelDescription, ModelError> {
    let object: Map<String, Value> = parse_json(text, origin)?;
    let mut fields = Fields::new(&object, "");
    // What a model of another family says beyond its name would only hide the one thing that matters.
    let config = architecture(&mut fields).map(|architecture| model(&mut fields, architecture));
    let codes = quantised::read(&mut fields);
    let warnings = fields.unknown(&[HARMLESS, WINDOW_DETAILS], origin);
    let mut problems = fields.problems;
    if let Some(config) = config {
        if problems.is_empty() {
            problems = check::problems(&config);
        }
        if problems.is_empty() {
            return Ok(ModelDescription { config, warnings, codes, original: object });
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
    let class = architecture.family().class_name;
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
fn supported() -> String {
    let names: Vec<&str> = Architecture::ALL.into_iter().map(Architecture::model_type).collect();
    format!("supported: {}", names.join(", "))
}

/// Reads every key; what is wrong is left in `fields.problems`, with a stand-in value in the result.
fn model(fields: &mut Fields, architecture: Architecture) -> ModelConfig {
    let family = architecture.family();
    let hidden_size = fields.required_size("hidden_size");
    let num_attention_heads = fields.required_size("num_attention_heads");
    let num_hidden_layers = fields.required_size("num_hidden_layers");
    let rope = rope::read(fields, family);
    let head_dim = head_dim(fields, architecture, hidden_size, num_attention_heads);
    let config = ModelConfig {
        architecture,
        vocab_size: fields.required_size("vocab_size"),
        hidden_size,
        intermediate_size: fields.required_size("intermediate_size"),
        num_hidden_layers,
        num_attention_heads,
        num_key_value_heads: key_value_heads(fields, architecture, num_attention_heads),
        head_dim,
        rms_norm_eps: fields.required_number("rms_norm_eps"),
        rope_theta: rope.theta,
        rotary_dim: part(head_dim, rope.partial_rotary_factor),
        rope_scaling: rope.scaling,
        sliding_window: window(fields, family, num_hidden_layers, rope.local_theta),
        query_pre_attn_scalar: fields.own_number(family.gemma, "query_pre_attn_scalar"),
        max_position_embeddings: fields.required_size("max_position_embeddings"),
        tie_word_embeddings: fields.flag("tie_word_embeddings").unwrap_or(family.tied),
        attention_bias: fields.flag("attention_bias").unwrap_or(family.query_key_value_bias),
        initializer_range: fields.number("initializer_range").unwrap_or(0.02),
    };
    own_code(fields, family);
    for list in [ONLY, FOREIGN, FOREIGN_TO_DECODERS] {
        fields.neutral_keys(list);
    }
    natures(fields, architecture);
    config
}

/// `part` of a whole number, rounded down as Python's `int` does.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a part of a width; less than 0 is 0"
)]
fn part(whole: usize, part: f64) -> usize {
    (whole as f64 * part) as usize
}

/// The first Phi-3 models came with code of their own, which is what transformers has had for them since.
fn own_code(fields: &mut Fields, family: &Family) {
    let is_own = |class: &Value| {
        let class = class.as_str().unwrap_or_default().rsplit('.').next().unwrap_or_default();
        class == family.class_name || class == family.class_name.replace("ForCausalLM", "Config")
    };
    if let Some(Value::Object(classes)) = fields.object.get("auto_map")
        && family.fused
        && classes.values().all(is_own)
    {
        fields.own("auto_map");
    }
}

/// Keys that must say what the family is anyway.
fn natures(fields: &mut Fields, architecture: Architecture) {
    let family = architecture.family();
    let norm = (QUERY_KEY_NORM.as_slice(), family.query_key_norm);
    let bias = (QUERY_KEY_VALUE_BIAS.as_slice(), family.query_key_value_bias);
    for (keys, nature) in [norm, bias] {
        for key in keys {
            if let Some(stated) = fields.flag(key).filter(|stated| *stated != nature) {
                let family = architecture.model_type();
                fields.report(key, format!("{stated} is not supported for model_type \"{family}\""));
            }
        }
    }
    let neutral = Neutral::Text(family.activation.name());
    fields.neutral_keys(&ACTIVATION.map(|key| Only { key, neutral, effect: "another activation" }));
}

/// Absent means "as many as query heads" for Llama and Phi-3; the others' own default is a fixed number, so there a file
/// without the key is incomplete. Null means the former in all.
fn key_value_heads(fields: &mut Fields, architecture: Architecture, queries: usize) -> usize {
    let key = "num_key_value_heads";
    let as_queries = matches!(architecture, Architecture::Llama | Architecture::Phi3);
    if as_queries || fields.object.get(key).is_some_and(Value::is_null) {
        return fields.size(key).unwrap_or(queries);
    }
    fields.required_size(key)
}

/// The head width of Qwen3 and Gemma 3 is not tied to the hidden size: their files state it.
fn head_dim(fields: &mut Fields, architecture: Architecture, hidden_size: usize, heads: usize) -> usize {
    if architecture.family().query_key_norm {
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

/// The layers with a sliding window, as the family's keys say.
fn window(
    fields: &mut Fields,
    family: &Family,
    layers: usize,
    rope_theta: Option<f64>,
) -> Option<SlidingWindow> {
    match family.window {
        WindowKeys::Refused { unless_used } => {
            refuse_window(fields, unless_used, layers);
            None
        }
        WindowKeys::All => {
            // Its absence means 4096 to transformers for Mistral, and none for Phi-3.
            let stated = fields.object.contains_key("sliding_window");
            if !stated && !family.fused {
                let hint = "add 4096 for the first Mistral 7B, null for later models";
                fields.report_with_hint("sliding_window", "missing", hint);
            }
            let size = fields.size("sliding_window")?;
            Some(SlidingWindow { size, full_attention_layers: Vec::new(), rope_theta: None })
        }
        WindowKeys::Pattern => {
            let size = fields.required_size("sliding_window");
            let full_attention_layers = full_attention_layers(fields, layers);
            Some(SlidingWindow { size, full_attention_layers, rope_theta })
        }
    }
}

/// `layer_types`, or every layer of whose number counted from 1 the `sliding_window_pattern` is a divisor.
fn full_attention_layers(fields: &mut Fields, layers: usize) -> Vec<usize> {
    fields.own("sliding_window_pattern");
    let pattern = fields.size("sliding_window_pattern").or(fields.size("_sliding_window_pattern"));
    let Some(kinds) = fields.get("layer_types") else {
        let Some(pattern) = pattern.filter(|pattern| *pattern > 0) else {
            fields.report("layer_types", "missing, and so is sliding_window_pattern");
            return Vec::new();
        };
        return (0..layers.min(MOST_LAYERS)).filter(|layer| (layer + 1) % pattern == 0).collect();
    };
    let kinds = kinds.as_array().map_or(&[][..], Vec::as_slice);
    let is_known = |kind: &Value| kind == "full_attention" || kind == "sliding_attention";
    if let Some(other) = kinds.iter().find(|kind| !is_known(kind)) {
        let message = format!("{other} is not supported (\"full_attention\" and \"sliding_attention\" are)");
        fields.report("layer_types", message);
    } else if kinds.len() != layers {
        let message = format!("{} entries for num_hidden_layers = {layers}", kinds.len());
        fields.report("layer_types", message);
    }
    (0..kinds.len()).filter(|layer| kinds[*layer] == "full_attention").collect()
}

/// Qwen's `use_sliding_window` is off unless a file says otherwise, and then the first `max_window_layers` layers see
/// everything all the same. `layer_types`, where it is given, has the last word.
fn refuse_window(fields: &mut Fields, unless_used: bool, layers: usize) {
    let in_use = fields.flag("use_sliding_window").unwrap_or(!unless_used);
    let window = fields.get("sliding_window");
    let whole = if unless_used { fields.size("max_window_layers") } else { None };
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
