//! What can be wrong with a bank, and where.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use emotrain_base::{Advice, Fault, LockError, WriteError};
use emotrain_data::{DataError, LabelSet, SplitKind};

use crate::embed::EmbedderError;

/// Why retrieval cannot go on. [`RetrievalError::hint`] says what to do, where that is known.
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
    /// A bank, or a file of one.
    #[error("{place}: {problem}")]
    Bank {
        /// Where it is.
        place: Box<BankPlace>,
        /// What it is.
        problem: Box<BankProblem>,
    },
    /// The encoder failed.
    #[error(transparent)]
    Embedder(#[from] EmbedderError),
}

/// Where a problem is: as close as is known. Prints as `path:line`.
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

/// What is wrong with a bank.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BankProblem {
    /// A folder without a manifest.
    #[error("is no bank: it has no manifest.json")]
    NoManifest,
    /// A manifest that cannot be understood.
    #[error("is not a manifest of a bank: {0}")]
    BadManifest(String),
    /// A manifest of a later version of this program.
    #[error("has format version {found}; this program reads version {known}")]
    OtherFormat {
        /// The bank's.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// A file that the manifest names is not there.
    #[error("is not there, but manifest.json names it")]
    NoFile,
    /// A folder, a pipe or a device where a file should be.
    #[error("is not a file")]
    NotAFile,
    /// A row's quantised form, by which searches pass over it, is not that of its vector.
    #[error("the quantised form of vector {row} is not its own")]
    OtherQuantised {
        /// Counted from 0.
        row: usize,
    },
    /// The system refused; its own words.
    #[error("{0}")]
    Io(String),
    /// A file is shorter or longer than the manifest says.
    #[error("has {found} bytes, manifest.json says {expected}: it was {}", if found < expected { "cut off" } else { "added to" })]
    OtherSize {
        /// Bytes there are.
        found: u64,
        /// Bytes there should be.
        expected: u64,
    },
    /// A file of the right size with other contents.
    #[error("was changed since the bank was built (sha256 {found}, manifest.json says {expected})")]
    OtherContent {
        /// The file's digest.
        found: String,
        /// The manifest's.
        expected: String,
    },
    /// The bank that a build began with is not the one in its place any more.
    #[error("was changed by another process while this one was building")]
    ChangedMeanwhile,
    /// A demonstration's text is not the one its vector was made of.
    #[error("the text was edited after its vector was made")]
    EditedText,
    /// A line that is not a demonstration.
    #[error("{0}")]
    BadLine(String),
    /// More or fewer lines than the manifest says.
    #[error("holds {found} demonstrations, manifest.json says {expected}")]
    OtherCount {
        /// How many there are.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
    /// Two demonstrations with one identity.
    #[error("{id} is there twice, first on line {first_line}")]
    DuplicateId {
        /// The identity.
        id: String,
        /// Where it was first used, counted from 1.
        first_line: usize,
    },
    /// Two different demonstrations with one identity, from different files.
    #[error("{id} is in the bank already, with another text or label")]
    Conflict {
        /// The identity.
        id: String,
    },
    /// A vectors file that cannot be understood.
    #[error("is not a file of vectors: {0}")]
    BadVectors(String),
    /// Vectors of another size or number than the manifest says.
    #[error("holds {found_rows} vectors of {found_width}, manifest.json says {rows} of {width}")]
    OtherShape {
        /// Vectors there are.
        found_rows: usize,
        /// Numbers in each.
        found_width: usize,
        /// Vectors there should be.
        rows: usize,
        /// Numbers there should be in each.
        width: usize,
    },
    /// A vector with something that is not a finite number.
    #[error("vector {row} holds {value}")]
    NotFinite {
        /// Counted from 0; the demonstration is on the line after.
        row: usize,
        /// What is there.
        value: f32,
    },
    /// A vector that is not of length 1.
    #[error("vector {row} has the length {length}, not 1")]
    NotUnit {
        /// Counted from 0.
        row: usize,
        /// What it is.
        length: f32,
    },
    /// A vector that the encoder of the manifest does not make of its text.
    #[error("vector {row} differs by {difference} from the one that {encoder} makes of its text")]
    OtherVector {
        /// Counted from 0; the demonstration is on the line after.
        row: usize,
        /// The largest, in a number of the vector.
        difference: f32,
        /// The encoder.
        encoder: String,
    },
    /// The bank's vectors and the encoder of the search are strangers.
    #[error("was built with the encoder {bank} ({bank_width} numbers), not with {asked} ({asked_width})")]
    OtherEncoder {
        /// The bank's.
        bank: String,
        /// Its dimensions.
        bank_width: usize,
        /// The one at hand.
        asked: String,
        /// Its dimensions.
        asked_width: usize,
    },
    /// A bank that only the lexical encoder can search.
    #[error("has no vectors")]
    NoVectors,
    /// An index was asked for and the bank has none.
    #[error("has no index \"hnsw\"")]
    NoIndex,
    /// An index was asked for where there are no vectors.
    #[error("has no vectors to make an index of")]
    IndexWithoutVectors,
    /// An index was asked for and the search goes by words.
    #[error("is searched by words in common, which the index \"hnsw\" knows nothing of")]
    IndexOfWords,
    /// An index that cannot be used.
    #[error("is not an index of this bank: {0}")]
    BadIndex(String),
    /// An index of other vectors than the bank's.
    #[error("was made of other vectors than the bank has now")]
    StaleIndex,
    /// A sentence encoder was asked for and is not at hand.
    #[error("the encoder {0} is not at hand")]
    NoEncoder(String),
    /// A file of a validation or test split.
    #[error("is the {split} split{}", if *.by_name { ", by its name" } else { "" })]
    HeldOut {
        /// Which one.
        split: SplitKind,
        /// Only its name says so.
        by_name: bool,
    },
    /// Nothing to build a bank of.
    #[error("would hold no demonstrations")]
    Empty,
    /// A label that is not of the label set.
    #[error("unknown label \"{label}\"")]
    UnknownLabel {
        /// As the file spells it.
        label: String,
        /// The most similar label.
        nearest: Option<String>,
        /// All labels, for the hint.
        known: String,
    },
    /// Two labels for one demonstration in one annotator's file.
    #[error("{0} is annotated twice")]
    AnnotatedTwice(String),
    /// The folder holds something that is not a bank.
    #[error("holds other files and no bank")]
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

    /// Whether a file is not what the builder left.
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
            (matches!(self, Self::OtherFormat { .. }), "build the bank again with this version"),
            (self.is_damage(), "restore the folder from a copy, or build the bank again from its sources"),
            (
                matches!(
                    self,
                    Self::OtherContent { .. }
                        | Self::EditedText
                        | Self::BadLine(_)
                        | Self::DuplicateId { .. }
                ),
                "a bank is not edited by hand: change the source and build again, which encodes new texts only",
            ),
            (
                matches!(self, Self::NoIndex | Self::BadIndex(_) | Self::StaleIndex),
                "make the index with emotrain bank build BANK --index hnsw, or set retrieval.index = \"exact\"",
            ),
            (
                matches!(self, Self::IndexOfWords),
                "set retrieval.index = \"exact\", or retrieval.encoder to the bank's",
            ),
            (
                matches!(self, Self::Conflict { .. }),
                "give the two files different data set names, or leave one out",
            ),
            (
                matches!(self, Self::OtherEncoder { .. }),
                "set retrieval.encoder to the bank's, or build the bank again with this encoder",
            ),
            (
                matches!(self, Self::NoVectors),
                "give it vectors with emotrain bank build BANK --encoder NAME, or search by words in common, \"lexical\"",
            ),
            (matches!(self, Self::OtherVector { .. }), "build the bank again from its sources"),
            (
                matches!(self, Self::NoEncoder(_)),
                "name an encoder that is there, or search by words in common, \"lexical\"",
            ),
            (
                matches!(self, Self::HeldOut { .. }),
                "a bank is made of training data; force it only if nothing will be measured on this file",
            ),
            (matches!(self, Self::NotOurs), "name a new folder"),
            (matches!(self, Self::ChangedMeanwhile), "give the command again: it adds to what is there now"),
            (
                matches!(self, Self::IndexWithoutVectors),
                "an index is of vectors: build the bank with a sentence encoder first",
            ),
            (matches!(self, Self::Io(_)), "see that the path can be read"),
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

    /// What is wrong with a bank, if that is what it is.
    pub fn problem(&self) -> Option<&BankProblem> {
        match self {
            Self::Bank { problem, .. } => Some(problem),
            Self::Data(_) | Self::Write(_) | Self::Lock(_) | Self::Embedder(_) => None,
        }
    }

    /// The fix, where one can be named.
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
