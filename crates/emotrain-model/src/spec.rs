//! What the blocks of a decoder compute, field by field: made of a configuration, read by every form of the block
//! (training, cached generation, the engine of the CPU).

#[cfg(test)]
mod tests;

use crate::config::{ModelConfig, llama3_divisors};

pub(crate) use emotrain_kernels::Heads;

/// Attention: `softmax(scale · q·kᵀ)·v` over the keys that a query sees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct AttentionSpec {
    pub(crate) heads: Heads,
    /// What scores are multiplied by: `1/√dim` in most families.
    pub(crate) scale: f32,
    /// How many positions back a query sees, its own included; `None` for all (`sliding_window`).
    pub(crate) window: Option<usize>,
}

/// The activation of the gate in the feed-forward network.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(not(test), expect(dead_code, reason = "no family that is read has all of them"))]
pub(crate) enum Activation {
    /// `x · σ(x)` (`silu`).
    Silu,
    /// The normal distribution's `x · Φ(x)` in Hendrycks and Gimpel's approximation by tanh (`gelu_pytorch_tanh`).
    GeluTanh,
}

/// One block: `x + attention(norm(x))`, then `x + feed_forward(norm(x))`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct BlockSpec {
    pub(crate) attention: AttentionSpec,
    /// Which of the decoder's frequencies the rotary embedding has.
    pub(crate) rope: usize,
    /// Whether queries and keys pass a norm per head before the rotation (`q_norm`, `k_norm`).
    pub(crate) head_norms: bool,
    /// Whether what attention and feed-forward network add to the residual stream passes a norm of its own before
    /// (Gemma's four norms).
    pub(crate) output_norms: bool,
    pub(crate) activation: Activation,
}

/// The whole decoder.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DecoderSpec {
    pub(crate) blocks: Vec<BlockSpec>,
    /// Rotary frequencies, `dim / 2` each; a block has one of them.
    pub(crate) ropes: Vec<Vec<f32>>,
    /// What embeddings are multiplied by, if anything.
    pub(crate) embedding_scale: Option<f32>,
    /// Whether every norm multiplies by its weight and 1, as in Gemma, which stores them around 0.
    pub(crate) norm_offset: bool,
}

impl DecoderSpec {
    /// What a model of this configuration computes.
    pub(crate) fn of(config: &ModelConfig) -> Self {
        let heads = Heads {
            kv: config.num_key_value_heads,
            group: config.num_attention_heads / config.num_key_value_heads,
            dim: config.head_dim,
        };
        let block = BlockSpec {
            attention: AttentionSpec { heads, scale: (config.head_dim as f32).sqrt().recip(), window: None },
            rope: 0,
            head_norms: config.architecture.has_query_key_norm(),
            output_norms: false,
            activation: Activation::Silu,
        };
        Self {
            blocks: vec![block; config.num_hidden_layers],
            ropes: vec![frequencies(config)],
            embedding_scale: None,
            norm_offset: false,
        }
    }
}

/// `θ^(-2i/d)` for `i` in `0..d/2`, divided as Llama 3's scaling says, in f32 as Hugging Face stores them
/// (`transformers/modeling_rope_utils.py`).
fn frequencies(config: &ModelConfig) -> Vec<f32> {
    let pairs = config.head_dim / 2;
    let divisors = match &config.rope_scaling {
        Some(scaling) => llama3_divisors(scaling, config.head_dim, config.rope_theta),
        None => vec![1.0; pairs],
    };
    let frequency = |pair: usize| config.rope_theta.powf(-(pair as f64) / pairs as f64) / divisors[pair];
    #[expect(clippy::cast_possible_truncation, reason = "angles are f32")]
    (0..pairs).map(|pair| frequency(pair) as f32).collect()
}
