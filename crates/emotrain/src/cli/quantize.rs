//! The command line of `emotrain quantize`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::PossibleValuesParser;
use emotrain_model::{Codes, FloatType};

use super::export::{dtype, size};

#[derive(Args, Debug)]
#[command(
    after_help = "Recipes quantise a base while they read it ([quantization] load_in_4bit = true). Written once, it takes a quarter of the
disk and is read without being quantised again: name the folder in model.model_name_or_path. transformers loads it with
bitsandbytes, whose form it is, and so does vLLM.

Examples:
  emotrain quantize models/Qwen3-8B --out models/Qwen3-8B-nf4
  emotrain quantize Qwen/Qwen3-8B --quant-type int8 --out models/Qwen3-8B-int8"
)]
pub(crate) struct QuantizeArgs {
    /// The base model: a folder, a .gguf file or a hub name
    #[arg(value_name = "MODEL")]
    pub(crate) model: String,
    /// The folder to write, which must not exist or be empty
    #[arg(long, short, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// The version of a model from the hub: a branch, a tag or a commit
    #[arg(long, value_name = "REVISION", default_value = "main")]
    pub(crate) revision: String,
    /// The codes of the linear layers of decoder blocks; all other tensors stay floats
    #[arg(long, value_name = "TYPE", default_value = "nf4", value_parser = PossibleValuesParser::new(Codes::NAMES))]
    pub(crate) quant_type: String,
    /// Leave the scales of 4-bit codes in float32, as with `bnb_4bit_use_double_quant = false`
    #[arg(long)]
    pub(crate) no_double_quant: bool,
    /// The type of all other tensors [default: the base's, of a quantised .gguf file bfloat16]
    #[arg(long, value_name = "DTYPE", value_parser = dtype())]
    pub(crate) dtype: Option<FloatType>,
    /// Bytes of tensors in one file
    #[arg(long, value_name = "BYTES", default_value = "5GB", value_parser = size)]
    pub(crate) max_shard_size: usize,
}
