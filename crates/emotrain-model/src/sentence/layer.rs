//! One block of a BERT encoder: attention to the whole text, then a feed-forward network, a layer norm after each.

use std::ops::Range;

use burn::tensor::Tensor;

use crate::kernels::{LayerNorm, Projected, add_layer_norm, bias_gelu, linear, self_attention};

/// A linear layer whose bias is added by the kernel that takes its output.
///
/// # Shapes
/// `weight` `[out, in]`, `bias` `[1, out]`.
#[derive(Clone, Debug)]
pub(super) struct Dense {
    pub(super) weight: Tensor<2>,
    pub(super) bias: Tensor<2>,
}

impl Dense {
    /// `x · Wᵀ`, without the bias.
    fn product(&self, x: Tensor<2>) -> Tensor<2> {
        linear(x, &self.weight)
    }
}

/// One block.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) heads: usize,
    /// Queries, keys and values, stacked.
    pub(super) qkv: Dense,
    pub(super) output: Dense,
    pub(super) attention_norm: LayerNorm,
    pub(super) up: Dense,
    pub(super) down: Dense,
    pub(super) norm: LayerNorm,
}

impl Block {
    /// # Shapes
    /// `x` `[N, D]` → `[N, D]`; the segments are behind one another and cover the rows.
    pub(super) fn forward(&self, x: Tensor<2>, segments: &[Range<usize>]) -> Tensor<2> {
        let qkv = self.qkv.product(x.clone());
        let attended = self_attention(Projected { qkv, bias: &self.qkv.bias, heads: self.heads }, segments);
        let output = self.output.product(attended);
        let x = add_layer_norm(output, &self.output.bias, x, &self.attention_norm);
        let inner = bias_gelu(self.up.product(x.clone()), &self.up.bias);
        add_layer_norm(self.down.product(inner), &self.down.bias, x, &self.norm)
    }
}
