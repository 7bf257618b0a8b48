//! LoRA adapters in GGUF files (`llama_adapter_lora_init_impl`): a pair of tensors for each adapted layer, and one `alpha`
//! for the whole file.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use super::header::{self, Entry};
use super::metadata::Metadata;
use super::row_order::RowOrder;
use super::rows_of;
use crate::config::{ModelConfig, problem};
use crate::error::{ConfigProblem, ModelError};
use crate::weights::names::{LinearModule, check_pairs, linear_modules};
use crate::weights::opened::{OpenedFile, whole};

/// The numerator of the scale, by which every layer is multiplied; the denominator is its rank.
pub(super) const ALPHA: &str = "adapter.lora.alpha";

/// Whether llama.cpp multiplies by it as it is: it keeps an `f32`, and takes 0 for a scale of 1.
pub(crate) fn is_alpha(alpha: f64) -> bool {
    (f64::from(f32::MIN_POSITIVE)..=f64::from(f32::MAX)).contains(&alpha)
}

/// What follows the name of a layer.
pub(super) const HALVES: [&str; 2] = [".weight.lora_a", ".weight.lora_b"];

/// The tokens from which on an activated LoRA counts.
const ACTIVATION: &str = "adapter.alora.invocation_tokens";

const AGAIN: &str = "export the adapter again, or convert it with llama.cpp's convert_lora_to_gguf.py";

/// The adapter of one linear layer: `scale · B · A` is added to its weights.
#[derive(Debug, Clone)]
pub(crate) struct GgufLora<'a> {
    /// The layer, as Hugging Face has it: `model.layers.0.self_attn.q_proj`.
    pub(crate) path: String,
    /// Rows of A and columns of B.
    pub(crate) rank: usize,
    /// What the product is multiplied by: `alpha / rank`, with rank-stabilised scaling `alpha / √rank`.
    pub(crate) scale: f64,
    /// `[rank, in_features]`, row-major.
    pub(crate) a: Cow<'a, [f32]>,
    /// `[out_features, rank]`, row-major.
    pub(crate) b: Cow<'a, [f32]>,
}

/// An adapter in a GGUF file, whose values have not been read.
#[derive(Debug)]
pub(crate) struct GgufAdapter {
    file: OpenedFile,
    metadata: Metadata,
    tensors: BTreeMap<String, Entry>,
}

impl GgufAdapter {
    /// Opens the file, which may also hold something else: [`GgufAdapter::is_one`] says so.
    pub(crate) fn open(path: &Path) -> Result<Self, ModelError> {
        let file = OpenedFile::open(path)?;
        let (metadata, tensors) = header::read(&file)?;
        Ok(Self { file, metadata, tensors })
    }

    /// Whether the file says that it is an adapter.
    pub(crate) fn is_one(&self) -> bool {
        matches!(self.metadata.text("general.type"), Ok(Some("adapter")))
    }

    /// How exactly its tensors are stored, in bits of a float's significand.
    pub(crate) fn significand_bits(&self) -> Option<i32> {
        self.tensors.values().map(|entry| entry.block_type.significand_bits()).min()
    }

    /// The adapted layers of a model of this shape, in its order.
    ///
    /// # Errors
    /// An adapter of another kind or for another architecture; a tensor that is missing, left over, not finite, or of
    /// another shape than the model needs.
    pub(crate) fn layers(&self, config: &ModelConfig) -> Result<Vec<GgufLora<'static>>, ModelError> {
        let alpha = self.alpha(config)?;
        let names = self.tensors.keys().map(String::as_str).collect();
        check_pairs(self.file.path(), &names, HALVES)?;
        let linears = linear_modules(config);
        self.check_names(&linears)?;
        let adapted = linears.iter().filter_map(|linear| {
            let [a, b] = HALVES.map(|half| format!("{}{half}", linear.gguf));
            self.tensors.contains_key(&a).then_some((linear, [a, b]))
        });
        adapted.map(|(linear, halves)| self.layer(linear, halves, alpha, config)).collect()
    }

    /// The numerator of the scale, of a file whose metadata fit the model.
    fn alpha(&self, config: &ModelConfig) -> Result<f64, ModelError> {
        let (mut problems, mut alpha) = (Vec::new(), None);
        let architecture = config.architecture.family().gguf;
        for (key, expected, hint) in [
            ("general.type", "adapter", "name a GGUF file with an adapter"),
            ("adapter.type", "lora", AGAIN),
            ("general.architecture", architecture, "name the base that the adapter was trained on"),
        ] {
            match self.metadata.text(key) {
                Ok(Some(found)) if found == expected => {}
                Ok(found) => {
                    let found = found.map_or("missing".to_owned(), |found| format!("{found:?}"));
                    problems.push(hinted(key, format!("{found}, where {expected:?} is needed"), hint));
                }
                Err(problem) => problems.push(problem),
            }
        }
        match self.metadata.number(ALPHA) {
            Ok(Some(stated)) if is_alpha(stated) => alpha = Some(stated),
            Ok(Some(stated)) => {
                problems.push(hinted(ALPHA, format!("{stated} is no number of f32 above 0"), AGAIN));
            }
            Ok(None) => problems.push(hinted(ALPHA, "missing".to_owned(), AGAIN)),
            Err(problem) => problems.push(problem),
        }
        if self.metadata.get(ACTIVATION).is_some() {
            let message = "an activated LoRA, which counts only from these tokens on, is not supported";
            problems.push(problem(ACTIVATION, message));
        }
        alpha.filter(|_| problems.is_empty()).ok_or_else(|| self.metadata.error(problems))
    }

    /// All tensors are of linear layers of the model's blocks.
    fn check_names(&self, linears: &[LinearModule]) -> Result<(), ModelError> {
        let is_known = |name: &String| {
            let layer = HALVES.iter().find_map(|half| name.strip_suffix(half));
            layer.is_some_and(|layer| linears.iter().any(|linear| linear.gguf == layer))
        };
        let names: Vec<String> = self.tensors.keys().filter(|name| !is_known(name)).cloned().collect();
        if names.is_empty() {
            return Ok(());
        }
        Err(ModelError::UnusedTensors { path: self.file.path().to_path_buf(), names })
    }

    fn layer(
        &self,
        linear: &LinearModule,
        [a, b]: [String; 2],
        alpha: f64,
        config: &ModelConfig,
    ) -> Result<GgufLora<'static>, ModelError> {
        let rank = self.tensors[&b].row_length();
        let order = RowOrder::of(config, &format!("{}.weight", linear.path));
        Ok(GgufLora {
            path: linear.path.clone(),
            rank,
            scale: alpha / rank as f64,
            a: self.values(&a, [rank, linear.inputs], RowOrder::AsStored)?.into(),
            b: self.values(&b, [linear.outputs, rank], order)?.into(),
        })
    }

    /// The values of a tensor of this shape, all of which are numbers.
    fn values(&self, name: &str, shape: [usize; 2], order: RowOrder) -> Result<Vec<f32>, ModelError> {
        let entry = &self.tensors[name];
        let wrong = |message: String| ModelError::tensor(self.file.path(), name, message);
        if entry.shape != shape {
            return Err(wrong(format!("shape {:?}, but this model needs {shape:?}", entry.shape)));
        }
        let values = whole(&entry.shape, rows_of(&self.file, entry, order))?;
        match values.iter().find(|value| !value.is_finite()) {
            Some(value) => Err(wrong(format!("holds {value}"))),
            None => Ok(values),
        }
    }
}

fn hinted(key: &str, message: String, hint: &str) -> ConfigProblem {
    ConfigProblem { hint: Some(hint.to_owned()), ..problem(key, message) }
}
