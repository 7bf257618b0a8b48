//! Inference with a cache: tokens are fed to sequences, and what was fed before is not computed again.
//!
//! The engine has two forms of one meaning, as the kernels have. On the CPU in f32 it works on memory directly, in
//! kernels of its own for few rows; on every other device and dtype it runs the layers' tensor operations, and leaves
//! what it computes on the device. The tests hold the one against the other.

#[cfg(test)]
pub(crate) mod gpu_tests;
mod host;
mod host_weight;
mod layers;
mod pool;
mod steps;
mod tensors;
#[cfg(test)]
pub(crate) mod tests;

use std::borrow::Cow;
use std::sync::Arc;

use burn::tensor::{DType, Tensor};
use emotrain_kernels::Pages;

use crate::decoder::CausalLm;
use crate::kernels::Form;
use host::HostModel;
use pool::Slot;
pub(crate) use tensors::TensorModel;

/// What a sequence has been fed so far: keys and values of every layer. Copies share their memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cache {
    tokens: usize,
    layers: Layers,
}

#[derive(Clone, Debug)]
enum Layers {
    /// Of the CPU's form.
    Pages(Vec<Pages>),
    /// Of the other one: the row of each token in its pool.
    Slots(Vec<Arc<Slot>>),
}

impl Default for Layers {
    fn default() -> Self {
        Self::Pages(Vec::new())
    }
}

/// Tokens that continue a sequence.
#[derive(Clone, Debug)]
pub(crate) struct Feed<'a> {
    /// The tokens; at least one.
    pub(crate) ids: &'a [u32],
    /// What they follow; afterwards, with them.
    pub(crate) cache: Cache,
    /// Begin with the first tokens of an earlier feed of the same pass instead, by its number: they are computed
    /// once for both.
    pub(crate) from: Option<(usize, usize)>,
    /// How many of the last rows' hidden states are wanted.
    pub(crate) wanted: usize,
}

impl<'a> Feed<'a> {
    /// Tokens after `cache`, of which the last row is wanted.
    pub(crate) fn new(ids: &'a [u32], cache: Cache) -> Self {
        Self { ids, cache, from: None, wanted: 1 }
    }

    /// Tokens that stand before this feed's own.
    fn past(&self) -> usize {
        self.from.map_or(self.cache.tokens, |(_, tokens)| tokens)
    }
}

/// A sequence that goes on by itself.
#[derive(Debug)]
pub(crate) struct Continued<'a> {
    /// Its last token, which has not been fed.
    pub(crate) last: u32,
    /// What is before it.
    pub(crate) cache: &'a mut Cache,
}

impl Cache {
    /// The number of tokens that were fed.
    pub(crate) fn tokens(&self) -> usize {
        self.tokens
    }

    /// The slots of its tokens; it belongs to an engine that has some.
    fn slots(&mut self) -> &mut Vec<Arc<Slot>> {
        if self.tokens == 0 {
            self.layers = Layers::Slots(Vec::new());
        }
        match &mut self.layers {
            Layers::Slots(slots) => slots,
            Layers::Pages(_) => unreachable!("a cache belongs to one engine"),
        }
    }

    /// Forgets all but the first `tokens` tokens.
    pub(crate) fn truncate(&mut self, tokens: usize) {
        if tokens < self.tokens {
            *self = self.prefix(tokens);
        }
    }

    /// The first `tokens` tokens, sharing memory.
    pub(crate) fn prefix(&self, tokens: usize) -> Self {
        assert!(tokens <= self.tokens, "a prefix of what was fed");
        let layers = match &self.layers {
            Layers::Pages(layers) => Layers::Pages(layers.iter().map(|pages| pages.prefix(tokens)).collect()),
            Layers::Slots(slots) => Layers::Slots(slots[..tokens].to_vec()),
        };
        Self { tokens, layers }
    }
}

/// In what a model's linear layers multiply on the CPU. Everything else is f32 in both: the residual stream, attention,
/// norms, adapters and logits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// As the weights are.
    #[default]
    Full,
    /// Weights and inputs rounded to bfloat16, sums in f32.
    Bf16,
}

/// A model that is ready to be fed. The weights are shared with the model it was made of, not copied.
pub(crate) enum Engine {
    /// Memory and kernels of the CPU.
    Host(Box<HostModel>),
    /// Tensor operations.
    Tensors(Box<TensorModel>),
}

/// Hidden states, `[M, D]`, where the engine computes.
pub(crate) enum Hidden {
    Memory(Vec<f32>),
    Tensor(Box<Tensor<2>>),
}

impl Engine {
    /// The form that fits the model's device and dtype.
    pub(crate) fn new(model: &CausalLm, precision: Precision) -> Self {
        match model.embed.form() {
            Form::Host => Self::Host(Box::new(HostModel::new(model, precision))),
            Form::Fused | Form::Tensor => Self::Tensors(Box::new(TensorModel::new(model))),
        }
    }

    /// The width of a hidden state.
    pub(crate) fn width(&self) -> usize {
        match self {
            Self::Host(model) => model.width(),
            Self::Tensors(model) => model.width(),
        }
    }

    /// Runs all feeds in one pass and returns the wanted rows' hidden states after the final norm, in order.
    ///
    /// # Shapes
    /// → `[Σ wanted, D]`.
    ///
    /// # Panics
    /// If a feed has no tokens, wants more rows than it has, or begins with one that does not come before it.
    pub(crate) fn forward(&self, feeds: &mut [Feed]) -> Hidden {
        for (number, feed) in feeds.iter().enumerate() {
            assert!(!feed.ids.is_empty(), "a feed needs a token");
            assert!(feed.wanted <= feed.ids.len(), "only rows of the feed can be wanted");
            assert!(feed.from.is_none_or(|(other, _)| other < number), "a feed begins with an earlier one");
        }
        match self {
            Self::Host(model) => Hidden::Memory(rayon::scope(|_| model.forward(feeds))),
            Self::Tensors(model) => model.forward(feeds),
        }
    }

    /// The logits of hidden rows.
    ///
    /// # Shapes
    /// `hidden` `[M, D]` → `[M, V]`.
    pub(crate) fn logits(&self, hidden: &Hidden) -> Vec<f32> {
        match self {
            Self::Host(model) => rayon::scope(|_| model.logits(&hidden.numbers())),
            Self::Tensors(model) => model.logits(hidden),
        }
    }

    /// The token with the largest logit after each hidden row, the first of equal ones, where that is found without the
    /// logits coming to the host and all of them are finite.
    pub(crate) fn likeliest(&self, hidden: &Hidden) -> Option<Vec<u32>> {
        match self {
            Self::Host(_) => None,
            Self::Tensors(model) => model.likeliest(hidden),
        }
    }

    /// Feeds each sequence its last token, then `count - 1` times the likeliest one after it, and returns the `count` that
    /// were the likeliest, or those before the first after which a logit is not finite. `None`, and nothing fed, where there
    /// is no device that does so without the host in between.
    ///
    /// # Panics
    /// If there is no sequence, or `count` is 0 or above [`MOST_STEPS`].
    pub(crate) fn go_on(&self, sequences: &mut [Continued], count: usize) -> Option<Vec<Vec<u32>>> {
        assert!(!sequences.is_empty() && (1..=MOST_STEPS).contains(&count), "steps of some sequences");
        match self {
            Self::Host(_) => None,
            Self::Tensors(model) => model.go_on(sequences, count),
        }
    }
}

/// Tokens by which sequences go on at most until the host is told of them.
pub(crate) const MOST_STEPS: usize = steps::KEPT;

impl Hidden {
    /// The numbers, row by row.
    pub(crate) fn numbers(&self) -> Cow<'_, [f32]> {
        match self {
            Self::Memory(numbers) => Cow::Borrowed(numbers),
            Self::Tensor(hidden) => {
                let hidden = (**hidden).clone().cast(DType::F32);
                Cow::Owned(hidden.try_into_vec_as::<f32>().expect("f32 on every device"))
            }
        }
    }
}

/// The row of each wanted hidden state among all rows of the feeds.
fn wanted_rows(feeds: &[Feed]) -> Vec<usize> {
    let mut start = 0;
    let mut rows = Vec::new();
    for feed in feeds {
        let end = start + feed.ids.len();
        rows.extend(end - feed.wanted..end);
        start = end;
    }
    rows
}
