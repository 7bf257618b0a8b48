use std::path::PathBuf;

use clap::Args;

const EXAMPLES: &str = "\
Examples:
  emotrain plan recipe.toml                       memory on the CPU and on GPUs, and steps, tokens and time
  emotrain plan recipe.toml --tokens 600          for samples of 600 tokens
  emotrain plan recipe.toml --memory 12           whether it fits into 12 GiB, and the smallest change that makes it

Whether it fits is in the text: the exit code is 0 either way.

The model's config.json is enough: where data and tokenizer are not at hand, or a sentence encoder would have to find
demonstrations, samples are as long as train.max_seq_length allows. `emotrain recipe.toml --dry-run` counts all.";

/// How much memory recipes take.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PlanArgs {
    /// The recipe
    pub(crate) recipe: PathBuf,
    /// Set a key of the recipe, as in model.dtype=bfloat16; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// The tokens of the longest sample [default: those of the data, else as many as the recipe allows]
    #[arg(long, value_name = "N")]
    pub(crate) tokens: Option<usize>,
    /// Say whether it fits into this memory, in GiB
    #[arg(long, value_name = "GIB", value_parser = gib)]
    pub(crate) memory: Option<f64>,
}

/// A number of GiB.
fn gib(text: &str) -> Result<f64, String> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic()).trim_end();
    match text.parse() {
        Ok(gib) if f64::is_finite(gib) => Ok(gib),
        _ if number.parse::<f64>().is_ok() => {
            Err(format!("expected GiB without a unit: write --memory {number}"))
        }
        _ => Err("expected a number of GiB, as in --memory 24".to_owned()),
    }
}
