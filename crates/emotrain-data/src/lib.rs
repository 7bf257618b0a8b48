//! Dialogues and labels: the data types that the other crates share.
//!
//! A [`Split`] is a checked list of [`Dialogue`]s, read by [`load_split`] from one of the formats in which data sets
//! for emotion recognition in conversation are published: no empty text, no unknown label, no repeated id, punctuation
//! repaired.
//!
//! The crate deliberately does not download, shuffle, sample or tokenise: order is file order, and everything after
//! reading is another crate's work.
//!
//! ```
//! use emotrain_data::{LabelPolicy, LabelSet, load_split};
//! use emotrain_recipe::{DataFormat, LabelSetName};
//!
//! let labels = LabelSet::builtin(LabelSetName::Meld);
//! let missing = load_split("nowhere.jsonl".as_ref(), DataFormat::Jsonl, &labels, LabelPolicy::Required);
//! assert_eq!(missing.unwrap_err().to_string(), "nowhere.jsonl: no such file");
//! ```

mod cell;
mod demonstration;
mod dialogue;
mod error;
mod fields;
mod io;
mod knowledge;
mod label;
mod load;
mod mend;
mod metadata;
mod rows;
mod split;
mod split_kind;
mod summary;

pub use demonstration::{
    Demonstration, DemonstrationFile, DemonstrationId, Origin, ShownDemonstration, load_demonstrations,
    load_prc_demonstrations,
};
pub use dialogue::{Dialogue, ParseUtteranceIdError, Utterance, UtteranceId};
pub use error::{
    ColumnsOption, DataError, DataOptions, DataProblem, FileKind, Found, JsonSlip, KnowledgeGap,
    MissingColumns, OtherRows, Place, PositionKind, UnknownLabel, UnknownLabels, Wanted, WrongValue,
};
pub use io::{JsonlReader, JsonlWriter, TextFile, sha256_file, write_jsonl};
pub use knowledge::{Coverage, Knowledge, load_knowledge};
pub use label::{Label, LabelSet, LabelSetError, emotion_of};
pub use load::{
    DataInput, DataLayout, DialogueReader, LabelPolicy, OtherOrder, SPEAKER, Survey, format_of, load_split,
    load_text, looks_like, read_split, recognised, survey,
};
pub use mend::mended;
pub use metadata::Metadata;
pub use rows::JsonRow;
pub use split::{NearCopy, SharedDialogue, Split, TextSplit, check_disjoint, near_copies};
pub use split_kind::SplitKind;
pub use summary::SplitSummary;
