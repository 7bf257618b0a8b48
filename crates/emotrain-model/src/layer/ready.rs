//! From projected rows to what attention reads, and back.

use burn::tensor::{Int, Tensor};

use super::{Layer, Pass, Rotations};
use crate::attention::{Projected, Ready};
use crate::gradients::Gradients;
use crate::kernels::{Form, Turn, rotate, turned_heads, turned_heads_backward};
use crate::norm::Norm;
use crate::spec::Heads;

impl Layer {
    /// Queries and keys normalised and rotated, as attention reads them: on a GPU in blocks of heads. And what they were before
    /// the norms, where there are any.
    pub(super) fn ready(&self, projected: Projected, pass: &Pass) -> (Ready, Option<Projected>) {
        let unnormed = self.head_norms.is_some().then(|| projected.clone());
        if let Some(spans) = self.spans(pass, &projected.q)
            && let [turn_q, turn_kv] = self.turns(pass)
            && let Some(q) = turned_heads(&projected.q, &turn_q, Some(spans))
            && let Some(kv) = turned_heads(&projected.kv, &turn_kv, None)
        {
            let ([rows, _], Heads { kv: heads, dim, .. }) = (projected.kv.dims(), self.spec.attention.heads);
            return (Ready::Heads { q, kv: kv.reshape([2, heads, rows, dim]) }, unnormed);
        }
        // Of rows that nobody else has: they are rotated in place.
        (Ready::Rows(self.rotated(projected, pass)), unnormed)
    }

    /// The gradients of what was projected, given those of what attention read.
    pub(super) fn ready_backward(
        &self,
        grads: Ready,
        unnormed: Option<Projected>,
        pass: &Pass,
        gradients: &mut Gradients,
    ) -> Projected {
        let (q, kv) = match grads {
            Ready::Rows(grads) => return self.rotated_backward(grads, unnormed, pass, gradients),
            Ready::Heads { q, kv } => (q, kv),
        };
        let Heads { kv: heads, group, dim } = self.spec.attention.heads;
        let [_, _, rows, _] = kv.dims();
        let [turn_q, turn_kv] = self.turns(pass);
        let spans = pass.blocks.spans(&q.device());
        let [queries, _] = spans.dims();
        // What was not normalised is not read.
        let like = |numbers: [usize; 2]| Tensor::empty(numbers, (&q.device(), q.dtype()));
        let raw = unnormed.unwrap_or_else(|| Projected {
            q: like([queries, heads * group * dim]),
            kv: like([rows, 2 * heads * dim]),
        });
        let kv = kv.reshape([1, rows * 2 * heads * dim]);
        let q = turned_heads_backward(&q, &raw.q, &turn_q, Some(spans));
        let kv = turned_heads_backward(&kv, &raw.kv, &turn_kv, None);
        Projected { q: q.expect("queries that were turned"), kv: kv.expect("keys that were turned") }
    }

    /// The blocks' spans where heads are turned on their way into blocks: in training on a GPU, unless norms of heads are
    /// trained.
    fn spans<'a>(&self, pass: &'a Pass, q: &Tensor<2>) -> Option<&'a Tensor<2, Int>> {
        let trained = self.head_norms.as_ref().is_some_and(|norms| norms.q.trained || norms.k.trained);
        let turns = Form::of(q) == Form::Fused && !trained && !pass.blocks.is_empty();
        turns.then(|| pass.blocks.spans(&q.device()))
    }

    /// What is done to queries, and to keys.
    fn turns(&self, pass: &Pass) -> [Turn; 2] {
        let Heads { kv, group, dim } = self.spec.attention.heads;
        let Rotations { keys, queries } = &pass.rotations[self.spec.rope];
        let norm = |norm: &Norm| (norm.factor(), norm.epsilon);
        let [q_norm, k_norm] = match &self.head_norms {
            Some(norms) => [Some(norm(&norms.q)), Some(norm(&norms.k))],
            None => [None, None],
        };
        [
            Turn { heads: kv * group, dim, norm: q_norm, angles: queries.angles() },
            Turn { heads: kv, dim, norm: k_norm, angles: keys.angles() },
        ]
    }

    fn rotated(&self, projected: Projected, pass: &Pass) -> Projected {
        let Projected { mut q, mut kv } = projected;
        let Heads { kv: kv_heads, group, dim } = self.spec.attention.heads;
        let Rotations { keys, queries } = &pass.rotations[self.spec.rope];
        if let Some(norms) = &self.head_norms {
            q = norms.q.heads(q, kv_heads * group);
            kv = norms.k.heads(kv, kv_heads);
        }
        Projected { q: rotate(q, kv_heads * group, dim, queries), kv: rotate(kv, kv_heads, dim, keys) }
    }

    fn rotated_backward(
        &self,
        grads: Projected,
        unnormed: Option<Projected>,
        pass: &Pass,
        gradients: &mut Gradients,
    ) -> Projected {
        let Heads { kv: kv_heads, group, dim } = self.spec.attention.heads;
        let Rotations { keys, queries } = &pass.rotations[self.spec.rope];
        let q = rotate(grads.q, kv_heads * group, dim, &queries.inverse());
        let kv = rotate(grads.kv, kv_heads, dim, &keys.inverse());
        let (Some(norms), Some(raw)) = (&self.head_norms, unnormed) else { return Projected { q, kv } };
        let kv = norms.k.heads_backward(kv, raw.kv, kv_heads, gradients);
        Projected { q: norms.q.heads_backward(q, raw.q, kv_heads * group, gradients), kv }
    }
}
