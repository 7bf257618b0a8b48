//! The command line of `emotrain init`.

use std::path::PathBuf;

use clap::Args;

#[derive(Args, Debug)]
#[command(
    after_help = "Looks at the file and writes a commented recipe for it: format, columns, labels with their numbers, splits,
a curriculum where all labels are on the emotion wheel. The recipe passes emotrain check as it is, given
the base model.

Examples:
  emotrain init chats.csv
  emotrain init chats.csv --base Qwen/Qwen2.5-0.5B-Instruct --out emotions.toml
  emotrain init table.csv --columns dialogue=conv_id,text=said,label=mood
  emotrain init train.jsonl --valid valid.jsonl --test test.jsonl"
)]
pub(crate) struct InitArgs {
    /// The dialogues with their labels: a table, JSON lines, chats, or a published data set
    #[arg(value_name = "DATA")]
    pub(crate) data: PathBuf,
    /// The columns of a table, or keys of JSON lines, that are not recognised: `dialogue=conv_id,text=said`
    #[arg(long, value_name = "ROLE=COLUMN,...")]
    pub(crate) columns: Option<String>,
    /// The base model: a Hub id, a folder, or a .gguf file
    #[arg(long, value_name = "MODEL", default_value = "HuggingFaceTB/SmolLM2-135M-Instruct")]
    pub(crate) base: String,
    /// The validation split, in the same format; without one, and without a test split, DATA is divided by dialogue
    #[arg(long, value_name = "FILE")]
    pub(crate) valid: Option<PathBuf>,
    /// The test split, in the same format
    #[arg(long, value_name = "FILE", requires = "valid")]
    pub(crate) test: Option<PathBuf>,
    /// The recipe to write; by default DATA's name with .toml, in the current directory
    #[arg(long, short, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}
