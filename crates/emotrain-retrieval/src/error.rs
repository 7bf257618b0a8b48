//! Errors of banks, with their place.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use emotrain_base::{Advice, Fault, LockError, WriteError};
use emotrain_data::{DataError, LabelSet, SplitKind};

use crate::embed::EmbedderError;

/// Why retrieval failed. [`RetrievalError::hint`] says how to fix it, if that is known.
#[derive(Debug, thiserror::Error)]
pub enum RetrievalError {
    /// A file of demonstrations or dialogues.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A file or folder that cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A bank that another process is building.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A bank, or one of its files.
    #[error("{place}: {problem}")]
    Bank {
        /// The place.
        place: Box<BankPlace>,
        /// The problem.
        problem: Box<BankProblem>,
    },
    /// The encoder failed.
    #[error(transparent)]
    Embedder(#[from] EmbedderError),
}

/// The place of a problem, as exactly as is known. Displayed as `path:line`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BankPlace {
    /// The bank's folder or one of its files.
    pub path: PathBuf,
    /// Counted from 1.
    pub line: Option<usize>,
}

impl fmt::Display for BankPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        self.line.map_or(Ok(()), |line| write!(f, ":{line}"))
    }
}

/// A problem of a bank.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BankProblem {
    /// A folder without a manifest.
    #[error("is not a bank: it has no manifest.json")]
    NoManifest,
    /// An invalid manifest.
    #[error("is not a manifest of a bank: {0}")]
    BadManifest(String),
    /// A manifest of a later version of the program.
    #[error("has format version {found}; this program reads version {known}")]
    OtherFormat {
        /// The bank's version.
        found: u32,
        /// The supported version.
        known: u32,
    },
    /// A file that the manifest names is missing.
    #[error("is missing, but manifest.json names it")]
    NoFile,
    /// A folder, a pipe or a device instead of a file.
    #[error("is not a file")]
    NotAFile,
    /// A row's int8 quantised form, by which searches skip it, does not match its vector.
    #[error("the quantised form of vector {row} does not match it")]
    OtherQuantised {
        /// Counted from 0.
        row: usize,
    },
    /// A system error, in the system's words.
    #[error("{0}")]
    Io(String),
    /// A file is shorter or longer than the manifest says.
    #[error("has {found} bytes, manifest.json says {expected}: it was {}", if found < expected { "truncated" } else { "extended" })]
    OtherSize {
        /// Its length in bytes.
        found: u64,
        /// The manifest's length in bytes.
        expected: u64,
    },
    /// A file of the right size with different contents.
    #[error("was changed since the bank was built (sha256 {found}, manifest.json says {expected})")]
    OtherContent {
        /// The file's digest.
        found: String,
        /// The manifest's.
        expected: String,
    },
    /// The bank was replaced after a build had started from it.
    #[error("was changed by another process while this one was building")]
    ChangedMeanwhile,
    /// A demonstration's text differs from the one of its vector.
    #[error("the text was edited after its vector was made")]
    EditedText,
    /// A line that is not a demonstration.
    #[error("{0}")]
    BadLine(String),
    /// Another number of lines than in the manifest.
    #[error("has {found} demonstrations, manifest.json says {expected}")]
    OtherCount {
        /// The number of lines.
        found: usize,
        /// The manifest's number.
        expected: usize,
    },
    /// Two demonstrations with the same identity.
    #[error("{id} is repeated, first on line {first_line}")]
    DuplicateId {
        /// The identity.
        id: String,
        /// The line of its first use, counted from 1.
        first_line: usize,
    },
    /// Two different demonstrations with the same identity, from different files.
    #[error("{id} is already in the bank, with another text or label")]
    Conflict {
        /// The identity.
        id: String,
    },
    /// An invalid vectors file.
    #[error("is not a file of vectors: {0}")]
    BadVectors(String),
    /// Vectors of another size or number than in the manifest.
    #[error("has {found_rows} vectors of {found_width}, manifest.json says {rows} of {width}")]
    OtherShape {
        /// The number of vectors.
        found_rows: usize,
        /// Their width.
        found_width: usize,
        /// The manifest's number of vectors.
        rows: usize,
        /// The manifest's width.
        width: usize,
    },
    /// A vector with a value that is not finite.
    #[error("vector {row} has the value {value}")]
    NotFinite {
        /// Counted from 0; the demonstration is on the next line.
        row: usize,
        /// The value.
        value: f32,
    },
    /// A vector whose length is not 1.
    #[error("vector {row} has the length {length}, not 1")]
    NotUnit {
        /// Counted from 0.
        row: usize,
        /// Its length.
        length: f32,
    },
    /// A vector that differs from the one the manifest's encoder computes for its text.
    #[error("vector {row} differs by {difference} from the one that {encoder} computes for its text")]
    OtherVector {
        /// Counted from 0; the demonstration is on the next line.
        row: usize,
        /// The largest difference in a number of the vector.
        difference: f32,
        /// The encoder.
        encoder: String,
    },
    /// The bank's vectors are from another encoder than that of the search.
    #[error("was built with the encoder {bank} ({bank_width} numbers), not with {asked} ({asked_width})")]
    OtherEncoder {
        /// The bank's encoder.
        bank: String,
        /// Its vectors' width.
        bank_width: usize,
        /// The encoder of the search.
        asked: String,
        /// Its vectors' width.
        asked_width: usize,
    },
    /// A bank without vectors, which allows only lexical search.
    #[error("has no vectors")]
    NoVectors,
    /// An index was requested and the bank has none.
    #[error("has no index \"hnsw\"")]
    NoIndex,
    /// An index was requested and the bank has no vectors.
    #[error("has no vectors for an index")]
    IndexWithoutVectors,
    /// An index was requested for lexical search.
    #[error("the search is lexical, which has no index \"hnsw\"")]
    IndexOfWords,
    /// An unusable index.
    #[error("is not an index of this bank: {0}")]
    BadIndex(String),
    /// An index of other vectors than the bank's.
    #[error("was built from other vectors than the bank has now")]
    StaleIndex,
    /// A named sentence encoder that is unavailable.
    #[error("the encoder {0} is unavailable")]
    NoEncoder(String),
    /// A file of a validation or test split.
    #[error("is the {split} split{}", if *.by_name { ", by its name" } else { "" })]
    HeldOut {
        /// The split.
        split: SplitKind,
        /// Whether only its name says so.
        by_name: bool,
    },
    /// No demonstrations to build a bank from.
    #[error("would have no demonstrations")]
    Empty,
    /// A label that is not in the label set.
    #[error("unknown label \"{label}\"")]
    UnknownLabel {
        /// As spelt in the file.
        label: String,
        /// The most similar label.
        nearest: Option<String>,
        /// All labels, for the hint.
        known: String,
    },
    /// Two labels for one demonstration in an annotator's file.
    #[error("{0} is annotated twice")]
    AnnotatedTwice(String),
    /// One annotator's file given for two.
    #[error("has the same contents as {0}: two annotators are needed to tell agreement")]
    SameAnnotator(String),
    /// The folder has something else in it than a bank.
    #[error("has other files and is not a bank")]
    NotOurs,
}

impl BankProblem {
    pub(crate) fn of_io(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::NotFound {
            return Self::NoFile;
        }
        let mut cause: &dyn std::error::Error = error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        Self::Io(cause.to_string())
    }

    pub(crate) fn unknown_label(label: &str, labels: &LabelSet) -> Self {
        Self::UnknownLabel {
            label: label.trim().to_owned(),
            nearest: labels.nearest(label).map(str::to_owned),
            known: labels.names().join(", "),
        }
    }

    fn hint(&self) -> Option<String> {
        if let Self::UnknownLabel { nearest, known, .. } = self {
            let near = nearest.as_ref().map(|label| format!("did you mean \"{label}\"?"));
            return Some(near.unwrap_or_else(|| format!("the labels are {known}")));
        }
        self.fixed_hint().map(str::to_owned)
    }

    /// Whether a file differs from what the builder wrote.
    fn is_damage(&self) -> bool {
        matches!(
            self,
            Self::NoFile
                | Self::NotAFile
                | Self::OtherSize { .. }
                | Self::OtherShape { .. }
                | Self::OtherCount { .. }
                | Self::OtherQuantised { .. }
                | Self::BadVectors(_)
                | Self::BadManifest(_)
                | Self::NotFinite { .. }
                | Self::NotUnit { .. }
        )
    }

    fn fixed_hint(&self) -> Option<&'static str> {
        let hints = [
            (
                matches!(self, Self::NoManifest),
                "name the folder of a bank, or build one with emotrain bank build",
            ),
            (matches!(self, Self::SameAnnotator(_)), "let another person label the other sheet"),
            (matches!(self, Self::OtherFormat { .. }), "build the bank again with this version"),
            (self.is_damage(), "restore the folder from a copy, or rebuild the bank from its sources"),
            (
                matches!(
                    self,
                    Self::OtherContent { .. }
                        | Self::EditedText
                        | Self::BadLine(_)
                        | Self::DuplicateId { .. }
                ),
                "do not edit a bank by hand: change the source and rebuild, which encodes only new texts",
            ),
            (
                matches!(self, Self::NoIndex | Self::BadIndex(_) | Self::StaleIndex),
                "build the index with emotrain bank build BANK --index hnsw, or set retrieval.index = \"exact\"",
            ),
            (
                matches!(self, Self::IndexOfWords),
                "set retrieval.index = \"exact\", or retrieval.encoder to the bank's",
            ),
            (
                matches!(self, Self::Conflict { .. }),
                "give the two files different data set names, or remove one",
            ),
            (
                matches!(self, Self::OtherEncoder { .. }),
                "set retrieval.encoder to the bank's, or rebuild the bank with this encoder",
            ),
            (
                matches!(self, Self::NoVectors),
                "give it vectors with emotrain bank build BANK --encoder NAME, or use lexical search (retrieval.encoder = \"lexical\")",
            ),
            (matches!(self, Self::OtherVector { .. }), "build the bank again from its sources"),
            (
                matches!(self, Self::NoEncoder(_)),
                "name an encoder that exists, or use lexical search (retrieval.encoder = \"lexical\")",
            ),
            (
                matches!(self, Self::HeldOut { .. }),
                "a bank is built from training data; force it only if this file will never be used for evaluation",
            ),
            (matches!(self, Self::NotOurs), "name a new folder"),
            (matches!(self, Self::ChangedMeanwhile), "repeat the command: it adds to the current bank"),
            (
                matches!(self, Self::IndexWithoutVectors),
                "an index needs vectors: build the bank with a sentence encoder first",
            ),
            (matches!(self, Self::Io(_)), "check that the path is readable"),
        ];
        hints.into_iter().find_map(|(applies, hint)| applies.then_some(hint))
    }
}

impl RetrievalError {
    pub(crate) fn bank(path: &Path, problem: BankProblem) -> Self {
        let place = Box::new(BankPlace { path: path.to_owned(), line: None });
        Self::Bank { place, problem: Box::new(problem) }
    }

    /// `index` counts lines from 0.
    pub(crate) fn line(path: &Path, index: usize, problem: BankProblem) -> Self {
        let place = Box::new(BankPlace { path: path.to_owned(), line: Some(index + 1) });
        Self::Bank { place, problem: Box::new(problem) }
    }

    /// A file that cannot be read.
    pub(crate) fn io(path: &Path, error: &io::Error) -> Self {
        Self::bank(path, BankProblem::of_io(error))
    }

    /// A file that cannot be written.
    pub(crate) fn write(path: &Path, error: &io::Error) -> Self {
        Self::Write(WriteError::new(path, error))
    }

    /// The problem of a bank, if this is one.
    pub fn problem(&self) -> Option<&BankProblem> {
        match self {
            Self::Bank { problem, .. } => Some(problem),
            Self::Data(_) | Self::Write(_) | Self::Lock(_) | Self::Embedder(_) => None,
        }
    }

    /// The fix, if there is one to suggest.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Data(error) => error.hint(),
            Self::Write(error) => error.hint().map(str::to_owned),
            Self::Lock(error) => error.hint().map(str::to_owned),
            Self::Bank { problem, .. } => problem.hint(),
            Self::Embedder(error) => error.hint.clone(),
        }
    }
}

impl Advice for RetrievalError {
    fn fault(&self) -> Fault {
        match self {
            Self::Write(error) => error.fault(),
            Self::Lock(error) => error.fault(),
            Self::Data(error) => error.fault(),
            Self::Bank { .. } | Self::Embedder(_) => Fault::Input,
        }
    }

    fn hint(&self) -> Option<String> {
        Self::hint(self)
    }
}
