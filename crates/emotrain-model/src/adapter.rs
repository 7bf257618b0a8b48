//! Adapters as PEFT writes and reads them: `adapter_model.safetensors` and `adapter_config.json`
//! (`peft/utils/save_and_load.py`, `peft/tuners/lora/config.py`), and the weights of a fully trained model.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use burn::tensor::{DType, Tensor, TensorData};
use emotrain_base::{limits, write_atomic};
use serde_json::{Value, json};

use crate::decoder::CausalLm;
use crate::error::ModelError;
use crate::gradients::Gradients;
use crate::lora::{LoraConfig, LoraInit};
use crate::weights::{Checkpoint, FloatType, NamedTensor, SafetensorsFile, TensorSpec, write_safetensors};

/// What PEFT puts before the model's own names.
const PREFIX: &str = "base_model.model.";

/// Which model an adapter belongs to, as `adapter_config.json` says it.
#[derive(Clone, Copy, Debug)]
pub struct BaseModel<'a> {
    /// `base_model_name_or_path`.
    pub name: &'a str,
    /// `revision`, where the model came from a hub.
    pub revision: Option<&'a str>,
}

impl CausalLm {
    /// Writes the adapter into the existing folder `folder`, in PEFT's form.
    ///
    /// # Errors
    /// When a file cannot be written.
    ///
    /// # Panics
    /// If the model has no adapter.
    pub fn save_adapter(
        &mut self,
        folder: &Path,
        base: BaseModel,
        dtype: FloatType,
    ) -> Result<(), ModelError> {
        let config = self.lora.clone().expect("an adapter to save");
        let named: Vec<NamedTensor> = self
            .parameters()
            .into_iter()
            .map(|(name, tensor)| named(format!("{PREFIX}{name}"), tensor.dims().to_vec(), (tensor, dtype)))
            .collect();
        write_safetensors(&folder.join("adapter_model.safetensors"), &named, &BTreeMap::new())?;
        let text = serde_json::to_string_pretty(&self.adapter_config(&config, base))
            .map_err(|source| ModelError::Json { path: folder.join("adapter_config.json"), source })?;
        Ok(write_atomic(&folder.join("adapter_config.json"), text.as_bytes())?)
    }

    /// Adds the adapter that `folder` holds.
    ///
    /// # Errors
    /// A file that is missing or damaged, a variant that this crate does not compute (DoRA, biases, patterns …), a
    /// tensor that is missing, left over or of another shape than this model needs.
    pub fn load_adapter(&mut self, folder: &Path) -> Result<(), ModelError> {
        let path = folder.join("adapter_config.json");
        let text = emotrain_base::read_to_string(&path, limits::CONFIG)?;
        let config: Value =
            serde_json::from_str(&text).map_err(|source| ModelError::Json { path: path.clone(), source })?;
        self.add_lora(&lora_config(&config, &path)?, 0)?;
        self.load_parameters(&folder.join("adapter_model.safetensors"), PREFIX)
    }

    /// Puts back the tensors of an adapter that was saved from this model.
    ///
    /// # Errors
    /// As [`CausalLm::load_parameters`].
    pub fn reload_adapter(&mut self, folder: &Path) -> Result<(), ModelError> {
        self.load_parameters(&folder.join("adapter_model.safetensors"), PREFIX)
    }

    /// Puts back the weights that [`CausalLm::save_model`] has written.
    ///
    /// # Errors
    /// As [`Checkpoint::open`] and [`CausalLm::load`].
    pub fn reload(&mut self, folder: &Path) -> Result<(), ModelError> {
        *self = Self::load(&Checkpoint::open(folder)?, &self.device(), self.embed.dtype())?;
        self.train_all();
        Ok(())
    }

    /// Replaces every trained parameter by the tensor of the same name (after `prefix`) in a safetensors file.
    ///
    /// # Errors
    /// A file that is missing or damaged; a tensor that is missing, left over, or of another shape.
    pub fn load_parameters(&mut self, path: &Path, prefix: &str) -> Result<(), ModelError> {
        let file = SafetensorsFile::open(path)?;
        let mut left: BTreeSet<String> = file.names().map(str::to_owned).collect();
        let mut missing = Vec::new();
        for (name, parameter) in self.parameters() {
            let name = format!("{prefix}{name}");
            if !left.remove(&name) {
                missing.push(name);
                continue;
            }
            let (shape, values) = file.tensor(&name)?;
            let expected = parameter.dims();
            if shape != expected {
                let message = format!("shape {shape:?}, but this model needs {expected:?}");
                return Err(ModelError::tensor(path, &name, message));
            }
            let options = (&parameter.device(), parameter.dtype());
            *parameter = Tensor::from_data(TensorData::new(values, expected), options);
        }
        if !missing.is_empty() {
            let unknown = left.into_iter().collect();
            return Err(ModelError::MissingTensors { path: path.to_path_buf(), names: missing, unknown });
        }
        if !left.is_empty() {
            return Err(ModelError::UnusedTensors {
                path: path.to_path_buf(),
                names: left.into_iter().collect(),
            });
        }
        Ok(())
    }

    /// Writes all base weights into the existing folder `folder` as Hugging Face's `model.safetensors` and `config.json`.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save_model(&self, folder: &Path, dtype: FloatType) -> Result<(), ModelError> {
        let tensors: Vec<NamedTensor> = self
            .base_tensors()
            .into_iter()
            .map(|(name, shape, tensor)| named(name, shape, (&tensor, dtype)))
            .collect();
        write_safetensors(&folder.join("model.safetensors"), &tensors, &BTreeMap::new())?;
        Ok(write_atomic(&folder.join("config.json"), self.config.to_json(dtype).as_bytes())?)
    }

    /// Gradients under the names of single layers: those of stacked base weights are split.
    pub fn unstack(&self, mut gradients: Gradients) -> Vec<(String, Tensor<2>)> {
        let mut split = Vec::new();
        for linear in self.layers.iter().flat_map(crate::layer::Layer::linears) {
            let path = linear.stacked_path();
            for (end, dim) in [("weight", 0), ("bias", 1)] {
                let Some(gradient) = gradients.remove(&format!("{path}.{end}")) else { continue };
                for module in &linear.modules {
                    let part = gradient.clone().narrow(dim, module.columns.start, module.columns.len());
                    split.push((format!("{}.{end}", module.path), part));
                }
            }
        }
        let names: Vec<String> = gradients.names().map(str::to_owned).collect();
        split.extend(names.into_iter().filter_map(|name| gradients.remove(&name).map(|g| (name, g))));
        split
    }

    fn adapter_config(&self, config: &LoraConfig, base: BaseModel) -> Value {
        let mut modules = self.linear_names();
        modules.retain(|name| config.targets(name));
        modules.sort();
        // Keys in alphabetical order, as PEFT writes them.
        json!({
            "alpha_pattern": {},
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
            "rank_pattern": {},
            "revision": base.revision,
            "target_modules": modules,
            "task_type": "CAUSAL_LM",
            "use_dora": false,
            "use_rslora": config.use_rslora,
        })
    }
}

/// A tensor as it is to be written, read back from the device.
fn named(name: String, shape: Vec<usize>, (tensor, dtype): (&Tensor<2>, FloatType)) -> NamedTensor {
    let values = tensor.clone().cast(DType::F32).try_into_vec_as().expect("a device that can be read");
    NamedTensor { spec: TensorSpec { name, shape, dtype }, values }
}

/// A whole number without a decimal point: some readers want an integer `lora_alpha`.
fn number(value: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and small")]
    let whole = value as i64;
    if value.fract() == 0.0 && value.abs() < 1e15 { json!(whole) } else { json!(value) }
}

/// PEFT's `adapter_config.json`, as far as this crate computes it.
fn lora_config(config: &Value, path: &Path) -> Result<LoraConfig, ModelError> {
    let refuse = |key: &str, why: &str| Err(ModelError::file(path, format!("{key}: {why}")));
    if config["peft_type"] != "LORA" {
        return refuse("peft_type", "only \"LORA\" is supported");
    }
    for key in ["use_dora", "fan_in_fan_out", "lora_bias", "use_qalora"] {
        if config[key] == json!(true) {
            return refuse(key, "true is not supported");
        }
    }
    for key in ["modules_to_save", "layers_to_transform", "layer_replication", "target_parameters"] {
        if !config[key].is_null() {
            return refuse(key, "not supported");
        }
    }
    for key in ["rank_pattern", "alpha_pattern"] {
        if config[key].as_object().is_some_and(|pattern| !pattern.is_empty()) {
            return refuse(key, "not supported");
        }
    }
    if config["bias"].as_str().is_some_and(|bias| bias != "none") {
        return refuse("bias", "only \"none\" is supported");
    }
    let rank = config["r"].as_u64().and_then(|r| usize::try_from(r).ok()).filter(|&r| r > 0);
    let (Some(r), Some(lora_alpha)) = (rank, config["lora_alpha"].as_f64()) else {
        return refuse("r, lora_alpha", "missing or not a number");
    };
    let target_modules = match &config["target_modules"] {
        Value::Array(names) => Some(names.iter().filter_map(|n| n.as_str().map(str::to_owned)).collect()),
        Value::String(all) if all == "all-linear" => None,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            return refuse("target_modules", "must be a list of layer names, or \"all-linear\"");
        }
    };
    Ok(LoraConfig {
        r,
        lora_alpha,
        lora_dropout: config["lora_dropout"].as_f64().unwrap_or(0.0),
        target_modules,
        use_rslora: config["use_rslora"] == json!(true),
        init: LoraInit::Kaiming,
    })
}
