//! The trained parameters of a model: saved, loaded, put back.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::{DType, Tensor, TensorData};

use crate::adapter::{BaseModel, PeftAdapter, PeftModule, check_tensors};
use crate::decoder::CausalLm;
use crate::error::ModelError;
use crate::export::write_config;
use crate::float::FloatType;
use crate::gradients::Gradients;
use crate::lora::{AdaptedModule, Adapter, Lora, LoraConfig, MAGNITUDE};
use crate::weights::{Checkpoint, NamedTensor, SafetensorsFile, TensorSpec, write_safetensors};

impl CausalLm {
    /// Writes the adapter into the existing folder `folder`, in PEFT's form.
    ///
    /// # Errors
    /// When a file cannot be written.
    ///
    /// # Panics
    /// If the model has no adapter.
    pub fn save_adapter(&self, folder: &Path, base: BaseModel, dtype: FloatType) -> Result<(), ModelError> {
        let adapter = self.adapter.as_ref().expect("an adapter to save");
        let use_rslora = adapter.config.use_rslora;
        let modules = adapter.modules().map(|AdaptedModule { path, lora, .. }| {
            let Lora { a, b, alpha, scale, dora, .. } = lora.whole(use_rslora);
            let magnitude = dora.map(|dora| values(&dora.magnitude));
            let (path, r, a, b) = (path.clone(), a.dims()[0], values(&a), values(&b));
            PeftModule { path, r, alpha, scale, a, b, magnitude }
        });
        let adapter = PeftAdapter { lora: adapter.config.whole(), modules: modules.collect() };
        adapter.save(folder, self.config(), base, dtype)
    }

    /// Puts the adapter at `place`, a folder in PEFT's format or a GGUF file, into the model, in the place of any that it
    /// has.
    ///
    /// # Errors
    /// As [`PeftAdapter::open`].
    ///
    /// # Panics
    /// Never: what is put in was read for this model.
    pub fn load_adapter(&mut self, place: &Path) -> Result<(), ModelError> {
        let PeftAdapter { lora, modules } = PeftAdapter::open(place, self.config())?;
        let settings = |module: &PeftModule| {
            let config = LoraConfig { r: module.r, lora_alpha: module.alpha, ..lora.clone() };
            (module.path.clone(), config)
        };
        let settings: BTreeMap<String, LoraConfig> = modules.iter().map(settings).collect();
        self.adapter = Some(self.fresh_adapter(&lora, 0, &settings));
        self.put(modules).map_err(|name| ModelError::tensor(place, &name, "belongs to another adapter"))
    }

    /// Puts the numbers of an adapter in the place of the model's own; of one that was saved with what it began with, the
    /// trained part. The error names a tensor that is of another shape.
    fn put(&mut self, modules: Vec<PeftModule>) -> Result<(), String> {
        let mut numbers = BTreeMap::new();
        for PeftModule { path, r, a, b, magnitude, .. } in modules {
            numbers.insert(format!("{path}.lora_A.weight"), (r, a));
            numbers.insert(format!("{path}.lora_B.weight"), (r, b));
            numbers.extend(magnitude.map(|values| (format!("{path}.{MAGNITUDE}"), (r, values))));
        }
        for (name, parameter) in self.adapter.iter_mut().flat_map(Adapter::parameters) {
            let shape = parameter.dims();
            let (rank, mut values) = numbers.remove(&name).ok_or_else(|| name.clone())?;
            if name.ends_with(".lora_A.weight") {
                values.truncate(shape[0] * shape[1]);
            } else if name.ends_with(".lora_B.weight") {
                values =
                    values.chunks_exact(rank).flat_map(|row| &row[..shape[1].min(rank)]).copied().collect();
            }
            if values.len() != shape[0] * shape[1] {
                return Err(name);
            }
            let options = (&parameter.device(), parameter.dtype());
            *parameter = Tensor::from_data(TensorData::new(values, shape), options);
        }
        Ok(())
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
    /// As [`PeftAdapter::open`]; an adapter that is not this model's.
    pub fn reload_adapter(&mut self, folder: &Path) -> Result<(), ModelError> {
        let PeftAdapter { modules, .. } = PeftAdapter::open(folder, self.config())?;
        self.put(modules).map_err(|name| ModelError::tensor(folder, &name, "belongs to another adapter"))
    }

    /// Puts back the weights that [`CausalLm::save_model`] has written.
    ///
    /// # Errors
    /// As [`Checkpoint::open`] and [`CausalLm::load`].
    pub fn reload(&mut self, folder: &Path) -> Result<(), ModelError> {
        let eager = self.layers.iter().any(|layer| layer.spec.attention.eager);
        *self = Self::load(&Checkpoint::open(folder)?, &self.device(), self.embed.dtype())?;
        self.attend_eagerly(eager);
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
        let shapes: Vec<_> =
            parameters.iter().map(|(name, tensor)| (full(name), tensor.dims().to_vec())).collect();
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
        let names = gradients.names();
        split.extend(names.into_iter().filter_map(|name| gradients.remove(&name).map(|g| (name, g))));
        split
    }

    /// Writes all base weights into the existing folder `folder` as Hugging Face's `model.safetensors` and `config.json`;
    /// the latter says of special tokens and the like what the base's says.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save_model(&self, folder: &Path, dtype: FloatType) -> Result<(), ModelError> {
        let tensor = |(name, shape, tensor)| NamedTensor {
            spec: TensorSpec { name, shape, dtype },
            values: values(&tensor),
        };
        let tensors: Vec<NamedTensor> = self.base_tensors().into_iter().map(tensor).collect();
        write_safetensors(&folder.join("model.safetensors"), &tensors, &BTreeMap::new())?;
        write_config(&self.description, folder, dtype, None)
    }
}

/// A tensor's values, read back from the device.
fn values(tensor: &Tensor<2>) -> Vec<f32> {
    tensor.clone().cast(DType::F32).try_into_vec_as().expect("a device that can be read")
}
