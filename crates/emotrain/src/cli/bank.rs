//! `emotrain bank`.

mod growth;

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};

use super::number;

pub(crate) use self::growth::{AnnotateArgs, GenerateArgs, ReviewCommand, ScoreReviewArgs, SheetArgs};

#[derive(Debug, Subcommand)]
pub(crate) enum BankCommand {
    /// Build a bank from training splits and files of demonstrations, or add to one
    Build(BuildArgs),
    /// Print sources, emotions, lengths and duplicates
    Stats {
        /// The bank's folder
        bank: PathBuf,
    },
    /// Verify every file of a bank and report all problems
    Check(BankCheckArgs),
    /// Find the demonstrations most similar to a text
    Search(SearchArgs),
    /// Generate labelled dialogues with a language model, for the labels that a bank lacks
    Generate(GenerateArgs),
    /// Have two annotators label generated dialogues, and keep what both agree with
    Review {
        #[command(subcommand)]
        command: ReviewCommand,
    },
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  emotrain bank build retrieval_bank/mine meld.train.json --dataset meld
  emotrain bank build retrieval_bank/mine more.jsonl --dataset ours --domain workplace
  emotrain bank build retrieval_bank/mine own.csv --columns dialogue=conv_id,text=utt,label=emotion
  emotrain bank build retrieval_bank/mine more.jsonl --encoder sentence-transformers/all-MiniLM-L6-v2
  emotrain bank build retrieval_bank/mine --index hnsw")]
pub(crate) struct BuildArgs {
    /// The bank's folder; an existing bank is extended
    pub(crate) bank: PathBuf,
    /// Data sets, PRC-Emo's list of demonstrations, or JSON lines of dialogues or demonstrations; none to only add an
    /// index to an existing bank
    #[arg(required_unless_present = "index", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// The data set's name in the bank; by default, the first word of the file's name
    #[arg(long, value_name = "NAME")]
    pub(crate) dataset: Option<String>,
    /// The files' format, as `data.format` in a recipe; by default, inferred from each file's name
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<String>,
    /// The columns of a table of one's own, as `data.columns` in a recipe: `dialogue=conv_id,text=utt`
    #[arg(long, value_name = "ROLE=COLUMN,...")]
    pub(crate) columns: Option<String>,
    /// The label set, as `data.label_set` in a recipe; by default, that of the format
    #[arg(long, value_name = "NAME")]
    pub(crate) label_set: Option<String>,
    /// The labels of a set of one's own, as `data.labels` in a recipe
    #[arg(long, value_name = "LABEL,...", value_delimiter = ',', conflicts_with = "label_set")]
    pub(crate) labels: Vec<String>,
    /// The domain of the files, such as workplace
    #[arg(long, value_name = "WORD")]
    pub(crate) domain: Option<String>,
    /// Also add validation and test splits; recorded in the bank
    #[arg(long)]
    pub(crate) force_held_out: bool,
    /// The sentence encoder: a folder or a hub name; "auto" = the one that made the bank's vectors,
    /// "lexical" = no vectors
    #[arg(long, value_name = "NAME", default_value = "auto")]
    pub(crate) encoder: String,
    /// "hnsw" = build an HNSW graph for approximate search in millions of vectors; "exact" = no index; by default, a
    /// bank keeps its index
    #[arg(long, value_name = "INDEX", value_parser = ["exact", "hnsw"])]
    pub(crate) index: Option<String>,
    /// With --index hnsw: neighbours per node
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = number(2, 1_024))]
    pub(crate) m: usize,
    /// With --index hnsw: candidates considered when a node is inserted
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = number(1, 1_000_000))]
    pub(crate) ef_construction: usize,
}

#[derive(Args, Debug)]
pub(crate) struct BankCheckArgs {
    /// The bank's folder
    pub(crate) bank: PathBuf,
    /// The sentence encoder to verify the vectors with: a folder or a hub name; "auto" = the one that made them,
    /// if available; "lexical" = none
    #[arg(long, value_name = "NAME", default_value = "auto")]
    pub(crate) encoder: String,
}

#[derive(Args, Debug)]
#[command(group = ArgGroup::new("what").args(["text", "queries"]).required(true))]
#[command(after_help = "Examples:
  emotrain bank search retrieval_bank/mine \"The train is late again.\"
  emotrain bank search retrieval_bank/mine --queries queries.jsonl --out found.jsonl --top-k 3")]
pub(crate) struct SearchArgs {
    /// The bank's folder
    pub(crate) bank: PathBuf,
    /// The text
    pub(crate) text: Option<String>,
    /// A file of queries: JSON lines with id and text
    #[arg(long, value_name = "FILE")]
    pub(crate) queries: Option<PathBuf>,
    /// The file to write the results of --queries to, as JSON lines, instead of standard output
    #[arg(long, short, value_name = "FILE", requires = "queries")]
    pub(crate) out: Option<PathBuf>,
    /// The number of results per query
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = number(1, 100_000))]
    pub(crate) top_k: usize,
    /// The encoder, as `retrieval.encoder` in a recipe
    #[arg(long, value_name = "NAME", default_value = "auto")]
    pub(crate) encoder: String,
    /// The index to search with, as `retrieval.index` in a recipe: exact, or hnsw if the bank has one
    #[arg(long, value_name = "NAME", default_value = "exact")]
    pub(crate) index: String,
}
