//! Low-rank adaptation (Hu et al. 2021), factored: `y = x·Wᵀ + s·(drop(x)·Aᵀ)·Bᵀ`. `W + s·BA` is never formed.
//!
//! An adapter is a value apart from the base that it adapts: a layer of the base knows nothing of it and is handed the
//! part that is its own, so that one base can serve several.

mod config;
mod dora;
mod factors;
#[cfg(test)]
mod fake_card;
mod fixed;
mod joint;
mod pass;
mod start;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use burn::tensor::{DType, Device, Tensor, TensorData};
use emotrain_base::random::Key;

pub use self::config::LoraConfig;
use self::dora::{Dora, row_squares};
use self::factors::Factors;
use self::fixed::Fixed;
pub(crate) use self::pass::{ByProduct, Input, Low, PartAt, Saved};
use self::start::factors;
use crate::device::sent;
use crate::kernels::scaled_to;
use crate::layout::Layout;
use crate::linear::{Linear, Module};

/// The end of the name of an adapter's magnitudes, in PEFT's files too.
pub(crate) const MAGNITUDE: &str = "lora_magnitude_vector";

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
    /// The magnitudes of the outputs, where they are apart.
    pub(crate) dora: Option<Dora>,
    /// What the factors began with, where it is subtracted.
    pub(crate) fixed: Option<Fixed>,
}

impl Lora {
    /// A fresh adapter for `module` of `linear`, without magnitudes.
    fn new(config: &LoraConfig, module: &Module, linear: &Linear, seed: u64) -> Self {
        let [_, input] = linear.weight.dims();
        let out = module.columns.len();
        let (a, b) = factors(config, module, linear, seed);
        let device = linear.weight.device();
        let options = (&device, DType::F32);
        let a = Tensor::from_data(TensorData::new(a, [config.r, input]), options);
        let begins = b.map(|b| Tensor::from_data(TensorData::new(b, [out, config.r]), options));
        let fixed = begins.clone().map(|b| Fixed { a: a.clone(), b });
        Self {
            a,
            b: begins.unwrap_or_else(|| Tensor::zeros([out, config.r], options)),
            alpha: config.lora_alpha,
            scale: config.scale(),
            dora: None,
            fixed,
        }
    }

    fn move_to(&mut self, device: &Device) {
        let Self { a, b, dora, fixed, .. } = self;
        let moved = dora.iter_mut().flat_map(Dora::tensors).chain(fixed.iter_mut().flat_map(Fixed::tensors));
        for tensor in moved.chain([a, b]) {
            tensor.inplace(|tensor| sent(tensor, device));
        }
    }

    /// `s · B`, `[out, R]`.
    pub(crate) fn scaled_b(&self, dtype: DType) -> Tensor<2> {
        scaled_to(self.b.clone(), self.scale, dtype)
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
    /// Where the parameters stand in one buffer.
    layout: Arc<Layout>,
    /// That buffer, on a GPU after an update, as long as the parameters are views of it.
    joint: Option<Tensor<2>>,
}

impl Adapter {
    /// Of these parts of each decoder block.
    pub(crate) fn new(config: LoraConfig, layers: Vec<LayerAdapter>) -> Self {
        let layout = Arc::new(joint::layout(&layers));
        Self { config, layers, layout, joint: None }
    }

    /// Where the parameters stand in one buffer.
    pub(crate) fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// The trained parameters by name.
    pub(crate) fn parameters(&mut self) -> impl Iterator<Item = (String, &mut Tensor<2>)> {
        self.joint = None;
        self.layers.iter_mut().flat_map(LayerAdapter::parameters)
    }

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
    /// Of the modules, until they change.
    factors: Factors,
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

impl LinearAdapter {
    /// Of a layer that is not adapted.
    pub(crate) const fn none() -> Self {
        Self { mask: String::new(), modules: Vec::new(), factors: Factors::unknown() }
    }

    /// Fresh adapters for the modules of `linear` for which there are settings, by path.
    pub(crate) fn new(linear: &Linear, settings: &BTreeMap<String, LoraConfig>, seed: u64) -> Self {
        let mut start = 0;
        let mut squares = None;
        let adapted = |module: &Module| {
            let config = settings.get(&module.path)?;
            let ranks = start..start + config.r;
            start = ranks.end;
            let mut lora = Lora::new(config, module, linear, seed);
            if config.use_dora {
                let squares = squares.get_or_insert_with(|| row_squares(linear));
                lora.dora = Some(Dora::new(squares, &module.columns));
            }
            Some(AdaptedModule { path: module.path.clone(), columns: module.columns.clone(), ranks, lora })
        };
        let modules = linear.modules.iter().filter_map(adapted).collect();
        Self { mask: linear.modules[0].path.clone(), modules, factors: Factors::unknown() }
    }

    fn is_adapted(&self) -> bool {
        !self.modules.is_empty()
    }

    fn has_magnitudes(&self) -> bool {
        self.modules.iter().any(|module| module.lora.dora.is_some())
    }

    /// The trained parameters by name.
    pub(crate) fn parameters(&mut self) -> impl Iterator<Item = (String, &mut Tensor<2>)> {
        self.factors = Factors::unknown();
        self.modules.iter_mut().flat_map(|AdaptedModule { path, lora, .. }| {
            let Lora { a, b, dora, .. } = lora;
            let magnitude = dora.as_mut().map(|dora| (format!("{path}.{MAGNITUDE}"), dora.changed()));
            let factors = [(format!("{path}.lora_A.weight"), a), (format!("{path}.lora_B.weight"), b)];
            factors.into_iter().chain(magnitude)
        })
    }
}
