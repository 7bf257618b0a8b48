//! Low-rank adaptation (Hu et al. 2021), factored: `y = x·Wᵀ + s·(drop(x)·Aᵀ)·Bᵀ`. `W + s·BA` is never formed.
//!
//! An adapter is a value apart from the base that it adapts: a layer of the base knows nothing of it and is handed the
//! part that is its own, so that one base can serve several.

use std::ops::Range;

use burn::tensor::{DType, Device, Tensor, TensorData};
use emotrain_base::random::{Key, normal, uniform};
use emotrain_recipe::LoraInit;

use crate::gradients::Gradients;
use crate::kernels::{add_block, dropout, scale};
use crate::linear::{Linear, Module};

/// What to adapt and how; the keys of PEFT's `LoraConfig`.
#[derive(Clone, Debug)]
pub struct LoraConfig {
    /// Rank.
    pub r: usize,
    /// Numerator of the scale.
    pub lora_alpha: f64,
    /// Probability of dropping an element of the adapter's input while training.
    pub lora_dropout: f64,
    /// Short names (`q_proj`, …) of the adapted linear layers, or `None` for all of the decoder blocks.
    pub target_modules: Option<Vec<String>>,
    /// Whether the scale is `alpha / √r` (Kalajdzievski 2023) and not `alpha / r`.
    pub use_rslora: bool,
    /// How the `A` matrices begin (`init_lora_weights`); the `B` matrices begin at zero. The formulas are those of
    /// PEFT's `tuners/lora/layer.py`: U(-1/√in, 1/√in) for `kaiming_uniform(a = √5)`, N(0, 1/r) with a standard
    /// deviation of 1/r for `gaussian`.
    pub init: LoraInit,
}

impl LoraConfig {
    /// The factor `s` of the adapter's output.
    pub fn scale(&self) -> f64 {
        let rank = self.r as f64;
        self.lora_alpha / if self.use_rslora { rank.sqrt() } else { rank }
    }

    /// Whether a layer of this short name is adapted.
    pub fn targets(&self, short: &str) -> bool {
        self.target_modules.as_ref().is_none_or(|names| names.iter().any(|name| name == short))
    }
}

/// The adapter of one linear layer, in f32. Rank and scale are the layer's own.
///
/// # Shapes
/// `a` `[R, in]`, `b` `[out, R]`.
#[derive(Clone, Debug)]
pub(crate) struct Lora {
    pub(crate) a: Tensor<2>,
    pub(crate) b: Tensor<2>,
    /// Numerator of the scale, to be written down.
    pub(crate) alpha: f64,
    /// The factor `s` of the adapter's output.
    pub(crate) scale: f64,
}

impl Lora {
    /// A fresh adapter for the layer `module` of shape `[out, in]`.
    fn new(config: &LoraConfig, module: &str, [out, input]: [usize; 2], device: &Device, seed: u64) -> Self {
        let key = Key::new(seed).named("lora_A").named(module);
        let count = config.r * input;
        let a = match config.init {
            LoraInit::Kaiming => uniform(key, count, (input as f32).sqrt().recip()),
            LoraInit::Gaussian => normal(key, count, (config.r as f32).recip()),
        };
        let options = (device, DType::F32);
        Self {
            a: Tensor::from_data(TensorData::new(a, [config.r, input]), options),
            b: Tensor::zeros([out, config.r], options),
            alpha: config.lora_alpha,
            scale: config.scale(),
        }
    }

    /// `s · B`, `[out, R]`.
    pub(crate) fn scaled_b(&self, dtype: DType) -> Tensor<2> {
        scale(self.b.clone(), self.scale).cast(dtype)
    }
}

/// Dropout of this pass: probability, and the key from which each layer derives its mask.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dropout {
    pub(crate) p: f32,
    pub(crate) key: Key,
}

/// The adapters of a model: its settings, and the part of each decoder block.
#[derive(Clone, Debug)]
pub(crate) struct Adapter {
    pub(crate) config: LoraConfig,
    pub(crate) layers: Vec<LayerAdapter>,
}

impl Adapter {
    /// The adapted modules, layer by layer.
    pub(crate) fn modules(&self) -> impl Iterator<Item = &AdaptedModule> {
        self.layers.iter().flat_map(|LayerAdapter(linears)| linears).flat_map(|linear| &linear.modules)
    }
}

/// The adapters of one decoder block: of queries (none where they are computed with keys and values), keys and values,
/// the attention's output, gate and up, down.
#[derive(Clone, Debug)]
pub(crate) struct LayerAdapter(pub(crate) [LinearAdapter; 5]);

impl LayerAdapter {
    /// The trained parameters by name.
    pub(crate) fn parameters(&mut self) -> impl Iterator<Item = (String, &mut Tensor<2>)> {
        self.0.iter_mut().flat_map(LinearAdapter::parameters)
    }
}

/// The adapters of the modules that are stacked in one [`Linear`]; none where nothing is adapted.
#[derive(Clone, Debug)]
pub(crate) struct LinearAdapter {
    /// The path of the first stacked module, adapted or not: the modules share the dropout mask that has its name.
    mask: String,
    pub(crate) modules: Vec<AdaptedModule>,
}

/// One adapted module.
#[derive(Clone, Debug)]
pub(crate) struct AdaptedModule {
    /// Hugging Face path.
    pub(crate) path: String,
    /// Its columns of the output.
    pub(crate) columns: Range<usize>,
    /// Its columns of the low-rank product.
    pub(crate) ranks: Range<usize>,
    pub(crate) lora: Lora,
}

/// What [`LinearAdapter::backward`] needs in addition to the input: `drop(x)·Aᵀ` of the adapted modules, `[N, Σ R]`; none
/// where nothing is adapted.
pub(crate) type Low = Option<Tensor<2>>;

impl LinearAdapter {
    /// Of a layer that is not adapted.
    pub(crate) const fn none() -> Self {
        Self { mask: String::new(), modules: Vec::new() }
    }

    /// Fresh adapters for the modules of `linear` for which there are settings.
    pub(crate) fn new(
        linear: &Linear,
        settings: &dyn Fn(&str) -> Option<LoraConfig>,
        device: &Device,
        seed: u64,
    ) -> Self {
        let [_, input] = linear.weight.dims();
        let mut start = 0;
        let adapted = |module: &Module| {
            let config = settings(&module.path)?;
            let ranks = start..start + config.r;
            start = ranks.end;
            let lora = Lora::new(&config, &module.path, [module.columns.len(), input], device, seed);
            Some(AdaptedModule { path: module.path.clone(), columns: module.columns.clone(), ranks, lora })
        };
        let modules = linear.modules.iter().filter_map(adapted).collect();
        Self { mask: linear.modules[0].path.clone(), modules }
    }

    /// Adds the adapters' output for `x` to the rows of `y` that begin at `first`.
    ///
    /// # Shapes
    /// `x` `[N, in]`, `y` `[M, out]` → `[M, out]`.
    pub(crate) fn forward(
        &self,
        x: &Tensor<2>,
        mut y: Tensor<2>,
        first: usize,
        dropout: Option<Dropout>,
    ) -> (Tensor<2>, Low) {
        let Some(a) = self.stacked_a(x.dtype()) else { return (y, None) };
        let low = self.dropped(x.clone(), dropout).matmul(a.transpose());
        for AdaptedModule { columns, ranks, lora, .. } in &self.modules {
            let low = low.clone().narrow(1, ranks.start, ranks.len());
            let delta = low.matmul(lora.scaled_b(x.dtype()).transpose());
            y = add_block(y, delta, [first, columns.start]);
        }
        (y, Some(low))
    }

    /// Adds the gradients of the adapters, and their part of that of `x` to its rows of `dx` if it is wanted.
    ///
    /// # Shapes
    /// `grad` `[N, out]`, `x` `[N, in]`, `dx` `[M, in]`.
    pub(crate) fn backward(
        &self,
        grad: &Tensor<2>,
        saved: Saved,
        dx: Option<Tensor<2>>,
        gradients: &mut Gradients,
    ) -> Option<Tensor<2>> {
        let Saved { x, low, first, dropout } = saved;
        let Some(a) = self.stacked_a(x.dtype()) else { return dx };
        let mut low_grads = Vec::new();
        for AdaptedModule { path, columns, ranks, lora } in &self.modules {
            let dy = grad.clone().narrow(1, columns.start, columns.len());
            let db = dy.clone().transpose().matmul(low.clone().narrow(1, ranks.start, ranks.len()));
            gradients.add(&format!("{path}.lora_B.weight"), scale(db, lora.scale));
            low_grads.push(dy.matmul(lora.scaled_b(x.dtype())));
        }
        let low_grad = Tensor::cat(low_grads, 1);
        let da = low_grad.clone().transpose().matmul(self.dropped(x, dropout));
        for AdaptedModule { path, ranks, .. } in &self.modules {
            let part = da.clone().narrow(0, ranks.start, ranks.len());
            gradients.add(&format!("{path}.lora_A.weight"), part);
        }
        dx.map(|dx| add_block(dx, self.dropped(low_grad.matmul(a), dropout), [first, 0]))
    }

    /// The trained parameters by name.
    pub(crate) fn parameters(&mut self) -> impl Iterator<Item = (String, &mut Tensor<2>)> {
        self.modules.iter_mut().flat_map(|AdaptedModule { path, lora, .. }| {
            let Lora { a, b, .. } = lora;
            [(format!("{path}.lora_A.weight"), a), (format!("{path}.lora_B.weight"), b)]
        })
    }

    /// The `A` matrices one below the other, `[Σ R, in]`.
    pub(crate) fn stacked_a(&self, dtype: DType) -> Option<Tensor<2>> {
        let all: Vec<Tensor<2>> = self.modules.iter().map(|module| module.lora.a.clone()).collect();
        (!all.is_empty()).then(|| Tensor::cat(all, 0).cast(dtype))
    }

    fn dropped(&self, x: Tensor<2>, drop: Option<Dropout>) -> Tensor<2> {
        match drop {
            Some(drop) if drop.p > 0.0 => dropout(x, drop.p, drop.key.named(&self.mask)),
            _ => x,
        }
    }
}

/// The forward's input `[N, in]` and by-product that [`LinearAdapter::backward`] takes.
pub(crate) struct Saved {
    pub(crate) x: Tensor<2>,
    pub(crate) low: Tensor<2>,
    /// The first of its rows among those of the pass.
    pub(crate) first: usize,
    pub(crate) dropout: Option<Dropout>,
}
