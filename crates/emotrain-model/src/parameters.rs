//! The trained parameters of a model: saved, loaded, put back.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::{DType, Tensor, TensorData};

use crate::adapter::{BaseModel, PREFIX, PeftAdapter, PeftModule, TENSORS, check_tensors};
use crate::decoder::CausalLm;
use crate::error::ModelError;
use crate::export::write_config;
use crate::float::FloatType;
use crate::gradients::Gradients;
use crate::lora::{Adapter, LoraConfig};
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
        let modules = adapter.modules().map(|module| PeftModule {
            path: module.path.clone(),
            r: module.lora.a.dims()[0],
            alpha: module.lora.alpha,
            scale: module.lora.scale,
            a: values(&module.lora.a),
            b: values(&module.lora.b),
        });
        let adapter = PeftAdapter { lora: adapter.config.clone(), modules: modules.collect() };
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
        self.adapter = Some(self.fresh_adapter(&lora, 0, &|path| settings.get(path).cloned()));
        let mut halves = BTreeMap::new();
        for PeftModule { path, a, b, .. } in modules {
            halves.insert(format!("{path}.lora_A.weight"), a);
            halves.insert(format!("{path}.lora_B.weight"), b);
        }
        let adapted = self.adapter.iter_mut().flat_map(|adapter| &mut adapter.layers);
        for (name, parameter) in adapted.flat_map(crate::lora::LayerAdapter::parameters) {
            let values = halves.remove(&name).expect("every adapted layer was read");
            let options = (&parameter.device(), parameter.dtype());
            *parameter = Tensor::from_data(TensorData::new(values, parameter.dims()), options);
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
        write_config(&self.description, folder, dtype)
    }
}

/// A tensor's values, read back from the device.
fn values(tensor: &Tensor<2>) -> Vec<f32> {
    tensor.clone().cast(DType::F32).try_into_vec_as().expect("a device that can be read")
}
