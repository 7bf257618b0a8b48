//! The norms of a decoder block.

use burn::tensor::{DType, Tensor};

use crate::gradients::Gradients;
use crate::kernels::{
    Inputs, Masks, head_norm, head_norm_backward, norm_backward_beside, norm_weight_gradient, normed_inputs,
    rms_norm, sum_normed_inputs,
};

/// A root-mean-square norm: weight `[1, D]`, and its name.
#[derive(Clone, Debug)]
pub(crate) struct Norm {
    pub(crate) path: String,
    pub(crate) weight: Tensor<2>,
    pub(crate) epsilon: f32,
    /// Whether the rows are multiplied by the weight and 1.
    pub(crate) offset: bool,
    pub(crate) trained: bool,
}

impl Norm {
    /// What the rows are multiplied by, `[1, D]`; in f32 where it is a sum, as transformers adds it up.
    pub(crate) fn factor(&self) -> Tensor<2> {
        if self.offset { self.weight.clone().cast(DType::F32) + 1.0 } else { self.weight.clone() }
    }

    pub(crate) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        rms_norm(x, &self.factor(), self.epsilon)
    }

    /// Of the input of linear layers with these masks.
    pub(crate) fn inputs(&self, x: Tensor<2>, masks: Masks) -> Inputs {
        normed_inputs(x, &self.factor(), self.epsilon, masks)
    }

    /// Of the sum of two, with the sum.
    pub(crate) fn of_sum(&self, both: [Tensor<2>; 2], masks: Masks) -> (Tensor<2>, Inputs) {
        sum_normed_inputs(both, &self.factor(), self.epsilon, masks)
    }

    pub(crate) fn backward(&self, grad: Tensor<2>, x: Tensor<2>, gradients: &mut Gradients) -> Tensor<2> {
        self.heads_backward(grad, x, 1, gradients)
    }

    /// The same, and beside it the gradient of what goes past the norm.
    pub(crate) fn backward_beside(
        &self,
        [grad, x]: [Tensor<2>; 2],
        other: &Tensor<2>,
        gradients: &mut Gradients,
    ) -> Tensor<2> {
        self.add_weight_gradient([&grad, &x], 1, gradients);
        norm_backward_beside([grad, x], &self.factor(), self.epsilon, other)
    }

    fn add_weight_gradient(&self, [grad, x]: [&Tensor<2>; 2], heads: usize, gradients: &mut Gradients) {
        if self.trained {
            let [_, dim] = self.weight.dims();
            let weight = norm_weight_gradient(grad, x, [heads, dim], self.epsilon);
            gradients.add(&format!("{}.weight", self.path), weight);
        }
    }

    /// The norm of each of the first `heads` heads of a row on its own.
    pub(crate) fn heads(&self, x: Tensor<2>, heads: usize) -> Tensor<2> {
        head_norm(x, heads, &self.factor(), self.epsilon)
    }

    pub(crate) fn heads_backward(
        &self,
        grad: Tensor<2>,
        x: Tensor<2>,
        heads: usize,
        gradients: &mut Gradients,
    ) -> Tensor<2> {
        self.add_weight_gradient([&grad, &x], heads, gradients);
        head_norm_backward(grad, x, heads, &self.factor(), self.epsilon)
    }
}

/// The norms of queries and keys before the rotation (Qwen3).
#[derive(Clone, Debug)]
pub(crate) struct HeadNorms {
    pub(crate) q: Norm,
    pub(crate) k: Norm,
}

/// The norms of what attention and feed-forward network add to the residual stream (Gemma).
#[derive(Clone, Debug)]
pub(crate) struct OutputNorms {
    pub(crate) attention: Norm,
    pub(crate) feed_forward: Norm,
}
