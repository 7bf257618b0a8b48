//! One pass through the decoder: forward and backward of a micro-batch, and the scores and logits of a batch.

use burn::tensor::{DType, Tensor, TensorData};
use emotrain_base::random::{Key, uniform};
use half::{bf16, f16};

use crate::attention::blocks;
use crate::batch::{Batch, Target};
use crate::decoder::CausalLm;
use crate::gradients::Gradients;
use crate::head::{head_loss, target_log_probabilities};
use crate::kernels::{Rotation, Rows, add, scale};
use crate::layer::{LayerRun, Pass, Rotations, Tape};
use crate::lora::Dropout;
use crate::spec::Rope;
use crate::weight::Weight;

/// How a training pass is run.
#[derive(Clone, Copy, Debug)]
pub struct PassOptions {
    /// What each target's gradient is multiplied by: 1 / supervised tokens of the accumulation window.
    pub factor: f64,
    /// The key of this micro-batch's dropout masks and noise.
    pub random: Key,
    /// Alpha of `NEFTune`: how much noise the embeddings get; 0 for none.
    pub neftune_noise_alpha: f64,
    /// Whether layers keep their input alone and are computed again in the backward pass.
    pub gradient_checkpointing: bool,
}

impl CausalLm {
    /// One micro-batch: adds `factor` times the gradient of the summed negative log-likelihood of the batch's
    /// targets to `gradients`, and returns the negative log-likelihood of each, `[targets]` in f32, in the batch's order.
    ///
    /// # Panics
    /// If the batch has no target.
    pub fn forward_backward(
        &self,
        batch: &Batch,
        options: PassOptions,
        gradients: &mut Gradients,
    ) -> Tensor<1> {
        assert!(!batch.targets.is_empty(), "a micro-batch needs a supervised token");
        let p = self.lora().map_or(0.0, |lora| lora.lora_dropout);
        #[expect(clippy::cast_possible_truncation, reason = "a probability")]
        let dropout = (p > 0.0).then_some(Dropout { p: p as f32, key: options.random });
        let rows = batch.target_rows();
        let passes = Passes::new(self, batch, Some(&rows), dropout);

        let (mut x, ids) = self.embedded(batch.ids.iter().copied());
        if options.neftune_noise_alpha > 0.0 {
            x = neftune(x, batch, options);
        }
        let mut tapes = Vec::with_capacity(self.layers.len());
        for (number, layer) in self.layers.iter().enumerate() {
            let input = options.gradient_checkpointing.then(|| x.clone());
            let (out, tape) = layer.forward(x, passes.of(number));
            tapes.push(match input {
                Some(input) => Kept::Input(input),
                None => Kept::Tape(tape),
            });
            x = out;
        }

        let hidden = self.norm.forward(x.clone());
        let targets = among(&batch.targets, &rows);
        let head = head_loss(&hidden, self.head_weight(), &targets, options.factor, self.trained);
        if let Some(weight) = head.weight {
            gradients.add(
                if self.head.is_some() { "lm_head.weight" } else { "model.embed_tokens.weight" },
                weight,
            );
        }
        let mut grad = self.norm.backward(head.hidden, x, gradients);
        for (number, (layer, kept)) in self.layers.iter().zip(tapes).enumerate().rev() {
            let run = passes.of(number);
            let tape = match kept {
                Kept::Tape(tape) => tape,
                Kept::Input(x) => layer.forward(x, run).1,
            };
            match layer.backward(&grad, tape, run, gradients) {
                Some(input) => grad = input,
                None => return head.losses,
            }
        }
        if self.trained {
            let [vocabulary, _] = self.embed.dims();
            let grad = ids.spread(self.scaled_embedding(grad), vocabulary);
            gradients.add("model.embed_tokens.weight", grad);
        }
        head.losses
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
        let passes = Passes::new(self, batch, rows, None);
        let (mut x, _) = self.embedded(batch.ids.iter().copied());
        for (number, layer) in self.layers.iter().enumerate() {
            x = layer.forward(x, passes.of(number)).0;
        }
        self.norm.forward(x)
    }

    pub(crate) fn head_weight(&self) -> &Weight {
        self.head.as_ref().unwrap_or(&self.embed)
    }

    /// The embeddings of tokens, `[T, D]`, with the rows of the table that they are.
    pub(crate) fn embedded(&self, ids: impl IntoIterator<Item = u32>) -> (Tensor<2>, Rows) {
        let rows = Rows::new(ids.into_iter().map(|id| id as usize).collect(), &self.device());
        let embedded = self.embed.rows(&rows);
        (self.scaled_embedding(embedded), rows)
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
}

/// Embeddings with the noise of `NEFTune`: uniform within `alpha / √(L·D)`, `L` being the sequence's own length
/// (Jain et al. 2023, Algorithm 1). It does not depend on any weight, so the backward pass does not see it.
fn neftune(x: Tensor<2>, batch: &Batch, options: PassOptions) -> Tensor<2> {
    let [rows, width] = x.dims();
    let key = options.random.named("neftune");
    let mut noise = Vec::with_capacity(rows * width);
    for (number, segment) in batch.segments.iter().enumerate() {
        let size = segment.len() * width;
        #[expect(clippy::cast_possible_truncation, reason = "a small bound")]
        let bound = (options.neftune_noise_alpha / (size as f64).sqrt()) as f32;
        noise.extend(uniform(key.with(number as u64), size, bound));
    }
    let options = (&x.device(), x.dtype());
    add(x, &Tensor::from_data(TensorData::new(noise, [rows, width]), options))
}

/// What a layer leaves behind for its backward.
#[expect(
    clippy::large_enum_variant,
    reason = "a handful exist at a time, each holding megabytes behind pointers"
)]
enum Kept {
    Tape(Tape),
    Input(Tensor<2>),
}

/// The pass of all layers but the last, and that of the last, which answers for the target rows only.
struct Passes<'a> {
    model: &'a CausalLm,
    inner: Pass,
    last: Option<Pass>,
}

impl<'a> Passes<'a> {
    fn new(model: &'a CausalLm, batch: &Batch, rows: Option<&[usize]>, dropout: Option<Dropout>) -> Self {
        let rotations = model.rotations(&batch.positions);
        let inner = Pass { blocks: blocks(batch, None), rotations: rotations.clone(), rows: None, dropout };
        let last = rows.map(|rows| {
            let index = Rows::new(rows.to_vec(), &model.device());
            let of_rows = |all: Rotations| Rotations { queries: all.queries.select(&index), keys: all.keys };
            Pass {
                blocks: blocks(batch, Some(rows)),
                rotations: rotations.into_iter().map(of_rows).collect(),
                rows: Some(index),
                dropout,
            }
        });
        Self { model, inner, last }
    }

    fn of(&self, layer: usize) -> LayerRun<'_> {
        let is_last = layer + 1 == self.model.layers.len();
        let pass = self.last.as_ref().filter(|_| is_last).unwrap_or(&self.inner);
        let input = layer > 0 || self.model.trained;
        LayerRun { pass, adapter: self.model.layer_adapter(layer), input }
    }
}

/// The targets with their rows counted among `rows`.
fn among(targets: &[Target], rows: &[usize]) -> Vec<Target> {
    let place = |row: usize| rows.partition_point(|&r| r < row);
    targets.iter().map(|target| Target { row: place(target.row), id: target.id }).collect()
}
