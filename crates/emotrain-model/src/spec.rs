//! What the blocks of a decoder compute, field by field: made of a configuration, read by every form of the block
//! (training, cached generation, the engine of the CPU).

#[cfg(test)]
pub(crate) mod tests;

pub(crate) use crate::config::Activation;
use crate::config::{ModelConfig, RopeScaling, llama3_divisors};

use emotrain_kernels::Arithmetic;
pub(crate) use emotrain_kernels::Heads;

/// Attention: `softmax(scale · q·kᵀ)·v` over the keys that a query sees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct AttentionSpec {
    pub(crate) heads: Heads,
    /// What scores are multiplied by: `1/√dim` in most families.
    pub(crate) scale: f32,
    /// How many positions back a query sees, its own included; `None` for all (`sliding_window`).
    pub(crate) window: Option<usize>,
    /// Whether scores are in memory even where the device could do without.
    pub(crate) eager: bool,
    /// In what the CPU multiplies without scores in memory.
    pub(crate) arithmetic: Arithmetic,
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
    /// Whether queries, keys and values are one linear layer, and gate and up another (Phi-3).
    pub(crate) fused: bool,
}

/// The rotary embedding of a block.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rope {
    /// One for each pair of numbers of a head that is rotated; what follows them is left as it is.
    pub(crate) frequencies: Vec<f32>,
    /// What the rotated numbers are multiplied by.
    pub(crate) factor: f32,
}

/// The whole decoder.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DecoderSpec {
    pub(crate) blocks: Vec<BlockSpec>,
    /// Rotary embeddings, of at most `dim / 2` pairs each; a block has one of them.
    pub(crate) ropes: Vec<Rope>,
    /// What embeddings are multiplied by, if anything.
    pub(crate) embedding_scale: Option<f32>,
    /// Whether every norm multiplies by its weight and 1, as in Gemma, which stores them around 0.
    pub(crate) norm_offset: bool,
}

impl Rope {
    /// Cosines and sines of the angles `position · frequency`, times the factor, position by position.
    pub(crate) fn angles(&self, positions: impl Iterator<Item = f32>) -> (Vec<f32>, Vec<f32>) {
        let angles = positions.flat_map(|position| self.frequencies.iter().map(move |f| position * f));
        let turned = |angle: f32| {
            let (sin, cos) = angle.sin_cos();
            (cos * self.factor, sin * self.factor)
        };
        angles.map(turned).unzip()
    }
}

impl DecoderSpec {
    /// What a model of this configuration computes.
    pub(crate) fn of(config: &ModelConfig) -> Self {
        let heads = Heads {
            kv: config.num_key_value_heads,
            group: config.num_attention_heads / config.num_key_value_heads,
            dim: config.head_dim,
        };
        let family = config.architecture.family();
        #[expect(clippy::cast_possible_truncation, reason = "scores are f32")]
        let scale = match config.query_pre_attn_scalar {
            Some(scalar) => scalar.sqrt().recip() as f32,
            None => (config.head_dim as f32).sqrt().recip(),
        };
        let block = BlockSpec {
            attention: AttentionSpec {
                heads,
                scale,
                window: None,
                eager: false,
                arithmetic: Arithmetic::F32,
            },
            rope: 0,
            head_norms: family.query_key_norm,
            output_norms: family.gemma,
            activation: family.activation,
            fused: family.fused,
        };
        let mut blocks = vec![block; config.num_hidden_layers];
        let mut ropes = vec![rope(config)];
        if let Some(window) = &config.sliding_window {
            let local = window.rope_theta.map(|theta| frequencies(theta, &vec![1.0; config.rotary_dim / 2]));
            ropes.extend(local.map(|frequencies| Rope { frequencies, factor: 1.0 }));
            for (number, block) in blocks.iter_mut().enumerate() {
                if !window.full_attention_layers.contains(&number) {
                    block.attention.window = Some(window.size);
                    block.rope = ropes.len() - 1;
                }
            }
        }
        Self {
            blocks,
            ropes,
            embedding_scale: family.gemma.then(|| (config.hidden_size as f32).sqrt()),
            norm_offset: family.gemma,
        }
    }
}

/// The rotary embedding of the layers that see the whole text, as Hugging Face computes it
/// (`transformers/modeling_rope_utils.py`).
fn rope(config: &ModelConfig) -> Rope {
    let (pairs, theta) = (config.rotary_dim / 2, config.rope_theta);
    let mut factor = 1.0;
    let divisors = match &config.rope_scaling {
        None => vec![1.0; pairs],
        Some(RopeScaling::Linear(factor)) => vec![*factor; pairs],
        Some(RopeScaling::Llama3(scaling)) => llama3_divisors(scaling, config.rotary_dim, theta),
        Some(RopeScaling::LongRope(scaling)) => {
            factor = scaling.attention_factor;
            scaling.short_factor.clone()
        }
    };
    #[expect(clippy::cast_possible_truncation, reason = "angles are f32")]
    Rope { frequencies: frequencies(theta, &divisors), factor: factor as f32 }
}

/// `θ^(-2i/d)` for each pair `i` of `d/2`, divided as the scaling says, in f32 as Hugging Face stores them.
fn frequencies(theta: f64, divisors: &[f64]) -> Vec<f32> {
    let pairs = divisors.len() as f64;
    let frequency = |(pair, divisor): (usize, &f64)| theta.powf(-(pair as f64) / pairs) / divisor;
    #[expect(clippy::cast_possible_truncation, reason = "angles are f32")]
    divisors.iter().enumerate().map(|pair| frequency(pair) as f32).collect()
}
