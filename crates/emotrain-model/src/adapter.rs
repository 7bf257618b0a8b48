//! Adapters as PEFT writes and reads them: `adapter_model.safetensors` and `adapter_config.json`
//! (`peft/utils/save_and_load.py`, `peft/tuners/lora/config.py`), and the weights of a fully trained model.

mod config;
mod targets;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use burn::tensor::{DType, Tensor, TensorData};
use emotrain_base::write_atomic;
use serde_json::{Map, Value, json};

use self::config::AdapterConfig;
use crate::decoder::{CausalLm, short};
use crate::error::ModelError;
use crate::float::FloatType;
use crate::gradients::Gradients;
use crate::linear::Module;
use crate::lora::{AdaptedModule, Adapter, Lora};
use crate::weights::{Checkpoint, NamedTensor, SafetensorsFile, TensorSpec, write_safetensors};

/// What PEFT puts before the model's own names.
const PREFIX: &str = "base_model.model.";

const TENSORS: &str = "adapter_model.safetensors";
const CONFIG: &str = "adapter_config.json";

/// The two halves of each adapted layer.
const HALVES: [&str; 2] = [".lora_A.weight", ".lora_B.weight"];

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
        let adapter = self.adapter.clone().expect("an adapter to save");
        let named: Vec<NamedTensor> = self
            .parameters()
            .into_iter()
            .map(|(name, tensor)| {
                let name = format!("{PREFIX}{name}");
                named(TensorSpec { name, shape: tensor.dims().to_vec(), dtype }, tensor)
            })
            .collect();
        write_safetensors(&folder.join(TENSORS), &named, &BTreeMap::new())?;
        let text = serde_json::to_string_pretty(&self.adapter_config(&adapter, base))
            .map_err(|source| ModelError::Json { path: folder.join(CONFIG), source })?;
        Ok(write_atomic(&folder.join(CONFIG), text.as_bytes())?)
    }

    /// Puts the adapter that `folder` holds into the model, in the place of any that it has.
    ///
    /// # Errors
    /// A file that is missing or damaged, a variant that this crate does not compute (DoRA, biases, a base that was
    /// changed …), a tensor that is missing, left over, not finite, or of another shape than this model needs.
    pub fn load_adapter(&mut self, folder: &Path) -> Result<(), ModelError> {
        let config = AdapterConfig::read(&folder.join(CONFIG))?;
        config.check_rest()?;
        let mut plan = BTreeMap::new();
        let mut shapes = Vec::new();
        for linear in self.layers.iter().flat_map(crate::layer::Layer::linears) {
            let [_, input] = linear.weight.dims();
            for Module { path, columns } in &linear.modules {
                let Some(lora) = config.layer(path)? else { continue };
                let halves = HALVES.map(|half| format!("{PREFIX}{path}{half}"));
                shapes.extend(halves.into_iter().zip([[lora.r, input], [columns.len(), lora.r]]));
                plan.insert(path.clone(), lora);
            }
        }
        if plan.is_empty() {
            return Err(config.no_layer(&self.linear_names()));
        }
        // Nothing is made in a size that only the configuration states.
        let file = SafetensorsFile::open(&folder.join(TENSORS))?;
        check_pairs(&file)?;
        check_tensors(&file, &shapes)?;
        self.adapter = Some(self.fresh_adapter(&config.lora, 0, &|path| plan.get(path).cloned()));
        self.load_parameters(file.path(), PREFIX)
    }

    /// The paths of the adapted layers.
    pub fn adapted(&self) -> Vec<&str> {
        self.adapter.iter().flat_map(Adapter::modules).map(|module| module.path.as_str()).collect()
    }

    /// Replaces the dropout of the adapter, which is a matter of training and not of what was trained.
    pub fn set_lora_dropout(&mut self, lora_dropout: f64) {
        if let Some(adapter) = &mut self.adapter {
            adapter.config.lora_dropout = lora_dropout;
        }
    }

    /// Puts back the tensors of an adapter that was saved from this model.
    ///
    /// # Errors
    /// As [`CausalLm::load_parameters`].
    pub fn reload_adapter(&mut self, folder: &Path) -> Result<(), ModelError> {
        self.load_parameters(&folder.join(TENSORS), PREFIX)
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
    /// A file that is missing or damaged; a tensor that is missing, left over, not finite, or of another shape.
    pub fn load_parameters(&mut self, path: &Path, prefix: &str) -> Result<(), ModelError> {
        let file = SafetensorsFile::open(path)?;
        let full = |name: &str| format!("{prefix}{name}");
        let parameters = self.parameters();
        let shapes: Vec<_> = parameters.iter().map(|(name, tensor)| (full(name), tensor.dims())).collect();
        check_tensors(&file, &shapes)?;
        for (name, parameter) in parameters {
            let (_, values) = file.tensor(&full(&name))?;
            if let Some(value) = values.iter().find(|value| !value.is_finite()) {
                return Err(ModelError::tensor(path, &full(&name), format!("holds {value}")));
            }
            let options = (&parameter.device(), parameter.dtype());
            *parameter = Tensor::from_data(TensorData::new(values, parameter.dims()), options);
        }
        Ok(())
    }

    /// Writes all base weights into the existing folder `folder` as Hugging Face's `model.safetensors` and `config.json`;
    /// the latter says of special tokens and the like what the base's says.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save_model(&self, folder: &Path, dtype: FloatType) -> Result<(), ModelError> {
        let tensors: Vec<NamedTensor> = self
            .base_tensors()
            .into_iter()
            .map(|(name, shape, tensor)| named(TensorSpec { name, shape, dtype }, &tensor))
            .collect();
        write_safetensors(&folder.join("model.safetensors"), &tensors, &BTreeMap::new())?;
        Ok(write_atomic(&folder.join("config.json"), self.description.to_json(dtype).as_bytes())?)
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

    /// What an adapter's configuration says of this one. Layers are named by the ends of their paths where those
    /// tell them apart.
    fn adapter_config(&self, adapter: &Adapter, base: BaseModel) -> Value {
        let config = &adapter.config;
        let adapted: Vec<&AdaptedModule> = adapter.modules().collect();
        let paths: BTreeSet<&str> = adapted.iter().map(|module| module.path.as_str()).collect();
        let mut modules: BTreeSet<&str> = paths.iter().map(|path| short(path)).collect();
        let all =
            self.layers.iter().flat_map(crate::layer::Layer::linears).flat_map(|linear| &linear.modules);
        let mut others = all.filter(|module| !paths.contains(module.path.as_str()));
        if others.any(|module| modules.contains(short(&module.path))) {
            modules = paths;
        }
        let ranks = exceptions(&adapted, |lora| json!(lora.a.dims()[0]), &json!(config.r));
        let alphas = exceptions(&adapted, |lora| number(lora.alpha), &number(config.lora_alpha));
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
            "use_dora": false,
            "use_rslora": config.use_rslora,
        })
    }
}

/// The values of layers that differ from the usual one, by path.
fn exceptions(
    adapted: &[&AdaptedModule],
    value: impl Fn(&Lora) -> Value,
    usual: &Value,
) -> Map<String, Value> {
    let of = |module: &&AdaptedModule| (module.path.clone(), value(&module.lora));
    adapted.iter().map(of).filter(|(_, value)| value != usual).collect()
}

/// An adapter has something, and both halves of everything.
fn check_pairs(file: &SafetensorsFile) -> Result<(), ModelError> {
    if file.names().next().is_none() {
        let hint = "the training that wrote it has to gather the weights before it saves them";
        return Err(ModelError::file_with_hint(file.path(), "holds no tensors", hint));
    }
    for name in file.names() {
        for (half, other) in [(HALVES[0], HALVES[1]), (HALVES[1], HALVES[0])] {
            let Some(layer) = name.strip_suffix(half) else { continue };
            let other = format!("{layer}{other}");
            if file.shape(&other).is_none() {
                let message = format!("is half of a pair: {other:?} is not in the file");
                return Err(ModelError::tensor(file.path(), name, message));
            }
        }
    }
    Ok(())
}

/// The file has these tensors in these shapes, and no others.
fn check_tensors(file: &SafetensorsFile, expected: &[(String, [usize; 2])]) -> Result<(), ModelError> {
    let path = file.path().to_path_buf();
    let known: BTreeSet<&str> = expected.iter().map(|(name, _)| name.as_str()).collect();
    let left: Vec<String> = file.names().filter(|name| !known.contains(name)).map(str::to_owned).collect();
    let missing = expected.iter().map(|(name, _)| name).filter(|name| file.shape(name).is_none());
    let names: Vec<String> = missing.cloned().collect();
    if !names.is_empty() {
        return Err(ModelError::MissingTensors { path, names, unknown: left });
    }
    for (name, shape) in expected {
        if let Some(found) = file.shape(name).filter(|found| found != shape) {
            let message = format!("shape {found:?}, but this model needs {shape:?}");
            return Err(ModelError::tensor(&path, name, message));
        }
    }
    if left.is_empty() { Ok(()) } else { Err(ModelError::UnusedTensors { path, names: left }) }
}

/// A tensor as it is to be written, read back from the device.
fn named(spec: TensorSpec, tensor: &Tensor<2>) -> NamedTensor {
    let values = tensor.clone().cast(DType::F32).try_into_vec_as().expect("a device that can be read");
    NamedTensor { spec, values }
}

/// A whole number without a decimal point: some readers want an integer `lora_alpha`.
fn number(value: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and small")]
    let whole = value as i64;
    if value.fract() == 0.0 && value.abs() < 1e15 { json!(whole) } else { json!(value) }
}
