//! The shape of a model: what Hugging Face's `config.json` (or the metadata of a GGUF file) says about it.
//!
//! Only what the decoder of this crate computes is accepted. A key that asks the forward pass for anything else
//! is refused by name, so that a model never silently runs as something it is not; of a key that nobody here knows
//! the reader gets a warning. Which keys are which is listed in `keys`.

mod check;
mod family;
mod fields;
mod json;
mod keys;
mod quantised;
mod rope;
#[cfg(test)]
mod tests;
mod write;

use std::path::Path;

use serde_json::{Map, Value};

use crate::codes::{Codes, SavedCodes};
use crate::error::ModelError;
use crate::files::read_text;
use crate::float::FloatType;

/// The frequency scaling of Llama 3.1 and later (`rope_type` `llama3`): long wavelengths are stretched by
/// `factor`, short ones kept, those between interpolated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Llama3Scaling {
    /// By how much long wavelengths are stretched; at least 1.
    pub factor: f64,
    /// Wavelengths above `original_max_position_embeddings / low_freq_factor` are stretched.
    pub low_freq_factor: f64,
    /// Wavelengths below `original_max_position_embeddings / high_freq_factor` are kept.
    pub high_freq_factor: f64,
    /// Context length before the scaling, in tokens.
    pub original_max_position_embeddings: usize,
}

/// `longrope` of Phi-3.5 and Phi-4-mini: every frequency divided by a factor of its own, and longer queries and keys
/// (`transformers/modeling_rope_utils.py`, `_compute_longrope_parameters`).
///
/// The factors for short texts are used, so a text may have up to `original_max_position_embeddings` tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct LongRope {
    /// Divisors for texts of up to `original_max_position_embeddings` tokens, `rotary_dim / 2` of them.
    pub short_factor: Vec<f64>,
    /// Divisors for longer texts; kept for the file's sake.
    pub long_factor: Vec<f64>,
    /// Context length before the scaling, in tokens.
    pub original_max_position_embeddings: usize,
    /// What the rotated parts of queries and keys are multiplied by.
    pub attention_factor: f64,
}

/// How rotary frequencies are scaled.
#[derive(Debug, Clone, PartialEq)]
pub enum RopeScaling {
    /// All divided by this factor (`linear`).
    Linear(f64),
    /// `llama3`.
    Llama3(Llama3Scaling),
    /// `longrope`.
    LongRope(LongRope),
}

/// Layers whose queries see a part of the text.
#[derive(Debug, Clone, PartialEq)]
pub struct SlidingWindow {
    /// How many positions back a query sees, its own included.
    pub size: usize,
    /// The layers without a window, ascending; all others have it.
    pub full_attention_layers: Vec<usize>,
    /// Base of the rotary frequencies of the layers with a window, which are not scaled; `None` where all layers have
    /// the same frequencies (`rope_local_base_freq`).
    pub rope_theta: Option<f64>,
}

/// Everything that decides the shape and the forward pass of a decoder.
///
/// Field names are those of `config.json`; sizes are numbers of elements unless said otherwise.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    /// The family.
    pub architecture: Architecture,
    /// Rows of the embedding table; the tokenizer may know fewer tokens.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width inside the feed-forward network.
    pub intermediate_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads; divides `num_attention_heads`.
    pub num_key_value_heads: usize,
    /// Width of a head; even. Not always `hidden_size / num_attention_heads`.
    pub head_dim: usize,
    /// Added to the mean square in every RMSNorm.
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// How many numbers of a head are rotated, the first ones; even. `head_dim` but for `partial_rotary_factor`.
    pub rotary_dim: usize,
    /// Scaling of the rotary frequencies; `None` leaves them as they are.
    pub rope_scaling: Option<RopeScaling>,
    /// Layers with a sliding window; `None` where all see the whole text.
    pub sliding_window: Option<SlidingWindow>,
    /// Attention scores are divided by the root of this; `None` for `head_dim`.
    pub query_pre_attn_scalar: Option<f64>,
    /// Longest sequence the model was made for, in tokens.
    pub max_position_embeddings: usize,
    /// Whether the output head is the embedding table.
    pub tie_word_embeddings: bool,
    /// Whether the query, key and value projections have biases.
    pub attention_bias: bool,
    /// Standard deviation of randomly initialised weights.
    pub initializer_range: f64,
}

impl ModelConfig {
    /// The SHA-256 digest of what a `config.json` says of how the model computes, whatever its spelling: two are equal where
    /// the same weights compute the same.
    pub fn sha256(&self) -> String {
        write::sha256(self)
    }

    /// Reads the text of a `config.json` and forgets what it says beyond the configuration.
    ///
    /// # Errors
    ///
    /// As [`ModelDescription::from_json`].
    pub fn from_json(text: &str, origin: &Path) -> Result<Self, ModelError> {
        Ok(ModelDescription::from_json(text, origin)?.config)
    }

    /// The longest text that can be computed, in tokens: `max_position_embeddings`, or what `longrope` allows.
    pub fn context_length(&self) -> usize {
        match &self.rope_scaling {
            Some(RopeScaling::LongRope(scaling)) => {
                scaling.original_max_position_embeddings.min(self.max_position_embeddings)
            }
            _ => self.max_position_embeddings,
        }
    }

    /// Width of all query heads together.
    pub fn query_size(&self) -> usize {
        self.num_attention_heads * self.head_dim
    }

    /// Width of all key heads together, which is also that of all value heads.
    pub fn key_value_size(&self) -> usize {
        self.num_key_value_heads * self.head_dim
    }
}

/// A configuration with all else that its file says, which is kept when the model is saved: the ids of special
/// tokens, and whatever transformers wants to know.
#[derive(Debug, Clone)]
pub struct ModelDescription {
    /// What decides shape and forward pass.
    pub config: ModelConfig,
    /// A line for each key of the file that this crate does not know. Those that are known to change what is computed
    /// are errors.
    pub warnings: Vec<String>,
    /// The codes that the weights are saved as, where they are (`quantization_config`).
    pub codes: Option<SavedCodes>,
    /// The whole file.
    pub(crate) original: Map<String, Value>,
}

impl ModelDescription {
    /// Reads the text of a `config.json` as transformers 4 or 5 writes it; `origin` is named in errors.
    ///
    /// # Errors
    ///
    /// [`ModelError::Json`], or [`ModelError::Config`] with every problem of the file.
    pub fn from_json(text: &str, origin: &Path) -> Result<Self, ModelError> {
        json::read(text, origin)
    }

    /// Reads a `config.json`.
    ///
    /// # Errors
    ///
    /// A file that is not there or damaged, or as [`ModelDescription::from_json`].
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        Self::from_json(&read_text(path)?, path)
    }

    /// The text of a `config.json` that transformers 4 and 5 and [`ModelDescription::from_json`] read, for weights
    /// stored as `dtype`, and those of linear layers as `codes` where there are any.
    pub fn to_json(&self, dtype: FloatType, codes: Option<Codes>) -> String {
        write::to_json(self, dtype, codes)
    }
}

impl From<ModelConfig> for ModelDescription {
    /// One that says nothing else.
    fn from(config: ModelConfig) -> Self {
        Self { config, warnings: Vec::new(), codes: None, original: Map::new() }
    }
}

pub(crate) use check::{MOST_LAYERS, problem, problems};
pub use family::Architecture;
pub(crate) use family::{Activation, Family, WindowKeys};
pub(crate) use fields::{Fields, brief};
pub(crate) use keys::{FOREIGN, HARMLESS, Neutral, Only, is_off};
pub(crate) use rope::{attention_factor, llama3_divisors};
