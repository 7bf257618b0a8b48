//! One pass through the decoder: forward and backward of a micro-batch, and the scores and logits of a batch.

#[cfg(test)]
mod checkpointing_gpu_tests;
#[cfg(test)]
mod fake_card;
#[cfg(test)]
mod gpu_tests;

use std::collections::BTreeSet;
use std::ops::Range;

use burn::tensor::{DType, Tensor, TensorData};
use emotrain_base::random::{Key, uniform};
use half::{bf16, f16};

use crate::attention::blocks;
use crate::batch::{Batch, Target};
use crate::checkpointing::Checkpointing;
use crate::decoder::CausalLm;
use crate::gradients::Gradients;
use crate::head::{HeadShare, head_loss, target_log_probabilities};
use crate::kernels::{Rotation, Rows, add_block, scale};
use crate::layer::{LayerRun, Pass, Rotations, ShareRows};
use crate::lora::Dropout;
use crate::spec::Rope;
use crate::weight::Weight;

/// How a training pass is run.
#[derive(Clone, Copy, Debug)]
pub struct PassOptions {
    /// What each target's gradient is multiplied by: 1 / supervised tokens of the accumulation window, or 1 / the sum of
    /// their weights.
    pub factor: f64,
    /// The key of this micro-batch's dropout masks and noise.
    pub random: Key,
    /// Alpha of `NEFTune`: how much noise the embeddings get; 0 for none.
    pub neftune_noise_alpha: f64,
    /// How much of each target's loss is the mean over the vocabulary, as in the head; 0 for none.
    pub label_smoothing_factor: f64,
    /// Which layers are computed again in the backward pass.
    pub gradient_checkpointing: Checkpointing,
}

/// What one training has in a pass: its adapter, its micro-batch, and its gradients.
pub struct Share<'a> {
    /// The model; those of one pass have one frozen base ([`CausalLm::base`]) and adapters of their own.
    pub model: &'a CausalLm,
    /// The micro-batch.
    pub batch: &'a Batch,
    /// How it is run. All shares of a pass have the same `gradient_checkpointing`.
    pub options: PassOptions,
    /// Where its gradients are added.
    pub gradients: &'a mut Gradients,
}

impl CausalLm {
    /// One micro-batch: adds `factor` times the gradient of the weighted sum of the losses of the batch's targets to
    /// `gradients`, and returns the loss of each, `[targets]` in f32, in the batch's order. The loss is the negative
    /// log-likelihood, smoothed if the options say so.
    ///
    /// # Panics
    /// If the batch has no target.
    pub fn forward_backward(
        &self,
        batch: &Batch,
        options: PassOptions,
        gradients: &mut Gradients,
    ) -> Tensor<1> {
        let mut losses = forward_backward(vec![Share { model: self, batch, options, gradients }]);
        losses.pop().expect("the losses of the only share")
    }
}

/// A micro-batch of each of several trainings, in one pass through the base that they share: each of its products is
/// formed once for the rows of all. What a share gets, its gradients and the losses that are returned for it, is what
/// [`CausalLm::forward_backward`] gives it alone; on the CPU to the bit.
///
/// # Panics
/// If there is no share, a batch has no target, or several train the base.
pub fn forward_backward(shares: Vec<Share>) -> Vec<Tensor<1>> {
    let models: Vec<&CausalLm> = shares.iter().map(|share| share.model).collect();
    let base = models[0];
    assert!(
        shares.iter().all(|share| !share.batch.targets.is_empty()),
        "a micro-batch needs a supervised token"
    );
    assert!(models.len() == 1 || models.iter().all(|model| model.shares_base(base)), "one frozen base");
    let (batch, rows) = Batch::joined(shares.iter().map(|share| share.batch));
    let (mut x, ids) = base.embedded(batch.ids.iter().copied());
    for (Share { batch, options, .. }, rows) in shares.iter().zip(&rows) {
        if options.neftune_noise_alpha > 0.0 {
            x = neftune(x, batch, rows.start, *options);
        }
    }
    let options: Vec<PassOptions> = shares.iter().map(|share| share.options).collect();
    let mut gradients: Vec<&mut Gradients> = shares.into_iter().map(|share| share.gradients).collect();
    let gradients = &mut gradients[..];
    let drops = models.iter().zip(&options).map(|(model, options)| model.dropout(options.random));
    let target_rows = batch.target_rows();
    let shares: Vec<ShareRows> = rows.into_iter().zip(drops).map(share_rows(&target_rows)).collect();
    let heads: Vec<HeadShare> = head_shares(&batch, &target_rows, &shares, &options);
    let passes = Passes::new(models, &batch, Some(&target_rows), shares);
    let checkpointing = options[0].gradient_checkpointing;
    let layers = base.layers.len();
    let mut kept = Vec::with_capacity(layers);
    for (number, layer) in base.layers.iter().enumerate() {
        let (out, tape) = layer.forward(x, &passes.of(number));
        kept.push(checkpointing.keep(tape, number, layers));
        x = out;
    }

    let hidden = base.norm.forward(x.clone());
    let head = head_loss(&hidden, base.head_weight(), &heads, base.trained);
    if let Some(weight) = head.weight {
        let name = if base.head.is_some() { "lm_head.weight" } else { "model.embed_tokens.weight" };
        gradients[0].add(name, weight);
    }
    let mut grad = base.norm.backward(head.hidden, x, gradients[0]);
    for (number, (layer, kept)) in base.layers.iter().zip(kept).enumerate().rev() {
        let run = passes.of(number);
        match layer.backward(&grad, kept.tape(layer, &run), &run, gradients) {
            Some(input) => grad = input,
            None => return head.losses,
        }
    }
    if base.trained {
        let [vocabulary, _] = base.embed.dims();
        let grad = ids.spread(base.scaled_embedding(grad), vocabulary);
        gradients[0].add("model.embed_tokens.weight", grad);
    }
    head.losses
}

/// The rows of a share, given those that have targets.
fn share_rows(targets: &[usize]) -> impl Fn((Range<usize>, Option<Dropout>)) -> ShareRows {
    let place = |row: usize| targets.partition_point(|&target| target < row);
    move |(all, dropout)| ShareRows { kept: place(all.start)..place(all.end), all, dropout }
}

/// What the head is asked for.
fn head_shares(
    batch: &Batch,
    target_rows: &[usize],
    shares: &[ShareRows],
    options: &[PassOptions],
) -> Vec<HeadShare> {
    let targets = among(&batch.targets, target_rows);
    let share = |(share, options): (&ShareRows, &PassOptions)| {
        let rows = share.kept.clone();
        let mine = |(target, _): &(&Target, f32)| rows.contains(&target.row);
        #[expect(clippy::cast_possible_truncation, reason = "the gradient is in f32")]
        let factor = |at: usize| match batch.weights() {
            Some(weights) => (options.factor * f64::from(weights[at])) as f32,
            None => options.factor as f32,
        };
        let with_factors = targets.iter().enumerate().map(|(at, target)| (target, factor(at)));
        let (targets, factors) = with_factors.filter(mine).map(|(target, factor)| (*target, factor)).unzip();
        #[expect(clippy::cast_possible_truncation, reason = "the loss is in f32")]
        let smoothing = options.label_smoothing_factor as f32;
        HeadShare { rows, targets, factors, smoothing }
    };
    shares.iter().zip(options).map(share).collect()
}

impl CausalLm {
    /// Whether training leaves the base as it is, and it is of the same shape as another's: of two models that come from
    /// one that was loaded, it is the same base.
    fn shares_base(&self, other: &Self) -> bool {
        !self.trained && !other.trained && self.description.config == other.description.config
    }

    /// The dropout of a pass with this key.
    pub(crate) fn dropout(&self, key: Key) -> Option<Dropout> {
        let p = self.lora().map_or(0.0, |lora| lora.lora_dropout);
        #[expect(clippy::cast_possible_truncation, reason = "a probability")]
        (p > 0.0).then_some(Dropout { p: p as f32, key })
    }

    /// The natural logarithm of the probability of each target of the batch, in order.
    pub fn log_probabilities(&self, batch: &Batch) -> Vec<f32> {
        let rows = batch.target_rows();
        let hidden = self.hidden(batch, Some(&rows));
        target_log_probabilities(&hidden, self.head_weight(), &among(&batch.targets, &rows))
    }

    /// The logits after every token of `ids`, `[T, V]`: for comparing models, training never forms them.
    pub fn logits(&self, ids: &[u32]) -> Tensor<2> {
        self.head_weight().times(self.hidden(&Batch::plain(ids), None)).cast(DType::F32)
    }

    /// Hidden states after the final norm, `[rows, D]`.
    fn hidden(&self, batch: &Batch, rows: Option<&[usize]>) -> Tensor<2> {
        let kept = rows.map_or(batch.rows(), <[usize]>::len);
        let shares = vec![ShareRows { kept: 0..kept, ..ShareRows::all(batch.rows()) }];
        let passes = Passes::new(vec![self], batch, rows, shares);
        let (mut x, _) = self.embedded(batch.ids.iter().copied());
        for (number, layer) in self.layers.iter().enumerate() {
            x = layer.forward(x, &passes.of(number)).0;
        }
        self.norm.forward(x)
    }

    pub(crate) fn head_weight(&self) -> &Weight {
        self.head.as_ref().unwrap_or(&self.embed)
    }

    /// The embeddings of tokens, `[T, D]`, with the rows of the table that they are.
    pub(crate) fn embedded(&self, ids: impl IntoIterator<Item = u32>) -> (Tensor<2>, Rows) {
        let rows = Rows::new(ids.into_iter().map(|id| id as usize).collect(), &self.device());
        (self.embeddings(&rows), rows)
    }

    /// Rows of the embeddings' table, `[T, D]`.
    pub(crate) fn embeddings(&self, rows: &Rows) -> Tensor<2> {
        self.scaled_embedding(self.embed.rows(rows))
    }

    /// Embeddings times the decoder's factor; its own backward.
    fn scaled_embedding(&self, x: Tensor<2>) -> Tensor<2> {
        match self.spec.embedding_scale {
            // A number of the model's type, as transformers has it.
            Some(factor) => {
                let factor = if x.dtype() == DType::BF16 {
                    bf16::from_f32(factor).to_f32()
                } else if x.dtype() == DType::F16 {
                    f16::from_f32(factor).to_f32()
                } else {
                    factor
                };
                scale(x, f64::from(factor))
            }
            None => x,
        }
    }

    /// The angles of rows at these positions, for each of the decoder's rotary embeddings.
    pub(crate) fn rotations(&self, positions: &[u32]) -> Vec<Rotations> {
        let device = self.device();
        let rotation = |rope: &Rope| Rotation::new(positions, rope, &device);
        let both = |keys: Rotation| Rotations { queries: keys.clone(), keys };
        self.spec.ropes.iter().map(rotation).map(both).collect()
    }

    /// The windows of the layers' attentions.
    pub(crate) fn windows(&self) -> BTreeSet<Option<usize>> {
        self.layers.iter().map(|layer| layer.spec.attention.window).collect()
    }
}

/// Embeddings with the noise of `NEFTune` on the rows of one share, from `first` on: uniform within `alpha / √(L·D)`, `L` being the
/// sequence's own length (Jain et al. 2023, Algorithm 1); of sequences that share rows, the longest one's. It does not depend on any weight, so the backward pass does
/// not see it.
fn neftune(x: Tensor<2>, batch: &Batch, first: usize, options: PassOptions) -> Tensor<2> {
    let [_, width] = x.dims();
    let key = options.random.named("neftune");
    let mut noise = Vec::with_capacity(batch.rows() * width);
    for (number, segment) in batch.segments.iter().enumerate() {
        let longest = batch.positions[segment.clone()].iter().max().map_or(0, |&last| last as usize + 1);
        #[expect(clippy::cast_possible_truncation, reason = "a small bound")]
        let bound = (options.neftune_noise_alpha / ((longest * width) as f64).sqrt()) as f32;
        noise.extend(uniform(key.with(number as u64), segment.len() * width, bound));
    }
    let options = (&x.device(), x.dtype());
    let noise = Tensor::from_data(TensorData::new(noise, [batch.rows(), width]), options);
    add_block(x, noise, [first, 0])
}

/// The pass of all layers but the last, and that of the last, which answers for the target rows only.
pub(crate) struct Passes<'a> {
    /// Of each share.
    models: Vec<&'a CausalLm>,
    inner: Pass,
    last: Option<Pass>,
}

impl<'a> Passes<'a> {
    pub(crate) fn new(
        models: Vec<&'a CausalLm>,
        batch: &Batch,
        rows: Option<&[usize]>,
        shares: Vec<ShareRows>,
    ) -> Self {
        let base = models[0];
        let (rotations, windows, device) = (base.rotations(&batch.positions), base.windows(), base.device());
        let last = rows.map(|rows| {
            let index = Rows::new(rows.to_vec(), &device);
            let of_rows = |all: Rotations| Rotations { queries: all.queries.select(&index), keys: all.keys };
            Pass {
                blocks: blocks(batch, Some(rows), &windows, &device),
                rotations: rotations.iter().cloned().map(of_rows).collect(),
                rows: Some(index),
                shares: shares.clone(),
            }
        });
        let shares = shares.into_iter().map(|share| ShareRows { kept: share.all.clone(), ..share }).collect();
        let inner = Pass { blocks: blocks(batch, None, &windows, &device), rotations, rows: None, shares };
        Self { models, inner, last }
    }

    pub(crate) fn of(&self, layer: usize) -> LayerRun<'_> {
        let base = self.models[0];
        let is_last = layer + 1 == base.layers.len();
        let pass = self.last.as_ref().filter(|_| is_last).unwrap_or(&self.inner);
        let adapters = self.models.iter().map(|model| model.layer_adapter(layer)).collect();
        LayerRun { pass, adapters, input: layer > 0 || base.trained }
    }
}

/// The targets with their rows counted among `rows`.
fn among(targets: &[Target], rows: &[usize]) -> Vec<Target> {
    let place = |row: usize| rows.partition_point(|&r| r < row);
    targets.iter().map(|target| Target { row: place(target.row), id: target.id }).collect()
}
