//! Demonstrations for prompts: retrieval of similar labelled utterances.
//!
//! A [`Builder`] makes a bank from the training splits of data sets and from files of demonstrations; a [`Bank`] is
//! opened from its folder without loading it; a [`Retriever`] finds the most similar demonstrations for each utterance
//! of a split, by the vectors of an [`Embedder`] or by lexical search (BM25), and never one that would reveal the
//! answer: the top of `guard.rs` says what is excluded. [`check`] and [`stats`] inspect a bank, a
//! [`DialogueGeneration`] and [`review`] grow one.
//!
//! The crate deliberately computes no vector of a text, opens no connection and writes no prompt: it takes an
//! [`Embedder`], returns the questions for a language model, and returns results as plain
//! [`ShownDemonstration`](emotrain_data::ShownDemonstration)s.
//!
//! ```
//! use emotrain_data::{Origin, SplitKind};
//! use emotrain_recipe::parse;
//! use emotrain_retrieval::{Bank, Builder, HeldOut, Retriever};
//!
//! # let folder = tempfile::tempdir()?;
//! # let (lines, bank) = (folder.path().join("lines.jsonl"), folder.path().join("bank"));
//! let text = r#"{"id":"d-1","utterances":[{"speaker":"Ana","text":"The train is late again.","label":"anger"}]}"#;
//! fs_err::write(&lines, text)?;
//! let mut builder = Builder::new(HeldOut::Refuse);
//! builder.add_jsonl(&lines, Origin { dataset: "own", split: SplitKind::Train, domain: None })?;
//! builder.write(&bank, None, &mut |_| {})?;
//!
//! let recipe = "[model]\nmodel_name_or_path = \"m\"\n[data]\ntrain = \"t\"\nvalid = \"v\"";
//! let section = parse(recipe, "run.toml".as_ref(), &[])?.retrieval;
//! let bank = Bank::open(&bank)?;
//! let retriever = Retriever::new(&bank, &section, None)?;
//! assert_eq!(retriever.engine().to_string(), "lexical search (BM25)");
//! let hits = retriever.for_texts(&["Why is the bus late?"])?;
//! assert_eq!(bank.demonstration(hits[0][0].row)?.emotion, "anger");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bank;
mod builder;
mod cache;
mod check;
mod embed;
mod error;
#[cfg(test)]
mod fixture;
mod generate;
mod guard;
mod index;
mod manifest;
mod mapped;
mod quantised;
mod retriever;
mod review;
mod search;
mod stats;
mod text;
mod vectors;

pub use bank::Bank;
pub use builder::{Added, BuildStep, Builder, Built, HeldOut, Progress};
pub use cache::{cache_key, read_cache, write_cache};
pub use check::check;
pub use embed::{Embedder, EmbedderError, encoder_name, same_encoder};
pub use error::{BankPlace, BankProblem, RetrievalError};
pub use generate::{
    Counted, DialogueGeneration, DialogueRequest, GeneratePlan, GenerationOutcome, GenerationState,
    RejectedReply, Rejection, WrittenDialogue, WrittenTurn, dialogue_prompt, parse_dialogue, parse_subtopics,
    shortfall, subtopics_prompt,
};
pub use guard::Asked;
pub use index::{add_index, remove_index};
pub use manifest::{FileRecord, HnswParameters, IndexRecord, Manifest, SourceFile, VectorsRecord};
pub use retriever::{DialogueSearch, EngineName, Retrieved, Retriever};
pub use review::{
    Annotations, LabelReview, Review, SheetRow, cohen_kappa, read_annotations, read_both, read_sheet, review,
    sheet,
};
pub use search::Hit;
pub use stats::{Duplicates, EmotionCount, NearDuplicates, NearMethod, Stats, TextLengths, stats};
pub use text::normalised;
