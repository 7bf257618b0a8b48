//! [`ModelConfig`] → the metadata that llama.cpp reads the shape of a model from (`llama_model::load_hparams`), and the
//! tensors of rotary factors that belong to it.

use super::output::Item;
use crate::config::{
    Architecture, LongRope, ModelConfig, RopeScaling, SlidingWindow, WindowKeys, llama3_divisors, problem,
};
use crate::error::ConfigProblem;
use crate::weights::gguf::config::query_scalar;

/// Metadata of one architecture, whose name each key has in front, and what cannot be said.
pub(super) struct Settings {
    prefix: &'static str,
    pub(super) items: Vec<(String, Item)>,
    pub(super) problems: Vec<ConfigProblem>,
}

impl Settings {
    /// Everything about `config`.
    pub(super) fn of(config: &ModelConfig) -> Self {
        let prefix = config.architecture.family().gguf;
        let mut this = Self { prefix, items: Vec::new(), problems: Vec::new() };
        for (key, size) in [
            ("vocab_size", config.vocab_size),
            ("context_length", context_length(config)),
            ("embedding_length", config.hidden_size),
            ("block_count", config.num_hidden_layers),
            ("feed_forward_length", config.intermediate_size),
            ("attention.head_count", config.num_attention_heads),
            ("attention.head_count_kv", config.num_key_value_heads),
            ("attention.key_length", config.head_dim),
            ("attention.value_length", config.head_dim),
            ("rope.dimension_count", config.rotary_dim),
        ] {
            this.size(key, size);
        }
        this.number("attention.layer_norm_rms_epsilon", config.rms_norm_eps);
        this.number("rope.freq_base", config.rope_theta);
        this.scaling(config);
        this.window(config);
        this.scores(config);
        this
    }

    fn put(&mut self, key: &str, item: Item) {
        self.items.push((format!("{}.{key}", self.prefix), item));
    }

    fn size(&mut self, key: &str, size: usize) {
        self.put(key, Item::Size(u32::try_from(size).expect("a configuration is checked when it is read")));
    }

    fn number(&mut self, key: &str, number: f64) {
        self.put(key, Item::Number(single(number)));
    }

    fn scaling(&mut self, config: &ModelConfig) {
        match &config.rope_scaling {
            None => {}
            Some(RopeScaling::Linear(factor)) => {
                self.put("rope.scaling.type", Item::text("linear"));
                self.number("rope.scaling.factor", *factor);
            }
            Some(RopeScaling::Llama3(_)) if config.architecture.family().gguf == LLAMA => {}
            Some(RopeScaling::LongRope(scaling)) if config.architecture == Architecture::Phi3 => {
                let original = scaling.original_max_position_embeddings;
                self.size("rope.scaling.original_context_length", original);
                self.number("rope.scaling.attn_factor", scaling.attention_factor);
            }
            Some(RopeScaling::Llama3(_) | RopeScaling::LongRope(_)) => {
                let family = config.architecture.model_type();
                let message =
                    format!("llama.cpp does not compute this rope_type for model_type \"{family}\"");
                self.problems.push(problem("rope_scaling", message));
            }
        }
    }

    fn window(&mut self, config: &ModelConfig) {
        let is_pattern = config.architecture.family().window == WindowKeys::Pattern;
        match &config.sliding_window {
            // Of Mistral's window only `context_length` knows.
            Some(_) if config.architecture.family().gguf == LLAMA => {}
            Some(window) if is_pattern => {
                self.size("attention.sliding_window", window.size);
                match pattern(window, config.num_hidden_layers) {
                    Some(pattern) => self.size("attention.sliding_window_pattern", pattern),
                    None => self.problems.push(problem(
                        "layer_types",
                        "layers without a sliding window are not every second, third, … one, which is all that \
llama.cpp has a word for",
                    )),
                }
                self.number("rope.freq_base_swa", window.rope_theta.unwrap_or(config.rope_theta));
            }
            Some(window) => self.size("attention.sliding_window", window.size),
            None if is_pattern => {
                self.problems
                    .push(problem("sliding_window", "llama.cpp does not compute this model without one"));
            }
            None => {}
        }
    }

    /// By what attention scores are divided is no metadata: llama.cpp knows it of each model.
    fn scores(&mut self, config: &ModelConfig) {
        let Some(stated) = config.query_pre_attn_scalar else { return };
        let share = config.hidden_size.checked_div(config.num_attention_heads);
        let expected = query_scalar(config.head_dim, share, config.num_hidden_layers);
        if (stated - expected).abs() > 1e-6 * expected {
            let message = format!("{stated} is not what llama.cpp divides by in such a model, {expected}");
            self.problems.push(problem("query_pre_attn_scalar", message));
        }
    }
}

/// `general.architecture` of the models whose sliding window llama.cpp does not compute.
const LLAMA: &str = "llama";

/// Mistral's window is not computed by llama.cpp, which is right for texts that fit it: no longer ones are promised. Nor
/// are those for which `longrope` has other factors: llama.cpp takes these for every text where its context is longer
/// than the original one (`llama_model::get_rope_factors`).
fn context_length(config: &ModelConfig) -> usize {
    let window = config.sliding_window.as_ref().filter(|_| config.architecture.family().gguf == LLAMA);
    window.map_or(usize::MAX, |window| window.size).min(config.context_length())
}

/// Every how many layers one has no window, if the layers without one are that regular.
fn pattern(window: &SlidingWindow, layers: usize) -> Option<usize> {
    let full = &window.full_attention_layers;
    let pattern = full.first().map_or(layers + 1, |first| first + 1);
    let regular = (0..layers).filter(|layer| (layer + 1).is_multiple_of(pattern));
    regular.eq(full.iter().copied()).then_some(pattern)
}

/// Divisors of rotary frequencies, which llama.cpp reads as tensors.
pub(super) fn rope_factors(config: &ModelConfig) -> Vec<(&'static str, Vec<f32>)> {
    let all = |factors: &[f64]| factors.iter().map(|factor| single(*factor)).collect();
    match &config.rope_scaling {
        Some(RopeScaling::Llama3(scaling)) => {
            let divisors = llama3_divisors(scaling, config.rotary_dim, config.rope_theta);
            vec![("rope_freqs.weight", all(&divisors))]
        }
        Some(RopeScaling::LongRope(LongRope { short_factor, long_factor, .. })) => vec![
            ("rope_factors_short.weight", all(short_factor)),
            ("rope_factors_long.weight", all(long_factor)),
        ],
        Some(RopeScaling::Linear(_)) | None => Vec::new(),
    }
}

/// Metadata and tensors of factors have single precision.
#[expect(clippy::cast_possible_truncation, reason = "the format holds no more")]
pub(super) fn single(number: f64) -> f32 {
    number as f32
}
