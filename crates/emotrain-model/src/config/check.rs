//! Consistency of a configuration, wherever it was read from.

use super::{Llama3Scaling, LongRope, ModelConfig, RopeScaling};
use crate::error::ConfigProblem;

/// No width or count of a real model comes near; products of two stay far from overflow.
const LARGEST: usize = 1 << 28;

/// The same for the number of layers, of which tables are made.
pub(crate) const MOST_LAYERS: usize = 10_000;

/// Everything about `config` that no model could have.
pub(crate) fn problems(config: &ModelConfig) -> Vec<ConfigProblem> {
    let mut found = Vec::new();
    sizes(config, &mut found);
    heads(config, &mut found);
    numbers(config, &mut found);
    rope(config, &mut found);
    found
}

/// A problem without a hint.
pub(crate) fn problem(key: &str, message: impl Into<String>) -> ConfigProblem {
    ConfigProblem { key: key.to_owned(), message: message.into(), hint: None }
}

fn sizes(config: &ModelConfig, found: &mut Vec<ConfigProblem>) {
    let sizes = [
        ("vocab_size", config.vocab_size),
        ("hidden_size", config.hidden_size),
        ("intermediate_size", config.intermediate_size),
        ("num_hidden_layers", config.num_hidden_layers),
        ("num_attention_heads", config.num_attention_heads),
        ("num_key_value_heads", config.num_key_value_heads),
        ("head_dim", config.head_dim),
        ("max_position_embeddings", config.max_position_embeddings),
    ];
    for (key, size) in sizes {
        let largest = if key == "num_hidden_layers" { MOST_LAYERS } else { LARGEST };
        if size == 0 {
            found.push(problem(key, "must be at least 1"));
        } else if size > largest {
            found.push(problem(key, format!("{size} is more than any model has (at most {largest})")));
        }
    }
}

fn heads(config: &ModelConfig, found: &mut Vec<ConfigProblem>) {
    let (queries, keys) = (config.num_attention_heads, config.num_key_value_heads);
    if keys > 0 && queries % keys != 0 {
        found.push(problem(
            "num_key_value_heads",
            format!("{keys} does not divide num_attention_heads = {queries}"),
        ));
    }
    if !config.head_dim.is_multiple_of(2) {
        found.push(problem("head_dim", format!("{} is odd: rotary positions need pairs", config.head_dim)));
    }
    let (part, head) = (config.rotary_dim, config.head_dim);
    if part != head && (!part.is_multiple_of(2) || part == 0 || part > head) {
        let message = format!("{part} of {head} numbers of a head cannot be rotated");
        found.push(problem("partial_rotary_factor", message));
    }
    if config.attention_bias != config.architecture.family().query_key_value_bias {
        let family = config.architecture.model_type();
        found.push(problem(
            "attention_bias",
            format!("{} is not supported for model_type \"{family}\"", config.attention_bias),
        ));
    }
}

fn numbers(config: &ModelConfig, found: &mut Vec<ConfigProblem>) {
    if !(config.rms_norm_eps > 0.0 && config.rms_norm_eps < 1.0) {
        found.push(problem("rms_norm_eps", format!("{} is not between 0 and 1", config.rms_norm_eps)));
    }
    if let Some(scalar) = config.query_pre_attn_scalar.filter(|scalar| !(scalar.is_finite() && *scalar > 0.0))
    {
        found.push(problem("query_pre_attn_scalar", format!("{scalar} is not above 0")));
    }
    if !(0.0..=1.0).contains(&config.initializer_range) {
        let message = format!("{} is not between 0 and 1", config.initializer_range);
        found.push(problem("initializer_range", message));
    }
}

fn rope(config: &ModelConfig, found: &mut Vec<ConfigProblem>) {
    if !(config.rope_theta.is_finite() && config.rope_theta > 1.0) {
        found.push(problem("rope_theta", format!("{} is not a number above 1", config.rope_theta)));
    }
    match &config.rope_scaling {
        None => {}
        Some(RopeScaling::Linear(factor)) => stretching(*factor, found),
        Some(RopeScaling::Llama3(scaling)) => llama3(scaling, found),
        Some(RopeScaling::LongRope(scaling)) => longrope(scaling, config.rotary_dim / 2, found),
    }
    let Some(window) = &config.sliding_window else { return };
    if window.size == 0 {
        found.push(problem("sliding_window", "must be at least 1"));
    }
    if let Some(theta) = window.rope_theta.filter(|theta| !(theta.is_finite() && *theta > 1.0)) {
        found.push(problem("rope_local_base_freq", format!("{theta} is not a number above 1")));
    }
    if let Some(layer) = window.full_attention_layers.iter().find(|layer| **layer >= config.num_hidden_layers)
    {
        found.push(problem("layer_types", format!("layer {layer} does not exist")));
    }
}

fn stretching(factor: f64, found: &mut Vec<ConfigProblem>) {
    if !(factor.is_finite() && factor >= 1.0) {
        found.push(problem("rope_scaling.factor", format!("{factor} is not a number from 1 up")));
    }
}

fn original_length(length: usize, found: &mut Vec<ConfigProblem>) {
    if length == 0 {
        found.push(problem("rope_scaling.original_max_position_embeddings", "must be at least 1"));
    }
}

fn llama3(scaling: &Llama3Scaling, found: &mut Vec<ConfigProblem>) {
    stretching(scaling.factor, found);
    let (low, high) = (scaling.low_freq_factor, scaling.high_freq_factor);
    if !(low.is_finite() && low > 0.0) {
        found.push(problem("rope_scaling.low_freq_factor", format!("{low} is not above 0")));
    }
    if !(high.is_finite() && high > low) {
        found.push(problem(
            "rope_scaling.high_freq_factor",
            format!("{high} is not above low_freq_factor = {low}"),
        ));
    }
    original_length(scaling.original_max_position_embeddings, found);
}

fn longrope(scaling: &LongRope, pairs: usize, found: &mut Vec<ConfigProblem>) {
    for (key, factors) in [("short_factor", &scaling.short_factor), ("long_factor", &scaling.long_factor)] {
        let key = format!("rope_scaling.{key}");
        if factors.len() != pairs {
            let message = format!("{} numbers where {pairs} pairs of a head are rotated", factors.len());
            found.push(problem(&key, message));
        } else if let Some(factor) = factors.iter().find(|factor| !(factor.is_finite() && **factor > 0.0)) {
            found.push(problem(&key, format!("{factor} is not above 0")));
        }
    }
    let factor = scaling.attention_factor;
    if !(factor.is_finite() && factor > 0.0) {
        found.push(problem("rope_scaling.attention_factor", format!("{factor} is not above 0")));
    }
    original_length(scaling.original_max_position_embeddings, found);
}
