//! Adapters in PEFT's form (`peft/utils/save_and_load.py`, `peft/tuners/lora/config.py`): target modules named one by
//! one, no key that a server would stumble over.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use emotrain_base::write_atomic;
use serde_json::{Map, Value, json};

use crate::adapter::{BaseModel, CONFIG, PREFIX, PeftAdapter, PeftModule, TENSORS};
use crate::config::ModelConfig;
use crate::error::ModelError;
use crate::float::FloatType;
use crate::lora::MAGNITUDE;
use crate::weights::{TensorSpec, linear_modules, short, write_safetensors_with};

impl PeftAdapter {
    /// Writes the adapter into the existing folder `folder`; `model` is the shape of its base.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(
        &self,
        folder: &Path,
        model: &ModelConfig,
        base: BaseModel,
        dtype: FloatType,
    ) -> Result<(), ModelError> {
        let (mut specs, mut tensors) = (Vec::new(), BTreeMap::new());
        for PeftModule { path, r, a, b, magnitude, .. } in &self.modules {
            for (half, shape, values) in [("A", [*r, a.len() / r], a), ("B", [b.len() / r, *r], b)] {
                let name = format!("{PREFIX}{path}.lora_{half}.weight");
                tensors.insert(name.clone(), values);
                specs.push(TensorSpec { name, shape: shape.to_vec(), dtype });
            }
            if let Some(values) = magnitude {
                let name = format!("{PREFIX}{path}.{MAGNITUDE}");
                specs.push(TensorSpec { name: name.clone(), shape: vec![values.len()], dtype });
                tensors.insert(name, values);
            }
        }
        write_safetensors_with(&folder.join(TENSORS), &specs, &BTreeMap::new(), |spec, visit| {
            visit(tensors[&spec.name]);
            Ok(())
        })?;
        let text = serde_json::to_string_pretty(&self.configuration(model, base))
            .map_err(|source| ModelError::Json { path: folder.join(CONFIG), source })?;
        Ok(write_atomic(&folder.join(CONFIG), text.as_bytes())?)
    }

    /// The same adapter with one rank and one scale for all modules, for readers that know no patterns: ranks are filled
    /// up with zeros, and where scales differ they become part of the `B` matrices.
    #[must_use]
    pub fn uniform(mut self) -> Self {
        let differs = |module: &PeftModule| {
            module.r != self.lora.r || module.scale.to_bits() != self.lora.scale().to_bits()
        };
        if !self.modules.iter().any(differs) {
            return self;
        }
        let rank = self.modules.iter().map(|module| module.r).max().unwrap_or(self.lora.r);
        (self.lora.r, self.lora.lora_alpha, self.lora.use_rslora) = (rank, rank as f64, false);
        for module in &mut self.modules {
            #[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
            let scale = module.scale as f32;
            let row = |row: &[f32]| {
                let scaled = row.iter().map(|value| value * scale);
                scaled.chain(std::iter::repeat_n(0.0, rank - row.len())).collect::<Vec<f32>>()
            };
            module.b = module.b.chunks_exact(module.r).flat_map(row).collect();
            module.a.resize(module.a.len() / module.r * rank, 0.0);
            (module.r, module.alpha, module.scale) = (rank, self.lora.lora_alpha, 1.0);
        }
        self
    }

    /// `adapter_config.json`. Layers are named by the ends of their paths where those tell them apart.
    fn configuration(&self, model: &ModelConfig, base: BaseModel) -> Value {
        let config = &self.lora;
        let paths: BTreeSet<&str> = self.modules.iter().map(|module| module.path.as_str()).collect();
        let mut modules: BTreeSet<&str> = paths.iter().map(|path| short(path)).collect();
        let all = linear_modules(model);
        let mut others = all.iter().filter(|linear| !paths.contains(linear.path.as_str()));
        if others.any(|linear| modules.contains(short(&linear.path))) {
            modules = paths;
        }
        let ranks = exceptions(&self.modules, |module| json!(module.r), &json!(config.r));
        let alphas = exceptions(&self.modules, |module| number(module.alpha), &number(config.lora_alpha));
        // Keys in alphabetical order, as PEFT writes them.
        json!({
            "alpha_pattern": alphas,
            "auto_mapping": null,
            "base_model_name_or_path": base.name,
            "bias": "none",
            "fan_in_fan_out": false,
            "inference_mode": true,
            "init_lora_weights": true,
            "layers_pattern": null,
            "layers_to_transform": null,
            "lora_alpha": number(config.lora_alpha),
            "lora_dropout": config.lora_dropout,
            "modules_to_save": null,
            "peft_type": "LORA",
            "r": config.r,
            "rank_pattern": ranks,
            "revision": base.revision,
            "target_modules": modules,
            "task_type": "CAUSAL_LM",
            "use_dora": config.use_dora,
            "use_rslora": config.use_rslora,
        })
    }
}

/// The values of layers that differ from the usual one, by path.
fn exceptions(
    adapted: &[PeftModule],
    value: impl Fn(&PeftModule) -> Value,
    usual: &Value,
) -> Map<String, Value> {
    let of = |module: &PeftModule| (module.path.clone(), value(module));
    adapted.iter().map(of).filter(|(_, value)| value != usual).collect()
}

/// A whole number without a decimal point: some readers want an integer `lora_alpha`.
fn number(value: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and small")]
    let whole = value as i64;
    if value.fract() == 0.0 && value.abs() < 1e15 { json!(whole) } else { json!(value) }
}
