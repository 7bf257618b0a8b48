//! PEFT's `adapter_config.json` → which layers are adapted, and how.
//!
//! Every key is read. What would make PEFT compute something else than a low-rank product added to an unchanged base is
//! refused by name, and so is a key that nobody here knows, unless its value switches it off.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::targets::{Names, Targets};
use crate::config::{Fields, brief, is_off, problem};
use crate::error::{ConfigProblem, ModelError};
use crate::files::read_json;
use crate::lora::LoraConfig;
use crate::pattern::{Pattern, first_fit};

/// Ranks beyond any that a layer could have; what is drawn or read stays far from overflow.
const LARGEST_RANK: usize = 1 << 20;

/// PEFT's own rank and alpha, where a file leaves them out.
const DEFAULT_RANK: usize = 8;
const DEFAULT_ALPHA: f64 = 8.0;

/// What PEFT adapts when nothing is named: in Phi-3 the first, in all others the other two.
const DEFAULT_TARGETS: [&str; 3] = ["qkv_proj", "q_proj", "v_proj"];

const MERGE: &str = "merge the adapter into its base in Python (PEFT's merge_and_unload), save that model and name \
its folder as the base";

const CONVERT: &str = "save it again in Python as an adapter of the unchanged base: PEFT's save_pretrained(folder, \
path_initial_model_for_weight_conversion=folder of the initial adapter)";

/// Keys that have no say in what a loaded adapter computes: bookkeeping, and settings of what is refused or left out
/// elsewhere. PEFT sets `fan_in_fan_out` aside for linear layers.
const HARMLESS: &[&str] = &[
    "auto_mapping",
    "base_model_class",
    "corda_config",
    "ensure_weight_tying",
    "eva_config",
    "fan_in_fan_out",
    "inference_mode",
    "loftq_config",
    "lora_ga_config",
    "megatron_config",
    "megatron_core",
    "merge_weights",
    "parent_library",
    "peft_version",
    "qalora_group_size",
    "runtime_config",
    "unsloth_fixed",
    "unsloth_version",
];

/// Keys of variants that are not computed here: what each is, and the way out.
const VARIANTS: &[(&str, &str, &str)] = &[
    ("use_qalora", "QALoRA, which pools the adapter's input", MERGE),
    ("lora_bias", "biases inside the adapter", MERGE),
    ("modules_to_save", "whole layers that were trained besides", MERGE),
    ("target_parameters", "adapted parameters that are no linear layers", MERGE),
    ("trainable_token_indices", "embeddings that were trained besides", MERGE),
    ("layer_replication", "a base whose layers are repeated", MERGE),
    (
        "alora_invocation_tokens",
        "an activated LoRA, which counts only from these tokens on",
        "ask it with PEFT, or train an adapter without the key",
    ),
    ("arrow_config", "a router over several adapters", "name one of its adapters"),
    ("use_bdlora", "block-diagonal matrices", MERGE),
    ("kasa_config", "singular values of a base that was cut", MERGE),
    ("monteclora_config", "weights that are drawn anew", MERGE),
    ("velora_config", "inputs that are compressed", MERGE),
];

/// Which model an adapter belongs to, as `adapter_config.json` says it.
#[derive(Clone, Copy, Debug)]
pub struct BaseModel<'a> {
    /// `base_model_name_or_path`.
    pub name: &'a str,
    /// `revision`, where the model came from a hub.
    pub revision: Option<&'a str>,
}

/// `adapter_config.json`, as far as this crate supports it.
#[derive(Debug)]
pub struct AdapterConfig {
    path: PathBuf,
    base: Option<String>,
    revision: Option<String>,
    /// Of a layer for which no pattern says otherwise.
    pub(crate) lora: LoraConfig,
    targets: Targets,
    ranks: Vec<(Pattern, usize)>,
    alphas: Vec<(Pattern, f64)>,
}

impl AdapterConfig {
    /// Reads the file.
    ///
    /// # Errors
    /// A file that is not there or damaged; everything in it that is wrong or not computed here.
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        let object: Map<String, Value> = read_json(path)?;
        let mut fields = Fields::new(&object, "");
        kind(&mut fields);
        variants(&mut fields);
        start(&mut fields);
        let mut stated = |key| fields.text(key).filter(|text| !text.is_empty());
        let (base, revision) = (stated("base_model_name_or_path"), stated("revision"));
        let config = Self {
            path: path.to_path_buf(),
            base,
            revision,
            lora: lora(&mut fields),
            targets: targets(&mut fields),
            ranks: patterns(&mut fields, "rank_pattern", "a rank", rank),
            alphas: patterns(&mut fields, "alpha_pattern", "a number", Value::as_f64),
        };
        unknown(&mut fields);
        if fields.problems.is_empty() { Ok(config) } else { Err(config.wrong(fields.problems)) }
    }

    /// The base that the adapter was trained on, if the file names one.
    pub fn base(&self) -> Option<BaseModel<'_>> {
        let name = self.base.as_deref()?;
        Some(BaseModel { name, revision: self.revision.as_deref() })
    }

    /// The dropout that it was trained with.
    pub fn lora_dropout(&self) -> f64 {
        self.lora.lora_dropout
    }

    /// How the layer of this path is adapted, if it is.
    ///
    /// # Errors
    /// A pattern that takes too long.
    pub(crate) fn layer(&self, path: &str) -> Result<Option<LoraConfig>, ModelError> {
        let slow = |key: &str, message| self.wrong(vec![problem(key, message)]);
        if !self.targets.hold(path).map_err(|message| slow("target_modules", message))? {
            return Ok(None);
        }
        let mut lora = self.lora.clone();
        if let Some(r) = first_fit(&self.ranks, path).map_err(|message| slow("rank_pattern", message))? {
            lora.r = r;
        }
        if let Some(alpha) =
            first_fit(&self.alphas, path).map_err(|message| slow("alpha_pattern", message))?
        {
            lora.lora_alpha = alpha;
        }
        Ok(Some(lora))
    }

    /// Refuses an adapter that is for other modules too than those of the decoder blocks.
    ///
    /// # Errors
    /// Such a module, or a pattern that takes too long.
    pub(crate) fn check_rest(&self) -> Result<(), ModelError> {
        if matches!(self.targets.modules, Names::AllLinear) {
            return Ok(());
        }
        for rest in ["lm_head", "model.embed_tokens"] {
            if self.layer(rest)?.is_some() {
                let message = format!("{rest} is adapted: only the layers of the decoder blocks can be");
                let hint = Some(MERGE.to_owned());
                return Err(self.wrong(vec![ConfigProblem { hint, ..problem("target_modules", message) }]));
            }
        }
        Ok(())
    }

    /// A problem with the names of layers.
    pub(crate) fn no_layer(&self, known: &[String]) -> ModelError {
        let message = format!("no layer of the model is adapted (it has {})", known.join(", "));
        self.wrong(vec![problem("target_modules", message)])
    }

    fn wrong(&self, problems: Vec<ConfigProblem>) -> ModelError {
        ModelError::Config { path: self.path.clone(), problems }
    }
}

fn kind(fields: &mut Fields) {
    match fields.text("peft_type").as_deref() {
        Some("LORA") => {}
        Some(other) => {
            let message = format!("\"{other}\" is not supported (only \"LORA\")");
            fields.report_with_hint("peft_type", message, MERGE);
        }
        None => fields.report_with_hint("peft_type", "missing", "name a folder that PEFT has saved"),
    }
    if let Some(task) = fields.text("task_type").filter(|task| !["", "CAUSAL_LM"].contains(&task.as_str())) {
        let message =
            format!("\"{task}\" is not supported (only \"CAUSAL_LM\"): it belongs to another model");
        fields.report("task_type", message);
    }
    if let Some(bias) = fields.text("bias").filter(|bias| !["", "none"].contains(&bias.as_str())) {
        let message = format!("\"{bias}\" is not supported (only \"none\"): biases were trained besides");
        fields.report_with_hint("bias", message, MERGE);
    }
}

fn variants(fields: &mut Fields) {
    for (key, what, way_out) in VARIANTS {
        if let Some(value) = fields.get(key).filter(|value| !is_off(value)) {
            fields.report_with_hint(key, format!("{} is not supported: {what}", brief(value)), *way_out);
        }
    }
}

/// `init_lora_weights`: some ways to begin take something away from the base, with which the adapter then belongs.
fn start(fields: &mut Fields) {
    let key = "init_lora_weights";
    let name = match fields.get(key) {
        None | Some(Value::Bool(_)) => return,
        Some(Value::String(name)) => name.to_lowercase(),
        Some(other) => {
            fields.report(key, format!("expected true, false or a name, found {}", brief(other)));
            return;
        }
    };
    let begins = |prefix: &&str| name.starts_with(*prefix);
    if ["gaussian", "eva", "orthogonal", "mica"].contains(&name.as_str()) {
    } else if ["pissa", "olora", "corda", "lora_ga"].iter().any(&begins) {
        let message =
            format!("\"{name}\" is not supported: the adapter belongs to a base that this start has changed");
        fields.report_with_hint(key, message, CONVERT);
    } else if begins(&"loftq") {
        let message =
            format!("\"{name}\" is not supported: the adapter belongs to a base that was quantised");
        fields.report_with_hint(key, message, MERGE);
    } else {
        fields.report(key, format!("\"{name}\" is a start that this program does not know"));
    }
}

fn lora(fields: &mut Fields) -> LoraConfig {
    let r = fields.get("r").map_or(Some(DEFAULT_RANK), rank);
    if r.is_none() {
        fields.report("r", format!("must be a whole number from 1 to {LARGEST_RANK}"));
    }
    let lora_alpha = fields.number("lora_alpha").unwrap_or(DEFAULT_ALPHA);
    let lora_dropout = fields.number("lora_dropout").unwrap_or(0.0);
    if !(0.0..1.0).contains(&lora_dropout) {
        fields.report("lora_dropout", format!("{lora_dropout} is not a probability below 1"));
    }
    LoraConfig {
        r: r.unwrap_or(DEFAULT_RANK),
        lora_alpha,
        lora_dropout,
        use_dora: fields.flag("use_dora").unwrap_or(false),
        use_rslora: fields.flag("use_rslora").unwrap_or(false),
        ..LoraConfig::default()
    }
}

fn targets(fields: &mut Fields) -> Targets {
    let default = || Names::Listed(DEFAULT_TARGETS.map(str::to_owned).into());
    let modules = match fields.get("target_modules") {
        Some(Value::String(all)) if all.to_lowercase() == "all-linear" => Names::AllLinear,
        Some(_) => names(fields, "target_modules").unwrap_or_else(default),
        None => default(),
    };
    let excluded = names(fields, "exclude_modules");
    let layers = match fields.get("layers_to_transform") {
        None => Vec::new(),
        Some(Value::Array(numbers)) => numbers.iter().filter_map(Value::as_u64).collect(),
        Some(number) => number.as_u64().into_iter().collect(),
    };
    let stated = match fields.get("layers_to_transform") {
        Some(Value::Array(numbers)) => numbers.len(),
        other => usize::from(other.is_some()),
    };
    if layers.len() < stated {
        fields.report("layers_to_transform", "expected a whole number or a list of them");
    }
    let places = places(fields);
    if fields.object.get("target_modules").is_some_and(Value::is_string) {
        for key in ["layers_to_transform", "layers_pattern"] {
            if fields.get(key).is_some() {
                fields.report(key, "cannot be used where target_modules is a text");
            }
        }
    }
    Targets { modules, excluded, layers, places }
}

/// A list of names, or a pattern.
fn names(fields: &mut Fields, key: &'static str) -> Option<Names> {
    match fields.get(key)? {
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => match Pattern::whole(text) {
            Ok(pattern) => Some(Names::Pattern(pattern)),
            Err(message) => {
                fields.report(key, message);
                None
            }
        },
        Value::Array(list) if list.iter().all(Value::is_string) => {
            let names: Vec<String> = list.iter().filter_map(Value::as_str).map(str::to_owned).collect();
            (!names.is_empty() || key == "target_modules").then_some(Names::Listed(names))
        }
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            fields.report(key, format!("expected a list of names or a pattern, found {}", brief(other)));
            None
        }
    }
}

/// `layers_pattern`: one or several; none stands for whatever comes before a number.
fn places(fields: &mut Fields) -> Vec<Pattern> {
    let key = "layers_pattern";
    let texts: Vec<&str> = match fields.get(key) {
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(texts)) if texts.iter().all(Value::is_string) => {
            texts.iter().filter_map(Value::as_str).collect()
        }
        Some(other) => {
            fields.report(key, format!("expected a text or a list of them, found {}", brief(other)));
            return Vec::new();
        }
        None => Vec::new(),
    };
    let stated: Vec<Option<&str>> = texts.into_iter().filter(|text| !text.is_empty()).map(Some).collect();
    if !stated.is_empty() && fields.get("layers_to_transform").is_none() {
        fields.report(key, "has no meaning without layers_to_transform");
    }
    let stated = if stated.is_empty() { vec![None] } else { stated };
    let mut places = Vec::new();
    for text in stated {
        match Pattern::before_number(text) {
            Ok(place) => places.push(place),
            Err(message) => fields.report(key, message),
        }
    }
    places
}

/// `rank_pattern` or `alpha_pattern`: the value of the first pattern that fits counts.
fn patterns<T>(
    fields: &mut Fields,
    key: &'static str,
    expected: &str,
    read: impl Fn(&Value) -> Option<T>,
) -> Vec<(Pattern, T)> {
    let mut patterns = Vec::new();
    for (text, value) in fields.object(key).into_iter().flatten() {
        match (Pattern::end(text), read(value)) {
            (Ok(pattern), Some(value)) => patterns.push((pattern, value)),
            (Err(message), _) => fields.report(key, format!("{text:?}: {message}")),
            (_, None) => fields.report(key, format!("{text:?}: {} is not {expected}", brief(value))),
        }
    }
    patterns
}

fn rank(value: &Value) -> Option<usize> {
    let rank = value.as_u64().and_then(|rank| usize::try_from(rank).ok());
    rank.filter(|rank| (1..=LARGEST_RANK).contains(rank))
}

/// Keys that were not asked for: some can have no say, others might.
fn unknown(fields: &mut Fields) {
    for (key, value) in fields.object {
        if fields.knows(key) || HARMLESS.contains(&key.as_str()) || is_note(key) || is_off(value) {
            continue;
        }
        fields.report_with_hint(
            key,
            format!("a setting this program does not know: {}", brief(value)),
            "remove the key from a copy of the file if it does not change what the adapter computes",
        );
    }
}

/// Notes of other tools, by the form of their name.
fn is_note(key: &str) -> bool {
    const ENDS: [&str; 7] = ["_version", "_note", "_notes", "_comment", "_url", "_date", "_path"];
    const WORDS: [&str; 12] = [
        "author",
        "comment",
        "date",
        "description",
        "license",
        "name",
        "note",
        "notes",
        "tags",
        "url",
        "version",
        "library_name",
    ];
    key.starts_with('_') || WORDS.contains(&key) || ENDS.iter().any(|end| key.ends_with(end))
}
