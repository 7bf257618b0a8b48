//! A base quantised once, for all trainings on it.

use std::path::Path;

use emotrain_base::{Complaint, Listener, Stage};
use emotrain_hub::Base;
use emotrain_model::{Checkpoint, Codes, FloatType, Merged, write_quantised};

use crate::companions::write_companions;
use crate::error::ExportError;

/// In what a quantised base is written.
#[derive(Clone, Copy, Debug)]
pub struct QuantiseOptions {
    /// The codes of the linear layers of decoder blocks.
    pub codes: Codes,
    /// The type of all other tensors; `None` for the base's, which is bfloat16 of a base that has none.
    pub dtype: Option<FloatType>,
    /// Bytes of tensors in one file.
    pub max_shard_size: usize,
}

/// Writes `base`, whose weights are `checkpoint`, with codes in the place of its linear layers into the folder `folder`:
/// a model that transformers loads with bitsandbytes, with its tokenizer.
///
/// # Errors
/// A base that has codes already; a folder that is there already and not empty, or that another process writes; weights
/// that cannot be read, a folder that cannot be written: then nothing was.
pub fn quantise(
    base: &Base,
    checkpoint: &Checkpoint,
    options: &QuantiseOptions,
    folder: &Path,
    listener: &dyn Listener,
) -> Result<(), ExportError> {
    if checkpoint.description().codes.is_some() {
        let message = format!("{}: is quantised already", checkpoint.path().display());
        return Err(Complaint::usage(message).hint("begin with the base in 16 or 32 bits").into());
    }
    let dtype = options.dtype.or_else(|| checkpoint.float_type()).unwrap_or(FloatType::Bf16);
    let stage = Stage::create(folder)?;
    let merged = Merged::new(checkpoint, None);
    write_quantised(&merged, stage.folder(), dtype, options.codes, options.max_shard_size)?;
    write_companions(base, stage.folder(), listener)?;
    Ok(stage.publish()?)
}
