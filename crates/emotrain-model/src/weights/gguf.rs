//! Reading GGUF files (version 2 and 3): metadata, tensors and the tokenizer.
//!
//! Formats: the GGUF specification and the block layouts of ggml, as documented by the `gguf` Python
//! package, against which the tests compare every type.

mod adapter;
mod blocks;
mod config;
mod cursor;
mod header;
mod metadata;
mod pre_tokenizer;
mod row_order;
#[cfg(test)]
pub(super) mod tests;
mod tokenizer;
mod write;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use rayon::prelude::*;

use self::config::TensorFacts;
use self::header::Entry;
use self::row_order::RowOrder;
use super::names::tensor_names;
use super::opened::{OpenedFile, in_pieces, whole};
use crate::config::{ModelConfig, ModelDescription};
use crate::error::ModelError;
use crate::float::FloatType;

pub(crate) use self::adapter::{GgufAdapter, GgufLora, is_alpha as is_gguf_alpha};
pub(crate) use self::metadata::{Metadata, Value};
pub use self::tokenizer::TokenizerSource;
pub use self::write::GgufType;
pub(crate) use self::write::{GgufContents, write_gguf, write_gguf_lora};

/// Values dequantised by one thread at a time, about.
const CHUNK: usize = 1 << 16;

/// Divisors of rotary frequencies, which are part of the configuration and not weights: Llama 3's, and those of
/// `longrope` for short and for long texts.
const ROPE_FACTORS: [&str; 3] =
    ["rope_freqs.weight", "rope_factors_short.weight", "rope_factors_long.weight"];

/// A language model in a GGUF file, its tensors under their Hugging Face names.
#[derive(Debug)]
pub(super) struct GgufModel {
    file: OpenedFile,
    metadata: Metadata,
    description: ModelDescription,
    /// By Hugging Face name; a tensor without one keeps its own.
    tensors: BTreeMap<String, Entry>,
}

impl GgufModel {
    pub(super) fn open(path: &Path) -> Result<Self, ModelError> {
        let file = OpenedFile::open(path)?;
        let (metadata, mut stored) = header::read(&file)?;
        let factors = ROPE_FACTORS.map(|name| -> Result<Option<Vec<f32>>, ModelError> {
            let entry = stored.remove(name);
            let values = entry.map(|entry| whole(&entry.shape, rows_of(&file, &entry, RowOrder::AsStored)));
            values.transpose()
        });
        let [rope_factors, short_factors, long_factors] = factors;
        let facts = TensorFacts {
            vocabulary: stored.get("token_embd.weight").and_then(|entry| entry.shape.first().copied()),
            has_head: stored.contains_key("output.weight"),
            rope_factors: rope_factors?,
            short_factors: short_factors?,
            long_factors: long_factors?,
        };
        let config = config::from_metadata(&metadata, &facts)?;
        let original = tokenizer::special_ids(&metadata)?;
        let description = ModelDescription { codes: None, original, ..config.into() };
        let names = tensor_names(&description.config).into_iter();
        let mut names: BTreeMap<String, String> =
            names.map(|tensor| (tensor.gguf, tensor.hugging_face)).collect();
        let mut own = |name: String| names.remove(&name).unwrap_or(name);
        let tensors = stored.into_iter().map(|(name, entry)| (own(name), entry)).collect();
        Ok(Self { file, metadata, description, tensors })
    }

    pub(super) fn path(&self) -> &Path {
        self.file.path()
    }

    /// The configuration, and the ids of special tokens under their keys of a `config.json`.
    pub(super) fn description(&self) -> &ModelDescription {
        &self.description
    }

    fn config(&self) -> &ModelConfig {
        &self.description.config
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    pub(super) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|entry| entry.shape.as_slice())
    }

    pub(super) fn tensor(&self, name: &str) -> Result<(Vec<usize>, Vec<f32>), ModelError> {
        let (entry, order) = self.entry(name)?;
        let mut values = whole(&entry.shape, rows_of(&self.file, entry, order))?;
        let offset = norm_offset(self.config(), name);
        for value in &mut values {
            *value -= offset;
        }
        Ok((entry.shape.clone(), values))
    }

    /// Visits the values of a tensor in order, piece by piece.
    pub(super) fn visit(&self, name: &str, visit: &mut dyn FnMut(&[f32])) -> Result<(), ModelError> {
        let (entry, order) = self.entry(name)?;
        let offset = norm_offset(self.config(), name);
        in_pieces(&entry.shape, rows_of(&self.file, entry, order), &mut |values| {
            if offset == 0.0 {
                visit(values);
            } else {
                visit(&values.iter().map(|value| value - offset).collect::<Vec<f32>>());
            }
        })
    }

    fn entry(&self, name: &str) -> Result<(&Entry, RowOrder), ModelError> {
        let Some(entry) = self.tensors.get(name) else {
            return Err(ModelError::tensor(self.path(), name, "not in the file"));
        };
        Ok((entry, RowOrder::of(self.config(), name)))
    }

    /// How exactly a tensor is stored.
    pub(super) fn significand_bits(&self, name: &str) -> Option<i32> {
        Some(self.tensors.get(name)?.block_type.significand_bits())
    }

    /// The type of a tensor that is not quantised.
    pub(super) fn float_type(&self, name: &str) -> Option<FloatType> {
        self.tensors.get(name)?.block_type.float_type()
    }

    /// The tokenizer as the text of Hugging Face's files; `None` when the file has none.
    pub(super) fn tokenizer(&self) -> Result<Option<TokenizerSource>, ModelError> {
        tokenizer::convert(&self.metadata, self.config())
    }

    pub(super) fn sha256(&self) -> Result<String, ModelError> {
        self.file.sha256()
    }
}

/// What llama.cpp's converter adds: 1 to norms that Hugging Face stores around 0.
fn norm_offset(config: &ModelConfig, name: &str) -> f32 {
    let is_norm = name.ends_with("norm.weight");
    if is_norm && config.architecture.family().gemma { 1.0 } else { 0.0 }
}

/// What dequantises rows of a tensor, which are in Hugging Face's order.
fn rows_of(
    file: &OpenedFile,
    entry: &Entry,
    order: RowOrder,
) -> impl FnMut(Range<usize>, &mut [f32]) -> Result<(), ModelError> {
    let row_length = entry.row_length();
    let row_bytes = entry.block_type.bytes(row_length);
    let rows_at_once = (CHUNK / row_length).max(1);
    let mut bytes = Vec::new();
    move |rows, values| {
        let stored = order.stored_rows(rows.clone());
        bytes.resize(stored.len() * row_bytes, 0);
        file.read(entry.start + stored.start * row_bytes, &mut bytes)?;
        values.par_chunks_mut(rows_at_once * row_length).enumerate().for_each(|(chunk, values)| {
            for (offset, row) in values.chunks_exact_mut(row_length).enumerate() {
                let place = order.stored_row(rows.start + chunk * rows_at_once + offset) - stored.start;
                entry.block_type.dequantise(&bytes[place * row_bytes..][..row_bytes], row);
            }
        });
        Ok(())
    }
}
