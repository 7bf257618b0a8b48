//! Low-rank adaptation (Hu et al. 2021), factored: `y = x·Wᵀ + s·(drop(x)·Aᵀ)·Bᵀ`. `W + s·BA` is never formed.

use burn::tensor::{DType, Device, Tensor, TensorData};
use emotrain_recipe::LoraInit;

use crate::kernels::scale;
use crate::random::{Key, normal, uniform};

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
    pub(crate) fn new(
        config: &LoraConfig,
        module: &str,
        [out, input]: [usize; 2],
        place: (&Device, u64),
    ) -> Self {
        let (device, seed) = place;
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
