//! What to adapt and how: the keys of PEFT's `LoraConfig`, and what they say of each layer of a model.

use std::collections::BTreeMap;

use emotrain_recipe::LoraInit;

use crate::config::ModelConfig;
use crate::error::ModelError;
use crate::pattern::{Pattern, first_fit};
use crate::weights::{LinearModule, linear_modules, short};

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
    /// The numbers of the adapted decoder blocks, from 0; all where there is none.
    pub layers_to_transform: Vec<usize>,
    /// Ranks by pattern: a regular expression for a layer's path or the end of it behind a `.`. The first that fits
    /// counts.
    pub rank_pattern: Vec<(String, usize)>,
    /// Numerators of the scale by pattern, as `rank_pattern`.
    pub alpha_pattern: Vec<(String, f64)>,
    /// Whether the outputs have magnitudes of their own (`DoRA`, Liu et al. 2024), which begin as the norms of the
    /// weight's rows.
    pub use_dora: bool,
    /// Whether the scale is `alpha / √r` (Kalajdzievski 2023) and not `alpha / r`.
    pub use_rslora: bool,
    /// How the `A` matrices begin (`init_lora_weights`); the `B` matrices begin at zero, or both as a part of the weight
    /// that is taken out of the base. The formulas are those of PEFT's `tuners/lora/layer.py`: U(-1/√in, 1/√in) for
    /// `kaiming_uniform(a = √5)`, N(0, 1/r) with a standard deviation of 1/r for `gaussian`.
    pub init: LoraInit,
}

impl Default for LoraConfig {
    /// PEFT's rank and alpha for every linear layer of the decoder blocks.
    fn default() -> Self {
        Self {
            r: 8,
            lora_alpha: 8.0,
            lora_dropout: 0.0,
            target_modules: None,
            layers_to_transform: Vec::new(),
            rank_pattern: Vec::new(),
            alpha_pattern: Vec::new(),
            use_dora: false,
            use_rslora: false,
            init: LoraInit::Kaiming,
        }
    }
}

impl LoraConfig {
    /// The factor `s` of the adapter's output.
    pub fn scale(&self) -> f64 {
        let rank = self.r as f64;
        self.lora_alpha / if self.use_rslora { rank.sqrt() } else { rank }
    }

    /// The settings of the adapter as it is saved: of twice the rank where it began with a part of the weight.
    pub(crate) fn whole(&self) -> Self {
        let mut whole = self.clone();
        if self.init.is_part_of_weight() {
            whole.r *= 2;
            whole.lora_alpha *= if self.use_rslora { 2.0f64.sqrt() } else { 2.0 };
            whole.init = LoraInit::Kaiming;
        }
        whole
    }

    /// How many numbers a fresh adapter of a model of this shape trains.
    ///
    /// # Errors
    /// As for the patterns and block numbers of [`CausalLm::add_lora`](crate::CausalLm::add_lora).
    pub fn trained_numbers(&self, model: &ModelConfig) -> Result<usize, ModelError> {
        let layers = self.layers(model)?;
        let of = |LinearModule { path, outputs, inputs, .. }: &LinearModule| {
            let magnitudes = if self.use_dora { *outputs } else { 0 };
            layers.get(path).map_or(0, |config| config.r * (inputs + outputs) + magnitudes)
        };
        Ok(linear_modules(model).iter().map(of).sum())
    }

    /// The settings of each adapted layer of a model, by path.
    ///
    /// # Errors
    /// A pattern that is no regular expression or fits no adapted layer; a block that the model does not have.
    pub(crate) fn layers(&self, model: &ModelConfig) -> Result<BTreeMap<String, Self>, ModelError> {
        let blocks = model.num_hidden_layers;
        if let Some(block) = self.layers_to_transform.iter().find(|block| **block >= blocks) {
            let message = format!("the model has no decoder block {block} (it has 0 to {})", blocks - 1);
            return Err(ModelError::Lora { key: "layers_to_transform", message });
        }
        let mut layers = BTreeMap::new();
        let linears = linear_modules(model);
        let per_block = linears.len() / blocks.max(1);
        let mut narrowest = BTreeMap::new();
        for (at, LinearModule { path, inputs, outputs, .. }) in linears.into_iter().enumerate() {
            let names = self.target_modules.as_ref();
            let is_named = names.is_none_or(|names| names.iter().any(|name| name == short(&path)));
            let blocks = &self.layers_to_transform;
            if is_named && (blocks.is_empty() || blocks.contains(&(at / per_block))) {
                narrowest.insert(path.clone(), inputs.min(outputs));
                layers.insert(path, self.clone());
            }
        }
        fit("rank_pattern", &self.rank_pattern, &mut layers, |layer, r| layer.r = r)?;
        fit("alpha_pattern", &self.alpha_pattern, &mut layers, |layer, alpha| layer.lora_alpha = alpha)?;
        let is_too_wide = |path: &&String| layers[*path].r > narrowest[*path];
        if self.init.is_part_of_weight()
            && let Some(path) = layers.keys().find(is_too_wide)
        {
            let (r, most) = (layers[path].r, narrowest[path]);
            let message = format!("rank {r} is larger than that of the weight of {path}, {most}");
            return Err(ModelError::Lora { key: "init_lora_weights", message });
        }
        Ok(layers)
    }
}

/// Gives the layers that a pattern fits the value of the first that does. PEFT warns of a pattern that fits none.
fn fit<T: Copy>(
    key: &'static str,
    stated: &[(String, T)],
    layers: &mut BTreeMap<String, LoraConfig>,
    set: impl Fn(&mut LoraConfig, T),
) -> Result<(), ModelError> {
    let wrong = |message| ModelError::Lora { key, message };
    let mut patterns = Vec::new();
    for (text, value) in stated {
        let pattern = Pattern::end(text).map_err(|message| wrong(format!("{text:?}: {message}")))?;
        let mut fits = false;
        for path in layers.keys() {
            fits |= pattern.matches(path).map_err(wrong)?;
        }
        if !fits {
            return Err(wrong(format!("{text:?} fits the path of no adapted layer")));
        }
        patterns.push((pattern, *value));
    }
    for (path, layer) in layers {
        if let Some(value) = first_fit(&patterns, path).map_err(wrong)? {
            set(layer, value);
        }
    }
    Ok(())
}
