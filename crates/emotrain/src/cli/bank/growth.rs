//! The arguments of `emotrain bank generate` and `emotrain bank review`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::super::number;

#[derive(Args, Debug)]
#[command(
    after_help = "The model is asked for situations of each domain, then for one dialogue about a situation at a time, until there
are enough utterances of every label. Replies are saved as they arrive: valid ones in dialogues.jsonl, others with
the reason in rejected.jsonl. The command resumes when it is run again.

Examples:
  emotrain bank generate retrieval_bank/mine --model Qwen/Qwen3-14B --per-label 300
  emotrain bank generate retrieval_bank/mine --model gpt-4.1 --base-url https://api.openai.com/v1 \\
    --api-key-env OPENAI_API_KEY --set interpret.requests_per_minute=60
  emotrain bank review sheet retrieval_bank/mine.generated/dialogues.jsonl --out review --dataset written
  emotrain bank build retrieval_bank/mine review/kept.jsonl"
)]
pub(crate) struct GenerateArgs {
    /// The bank to generate for. Its utterances count towards --per-label; it is not changed, and need not exist
    pub(crate) bank: PathBuf,
    /// The folder to write the dialogues to; by default, the bank's folder with .generated appended
    #[arg(long, short, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// A domain to write about; may be repeated. By default, the seven of PRC-Emo
    #[arg(long, value_name = "WORD")]
    pub(crate) domain: Vec<String>,
    /// The number of situations per domain
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = number(1, 1_000))]
    pub(crate) subtopics: usize,
    /// The target number of utterances per label, including those of the bank
    #[arg(long, value_name = "N", default_value_t = 200, conflicts_with = "want", value_parser = number(0, 1_000_000_000))]
    pub(crate) per_label: usize,
    /// The target number of utterances of a label, excluding those of the bank, as bank review score prints them;
    /// may be repeated
    #[arg(long, value_name = "LABEL=N")]
    pub(crate) want: Vec<String>,
    /// The number of speakers per dialogue
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = number(1, 100))]
    pub(crate) speakers: usize,
    /// The minimum number of utterances per dialogue
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = number(1, 1_000))]
    pub(crate) least_turns: usize,
    /// The maximum number of utterances per dialogue
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = number(1, 1_000))]
    pub(crate) most_turns: usize,
    /// The maximum number of requests before the command ends
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = number(0, 1_000_000_000))]
    pub(crate) most_questions: usize,
    /// The label set, as `data.label_set` in a recipe
    #[arg(long, value_name = "NAME", default_value = "meld")]
    pub(crate) label_set: String,
    /// The model: as `interpret.model` in a recipe
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,
    /// The provider: as `interpret.provider` in a recipe
    #[arg(long, value_name = "NAME")]
    pub(crate) provider: Option<String>,
    /// The server: as `interpret.base_url` in a recipe
    #[arg(long, value_name = "URL")]
    pub(crate) base_url: Option<String>,
    /// The name of the environment variable with the server's key: as `interpret.api_key_env` in a recipe
    #[arg(long, value_name = "NAME")]
    pub(crate) api_key_env: Option<String>,
    /// Any other key of a recipe's section interpret, or `model.device` for a local model, as in
    /// `interpret.concurrency=4`; may be repeated. The defaults here are temperature 1.0, `top_p` 0.95, `max_tokens` 2048
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReviewCommand {
    /// Write two sheets without labels, one for each annotator
    Sheet(SheetArgs),
    /// Fill in a sheet in the terminal, one key for each label
    Annotate(AnnotateArgs),
    /// Compare two completed sheets with the labels, and keep what both agree with
    Score(ScoreReviewArgs),
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  emotrain bank review sheet dialogues.jsonl --out review
writes review/first.jsonl and review/second.jsonl, in different orders, for two independent annotators.")]
pub(crate) struct SheetArgs {
    /// Dialogues or demonstrations with labels, JSON lines
    pub(crate) file: PathBuf,
    /// The folder to write the sheets to
    #[arg(long, short, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// The data set's name in a bank; by default, the first word of the file's name
    #[arg(long, value_name = "NAME")]
    pub(crate) dataset: Option<String>,
    /// The seed of the two orders
    #[arg(long, value_name = "N", default_value_t = 42)]
    pub(crate) seed: u64,
}

#[derive(Args, Debug)]
#[command(after_help = "The sheet is saved after every key; the same command resumes.

Examples:
  emotrain bank review annotate review/first.jsonl")]
pub(crate) struct AnnotateArgs {
    /// The sheet
    pub(crate) sheet: PathBuf,
    /// The label set, as `data.label_set` in a recipe
    #[arg(long, value_name = "NAME", default_value = "meld")]
    pub(crate) label_set: String,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  emotrain bank review score dialogues.jsonl --first review/first.jsonl --second review/second.jsonl \\
    --out review/kept.jsonl --per-label 200")]
pub(crate) struct ScoreReviewArgs {
    /// The dialogues or demonstrations that the sheets were made from
    pub(crate) file: PathBuf,
    /// The first annotator's sheet, or any JSON lines with id and label
    #[arg(long, value_name = "FILE")]
    pub(crate) first: PathBuf,
    /// The second annotator's
    #[arg(long, value_name = "FILE")]
    pub(crate) second: PathBuf,
    /// The file to write the demonstrations to whose label both annotators agree with
    #[arg(long, short, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// The target number of utterances per label: what is missing is printed as arguments of bank generate
    #[arg(long, value_name = "N", value_parser = number(0, 1_000_000_000))]
    pub(crate) per_label: Option<usize>,
    /// The data set's name in a bank, as it was for the sheets
    #[arg(long, value_name = "NAME")]
    pub(crate) dataset: Option<String>,
    /// The label set, as `data.label_set` in a recipe
    #[arg(long, value_name = "NAME", default_value = "meld")]
    pub(crate) label_set: String,
}
