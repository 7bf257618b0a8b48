//! Metadata and tensors of a GGUF file → [`ModelConfig`].

use super::{Metadata, Value};
use crate::config::{
    self, Architecture, Llama3Scaling, LongRope, ModelConfig, RopeScaling, SlidingWindow, WindowKeys,
    attention_factor, llama3_divisors, problem,
};
use crate::error::{ConfigProblem, ModelError};

/// What the tensors of a file say about the configuration.
#[derive(Debug)]
pub(crate) struct TensorFacts {
    /// Rows of the embedding table, when there is one.
    pub(crate) vocabulary: Option<usize>,
    /// Whether the output head is a tensor of its own.
    pub(crate) has_head: bool,
    /// By what each rotary frequency is divided, when the file says so (Llama 3.1 and later).
    pub(crate) rope_factors: Option<Vec<f32>>,
    /// The same for short texts (`longrope`).
    pub(crate) short_factors: Option<Vec<f32>>,
    /// The same for long ones.
    pub(crate) long_factors: Option<Vec<f32>>,
}

/// Keys of an architecture (without its name) that this reader uses.
const USED: &[&str] = &[
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.layer_norm_rms_epsilon",
    "attention.sliding_window",
    "attention.sliding_window_pattern",
    "attention.value_length",
    "block_count",
    "context_length",
    "embedding_length",
    "feed_forward_length",
    "rope.dimension_count",
    "rope.freq_base",
    "rope.freq_base_swa",
    "rope.scaling.attn_factor",
    "rope.scaling.factor",
    "rope.scaling.original_context_length",
    "rope.scaling.type",
    "vocab_size",
];

/// Keys that are accepted only when they leave their feature off.
const OFF: &[(&str, Value)] = &[
    ("attention.causal", Value::Flag(true)),
    ("expert_count", Value::Integer(0)),
    ("expert_used_count", Value::Integer(0)),
    ("pooling_type", Value::Integer(0)),
    ("rope.scaling.finetuned", Value::Flag(false)),
    ("use_parallel_residual", Value::Flag(false)),
];

/// The scaling of all released Llama models but for its factor, to recognise a file's numbers by.
const KNOWN_SCALING: Llama3Scaling = Llama3Scaling {
    factor: 1.0,
    low_freq_factor: 1.0,
    high_freq_factor: 4.0,
    original_max_position_embeddings: 8192,
};

/// The configuration of the model in a GGUF file.
pub(crate) fn from_metadata(metadata: &Metadata, facts: &TensorFacts) -> Result<ModelConfig, ModelError> {
    let architecture = architecture(metadata).map_err(|problem| metadata.error(vec![problem]))?;
    let mut keys = Keys { metadata, prefix: architecture.family().gguf, problems: Vec::new() };
    let config = model(&mut keys, architecture, facts);
    keys.refuse_others();
    let mut problems = keys.problems;
    if problems.is_empty() {
        problems = config::problems(&config);
    }
    if problems.is_empty() { Ok(config) } else { Err(metadata.error(problems)) }
}

fn architecture(metadata: &Metadata) -> Result<Architecture, ConfigProblem> {
    if let Some(kind) = metadata.text("general.type")?
        && kind != "model"
    {
        return Err(problem("general.type", format!("\"{kind}\" is not a model")));
    }
    if let Some(count) = metadata.size("split.count")?
        && count > 1
    {
        let message = format!("the model is split into {count} files");
        let hint = Some("merge them with llama.cpp's gguf-split first".to_owned());
        return Err(ConfigProblem { hint, ..problem("split.count", message) });
    }
    let key = "general.architecture";
    let Some(name) = metadata.text(key)? else { return Err(problem(key, "missing")) };
    Architecture::from_gguf(name).ok_or_else(|| ConfigProblem {
        hint: Some(supported()),
        ..problem(key, format!("\"{name}\" is not supported"))
    })
}

/// Reads every key; what is wrong is left in `keys.problems`, with a stand-in value in the result.
fn model(keys: &mut Keys, architecture: Architecture, facts: &TensorFacts) -> ModelConfig {
    let hidden_size = keys.required(Metadata::size, "embedding_length");
    let heads = keys.required(Metadata::size_of_layers, "attention.head_count");
    let key_value_heads = keys.optional(Metadata::size_of_layers, "attention.head_count_kv").unwrap_or(heads);
    let head_dim = head_dim(keys, architecture, hidden_size, heads);
    let rope_theta = keys.required(Metadata::number, "rope.freq_base");
    let rotary_dim = keys.optional(Metadata::size, "rope.dimension_count").unwrap_or(head_dim);
    let num_hidden_layers = keys.required(Metadata::size, "block_count");
    let max_position_embeddings = keys.required(Metadata::size, "context_length");
    let rope = Rotary { width: rotary_dim, theta: rope_theta, context: max_position_embeddings };
    let family = architecture.family();
    ModelConfig {
        architecture,
        vocab_size: vocabulary(keys, facts),
        hidden_size,
        intermediate_size: keys.required(Metadata::size_of_layers, "feed_forward_length"),
        num_hidden_layers,
        num_attention_heads: heads,
        num_key_value_heads: key_value_heads,
        head_dim,
        rms_norm_eps: keys.required(Metadata::number, "attention.layer_norm_rms_epsilon"),
        rope_theta,
        rotary_dim,
        rope_scaling: scaling(keys, facts, rope),
        sliding_window: window(keys, architecture, num_hidden_layers),
        query_pre_attn_scalar: family
            .gemma
            .then(|| query_scalar(head_dim, hidden_size.checked_div(heads), num_hidden_layers)),
        max_position_embeddings,
        tie_word_embeddings: !facts.has_head,
        attention_bias: family.query_key_value_bias,
        // Not in the metadata; only a random start would use it.
        initializer_range: 0.02,
    }
}

/// The families, as GGUF files name them.
fn supported() -> String {
    let mut names: Vec<&str> = Architecture::ALL.map(|architecture| architecture.family().gguf).into();
    names.dedup();
    format!("supported: {}", names.join(", "))
}

/// What llama.cpp divides the attention scores of Gemma 3 by the root of, which is no metadata: the width of a head, in
/// the model of 27 billion parameters, known by its 62 layers, `share` = `hidden_size / num_attention_heads`
/// (`load_hparams` of `LLM_ARCH_GEMMA3`).
pub(super) fn query_scalar(head_dim: usize, share: Option<usize>, layers: usize) -> f64 {
    share.filter(|_| layers == 62).unwrap_or(head_dim) as f64
}

/// Every sixth layer of Gemma 3 sees the whole text; llama.cpp's converter does not write it down.
const GEMMA_PATTERN: usize = 6;

/// The rotary frequencies of Gemma 3's layers with a window, unless a file says otherwise.
const GEMMA_LOCAL_THETA: f64 = 10_000.0;

/// The layers with a sliding window: in Phi-3 all, in Gemma 3 all but every sixth. The others' files have none.
fn window(keys: &mut Keys, architecture: Architecture, layers: usize) -> Option<SlidingWindow> {
    let family = architecture.family();
    let size = keys.optional(Metadata::size, "attention.sliding_window");
    let theta = keys.optional(Metadata::number, "rope.freq_base_swa");
    let pattern = keys.optional(Metadata::size, "attention.sliding_window_pattern");
    if family.window != WindowKeys::Pattern && (theta.is_some() || pattern.is_some()) {
        keys.report("attention.sliding_window_pattern", "not supported in this architecture");
    }
    let is_phi = family.window == WindowKeys::All && family.fused;
    if is_phi {
        let size = size.filter(|size| *size > 0)?;
        return Some(SlidingWindow { size, full_attention_layers: Vec::new(), rope_theta: None });
    }
    if family.window != WindowKeys::Pattern {
        if let Some(size) = size.filter(|size| *size > 0) {
            keys.report("attention.sliding_window", format!("{size} is not supported"));
        }
        return None;
    }
    if size.is_none() {
        keys.report("attention.sliding_window", "missing");
    }
    let pattern = pattern.filter(|pattern| *pattern > 0).unwrap_or(GEMMA_PATTERN);
    let is_full = |layer: &usize| (layer + 1).is_multiple_of(pattern);
    Some(SlidingWindow {
        size: size.unwrap_or(1),
        full_attention_layers: (0..layers.min(config::MOST_LAYERS)).filter(is_full).collect(),
        rope_theta: Some(theta.unwrap_or(GEMMA_LOCAL_THETA)),
    })
}

/// The rows of the embedding table; `vocab_size`, where a file has it, says the same.
fn vocabulary(keys: &mut Keys, facts: &TensorFacts) -> usize {
    let stated = keys.optional(Metadata::size, "vocab_size");
    if let (Some(stated), Some(rows)) = (stated, facts.vocabulary)
        && stated != rows
    {
        keys.report("vocab_size", format!("{stated}, but the embedding table has {rows} rows"));
    }
    if stated.is_none() && facts.vocabulary.is_none() {
        keys.report("vocab_size", "missing, and there is no embedding table");
    }
    facts.vocabulary.or(stated).unwrap_or_default()
}

/// `attention.key_length` when stated, else the equal share of a head; keys, values and the rotated part
/// must all have that width.
fn head_dim(keys: &mut Keys, architecture: Architecture, hidden_size: usize, heads: usize) -> usize {
    let head_dim = match keys.optional(Metadata::size, "attention.key_length") {
        Some(stated) => stated,
        None if architecture.family().query_key_norm => {
            keys.report("attention.key_length", "missing");
            return 0;
        }
        None => {
            if heads > 0 && !hidden_size.is_multiple_of(heads) {
                let message = format!("{heads} does not divide embedding_length = {hidden_size}");
                keys.report("attention.head_count", message);
            }
            hidden_size.checked_div(heads).unwrap_or(0)
        }
    };
    // Phi-3's heads may be rotated in part.
    let same: &[&str] = if architecture.family().fused {
        &["attention.value_length"]
    } else {
        &["attention.value_length", "rope.dimension_count"]
    };
    for key in same {
        if let Some(other) = keys.optional(Metadata::size, key)
            && other != head_dim
            && head_dim > 0
        {
            keys.report(key, format!("{other} differs from the width of a head, {head_dim}"));
        }
    }
    head_dim
}

/// What a scaling depends on.
#[derive(Clone, Copy)]
struct Rotary {
    /// How many numbers of a head are rotated.
    width: usize,
    theta: f64,
    /// The longest text, in tokens.
    context: usize,
}

fn scaling(keys: &mut Keys, facts: &TensorFacts, rope: Rotary) -> Option<RopeScaling> {
    let factor = keys.optional(Metadata::number, "rope.scaling.factor");
    let stretched = factor.filter(|factor| factor.to_bits() != 1.0_f64.to_bits());
    let original = keys.optional(Metadata::size, "rope.scaling.original_context_length");
    let attention = keys.optional(Metadata::number, "rope.scaling.attn_factor");
    if let (Some(short), Some(long)) = (&facts.short_factors, &facts.long_factors) {
        let original = original.unwrap_or_else(|| {
            keys.report("rope.scaling.original_context_length", "missing");
            1
        });
        let stretch = rope.context as f64 / original as f64;
        let numbers = |factors: &[f32]| factors.iter().map(|factor| f64::from(*factor)).collect();
        return Some(RopeScaling::LongRope(LongRope {
            short_factor: numbers(short),
            long_factor: numbers(long),
            original_max_position_embeddings: original,
            attention_factor: attention.unwrap_or_else(|| attention_factor(stretch, original)),
        }));
    }
    if let Some(attention) = attention.filter(|attention| attention.to_bits() != 1.0_f64.to_bits()) {
        keys.report("rope.scaling.attn_factor", format!("{attention} is not supported"));
    }
    match (keys.optional(Metadata::text, "rope.scaling.type"), stretched) {
        (Some("linear"), Some(factor)) => return Some(RopeScaling::Linear(factor)),
        (None | Some("none" | "linear"), None) => {}
        (None | Some("none"), Some(factor)) => {
            keys.report("rope.scaling.factor", format!("{factor} is not supported"));
        }
        (Some(other), _) => {
            keys.report("rope.scaling.type", format!("\"{other}\" is not supported"));
            return None;
        }
    }
    llama3(keys, facts.rope_factors.as_deref()?, rope)
}

/// GGUF files have no word for Llama 3's scaling: its converter writes the resulting factor of every
/// frequency into a tensor, from which the settings are recovered.
fn llama3(keys: &mut Keys, stated: &[f32], rope: Rotary) -> Option<RopeScaling> {
    let factor = stated.iter().copied().fold(1.0_f32, f32::max);
    let scaling = Llama3Scaling { factor: f64::from(factor), ..KNOWN_SCALING };
    // A wrong length is not worth computing as many numbers as it says.
    let expected = if stated.len() == rope.width / 2 {
        llama3_divisors(&scaling, rope.width, rope.theta)
    } else {
        vec![]
    };
    let agrees = |(stated, expected): (&f32, &f64)| (f64::from(*stated) - expected).abs() <= 1e-4 * expected;
    if expected.is_empty() || !stated.iter().zip(&expected).all(agrees) {
        keys.problems.push(problem(
            "rope_freqs.weight",
            "these rotary frequencies are not Llama 3's scaling of a context of 8192 tokens",
        ));
    }
    (factor > 1.0).then_some(RopeScaling::Llama3(scaling))
}

/// The keys of one architecture, and what was wrong with them.
struct Keys<'a> {
    metadata: &'a Metadata,
    prefix: &'static str,
    problems: Vec<ConfigProblem>,
}

/// One of the typed readers of [`Metadata`].
type Read<'a, T> = fn(&'a Metadata, &str) -> Result<Option<T>, ConfigProblem>;

impl<'a> Keys<'a> {
    fn report(&mut self, key: &str, message: impl Into<String>) {
        self.problems.push(problem(&format!("{}.{key}", self.prefix), message));
    }

    fn optional<T>(&mut self, read: Read<'a, T>, key: &str) -> Option<T> {
        read(self.metadata, &format!("{}.{key}", self.prefix)).unwrap_or_else(|problem| {
            self.problems.push(problem);
            None
        })
    }

    fn required<T: Default>(&mut self, read: Read<'a, T>, key: &str) -> T {
        if self.metadata.get(&format!("{}.{key}", self.prefix)).is_none() {
            self.report(key, "missing");
        }
        self.optional(read, key).unwrap_or_default()
    }

    /// Reports keys of the architecture that would change the forward pass, and unknown ones.
    fn refuse_others(&mut self) {
        for (full_key, value) in self.metadata.iter() {
            let Some(key) = full_key.strip_prefix(self.prefix).and_then(|key| key.strip_prefix('.')) else {
                continue;
            };
            if USED.contains(&key) {
                continue;
            }
            match OFF.iter().find(|(off, _)| *off == key) {
                Some((_, off)) if off == value => {}
                Some(_) => self.problems.push(problem(full_key, format!("{value} is not supported"))),
                None => self.problems.push(problem(full_key, "a setting this program does not know")),
            }
        }
    }
}
