//! Adapters as PEFT writes them: `adapter_model.safetensors` and `adapter_config.json`
//! (`peft/utils/save_and_load.py`, `peft/tuners/lora/config.py`), and those of llama.cpp in a GGUF file; read into memory
//! of the host.

mod config;
mod targets;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::Path;

pub use self::config::{AdapterConfig, BaseModel};
use crate::config::ModelConfig;
use crate::error::ModelError;
use crate::files::is_gguf;
use crate::float::FloatType;
use crate::lora::{LoraConfig, MAGNITUDE};
use crate::weights::{
    GgufAdapter, GgufLora, LinearModule, SafetensorsFile, check_pairs, linear_modules, short,
};

/// What PEFT puts before the model's own names.
pub(crate) const PREFIX: &str = "base_model.model.";

pub(crate) const TENSORS: &str = "adapter_model.safetensors";
pub(crate) const CONFIG: &str = "adapter_config.json";

/// The two halves of each adapted layer.
const HALVES: [&str; 2] = [".lora_A.weight", ".lora_B.weight"];

/// A LoRA adapter of a model of a known shape: `W + s·B·A` for each of its modules.
#[derive(Clone, Debug)]
pub struct PeftAdapter {
    /// The settings of a module for which nothing else is said.
    pub(crate) lora: LoraConfig,
    /// In the order of the model's layers.
    pub(crate) modules: Vec<PeftModule>,
}

/// One adapted linear layer.
#[derive(Clone, Debug)]
pub(crate) struct PeftModule {
    /// Hugging Face path, such as `model.layers.0.self_attn.q_proj`.
    pub(crate) path: String,
    /// Rank.
    pub(crate) r: usize,
    /// Numerator of the scale.
    pub(crate) alpha: f64,
    /// The factor `s`.
    pub(crate) scale: f64,
    /// `[r, in]`, row-major.
    pub(crate) a: Vec<f32>,
    /// `[out, r]`, row-major.
    pub(crate) b: Vec<f32>,
    /// The magnitudes of the outputs (`DoRA`), `[out]`, where they are apart.
    pub(crate) magnitude: Option<Vec<f32>>,
}

impl PeftAdapter {
    /// Reads the adapter at `place`: a folder in PEFT's format, or a GGUF file.
    ///
    /// # Errors
    /// A file that is missing or damaged, a variant that this crate does not compute (biases, a base that was changed …), a tensor that is missing, left over, not finite, or of another shape than this model needs.
    pub fn open(place: &Path, model: &ModelConfig) -> Result<Self, ModelError> {
        if is_gguf(place) {
            return Ok(Self::of_gguf(GgufAdapter::open(place)?.layers(model)?));
        }
        Self::read(&place.join(CONFIG), &place.join(TENSORS), PREFIX, model)
    }

    /// The same, of a configuration and tensors wherever they are; `prefix` is before every tensor's name.
    ///
    /// # Errors
    /// As [`PeftAdapter::open`].
    pub fn read(
        config: &Path,
        tensors: &Path,
        prefix: &str,
        model: &ModelConfig,
    ) -> Result<Self, ModelError> {
        let config = AdapterConfig::read(config)?;
        config.check_rest()?;
        let linears = linear_modules(model);
        let mut planned = Vec::new();
        let mut shapes = Vec::new();
        for LinearModule { path, outputs, inputs, .. } in &linears {
            let Some(lora) = config.layer(path)? else { continue };
            let [a, b] = HALVES.map(|half| format!("{prefix}{path}{half}"));
            shapes.push((a.clone(), vec![lora.r, *inputs]));
            shapes.push((b.clone(), vec![*outputs, lora.r]));
            let magnitude = lora.use_dora.then(|| format!("{prefix}{path}.{MAGNITUDE}"));
            shapes.extend(magnitude.clone().map(|name| (name, vec![*outputs])));
            planned.push((path, lora, [a, b], magnitude));
        }
        if planned.is_empty() {
            let mut known: Vec<String> =
                linears.iter().map(|linear| short(&linear.path).to_owned()).collect();
            known.truncate(known.len() / model.num_hidden_layers.max(1));
            return Err(config.no_layer(&known));
        }
        // Nothing is made in a size that only the configuration states.
        let file = SafetensorsFile::open(tensors)?;
        check_pairs(file.path(), &file.names().collect(), HALVES)?;
        check_tensors(&file, &shapes)?;
        let mut modules = Vec::with_capacity(planned.len());
        for (path, lora, [a, b], magnitude) in planned {
            let (a, b) = (finite(&file, &a)?, finite(&file, &b)?);
            let magnitude = magnitude.map(|name| finite(&file, &name)).transpose()?;
            let (r, alpha, scale) = (lora.r, lora.lora_alpha, lora.scale());
            modules.push(PeftModule { path: path.clone(), r, alpha, scale, a, b, magnitude });
        }
        Ok(Self { lora: config.lora, modules })
    }
}

impl PeftAdapter {
    /// The layers of a GGUF file. A module's own rank and scale count; what is said for all is that of the first.
    fn of_gguf(layers: Vec<GgufLora>) -> Self {
        let module = |GgufLora { path, rank, scale, a, b }| {
            let alpha = scale * rank as f64;
            PeftModule { path, r: rank, alpha, scale, a: a.into_owned(), b: b.into_owned(), magnitude: None }
        };
        let modules: Vec<PeftModule> = layers.into_iter().map(module).collect();
        let (r, lora_alpha) = modules.first().map_or((1, 1.0), |first| (first.r, first.alpha));
        Self { lora: LoraConfig { r, lora_alpha, ..LoraConfig::default() }, modules }
    }

    /// Whether a GGUF file says that it holds an adapter.
    ///
    /// # Errors
    /// A file that is missing or damaged.
    pub fn is_in(gguf: &Path) -> Result<bool, ModelError> {
        Ok(GgufAdapter::open(gguf)?.is_one())
    }

    /// How exactly the tensors of the adapter at `place` are stored, in bits of a float's significand: those of the least
    /// exact one.
    ///
    /// # Errors
    /// A file that is missing or damaged.
    pub fn significand_bits(place: &Path) -> Result<i32, ModelError> {
        let bits = if is_gguf(place) {
            GgufAdapter::open(place)?.significand_bits()
        } else {
            let file = SafetensorsFile::open(&place.join(TENSORS))?;
            file.names().filter_map(|name| file.float_type(name)).map(FloatType::significand_bits).min()
        };
        Ok(bits.unwrap_or(FloatType::F32.significand_bits()))
    }

    /// Whether the outputs have magnitudes of their own (`DoRA`).
    pub fn is_dora(&self) -> bool {
        self.lora.use_dora
    }

    /// Rank, scale and kind, as its configuration says.
    pub fn lora(&self) -> &LoraConfig {
        &self.lora
    }

    /// The largest rank of a module.
    pub fn rank(&self) -> usize {
        self.modules.iter().map(|module| module.r).max().unwrap_or(self.lora.r)
    }

    /// The short names (`q_proj`, …) of what is adapted, sorted.
    pub fn target_names(&self) -> BTreeSet<String> {
        self.modules.iter().map(|module| short(&module.path).to_owned()).collect()
    }

    /// A short name that some layers of the model have adapted and others not.
    pub fn name_missing_in_a_layer(&self, model: &ModelConfig) -> Option<String> {
        let count = |name: &String| self.modules.iter().filter(|module| short(&module.path) == name).count();
        self.target_names().into_iter().find(|name| count(name) < model.num_hidden_layers)
    }
}

/// The values of a tensor, all of which are numbers.
fn finite(file: &SafetensorsFile, name: &str) -> Result<Vec<f32>, ModelError> {
    let (_, values) = file.tensor(name)?;
    match values.iter().find(|value| !value.is_finite()) {
        Some(value) => Err(ModelError::tensor(file.path(), name, format!("holds {value}"))),
        None => Ok(values),
    }
}

/// The file has these tensors in these shapes, and no others.
pub(crate) fn check_tensors(
    file: &SafetensorsFile,
    expected: &[(String, Vec<usize>)],
) -> Result<(), ModelError> {
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
