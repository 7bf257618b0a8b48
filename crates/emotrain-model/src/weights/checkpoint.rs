//! One model's weights, wherever they come from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use emotrain_base::hexadecimal;
use emotrain_kernels::Numbers;
use sha2::{Digest, Sha256};

use super::bitsandbytes::FolderWeights;
use super::folder::{INDEX, SINGLE};
use super::gguf::{GgufModel, TokenizerSource};
use super::names::{EMBEDDINGS, HEAD, is_known_buffer, tensor_shapes};
use super::write::TensorSpec;
use crate::config::{ModelConfig, ModelDescription};
use crate::error::ModelError;
use crate::files::{check_present, is_gguf, lies_at};
use crate::float::FloatType;

/// An opened source of weights: a Hugging Face folder or a GGUF file.
///
/// Opening checks that every tensor of the model is there in its shape; values are read and converted when
/// they are asked for, and [`Checkpoint::finish`] says what was left over.
#[derive(Debug)]
pub struct Checkpoint {
    source: Source,
    used: Mutex<BTreeSet<String>>,
}

#[derive(Debug)]
enum Source {
    Folder { description: ModelDescription, weights: FolderWeights },
    Gguf(GgufModel),
}

impl Checkpoint {
    /// Opens a folder with `config.json` and safetensors, a folder that holds exactly one `.gguf` file, or a
    /// `.gguf` file. Weights are not read yet.
    ///
    /// # Errors
    ///
    /// When there is no such model, its configuration is not supported, a file is truncated or contradicts
    /// itself, or tensors are missing or have other shapes than the configuration says.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        check_present(path)?;
        let source = if path.is_dir() { open_folder(path)? } else { open_file(path)? };
        let checkpoint = Self { source, used: Mutex::new(BTreeSet::new()) };
        checkpoint.check_tensors()?;
        Ok(checkpoint)
    }

    /// The model's configuration.
    pub fn config(&self) -> &ModelConfig {
        &self.description().config
    }

    /// The configuration with all else that the files say of the model.
    pub fn description(&self) -> &ModelDescription {
        match &self.source {
            Source::Folder { description, .. } => description,
            Source::Gguf(model) => model.description(),
        }
    }

    /// Shape and values (row-major) of a tensor under its Hugging Face name, and notes that it was used.
    ///
    /// # Errors
    ///
    /// When there is no such tensor.
    pub fn tensor(&self, name: &str) -> Result<(Vec<usize>, Vec<f32>), ModelError> {
        let tensor = self.read(name)?;
        self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
        Ok(tensor)
    }

    /// Visits the values (row-major) of a tensor that must have the given shape, piece by piece, and notes that it was
    /// used.
    ///
    /// # Errors
    ///
    /// When there is no such tensor, its shape differs, or it cannot be read.
    pub fn visit(
        &self,
        name: &str,
        shape: &[usize],
        visit: &mut dyn FnMut(&[f32]),
    ) -> Result<(), ModelError> {
        self.check_shape(name, shape)?;
        self.pieces(name, visit)?;
        self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
        Ok(())
    }

    /// Appends the bits of a tensor of this shape that a folder has in this type of 16 bits, which need no detour through
    /// `f32`, and notes that it was used; `false` where it is of another type.
    pub(crate) fn read_bits(&self, spec: &TensorSpec, bits: &mut Vec<u16>) -> Result<bool, ModelError> {
        let Source::Folder { weights, .. } = &self.source else { return Ok(false) };
        let TensorSpec { name, shape, dtype } = spec;
        self.check_shape(name, shape)?;
        let is_read = weights.read_bits(name, *dtype, bits)?;
        if is_read {
            self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone());
        }
        Ok(is_read)
    }

    /// The codes of a matrix of this shape that is stored in some that a base is kept in, and notes that it was used;
    /// `None` where it is not.
    pub(crate) fn codes(&self, name: &str, shape: &[usize]) -> Result<Option<Numbers>, ModelError> {
        let Source::Folder { weights, .. } = &self.source else { return Ok(None) };
        self.check_shape(name, shape)?;
        let codes = weights.codes(name)?;
        if codes.is_some() {
            self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
        }
        Ok(codes)
    }

    /// To be called when a model has taken all it needs.
    ///
    /// # Errors
    ///
    /// When a tensor of the file was not used. Saved rotary frequencies are allowed, and a head that equals
    /// the embedding table it is tied to.
    pub fn finish(&self) -> Result<(), ModelError> {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let mut unused = Vec::new();
        for name in self.names() {
            if used.contains(name) || is_known_buffer(name) {
                continue;
            }
            if name == HEAD && self.config().tie_word_embeddings {
                if self.digest(HEAD)? == self.digest(EMBEDDINGS)? {
                    continue;
                }
                let message = "differs from the embedding table, but config.json ties the two";
                return Err(ModelError::tensor(self.path(), HEAD, message));
            }
            unused.push(name.to_owned());
        }
        if unused.is_empty() {
            return Ok(());
        }
        Err(ModelError::UnusedTensors { path: self.path().to_path_buf(), names: unused })
    }

    /// The tokenizer of a GGUF file as the text of Hugging Face's files; `None` for a Hugging Face folder,
    /// which has those files, and for a GGUF file without a tokenizer.
    ///
    /// # Errors
    ///
    /// When the file's tokenizer is of a kind that is not supported, or contradicts itself.
    pub fn tokenizer_files(&self) -> Result<Option<TokenizerSource>, ModelError> {
        match &self.source {
            Source::Folder { .. } => Ok(None),
            Source::Gguf(model) => model.tokenizer(),
        }
    }

    /// Lower-case hexadecimal sha256 of the weights: of the file itself, or for shards of the lines
    /// `hash  name` in the order of their names (what `sha256sum *.safetensors | sha256sum` prints).
    ///
    /// Reads every weight file once.
    ///
    /// # Errors
    ///
    /// When a file cannot be read.
    pub fn sha256(&self) -> Result<String, ModelError> {
        match &self.source {
            Source::Folder { weights, .. } => weights.sha256(),
            Source::Gguf(model) => model.sha256(),
        }
    }

    /// The type that all matrices of the file have, the widest where they differ; `None` where they are quantised.
    pub fn float_type(&self) -> Option<FloatType> {
        let table = |name: &str| match &self.source {
            Source::Folder { weights, .. } => weights.float_type(name),
            Source::Gguf(model) => model.float_type(name),
        };
        let shapes = tensor_shapes(self.config()).into_iter().filter(|(_, shape)| shape.len() > 1);
        let types: Option<Vec<FloatType>> = shapes.map(|(name, _)| table(&name)).collect();
        types?.into_iter().max_by_key(|float| float.size())
    }

    /// How exactly the matrices are stored, in bits of a float's significand: those of the least exact one. A quantised
    /// type has as many as the float whose rounding errors are as large.
    pub fn significand_bits(&self) -> i32 {
        let bits = |name: &str| match &self.source {
            Source::Folder { weights, .. } => weights.significand_bits(name),
            Source::Gguf(model) => model.significand_bits(name),
        };
        let shapes = tensor_shapes(self.config()).into_iter().filter(|(_, shape)| shape.len() > 1);
        let bits = shapes.filter_map(|(name, _)| bits(&name)).min();
        bits.unwrap_or(FloatType::F32.significand_bits())
    }

    /// The weight file, or the folder of shards.
    pub fn path(&self) -> &Path {
        match &self.source {
            Source::Folder { weights, .. } => weights.path(),
            Source::Gguf(model) => model.path(),
        }
    }

    /// The names of all tensors, sorted; Hugging Face's where there is one.
    pub fn names(&self) -> Vec<&str> {
        match &self.source {
            Source::Folder { weights, .. } => weights.names().collect(),
            Source::Gguf(model) => model.names().collect(),
        }
    }

    fn read(&self, name: &str) -> Result<(Vec<usize>, Vec<f32>), ModelError> {
        match &self.source {
            Source::Folder { weights, .. } => weights.tensor(name),
            Source::Gguf(model) => model.tensor(name),
        }
    }

    fn pieces(&self, name: &str, visit: &mut dyn FnMut(&[f32])) -> Result<(), ModelError> {
        match &self.source {
            Source::Folder { weights, .. } => weights.visit(name, visit),
            Source::Gguf(model) => model.visit(name, visit),
        }
    }

    /// Tells tensors apart without holding them.
    fn digest(&self, name: &str) -> Result<String, ModelError> {
        let mut hasher = Sha256::new();
        self.pieces(name, &mut |values| {
            for value in values {
                // 0 and -0 are one number.
                hasher.update((value + 0.0).to_le_bytes());
            }
        })?;
        Ok(hexadecimal(&hasher.finalize()))
    }

    fn shape(&self, name: &str) -> Option<&[usize]> {
        match &self.source {
            Source::Folder { weights, .. } => weights.shape(name),
            Source::Gguf(model) => model.shape(name),
        }
    }

    fn check_shape(&self, name: &str, expected: &[usize]) -> Result<(), ModelError> {
        match self.shape(name) {
            None => Err(ModelError::tensor(self.path(), name, "not in the file")),
            Some(shape) if shape != expected => {
                let message = format!("shape {shape:?} where the configuration needs {expected:?}");
                Err(ModelError::tensor(self.path(), name, message))
            }
            Some(_) => Ok(()),
        }
    }

    /// Every tensor of the configuration is there, in its shape, and none that it has no place for.
    fn check_tensors(&self) -> Result<(), ModelError> {
        let path = self.path().to_path_buf();
        let expected: BTreeMap<String, Vec<usize>> = tensor_shapes(self.config()).into_iter().collect();
        let names = self.names().into_iter();
        let unknown: Vec<String> = names
            .filter(|name| !expected.contains_key(*name) && !is_known_buffer(name) && *name != HEAD)
            .map(str::to_owned)
            .collect();
        let missing: Vec<String> =
            expected.keys().filter(|name| self.shape(name).is_none()).cloned().collect();
        if !missing.is_empty() {
            return Err(ModelError::MissingTensors { path, names: missing, unknown });
        }
        for (name, shape) in &expected {
            self.check_shape(name, shape)?;
        }
        if unknown.is_empty() { Ok(()) } else { Err(ModelError::UnusedTensors { path, names: unknown }) }
    }
}

fn open_folder(folder: &Path) -> Result<Source, ModelError> {
    let config_path = folder.join("config.json");
    let has_weights = lies_at(&folder.join(SINGLE)) || lies_at(&folder.join(INDEX));
    if !has_weights && let Some(file) = only_gguf(folder)? {
        return Ok(Source::Gguf(GgufModel::open(&file)?));
    }
    if !lies_at(&config_path) {
        let message = "not a model: no config.json and no .gguf file";
        let hint = format!("a model folder holds config.json and {SINGLE} (or {INDEX}), or one .gguf file");
        return Err(ModelError::file_with_hint(folder, message, hint));
    }
    let description = ModelDescription::read(&config_path)?;
    let weights = FolderWeights::open(folder)?;
    if weights.has_codes() && description.codes.is_none() {
        let message = "its weights are codes of bitsandbytes, which quantization_config does not say";
        let hint = "download config.json again: transformers saves it with the weights";
        return Err(ModelError::file_with_hint(&config_path, message, hint));
    }
    Ok(Source::Folder { description, weights })
}

/// The `.gguf` file of a folder; more than one is an error, for nothing says which.
fn only_gguf(folder: &Path) -> Result<Option<PathBuf>, ModelError> {
    let mut found = Vec::new();
    for entry in fs_err::read_dir(folder)? {
        let path = entry?.path();
        if is_gguf(&path) && path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    if found.len() > 1 {
        let names: Vec<String> =
            found.iter().filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect();
        let message = format!("holds {} .gguf files: {}", found.len(), names.join(", "));
        return Err(ModelError::file_with_hint(folder, message, "name the file instead of the folder"));
    }
    Ok(found.pop())
}

fn open_file(path: &Path) -> Result<Source, ModelError> {
    if !is_gguf(path) {
        let hint = "give a folder with config.json and safetensors, or a .gguf file";
        return Err(ModelError::file_with_hint(path, "not a model", hint));
    }
    Ok(Source::Gguf(GgufModel::open(path)?))
}
