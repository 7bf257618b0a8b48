//! `config.json` → [`ModelConfig`].

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Map, Value};

use super::check::{self, problem};
use super::keys::{
    FOREIGN, FOREIGN_TO_DECODERS, HARMLESS, Neutral, ONLY, Only, QUERY_KEY_NORM, QUERY_KEY_VALUE_BIAS,
    WINDOW_DETAILS, is_off,
};
use super::{Architecture, ModelConfig, ModelDescription, rope};
use crate::error::{ConfigProblem, ModelError};
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
pub(super) fn supported() -> String {
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

/// A value for a message, objects and lists cut short.
pub(crate) fn brief(value: &Value) -> String {
    const LONGEST: usize = 60;
    let text = value.to_string();
    if text.chars().count() <= LONGEST {
        return text;
    }
    format!("{}…", text.chars().take(LONGEST).collect::<String>())
}

/// One JSON object, the keys asked for so far, and what was wrong with their values.
pub(crate) struct Fields<'a> {
    pub(crate) object: &'a Map<String, Value>,
    /// Put before a key in messages: the path of this object in the file.
    prefix: &'static str,
    known: BTreeSet<&'static str>,
    pub(crate) problems: Vec<ConfigProblem>,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(object: &'a Map<String, Value>, prefix: &'static str) -> Self {
        Self { object, prefix, known: BTreeSet::new(), problems: Vec::new() }
    }

    pub(crate) fn report(&mut self, key: &str, message: impl Into<String>) {
        self.problems.push(problem(&format!("{}{key}", self.prefix), message));
    }

    pub(crate) fn report_with_hint(
        &mut self,
        key: &str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let hint = Some(hint.into());
        self.problems.push(ConfigProblem { hint, ..problem(&format!("{}{key}", self.prefix), message) });
    }

    /// Whether a key was asked for.
    pub(crate) fn knows(&self, key: &str) -> bool {
        self.known.contains(key)
    }

    /// The value; null counts as absent.
    pub(crate) fn get(&mut self, key: &'static str) -> Option<&'a Value> {
        self.known.insert(key);
        self.object.get(key).filter(|value| !value.is_null())
    }

    fn typed<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Option<T> {
        let value = self.get(key)?;
        let read = read(value);
        if read.is_none() {
            self.report(key, format!("expected {expected}, found {}", brief(value)));
        }
        read
    }

    fn required<T: Default>(&mut self, key: &'static str, value: Option<T>) -> T {
        if value.is_none() && self.object.get(key).is_none_or(Value::is_null) {
            self.report(key, "missing");
        }
        value.unwrap_or_default()
    }

    pub(crate) fn size(&mut self, key: &'static str) -> Option<usize> {
        self.typed(key, "a whole number", |value| value.as_u64().and_then(|size| usize::try_from(size).ok()))
    }

    pub(crate) fn required_size(&mut self, key: &'static str) -> usize {
        let value = self.size(key);
        self.required(key, value)
    }

    pub(crate) fn number(&mut self, key: &'static str) -> Option<f64> {
        self.typed(key, "a number", Value::as_f64)
    }

    pub(crate) fn required_number(&mut self, key: &'static str) -> f64 {
        let value = self.number(key);
        self.required(key, value)
    }

    pub(crate) fn flag(&mut self, key: &'static str) -> Option<bool> {
        self.typed(key, "true or false", Value::as_bool)
    }

    pub(crate) fn text(&mut self, key: &'static str) -> Option<String> {
        self.typed(key, "a string", |value| value.as_str().map(str::to_owned))
    }

    pub(crate) fn object(&mut self, key: &'static str) -> Option<&'a Map<String, Value>> {
        self.typed(key, "an object", Value::as_object)
    }

    /// Reports every key of the list that is there with another value than the one it has no influence at.
    pub(crate) fn neutral_keys(&mut self, list: &[Only]) {
        for only in list {
            let Some(value) = self.get(only.key) else { continue };
            let (is_neutral, wanted) = match only.neutral {
                Neutral::False => (*value == Value::Bool(false), "false".to_owned()),
                Neutral::True => (*value == Value::Bool(true), "true".to_owned()),
                Neutral::Off => (is_off(value), "absent".to_owned()),
                Neutral::Number(number) => (value.as_f64() == Some(number), number.to_string()),
                Neutral::Text(text) => (value == text, format!("\"{text}\"")),
                Neutral::Empty => (value.as_object().is_some_and(Map::is_empty), "absent".to_owned()),
            };
            if !is_neutral {
                let message =
                    format!("{} is not supported: {} (must be {wanted})", brief(value), only.effect);
                self.report(only.key, message);
            }
        }
    }

    /// Every key with a value that was neither asked for nor is in one of `ignored`.
    fn others(&self, ignored: &[&[&str]]) -> impl Iterator<Item = (&'a str, &'a Value)> {
        let is_ignored = |key: &str| ignored.iter().any(|keys| keys.contains(&key));
        let others = self
            .object
            .iter()
            .filter(move |(key, value)| !self.knows(key) && !is_ignored(key) && !value.is_null());
        others.map(|(key, value)| (key.as_str(), value))
    }

    /// Reports the keys that this program does not know.
    pub(crate) fn unknown_keys(&mut self, ignored: &[&[&str]], message: &str) {
        let others: Vec<_> = self.others(ignored).collect();
        for (key, value) in others {
            self.report_with_hint(
                key,
                format!("{message}: {}", brief(value)),
                "remove the key from a copy of the file if it does not change what the model computes",
            );
        }
    }

    /// A warning for each key that this program does not know.
    pub(crate) fn unknown(&self, ignored: &[&[&str]], origin: &Path) -> Vec<String> {
        let warning = |(key, value)| {
            let (path, prefix, value) = (origin.display(), self.prefix, brief(value));
            format!("{path}: {prefix}{key}: {value} is left aside: this program does not know the key")
        };
        self.others(ignored).map(warning).collect()
    }
}
