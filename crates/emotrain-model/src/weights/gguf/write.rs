//! Writing GGUF files of llama.cpp (version 3): models with their tokenizer, and LoRA adapters.

mod adapter;
mod output;
mod quantise;
mod settings;
#[cfg(test)]
mod tests;
mod vocabulary;

use std::path::Path;

use self::output::{GgufOutput, Item, Stated};
use self::settings::{Settings, rope_factors};
use super::blocks::BlockType;
use super::row_order::RowOrder;
use super::tokenizer::{PHI3_NAMES, is_phi3};
use crate::config::ModelConfig;
use crate::error::ModelError;
use crate::weights::TokenizerSource;
use crate::weights::names::tensor_names;

pub(crate) use self::adapter::write_gguf_lora;

/// How the matrices of a GGUF file are stored. Norms and biases are always `f32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GgufType {
    /// Single precision.
    F32,
    /// Half precision.
    F16,
    /// The upper half of an `f32`.
    Bf16,
    /// 8.5 bits a value: 32 signed bytes and their scale.
    Q8_0,
    /// 4.5 bits a value: 256 of four bits in eight parts. The embedding table and the head are `Q8_0`, for theirs are
    /// the errors that reach the logits directly.
    Q4K,
}

impl GgufType {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::F32, Self::F16, Self::Bf16, Self::Q8_0, Self::Q4K];

    /// The name, as llama.cpp has it but in small letters.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::Q8_0 => "q8_0",
            Self::Q4K => "q4_k",
        }
    }

    /// How exactly matrices are stored, in bits of a float's significand.
    pub fn significand_bits(self) -> i32 {
        match self {
            Self::F32 => BlockType::F32,
            Self::F16 => BlockType::F16,
            Self::Bf16 => BlockType::Bf16,
            Self::Q8_0 => BlockType::Q8_0,
            Self::Q4K => BlockType::Q4K,
        }
        .significand_bits()
    }

    /// `general.file_type` (`llama_ftype` of llama.cpp).
    fn file_type(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Q8_0 => 7,
            Self::Q4K => 14,
            Self::Bf16 => 32,
        }
    }

    /// The type of one tensor. Rows that are no whole number of blocks take the next larger type that has room for them.
    fn of_tensor(self, gguf: &str, shape: &[usize]) -> BlockType {
        let [_, width] = *shape else { return BlockType::F32 };
        let is_table = ["token_embd.weight", "output.weight"].contains(&gguf);
        let bytes = if width.is_multiple_of(32) { BlockType::Q8_0 } else { BlockType::F16 };
        match self {
            Self::F32 => BlockType::F32,
            Self::F16 => BlockType::F16,
            Self::Bf16 => BlockType::Bf16,
            Self::Q4K if !is_table && width.is_multiple_of(256) => BlockType::Q4K,
            Self::Q8_0 | Self::Q4K => bytes,
        }
    }
}

/// What a GGUF file of a model says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GgufContents<'a> {
    /// The shape of the model.
    pub(crate) config: &'a ModelConfig,
    /// `general.name`.
    pub(crate) name: &'a str,
    /// Its tokenizer, with the chat template; without one llama.cpp takes ids alone.
    pub(crate) tokenizer: Option<&'a TokenizerSource>,
}

/// Hands the values of the tensor of a Hugging Face name on, row after row, in pieces of any length.
pub(crate) type GiveValues<'a> = &'a mut dyn FnMut(&str, &mut dyn FnMut(&[f32])) -> Result<(), ModelError>;

/// Writes a model to `path`, replacing what was there once everything is on disk; `values` is asked for each tensor of
/// [`tensor_shapes`](crate::tensor_shapes) once.
///
/// Two things llama.cpp does not compute: sliding windows of Mistral, for which the stated context is no longer than
/// the window, and of Phi-3 (`load_hparams` of `LLM_ARCH_PHI3`), whose longer texts differ there. With `longrope` the
/// stated context is the original one: in a longer one llama.cpp has other frequencies for short texts, too.
///
/// # Errors
///
/// A configuration or tokenizer that llama.cpp has no word for, a file that cannot be written, and whatever `values`
/// returns; then nothing was written.
pub(crate) fn write_gguf(
    path: &Path,
    model: &GgufContents,
    kind: GgufType,
    values: GiveValues,
) -> Result<(), ModelError> {
    let config = model.config;
    let metadata = metadata(path, model, kind)?;
    let factors = rope_factors(config);
    let names = tensor_names(config);
    let mut tensors: Vec<Stated> = factors
        .iter()
        .map(|(name, values)| Stated {
            name: (*name).to_owned(),
            shape: vec![values.len()],
            block_type: BlockType::F32,
            order: RowOrder::AsStored,
        })
        .collect();
    tensors.extend(names.iter().map(|tensor| Stated {
        name: tensor.gguf.clone(),
        shape: tensor.shape.clone(),
        block_type: kind.of_tensor(&tensor.gguf, &tensor.shape),
        order: RowOrder::of(config, &tensor.hugging_face),
    }));
    let mut out = GgufOutput::create(path, &metadata, &tensors)?;
    let (of_factors, of_names) = tensors.split_at(factors.len());
    for (tensor, (_, values)) in of_factors.iter().zip(&factors) {
        out.tensor(tensor, &mut |visit| {
            visit(values);
            Ok(())
        })?;
    }
    for (tensor, name) in of_names.iter().zip(&names) {
        let offset = super::norm_offset(config, &name.hugging_face);
        out.tensor(tensor, &mut |visit| {
            values(&name.hugging_face, &mut |values| {
                if offset == 0.0 {
                    visit(values);
                } else {
                    visit(&values.iter().map(|value| value + offset).collect::<Vec<f32>>());
                }
            })
        })?;
    }
    out.finish()
}

/// The name of a model. llama.cpp takes one with `phi-3` or `phi3` in its name for Phi-3, whose tokens swallow the white
/// space behind them, and refuses it without some of Phi-3's tokens (`llama_vocab::impl::load`).
fn general_name(name: &str, strips_behind: bool) -> String {
    if strips_behind {
        return if is_phi3(name) { name.to_owned() } else { format!("{name} (Phi-3)") };
    }
    let mut name = name.to_owned();
    for part in PHI3_NAMES {
        while let Some(place) = name.to_ascii_lowercase().find(part) {
            name.replace_range(place..place + part.len(), "Phi 3");
        }
    }
    name
}

fn metadata(path: &Path, model: &GgufContents, kind: GgufType) -> Result<Vec<(String, Item)>, ModelError> {
    let own = |key: &str, item| (key.to_owned(), item);
    let mut metadata = vec![
        own("general.architecture", Item::text(model.config.architecture.family().gguf)),
        own("general.type", Item::text("model")),
        own("general.file_type", Item::Size(kind.file_type())),
        own("general.quantization_version", Item::Size(2)),
    ];
    let mut settings = Settings::of(model.config);
    metadata.append(&mut settings.items);
    let mut problems = settings.problems;
    let mut strips_behind = false;
    match model.tokenizer {
        None => metadata.push(own(super::tokenizer::MODEL, Item::text(super::tokenizer::NO_VOCABULARY))),
        Some(source) => match vocabulary::convert(source, model.config)? {
            Ok(mut vocabulary) => {
                metadata.append(&mut vocabulary.items);
                strips_behind = vocabulary.strips_behind;
            }
            Err(problem) => problems.push(problem),
        },
    }
    metadata.insert(1, own("general.name", Item::Text(general_name(model.name, strips_behind))));
    if problems.is_empty() {
        Ok(metadata)
    } else {
        Err(ModelError::Config { path: path.to_path_buf(), problems })
    }
}
