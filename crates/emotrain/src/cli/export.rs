//! The command line of `emotrain export`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use emotrain_export::{ExportFormat, Server};
use emotrain_model::{FloatType, GgufType};

#[derive(Args, Debug)]
#[command(
    after_help = "peft    adapter_model.safetensors and adapter_config.json, which PEFT, vLLM and others load beside the base
merged  a whole model for transformers: the adapter added to the base's weights, tokenizer and chat template
gguf-lora, gguf  the same two for llama.cpp and Ollama

With one format the files are in --out itself, with several in a folder each. README.md is a model card, serve.md has
the commands of the servers of --for, and prompt_contract.json is what prompts must be.

Examples:
  emotrain export checkpoints/my-run --format merged --out exported
  emotrain export checkpoints/my-run --format peft,merged --for vllm,tgi --dtype bfloat16 --out exported
  emotrain export checkpoints/my-run --format gguf --gguf-type q8_0 --for ollama --out exported
  emotrain export my-peft-adapter --base models/qwen --format merged --out exported"
)]
pub(crate) struct ExportArgs {
    /// A run directory, its adapter/ or a step-N of it, a folder in PEFT's format, a trained model, or a .gguf file of either
    #[arg(value_name = "SOURCE")]
    pub(crate) source: PathBuf,
    /// What is written; several are separated by commas
    #[arg(long, value_delimiter = ',', required = true, value_name = "FORMAT", value_parser = named(&ExportFormat::ALL, ExportFormat::name))]
    pub(crate) format: Vec<ExportFormat>,
    /// The folder to write, which must not exist or be empty
    #[arg(long, short, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// The base model, if it is not where the run or the adapter says: a folder, a .gguf file or a hub name
    #[arg(long, value_name = "MODEL")]
    pub(crate) base: Option<String>,
    /// The type of the weights [default: of an adapter float32, of a model that of the base]
    #[arg(long, value_name = "DTYPE", value_parser = dtype())]
    pub(crate) dtype: Option<FloatType>,
    /// The type of a GGUF model's matrices; embeddings and head have at least 8 bits [default: f16]
    #[arg(long, value_name = "TYPE", value_parser = gguf_type())]
    pub(crate) gguf_type: Option<GgufType>,
    /// Bytes of tensors in one file of a model
    #[arg(long, value_name = "BYTES", default_value = "5GB", value_parser = size)]
    pub(crate) max_shard_size: usize,
    /// Servers whose limits are checked and whose commands serve.md has; several are separated by commas
    #[arg(long = "for", value_delimiter = ',', value_name = "SERVER", value_parser = named(&Server::ALL, Server::name))]
    pub(crate) servers: Vec<Server>,
}

/// One of several values by its name.
pub(super) fn named<T: Copy + Send + Sync + 'static>(
    values: &'static [T],
    name: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T> {
    let names = PossibleValuesParser::new(values.iter().map(|value| name(*value)));
    names.map(move |text| {
        let found = values.iter().find(|value| name(**value) == text);
        *found.expect("the parser lets through these names alone")
    })
}

/// The types of weights by name.
pub(super) fn dtype() -> impl TypedValueParser<Value = FloatType> {
    named(&[FloatType::F32, FloatType::Bf16, FloatType::F16], FloatType::torch_name)
}

fn gguf_type() -> impl TypedValueParser<Value = GgufType> {
    named(&GgufType::ALL, GgufType::name)
}

/// A number of bytes, with a unit of a thousand (`GB`) or of 1,024 (`GiB`).
pub(super) fn size(text: &str) -> Result<usize, String> {
    let units: [(&str, usize); 7] = [
        ("KIB", 1 << 10),
        ("MIB", 1 << 20),
        ("GIB", 1 << 30),
        ("KB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("", 1),
    ];
    let text = text.trim().to_uppercase();
    let (number, unit) = units
        .into_iter()
        .find_map(|(name, unit)| Some((text.strip_suffix(name)?.trim_end(), unit)))
        .unwrap_or((&text, 1));
    let number: usize = number.parse().map_err(|_| "expected a number of bytes, as in 5GB".to_owned())?;
    number.checked_mul(unit).filter(|size| *size > 0).ok_or_else(|| "out of range".to_owned())
}
