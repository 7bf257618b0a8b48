//! One decoder block: forward with a record of what the backward needs, and the backward written out.
//!
//! The backward is by hand and not by automatic differentiation because the base is frozen: no gradient of a
//! base weight, no stored copy of what can be computed again cheaply (normalised inputs, the activation,
//! attention probabilities, dropout masks), and no graph. The tests hold it against PyTorch's gradients.

use burn::tensor::{Int, Tensor};

use crate::attention::Block;
use crate::gradients::Gradients;
use crate::heads::Heads;
use crate::kernels::{
    Rotation, rms_norm, rms_norm_backward, rms_norm_weight_gradient, rotate, swiglu, swiglu_backward,
};
use crate::linear::{Dropout, Linear, Low, Saved};

/// A root-mean-square norm: weight `[1, D]`, and its name.
#[derive(Clone, Debug)]
pub(crate) struct Norm {
    pub(crate) path: String,
    pub(crate) weight: Tensor<2>,
    pub(crate) epsilon: f32,
    pub(crate) trained: bool,
}

impl Norm {
    pub(crate) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        rms_norm(x, &self.weight, self.epsilon)
    }

    pub(crate) fn backward(&self, grad: Tensor<2>, x: Tensor<2>, gradients: &mut Gradients) -> Tensor<2> {
        if self.trained {
            let weight = rms_norm_weight_gradient(grad.clone(), &x, self.epsilon);
            gradients.add(&format!("{}.weight", self.path), weight);
        }
        rms_norm_backward(grad, x, &self.weight, self.epsilon)
    }

    /// The norm of each of the `heads` heads of a row on its own.
    fn forward_heads(&self, x: Tensor<2>, heads: usize) -> Tensor<2> {
        let [rows, width] = x.dims();
        self.forward(x.reshape([rows * heads, width / heads])).reshape([rows, width])
    }

    fn backward_heads(&self, grad: Tensor<2>, x: Tensor<2>, gradients: &mut Gradients) -> Tensor<2> {
        let ([rows, width], [_, dim]) = (x.dims(), self.weight.dims());
        let split = [rows * width / dim, dim];
        self.backward(grad.reshape(split), x.reshape(split), gradients).reshape([rows, width])
    }
}

/// The norms of queries and keys before the rotation (Qwen3).
#[derive(Clone, Debug)]
pub(crate) struct HeadNorms {
    pub(crate) q: Norm,
    pub(crate) k: Norm,
}

/// One decoder block.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    pub(crate) heads: Heads,
    pub(crate) input_norm: Norm,
    pub(crate) q: Linear,
    pub(crate) kv: Linear,
    pub(crate) head_norms: Option<HeadNorms>,
    pub(crate) o: Linear,
    pub(crate) post_norm: Norm,
    pub(crate) gate_up: Linear,
    pub(crate) down: Linear,
}

/// What all layers of one pass share; the last layer's differs in that it answers for some rows only.
pub(crate) struct Pass {
    pub(crate) blocks: Vec<Block>,
    /// Angles of all rows: the keys.
    pub(crate) key_rotation: Rotation,
    /// Angles of the rows that go on.
    pub(crate) query_rotation: Rotation,
    /// The rows that go on after this layer, `None` for all.
    pub(crate) rows: Option<Tensor<1, Int>>,
    pub(crate) dropout: Option<Dropout>,
}

/// What [`Layer::backward`] needs of a forward pass.
pub(crate) struct Tape {
    x: Tensor<2>,
    /// Queries and keys-and-values before the head norms, where there are any.
    unnormed: Option<(Tensor<2>, Tensor<2>)>,
    q: Tensor<2>,
    kv: Tensor<2>,
    attended: Tensor<2>,
    log_sums: Vec<Tensor<4>>,
    middle: Tensor<2>,
    gate_up: Tensor<2>,
    low: [Low; 5],
}

impl Layer {
    /// # Shapes
    /// `x` `[N, D]` → `[N, D]`, or `[rows, D]` where the pass names rows.
    pub(crate) fn forward(&self, x: Tensor<2>, pass: &Pass) -> (Tensor<2>, Tape) {
        let normed = self.input_norm.forward(x.clone());
        let (kv, kv_low) = self.kv.forward(&normed, pass.dropout);
        let (q, q_low) = self.q.forward(&select(normed, pass), pass.dropout);
        let unnormed = self.head_norms.is_some().then(|| (q.clone(), kv.clone()));
        let (q, kv) = self.rotated(q, kv, pass);

        let (attended, log_sums) = self.heads.attend(&q, &kv, &pass.blocks);
        let (projected, o_low) = self.o.forward(&attended, pass.dropout);
        let middle = select(x.clone(), pass) + projected;

        let (gate_up, gate_up_low) =
            self.gate_up.forward(&self.post_norm.forward(middle.clone()), pass.dropout);
        let (down, down_low) = self.down.forward(&swiglu(gate_up.clone()), pass.dropout);
        let out = middle.clone() + down;
        let low = [q_low, kv_low, o_low, gate_up_low, down_low];
        (out, Tape { x, unnormed, q, kv, attended, log_sums, middle, gate_up, low })
    }

    /// Adds the gradients of what is trained and returns that of the input, unless `input` is false.
    ///
    /// # Shapes
    /// `grad` like the output of the forward → `[N, D]`.
    pub(crate) fn backward(
        &self,
        grad: Tensor<2>,
        tape: Tape,
        (pass, input): (&Pass, bool),
        gradients: &mut Gradients,
    ) -> Option<Tensor<2>> {
        let Tape { x, unnormed, q, kv, attended, log_sums, middle, gate_up, low } = tape;
        let [q_low, kv_low, o_low, gate_up_low, down_low] = low;
        let dropout = pass.dropout;
        let saved = |x, low| Saved { x, low, dropout, input: true };
        let wanted = "the gradient of an input that was asked for";

        let active = self.down.backward(&grad, saved(swiglu(gate_up.clone()), down_low), gradients);
        let gate_up_grad = swiglu_backward(active.expect(wanted), gate_up);
        let normed = self.post_norm.forward(middle.clone());
        let normed_grad = self.gate_up.backward(&gate_up_grad, saved(normed, gate_up_low), gradients);
        let middle_grad = grad + self.post_norm.backward(normed_grad.expect(wanted), middle, gradients);

        let attended_grad = self.o.backward(&middle_grad, saved(attended, o_low), gradients);
        let (q_grad, kv_grad) =
            self.heads.attend_backward(&attended_grad.expect(wanted), (&q, &kv), &pass.blocks, &log_sums);
        let (q_grad, kv_grad) = self.rotated_backward((q_grad, kv_grad), unnormed, pass, gradients);

        let normed = self.input_norm.forward(x.clone());
        let saved = |x, low| Saved { x, low, dropout, input };
        let from_q = self.q.backward(&q_grad, saved(select(normed.clone(), pass), q_low), gradients);
        let from_kv = self.kv.backward(&kv_grad, saved(normed, kv_low), gradients);
        let normed_grad = from_kv? + spread(from_q?, &x, pass);
        Some(spread(middle_grad, &x, pass) + self.input_norm.backward(normed_grad, x, gradients))
    }

    pub(crate) fn rotated(&self, mut q: Tensor<2>, mut kv: Tensor<2>, pass: &Pass) -> (Tensor<2>, Tensor<2>) {
        let Heads { kv: kv_heads, group, .. } = self.heads;
        if let Some(norms) = &self.head_norms {
            q = norms.q.forward_heads(q, kv_heads * group);
            let (k, v) = halves(kv);
            kv = Tensor::cat(vec![norms.k.forward_heads(k, kv_heads), v], 1);
        }
        (rotate(q, kv_heads * group, &pass.query_rotation), rotate(kv, kv_heads, &pass.key_rotation))
    }

    fn rotated_backward(
        &self,
        (q, kv): (Tensor<2>, Tensor<2>),
        unnormed: Option<(Tensor<2>, Tensor<2>)>,
        pass: &Pass,
        gradients: &mut Gradients,
    ) -> (Tensor<2>, Tensor<2>) {
        let Heads { kv: kv_heads, group, .. } = self.heads;
        let q = rotate(q, kv_heads * group, &pass.query_rotation.inverse());
        let kv = rotate(kv, kv_heads, &pass.key_rotation.inverse());
        let (Some(norms), Some((raw_q, raw_kv))) = (&self.head_norms, unnormed) else { return (q, kv) };
        let (k, v) = halves(kv);
        let k = norms.k.backward_heads(k, halves(raw_kv).0, gradients);
        (norms.q.backward_heads(q, raw_q, gradients), Tensor::cat(vec![k, v], 1))
    }

    /// The linear layers.
    pub(crate) fn linears(&self) -> [&Linear; 5] {
        [&self.q, &self.kv, &self.o, &self.gate_up, &self.down]
    }

    /// The linear layers.
    pub(crate) fn linears_mut(&mut self) -> [&mut Linear; 5] {
        [&mut self.q, &mut self.kv, &mut self.o, &mut self.gate_up, &mut self.down]
    }

    /// The norms.
    pub(crate) fn norms(&self) -> Vec<&Norm> {
        let heads = self.head_norms.iter().flat_map(|norms| [&norms.q, &norms.k]);
        [&self.input_norm, &self.post_norm].into_iter().chain(heads).collect()
    }

    /// The trained parameters by name.
    pub(crate) fn parameters<'a>(&'a mut self, visit: &mut dyn FnMut(String, &'a mut Tensor<2>)) {
        let Self { input_norm, q, kv, head_norms, o, post_norm, gate_up, down, .. } = self;
        for linear in [q, kv, o, gate_up, down] {
            linear.parameters(visit);
        }
        let heads = head_norms.iter_mut().flat_map(|norms| [&mut norms.q, &mut norms.k]);
        for norm in [input_norm, post_norm].into_iter().chain(heads).filter(|norm| norm.trained) {
            visit(format!("{}.weight", norm.path), &mut norm.weight);
        }
    }
}

/// The rows that go on.
fn select(x: Tensor<2>, pass: &Pass) -> Tensor<2> {
    match &pass.rows {
        Some(rows) => x.select(0, rows.clone()),
        None => x,
    }
}

/// The backward of [`select`]: the rows in their places of a tensor like `like`, zeros elsewhere.
fn spread(grad: Tensor<2>, like: &Tensor<2>, pass: &Pass) -> Tensor<2> {
    match &pass.rows {
        Some(rows) => {
            let zeros = like.zeros_like();
            zeros.select_assign(0, rows.clone(), grad, burn::tensor::IndexingUpdateOp::Add)
        }
        None => grad,
    }
}

/// Keys and values of a `[N, 2·W]` tensor.
fn halves(kv: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
    let half = kv.dims()[1] / 2;
    (kv.clone().narrow(1, 0, half), kv.narrow(1, half, half))
}
