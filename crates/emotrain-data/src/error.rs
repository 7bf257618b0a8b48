//! What can be wrong with data, and where.

mod hint;

use std::fmt;
use std::path::{Path, PathBuf};

use emotrain_base::WriteError;
use emotrain_recipe::StandIn;

/// A problem with a file or with what it holds. Prints as `path:line: subject: problem`;
/// [`DataError::hint`] says what to do, where that is known.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct DataError {
    place: Box<Place>,
    problem: Box<DataProblem>,
}

/// Where a problem is: as close as the reader knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file or folder.
    pub path: PathBuf,
    /// Counted from 1.
    pub line: Option<usize>,
    /// The dialogue or utterance, as in `dialogue 12` or `utterance 12#3`.
    pub subject: Option<String>,
}

impl Place {
    pub(crate) fn file(path: &Path) -> Self {
        Self { path: path.to_owned(), line: None, subject: None }
    }

    pub(crate) fn line(path: &Path, line: usize) -> Self {
        Self { path: path.to_owned(), line: Some(line), subject: None }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(subject) = &self.subject {
            write!(f, ": {subject}")?;
        }
        Ok(())
    }
}

/// What is wrong.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum DataProblem {
    /// The path does not exist.
    #[error("no such file")]
    NotFound,
    /// A folder where the format wants a file.
    #[error("is a folder, not a file")]
    IsFolder,
    /// Something else in the file's place.
    #[error("{}", .0.message())]
    StandIn(StandIn),
    /// The system refused to read; its own words.
    #[error("cannot be read: {0}")]
    Read(String),
    /// The system refused to write (disk full, read-only, ...).
    #[error("cannot be written: {}", .0.words)]
    Write(WriteError),
    /// A value to be written has no JSON form.
    #[error("cannot be written as JSON: {0}")]
    NotJson(String),
    /// The bytes are not UTF-8.
    #[error("is not valid UTF-8 (byte 0x{0:02X})")]
    NotUtf8(u8),
    /// A file of another kind than text in UTF-8.
    #[error("is {0}, not text in UTF-8")]
    OtherKind(FileKind),
    /// Broken JSON.
    #[error("invalid JSON: {0}")]
    InvalidJson(String),
    /// One large list where each line is a value.
    #[error("is a JSON list, not JSON lines")]
    JsonList,
    /// A value that goes on over several lines where each line is a value.
    #[error("the JSON goes on over several lines")]
    JsonOverLines,
    /// What Python prints of a dictionary.
    #[error("is Python's way of writing a dictionary, not JSON")]
    PythonForm,
    /// `NaN` and the infinities.
    #[error("JSON has no {0}")]
    NotANumberOfJson(&'static str),
    /// Sound JSON of the wrong form: a missing or unknown key, a value of another type.
    #[error("{0}")]
    WrongForm(String),
    /// A broken row of a CSV file.
    #[error("invalid CSV: {0}")]
    InvalidCsv(String),
    /// A quotation mark that swallows what follows.
    #[error("a cell begins with a quotation mark, but {0}")]
    OpenQuote(&'static str),
    /// Cells that are not separated by commas.
    #[error("the columns seem to be separated by {0}")]
    OtherSeparator(&'static str),
    /// A table of another data set.
    #[error("missing column \"{column}\": this is the form that data.format = \"{format}\" reads")]
    OtherTable {
        /// The column that is missing.
        column: &'static str,
        /// The format to name.
        format: &'static str,
    },
    /// A CSV file without a column that is needed.
    #[error("missing column \"{column}\"")]
    MissingColumn {
        /// The column's name in the header.
        column: &'static str,
        /// The header's most similar name.
        nearest: Option<String>,
    },
    /// A cell that should hold a whole number.
    #[error("{what} should be a whole number, not \"{value}\"")]
    NotANumber {
        /// The column or list.
        what: &'static str,
        /// What is there instead.
        value: String,
    },
    /// Lists of one dialogue, which must be equally long, are not.
    #[error("lists of different lengths: {0}")]
    Ragged(String),
    /// A label that is not in the label set.
    #[error("unknown label \"{label}\"")]
    UnknownLabel {
        /// As the file spells it.
        label: String,
        /// The most similar label.
        nearest: Option<String>,
        /// All labels, for the hint.
        known: String,
    },
    /// A label's number beyond the label set.
    #[error("label {label} is out of range: the label set has the labels 0 to {last}")]
    LabelOutOfRange {
        /// As the file says.
        label: i64,
        /// The greatest valid number.
        last: usize,
    },
    /// An utterance without the label that training and evaluation need.
    #[error("has no label")]
    MissingLabel,
    /// No utterance at all has the label that training and evaluation need.
    #[error("no utterance has a label")]
    NoLabels,
    /// An utterance that no conversation has.
    #[error("the utterance is longer than {0} KiB")]
    TooLong(usize),
    /// An utterance without text.
    #[error("the utterance is empty")]
    EmptyUtterance,
    /// An utterance without a speaker.
    #[error("the speaker's name is empty")]
    EmptySpeaker,
    /// No way to tell who speaks.
    #[error("the speaker cannot be told: {0}")]
    NoSpeaker(&'static str),
    /// A dialogue without an id.
    #[error("the dialogue's id is empty")]
    EmptyId,
    /// A dialogue without utterances.
    #[error("the dialogue has no utterances")]
    EmptyDialogue,
    /// A file without a dialogue or document.
    #[error("holds no {0}")]
    Empty(&'static str),
    /// A dialogue's id used before in the same file.
    #[error("the id is used twice, first on line {first_line}")]
    DuplicateDialogue {
        /// Where it was first used, counted from 1.
        first_line: usize,
    },
    /// An utterance's id used before in the same dialogue.
    #[error("utterance id {id} is used twice, first on line {first_line}")]
    DuplicateUtterance {
        /// The id as the file spells it.
        id: String,
        /// Where it was first used, counted from 1.
        first_line: usize,
    },
    /// A DailyDialog folder without exactly one file of dialogues.
    #[error("expected one file dialogues_<split>.txt in the folder, found {0}")]
    NotOneDialoguesFile(String),
    /// Nothing beside the dialogues file holds its labels.
    #[error("its emotion file {0} is not there")]
    NoEmotionFile(String),
    /// A DailyDialog file whose name does not tell its emotion file's.
    #[error("the name should be dialogues_<split>.txt, so that the emotion file beside it is known")]
    NotADialoguesFile,
    /// Files that should have one line per dialogue each differ in their number of lines.
    #[error("the numbers of lines differ: {dialogues} here, {emotions} in {emotion_file}")]
    UnequalFiles {
        /// Lines of the dialogues file.
        dialogues: usize,
        /// Lines of the emotion file.
        emotions: usize,
        /// The emotion file's name.
        emotion_file: String,
    },
    /// A knowledge source whose rows have no key that could hold the text.
    #[error("no row has a text {wanted}; the rows have {found}")]
    NoKnowledgeField {
        /// The keys that were looked for.
        wanted: String,
        /// The keys that are there.
        found: String,
    },
    /// Texts of another level than the recipe says.
    #[error("the texts belong to each {found}, but knowledge.{name}.level is \"{wanted}\"")]
    KnowledgeLevel {
        /// The source.
        name: String,
        /// The level of the texts.
        found: &'static str,
        /// The level in the recipe.
        wanted: &'static str,
    },
    /// A text for a place that has one.
    #[error("has a text already, on line {first_line}")]
    DuplicateKnowledge {
        /// Where it is, counted from 1.
        first_line: usize,
    },
    /// A required source that does not cover the data.
    #[error("{0}")]
    MissingKnowledge(Box<KnowledgeGap>),
    /// A folder of texts that was not finished, or is no such folder.
    #[error("holds no manifest.json, so the texts in it are not complete")]
    NoManifest,
    /// Plain text where dialogues are needed.
    #[error("the text format holds no dialogues")]
    NoDialoguesInText,
    /// Two splits read the same file, or a copy of it.
    #[error("holds the same as {0}: splits must not share data")]
    SameFile(String),
    /// A dialogue whose texts stand in two splits.
    #[error("is also in {also}: splits must not share data{}", more_of(*.more))]
    SharedDialogue {
        /// The other file, with the id there if that is another.
        also: String,
        /// Dialogues of the file besides this one.
        more: usize,
    },
}

fn more_of(count: usize) -> String {
    if count == 0 { String::new() } else { format!(" ({count} more are)") }
}

/// What a file is that is no text in UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileKind {
    /// With its article.
    pub name: &'static str,
    /// What to do about it.
    pub hint: &'static str,
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// What a required knowledge source has no texts for.
#[derive(Debug, PartialEq, Eq)]
pub struct KnowledgeGap {
    /// The source.
    pub source: String,
    /// What its texts belong to.
    pub things: &'static str,
    /// The data file.
    pub data: PathBuf,
    /// How many are missing.
    pub missing: usize,
    /// How many there should be.
    pub wanted: usize,
    /// Texts in the file for other data.
    pub extra: usize,
    /// The first of those missing.
    pub listed: String,
}

impl fmt::Display for KnowledgeGap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, things, data, missing, wanted, listed, .. } = self;
        let data = data.display();
        write!(f, "knowledge.{source} has no text for {missing} of the {wanted} {things} of {data}: {listed}")
    }
}

impl DataError {
    pub(crate) fn new(place: Place, problem: DataProblem) -> Self {
        Self { place: Box::new(place), problem: Box::new(problem) }
    }

    /// Where it is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What it is.
    pub fn problem(&self) -> &DataProblem {
        &self.problem
    }
}

impl From<WriteError> for DataError {
    fn from(error: WriteError) -> Self {
        Self::new(Place::file(&error.path), DataProblem::Write(error))
    }
}
