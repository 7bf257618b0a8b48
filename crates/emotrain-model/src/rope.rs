//! The frequencies of the rotary embedding.

use crate::config::{ModelConfig, llama3_divisors};

/// `θ^(-2i/d)` for `i` in `0..d/2`, divided as Llama 3's scaling says, in f32 as Hugging Face stores them
/// (`transformers/modeling_rope_utils.py`).
pub(crate) fn frequencies(config: &ModelConfig) -> Vec<f32> {
    let pairs = config.head_dim / 2;
    let divisors = match &config.rope_scaling {
        Some(scaling) => llama3_divisors(scaling, config.head_dim, config.rope_theta),
        None => vec![1.0; pairs],
    };
    let frequency = |pair: usize| config.rope_theta.powf(-(pair as f64) / pairs as f64) / divisors[pair];
    #[expect(clippy::cast_possible_truncation, reason = "angles are f32")]
    (0..pairs).map(|pair| frequency(pair) as f32).collect()
}
