//! The arguments of `emotrain bank generate` and `emotrain bank review`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::super::number;

#[derive(Args, Debug)]
#[command(
    after_help = "The model is asked for situations of each domain, then for one dialogue on a situation at a time, until there
are enough utterances of every label. Replies are kept as they come: dialogues.jsonl, and rejected.jsonl with the
reason. Run again, the command goes on.

Examples:
  emotrain bank generate retrieval_bank/mine --model Qwen/Qwen3-14B --per-label 300
  emotrain bank generate retrieval_bank/mine --model gpt-4.1 --base-url https://api.openai.com/v1 \\
    --api-key-env OPENAI_API_KEY --set interpret.requests_per_minute=60
  emotrain bank review sheet retrieval_bank/mine.generated/dialogues.jsonl --out review --dataset written
  emotrain bank build retrieval_bank/mine review/kept.jsonl"
)]
pub(crate) struct GenerateArgs {
    /// The bank that is to grow. What it holds counts as there; it is not changed, and need not be there
    pub(crate) bank: PathBuf,
    /// Where the dialogues go; without it, the bank's folder with .generated behind it
    #[arg(long, short, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Walk of life to write about; may be repeated. Without it, the seven of PRC-Emo
    #[arg(long, value_name = "WORD")]
    pub(crate) domain: Vec<String>,
    /// Situations of each domain
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = number(1, 1_000))]
    pub(crate) subtopics: usize,
    /// Utterances wanted of every label, those of the bank included
    #[arg(long, value_name = "N", default_value_t = 200, conflicts_with = "want", value_parser = number(0, 1_000_000_000))]
    pub(crate) per_label: usize,
    /// Utterances wanted of this label, those of the bank not included, as bank review score prints them; may be
    /// repeated
    #[arg(long, value_name = "LABEL=N")]
    pub(crate) want: Vec<String>,
    /// Speakers of a dialogue
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = number(1, 100))]
    pub(crate) speakers: usize,
    /// Fewest utterances of a dialogue
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = number(1, 1_000))]
    pub(crate) least_turns: usize,
    /// Most utterances of a dialogue
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = number(1, 1_000))]
    pub(crate) most_turns: usize,
    /// Questions to put at most before the command ends
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = number(0, 1_000_000_000))]
    pub(crate) most_questions: usize,
    /// The labels, as `data.label_set` in a recipe
    #[arg(long, value_name = "NAME", default_value = "meld")]
    pub(crate) label_set: String,
    /// The model: as `interpret.model` in a recipe
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,
    /// Where it runs: as `interpret.provider` in a recipe
    #[arg(long, value_name = "NAME")]
    pub(crate) provider: Option<String>,
    /// The server: as `interpret.base_url` in a recipe
    #[arg(long, value_name = "URL")]
    pub(crate) base_url: Option<String>,
    /// The name of the environment variable with the server's key: as `interpret.api_key_env` in a recipe
    #[arg(long, value_name = "NAME")]
    pub(crate) api_key_env: Option<String>,
    /// Any other key of a recipe's section interpret, and `model.device` for a local model, as in `interpret.concurrency=4`; may be repeated. Here temperature is 1.0, `top_p` 0.95
    /// and `max_tokens` 2048 without it
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReviewCommand {
    /// Write two sheets without labels, one for each annotator
    Sheet(SheetArgs),
    /// Fill in a sheet in the terminal, one key for each label
    Annotate(AnnotateArgs),
    /// Compare two filled-in sheets with the labels, and keep what both agree with
    Score(ScoreReviewArgs),
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  emotrain bank review sheet dialogues.jsonl --out review
writes review/first.jsonl and review/second.jsonl, in different orders, for two people who do not talk about it.")]
pub(crate) struct SheetArgs {
    /// Dialogues or demonstrations with labels, JSON lines
    pub(crate) file: PathBuf,
    /// The folder the sheets go to
    #[arg(long, short, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// The data set's name in a bank; without it, the first word of the file's name
    #[arg(long, value_name = "NAME")]
    pub(crate) dataset: Option<String>,
    /// Seed of the orders
    #[arg(long, value_name = "N", default_value_t = 42)]
    pub(crate) seed: u64,
}

#[derive(Args, Debug)]
#[command(after_help = "The sheet is saved after every key: stop when you like, the same command goes on.

Examples:
  emotrain bank review annotate review/first.jsonl")]
pub(crate) struct AnnotateArgs {
    /// The sheet
    pub(crate) sheet: PathBuf,
    /// The labels, as `data.label_set` in a recipe
    #[arg(long, value_name = "NAME", default_value = "meld")]
    pub(crate) label_set: String,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  emotrain bank review score dialogues.jsonl --first review/first.jsonl --second review/second.jsonl \\
    --out review/kept.jsonl --per-label 200")]
pub(crate) struct ScoreReviewArgs {
    /// The dialogues or demonstrations that the sheets were made of
    pub(crate) file: PathBuf,
    /// The first annotator's sheet, or any JSON lines with id and label
    #[arg(long, value_name = "FILE")]
    pub(crate) first: PathBuf,
    /// The second annotator's
    #[arg(long, value_name = "FILE")]
    pub(crate) second: PathBuf,
    /// Where the demonstrations go that both annotators label as they were labelled
    #[arg(long, short, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Utterances wanted of every label: what is short is printed, as arguments of bank generate
    #[arg(long, value_name = "N", value_parser = number(0, 1_000_000_000))]
    pub(crate) per_label: Option<usize>,
    /// The data set's name in a bank, as it was for the sheets
    #[arg(long, value_name = "NAME")]
    pub(crate) dataset: Option<String>,
    /// The labels, as `data.label_set` in a recipe
    #[arg(long, value_name = "NAME", default_value = "meld")]
    pub(crate) label_set: String,
}
