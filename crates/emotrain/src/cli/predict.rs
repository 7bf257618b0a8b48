//! The command line of `emotrain predict`.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

use emotrain_eval::{AnswerFormat, AnswerTerms};
use emotrain_recipe::DataFormat;

use super::export::named;
use super::{TrainedArgs, number};

#[derive(Args, Debug)]
#[command(group = ArgGroup::new("needed").args(["adapter", "run"]).required(true))]
#[command(
    after_help = "Prompts are those of the training: of a run they come from its recipe and its prompt contract, of an
adapter from its prompt contract. A recipe is needed only where neither says enough; the error then says what is missing.

The input is JSON lines with one dialogue each, labels are optional:
  {\"id\":\"d1\",\"utterances\":[{\"speaker\":\"Ada\",\"text\":\"It works!\"}]}
or a table (csv, tsv) with the columns dialogue, speaker and text, or chats ({\"messages\": …}). What it says besides
comes out again. A file is checked to its end before anything is answered.

Answers are written as they are found. A file grows as FILE.partial and gets its name at the end; if the command is
killed, the same command goes on behind the last dialogue that was written. Prompts with knowledge need the whole input
before the first answer.

Examples:
  emotrain predict --run checkpoints/my-run --input dialogues.jsonl --output labels.csv
  emotrain predict --adapter my-adapter --base Qwen/Qwen2.5-7B-Instruct < dialogues.jsonl | head
  emotrain predict --run checkpoints/my-run --input dialogues.jsonl --top-k 3 --threshold 0.5
  emotrain predict recipe.toml --adapter my-adapter --input dialogues.jsonl"
)]
pub(crate) struct PredictArgs {
    /// The recipe that was trained, if the run or adapter does not say enough of it
    pub(crate) recipe: Option<PathBuf>,
    /// Replace a value of the recipe, as in model.device=cuda; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    #[command(flatten)]
    pub(crate) trained: TrainedArgs,
    /// The base model, if it has moved: a folder, a .gguf file or a Hub id
    #[arg(long, value_name = "MODEL")]
    pub(crate) base: Option<String>,
    /// The dialogues; standard input if it is left out, or "-"
    #[arg(long, short, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,
    /// The input's format, as data.format in a recipe; by default, what it looks like, else that of the training's data
    #[arg(long, value_name = "FORMAT", value_parser = input_format)]
    pub(crate) input_format: Option<DataFormat>,
    #[arg(
        long,
        value_name = "NAME=PATH",
        help = "Texts of a knowledge source for the input; may be repeated"
    )]
    pub(crate) knowledge: Vec<String>,
    /// The file to write answers to, instead of standard output
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Put the answers in the place of an existing file
    #[arg(long, requires = "output")]
    pub(crate) overwrite: bool,
    /// The form of answers; by default, by the file's ending, else jsonl
    #[arg(long, value_name = "FORMAT", value_parser = named(&AnswerFormat::ALL, AnswerFormat::as_str))]
    pub(crate) output_format: Option<AnswerFormat>,
    /// Pass over dialogues that cannot be read or asked about, each with a warning, instead of ending at the first
    #[arg(long)]
    pub(crate) skip_errors: bool,
    /// Give the K likeliest labels with their probabilities, the likeliest first
    #[arg(long, value_name = "K", value_parser = number(1, 1_000))]
    pub(crate) top_k: Option<usize>,
    /// Answer "uncertain" where the label's probability is below this
    #[arg(long, value_name = "P", value_parser = probability)]
    pub(crate) threshold: Option<f64>,
}

impl PredictArgs {
    /// How much answers say.
    pub(crate) fn terms(&self) -> AnswerTerms {
        AnswerTerms { top_k: self.top_k, threshold: self.threshold }
    }
}

fn input_format(text: &str) -> Result<DataFormat, String> {
    let known = DataFormat::NAMES.iter().filter(|name| format_named(name).is_some());
    let known = known.copied().collect::<Vec<_>>().join(", ");
    format_named(text).ok_or_else(|| format!("expected one of {known}"))
}

/// The format of dialogues that has this name.
pub(crate) fn format_named(name: &str) -> Option<DataFormat> {
    serde_json::from_value(name.into()).ok().filter(|format| *format != DataFormat::Text)
}

fn probability(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "expected a number, as in 0.5".to_owned())?;
    if (0.0..=1.0).contains(&value) { Ok(value) } else { Err("expected a number from 0 to 1".to_owned()) }
}
