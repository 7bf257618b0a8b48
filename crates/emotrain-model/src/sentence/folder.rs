//! A sentence-transformers folder: which modules it chains, and whether they are what this crate computes.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::bert::{BertConfig, Reading};
use super::json::{complain, object, value};
use super::pooling::Pooling;
use crate::config::Fields;
use crate::error::{ConfigProblem, ModelError};
use crate::weights::{Shards, is_known_buffer};

const MODULES: &str = "modules.json";

/// Everything except weights and tokenizer that determines the vectors.
#[derive(Clone, Debug, PartialEq)]
pub struct SentenceConfig {
    /// The encoder's shape.
    pub bert: BertConfig,
    /// Tokens of a text that are read, special ones included.
    pub max_seq_length: usize,
    /// Whether a text is put into lower case before the tokenizer sees it.
    pub do_lower_case: bool,
    /// How the tokens' vectors become one.
    pub pooling: Pooling,
    /// Whether vectors have length 1.
    pub normalize: bool,
}

/// One line with everything that the weights do not show by themselves. Part of an encoder's identity: it stays as it is.
impl fmt::Display for SentenceConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bert, max_seq_length, do_lower_case, pooling, normalize } = self;
        let (heads, eps) = (bert.num_attention_heads, bert.layer_norm_eps);
        write!(
            f,
            "bert num_attention_heads={heads} layer_norm_eps={eps:e} max_seq_length={max_seq_length} \
             do_lower_case={do_lower_case} pooling={pooling} normalize={normalize}"
        )
    }
}

/// An opened folder of a sentence encoder. Its weights are checked, not read.
#[derive(Debug)]
pub struct SentenceFolder {
    transformer: PathBuf,
    config: SentenceConfig,
    warnings: Vec<String>,
    weights: Shards,
    /// The prefix of the tensors' names: none, or `bert.` where a model with a head was saved.
    prefix: &'static str,
}

/// An entry of `modules.json`; its number and name have no meaning.
#[derive(Deserialize)]
struct Module {
    path: String,
    #[serde(rename = "type")]
    class: String,
}

impl SentenceFolder {
    /// Opens the folder of a BERT encoder with a pooling module and, perhaps, a normalising one.
    ///
    /// # Errors
    /// A folder without `modules.json`; a module, a setting or a tensor that this crate does not compute; a missing
    /// or damaged file. The message names file and key.
    pub fn open(folder: &Path) -> Result<Self, ModelError> {
        let modules = modules(folder)?;
        let transformer = modules.transformer;
        let (bert, warnings) = BertConfig::read(&transformer.join("config.json"))?;
        let reading = Reading::read(&transformer, bert.max_position_embeddings)?;
        let pooling = Pooling::read(&modules.pooling.join("config.json"), bert.hidden_size)?;
        if let Some(normalize) = &modules.normalize {
            check_normalize(&normalize.join("config.json"))?;
        }
        check_prompts(&folder.join("config_sentence_transformers.json"))?;
        let config = SentenceConfig {
            bert,
            max_seq_length: reading.max_seq_length,
            do_lower_case: reading.do_lower_case,
            pooling,
            normalize: modules.normalize.is_some(),
        };
        let weights = Shards::open(&transformer)?;
        let prefix = if weights.names().any(|name| name.starts_with("bert.")) { "bert." } else { "" };
        let folder = Self { transformer, config, warnings, weights, prefix };
        folder.check_tensors()?;
        Ok(folder)
    }

    /// Everything except weights and tokenizer that determines the vectors.
    pub fn config(&self) -> &SentenceConfig {
        &self.config
    }

    /// A line for each key of `config.json` that this crate does not know. Those that are known to change what is
    /// computed are errors.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The folder of `config.json` and `tokenizer.json`.
    pub fn transformer(&self) -> &Path {
        &self.transformer
    }

    /// Lower-case hexadecimal sha256 of the weights: of the file itself, or for shards of the lines `hash  name`
    /// in the order of their names. Reads every weight file once.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn sha256(&self) -> Result<String, ModelError> {
        self.weights.sha256()
    }

    /// The values (row-major) of a tensor whose shape was checked when the folder was opened.
    pub(super) fn tensor(&self, name: &str) -> Result<Vec<f32>, ModelError> {
        self.weights.tensor(&format!("{}{name}", self.prefix)).map(|(_, values)| values)
    }

    fn check_tensors(&self) -> Result<(), ModelError> {
        let path = self.weights.path().to_path_buf();
        let shapes = tensor_shapes(&self.config.bert);
        let full = |name: &str| format!("{}{name}", self.prefix);
        let is_ours = |found: &str| shapes.iter().any(|(name, _)| full(name) == found);
        let unknown: Vec<String> = self
            .weights
            .names()
            .filter(|name| !is_ours(name) && !is_unused(name))
            .map(str::to_owned)
            .collect();
        let missing: Vec<String> = shapes
            .iter()
            .map(|(name, _)| full(name))
            .filter(|name| self.weights.shape(name).is_none())
            .collect();
        if !missing.is_empty() {
            return Err(ModelError::MissingTensors { path, names: missing, unknown });
        }
        for (name, expected) in &shapes {
            let name = full(name);
            if let Some(shape) = self.weights.shape(&name).filter(|shape| shape != expected) {
                let message = format!("shape {shape:?} where the configuration needs {expected:?}");
                return Err(ModelError::tensor(&path, &name, message));
            }
        }
        if unknown.is_empty() { Ok(()) } else { Err(ModelError::UnusedTensors { path, names: unknown }) }
    }
}

/// Tensors that a BERT is saved with and that tokens' vectors do not depend on: the head that was trained with it, the
/// pooler of the first token, position numbers.
fn is_unused(name: &str) -> bool {
    let name = name.strip_prefix("bert.").unwrap_or(name);
    is_known_buffer(name) || ["pooler.", "cls."].iter().any(|head| name.starts_with(head))
}

/// Every tensor that is used, with its shape; matrices are `[out, in]`.
pub(super) fn tensor_shapes(bert: &BertConfig) -> Vec<(String, Vec<usize>)> {
    let (width, inner) = (bert.hidden_size, bert.intermediate_size);
    let mut shapes = vec![
        ("embeddings.word_embeddings.weight".to_owned(), vec![bert.vocab_size, width]),
        ("embeddings.position_embeddings.weight".to_owned(), vec![bert.max_position_embeddings, width]),
        ("embeddings.token_type_embeddings.weight".to_owned(), vec![bert.type_vocab_size, width]),
        ("embeddings.LayerNorm.weight".to_owned(), vec![width]),
        ("embeddings.LayerNorm.bias".to_owned(), vec![width]),
    ];
    let dense = [
        ("attention.self.query", width, width),
        ("attention.self.key", width, width),
        ("attention.self.value", width, width),
        ("attention.output.dense", width, width),
        ("intermediate.dense", inner, width),
        ("output.dense", width, inner),
    ];
    for layer in 0..bert.num_hidden_layers {
        for (module, outputs, inputs) in dense {
            shapes.push((format!("encoder.layer.{layer}.{module}.weight"), vec![outputs, inputs]));
            shapes.push((format!("encoder.layer.{layer}.{module}.bias"), vec![outputs]));
        }
        for norm in ["attention.output.LayerNorm", "output.LayerNorm"] {
            for tensor in ["weight", "bias"] {
                shapes.push((format!("encoder.layer.{layer}.{norm}.{tensor}"), vec![width]));
            }
        }
    }
    shapes
}

/// The folders of the modules.
struct Modules {
    transformer: PathBuf,
    pooling: PathBuf,
    normalize: Option<PathBuf>,
}

fn modules(folder: &Path) -> Result<Modules, ModelError> {
    let path = folder.join(MODULES);
    let Some(found) = value(&path)? else {
        let message = format!("not a sentence encoder: no {MODULES}");
        let hint = "give a folder that sentence-transformers has saved, such as all-MiniLM-L6-v2's";
        return Err(ModelError::file_with_hint(folder, message, hint));
    };
    let modules: Vec<Module> =
        serde_json::from_value(found).map_err(|source| ModelError::Json { path: path.clone(), source })?;
    let mut problems = Vec::new();
    let mut places = Vec::new();
    for (number, module) in modules.iter().enumerate() {
        let is_inside = Path::new(&module.path).components().all(|part| matches!(part, Component::Normal(_)));
        if !is_inside {
            let message = format!("\"{}\" is not a folder of this one", module.path);
            problems.push(ConfigProblem { key: format!("[{number}].path"), message, hint: None });
        }
        let kind = module.class.rsplit('.').next().unwrap_or_default();
        if !module.class.starts_with("sentence_transformers.") || !KINDS.contains(&kind) {
            let message = format!("\"{}\" is not supported", module.class);
            let hint = Some(format!("the modules {} are computed here, in this order", KINDS.join(", ")));
            problems.push(ConfigProblem { key: format!("[{number}].type"), message, hint });
        }
        let place = if module.path.is_empty() { folder.to_path_buf() } else { folder.join(&module.path) };
        places.push((kind, place));
    }
    let kinds: Vec<&str> = places.iter().map(|(kind, _)| *kind).collect();
    if problems.is_empty() && kinds != KINDS && kinds != KINDS[..2] {
        let message = format!("the modules are {}", kinds.join(", "));
        let hint = Some(format!("they have to be {}, the last of which may be left out", KINDS.join(", ")));
        problems.push(ConfigProblem { key: "[*].type".to_owned(), message, hint });
    }
    complain(&path, problems)?;
    let mut places = places.into_iter().map(|(_, place)| place);
    match (places.next(), places.next()) {
        (Some(transformer), Some(pooling)) => Ok(Modules { transformer, pooling, normalize: places.next() }),
        _ => Err(ModelError::file(&path, "names no modules")),
    }
}

/// The modules in the order in which they are computed.
const KINDS: [&str; 3] = ["Transformer", "Pooling", "Normalize"];

/// The settings of a `Normalize` module, where a file has them: it is the texts' vectors that get length 1.
fn check_normalize(path: &Path) -> Result<(), ModelError> {
    let settings = object(path)?.unwrap_or_default();
    only_texts(path, &settings, &["module_input_name", "module_output_name"])
}

fn only_texts(path: &Path, settings: &Map<String, Value>, keys: &[&'static str]) -> Result<(), ModelError> {
    let mut fields = Fields::new(settings, "");
    for key in keys {
        if let Some(name) = fields.text(key).filter(|name| name != "sentence_embedding") {
            fields.report(key, format!("\"{name}\" is not supported (must be \"sentence_embedding\")"));
        }
    }
    fields.unknown_keys(&[], "a setting this program does not know");
    complain(path, fields.problems)
}

/// A prompt before every text would be part of the vectors; so would be fewer numbers.
fn check_prompts(path: &Path) -> Result<(), ModelError> {
    let settings = object(path)?.unwrap_or_default();
    let mut fields = Fields::new(&settings, "");
    if let Some(name) = fields.text("default_prompt_name") {
        let message = format!("\"{name}\": prompts before texts are not supported");
        fields.report("default_prompt_name", message);
    }
    if let Some(width) = fields.get("truncate_dim") {
        fields.report("truncate_dim", format!("{width}: shortened vectors are not supported"));
    }
    complain(path, fields.problems)
}
