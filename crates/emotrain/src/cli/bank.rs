//! `emotrain bank`.

mod growth;

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};

use super::number;

pub(crate) use self::growth::{AnnotateArgs, GenerateArgs, ReviewCommand, ScoreReviewArgs, SheetArgs};

#[derive(Debug, Subcommand)]
pub(crate) enum BankCommand {
    /// Make a bank of training splits and of files of demonstrations, or add to one
    Build(BuildArgs),
    /// Print sources, emotions, lengths and duplicates
    Stats {
        /// The bank's folder
        bank: PathBuf,
    },
    /// Read every byte and tell everything that is wrong
    Check(BankCheckArgs),
    /// Find the demonstrations that are most like a text
    Search(SearchArgs),
    /// Have a language model write labelled dialogues, with the emotions that a bank is short of
    Generate(GenerateArgs),
    /// Have two people check labels that were written, and keep what both agree with
    Review {
        #[command(subcommand)]
        command: ReviewCommand,
    },
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  emotrain bank build retrieval_bank/mine meld.train.json --dataset meld
  emotrain bank build retrieval_bank/mine more.jsonl --dataset ours --domain workplace
  emotrain bank build retrieval_bank/mine more.jsonl --encoder sentence-transformers/all-MiniLM-L6-v2
  emotrain bank build retrieval_bank/mine --index hnsw")]
pub(crate) struct BuildArgs {
    /// The bank's folder; a bank that is there is added to
    pub(crate) bank: PathBuf,
    /// Data sets, PRC-Emo's list of demonstrations, or JSON lines of dialogues or demonstrations; none to give the
    /// bank that is there an index
    #[arg(required_unless_present = "index", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// The data set's name in the bank; without it, the first word of the file's name
    #[arg(long, value_name = "NAME")]
    pub(crate) dataset: Option<String>,
    /// The files' format, as `data.format` in a recipe; without it, the file's name says
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<String>,
    /// The labels, as `data.label_set` in a recipe; without it, the format says
    #[arg(long, value_name = "NAME")]
    pub(crate) label_set: Option<String>,
    /// Walk of life that the files are about
    #[arg(long, value_name = "WORD")]
    pub(crate) domain: Option<String>,
    /// Take validation and test splits as well; the bank then says so
    #[arg(long)]
    pub(crate) force_held_out: bool,
    /// The sentence encoder that gives texts vectors: a folder or a hub name; "auto" for the one that made the
    /// vectors that are there, "lexical" for no vectors
    #[arg(long, value_name = "NAME", default_value = "auto")]
    pub(crate) encoder: String,
    /// "hnsw" = make a graph of the vectors for searching millions of them; "exact" = have none; without it, a
    /// bank keeps what it has
    #[arg(long, value_name = "INDEX", value_parser = ["exact", "hnsw"])]
    pub(crate) index: Option<String>,
    /// With --index hnsw: neighbours that a text keeps in the graph
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = number(2, 1_024))]
    pub(crate) m: usize,
    /// With --index hnsw: candidates weighed for a text that goes into the graph
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = number(1, 1_000_000))]
    pub(crate) ef_construction: usize,
}

#[derive(Args, Debug)]
pub(crate) struct BankCheckArgs {
    /// The bank's folder
    pub(crate) bank: PathBuf,
    /// The sentence encoder to compare the vectors with: a folder or a hub name; "auto" for the one that made
    /// them, if it is at hand, "lexical" for none
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
    /// Many texts: JSON lines with id and text
    #[arg(long, value_name = "FILE")]
    pub(crate) queries: Option<PathBuf>,
    /// Where the neighbours of many texts go, as JSON lines, instead of standard output
    #[arg(long, short, value_name = "FILE", requires = "queries")]
    pub(crate) out: Option<PathBuf>,
    /// How many neighbours
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = number(1, 100_000))]
    pub(crate) top_k: usize,
    /// What decides which texts are similar, as `retrieval.encoder` in a recipe
    #[arg(long, value_name = "NAME", default_value = "auto")]
    pub(crate) encoder: String,
    /// How vectors are gone through, as `retrieval.index` in a recipe: exact, or hnsw where the bank has one
    #[arg(long, value_name = "NAME", default_value = "exact")]
    pub(crate) index: String,
}
