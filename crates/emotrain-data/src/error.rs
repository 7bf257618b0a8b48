//! Errors in data, with their place.

mod file_kind;
mod hint;
mod json_slip;
mod knowledge_gap;
mod missing_columns;
mod other_rows;
mod place;
mod position_kind;
mod unknown_labels;
mod wrong_value;

use std::fmt;

use emotrain_base::{Problems, WriteError};
use emotrain_recipe::StandIn;

use crate::split_kind::SplitKind;

pub use self::file_kind::FileKind;
pub use self::hint::{ColumnsOption, DataOptions};
pub use self::json_slip::JsonSlip;
pub use self::knowledge_gap::KnowledgeGap;
pub use self::missing_columns::MissingColumns;
pub use self::other_rows::OtherRows;
pub use self::place::Place;
pub use self::position_kind::PositionKind;
pub use self::unknown_labels::{UnknownLabel, UnknownLabels};
pub use self::wrong_value::{Found, Wanted, WrongValue};

/// A problem with a file or its contents. Displayed as `path:line: subject: problem`; [`DataError::hint`] says how to
/// fix it, if that is known.
#[derive(Debug, thiserror::Error)]
pub struct DataError {
    place: Box<Place>,
    problem: Box<DataProblem>,
}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let DataProblem::Several(problems) = &*self.problem {
            return write!(f, "{problems}");
        }
        write!(f, "{}: {}", self.place, self.problem)
    }
}

/// The problem.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum DataProblem {
    /// Several problems of one file, each with its place.
    #[error("{0}")]
    Several(Problems),
    /// The path does not exist.
    #[error("no such file")]
    NotFound,
    /// A folder instead of a file.
    #[error("is a folder, not a file")]
    IsFolder,
    /// Something else instead of a file.
    #[error("{}", .0.message())]
    StandIn(StandIn),
    /// A system error while reading, in the system's words.
    #[error("cannot be read: {0}")]
    Read(String),
    /// A system error while writing (disk full, read-only, ...).
    #[error("cannot be written: {}", .0.words)]
    Write(WriteError),
    /// A value that JSON cannot represent.
    #[error("cannot be written as JSON: {0}")]
    NotJson(String),
    /// Bytes that are not UTF-8.
    #[error("is not valid UTF-8 (byte 0x{0:02X})")]
    NotUtf8(u8),
    /// A file of another kind than UTF-8 text.
    #[error("is {0}, not text in UTF-8")]
    OtherKind(FileKind),
    /// Invalid JSON.
    #[error("invalid JSON: {0}")]
    InvalidJson(String),
    /// One large list instead of one value per line.
    #[error("is a JSON list, not JSON lines")]
    JsonList,
    /// Rows that are no dialogues.
    #[error("{0}")]
    OtherRows(OtherRows),
    /// A value that spans several lines instead of one.
    #[error("a JSON value spans several lines")]
    JsonOverLines,
    /// A printed Python dictionary.
    #[error("is a printed Python dictionary, not JSON")]
    PythonForm,
    /// Another reason why a line is no JSON.
    #[error("{0}")]
    JsonSlip(JsonSlip),
    /// `NaN` and the infinities.
    #[error("JSON has no {0}")]
    NotANumberOfJson(&'static str),
    /// Valid JSON with unexpected contents: a missing or unknown key, a value of another type.
    #[error("{0}")]
    WrongForm(String),
    /// A value of another type than its key takes.
    #[error("{0}")]
    WrongValue(Box<WrongValue>),
    /// A key that is not known and near to one that is missing.
    #[error("{place}unknown field `{key}`")]
    UnknownKey {
        /// The utterance or message, with a colon; else empty.
        place: String,
        /// As spelt in the file.
        key: String,
        /// The most similar one.
        near: String,
    },
    /// Two keys that say the same.
    #[error("{place}has both `{}` and `{}`", .keys[0], .keys[1])]
    BothKeys {
        /// The message, with a colon; else empty.
        place: String,
        /// Both.
        keys: [&'static str; 2],
    },
    /// A message of a chat in which nothing is said.
    #[error("{place}`{key}` is null, as in a message that only calls a tool")]
    NoContent {
        /// The message, with a colon.
        place: String,
        /// The key.
        key: &'static str,
    },
    /// An invalid row of a CSV file.
    #[error("invalid CSV: {0}")]
    InvalidCsv(String),
    /// A quotation mark that extends a cell over the following rows.
    #[error("a cell starts with a quotation mark, but {0}")]
    OpenQuote(&'static str),
    /// A cell of the position that is neither a number nor a time.
    #[error("{column} should be a number or a time, not {value:?}")]
    NotAPosition {
        /// The column.
        column: String,
        /// The cell.
        value: String,
    },
    /// Positions of a dialogue that are written in two ways.
    #[error("the position is {kind}, and that on line {first_line} is {first}")]
    MixedPositions {
        /// How it is written.
        kind: PositionKind,
        /// How the first one of the dialogue is.
        first: PositionKind,
        /// Its line, counted from 1.
        first_line: usize,
    },
    /// A first line that says to a spreadsheet what separates cells.
    #[error("the first line, sep=…, is read by spreadsheets alone")]
    SeparatorLine,
    /// A table whose first line is a row: its cells.
    #[error("the first line is a row and no header: {0}")]
    NoHeader(String),
    /// Cells that are separated by something else.
    #[error("the columns seem to be separated by {0}")]
    OtherSeparator(&'static str),
    /// A file of another format than the one it was given for.
    #[error("this looks like {looks}")]
    OtherFormat {
        /// What it looks like.
        looks: &'static str,
        /// The matching `data.format`.
        format: &'static str,
    },
    /// A CSV file without a required column.
    #[error("missing column \"{column}\"")]
    MissingColumn {
        /// The column's name in the header.
        column: &'static str,
        /// The most similar name in the header.
        nearest: Option<String>,
    },
    /// A table of one's own without the columns that the recipe needs.
    #[error("{0}")]
    MissingColumns(Box<MissingColumns>),
    /// A cell that should be an integer.
    #[error("{what} should be a whole number, not \"{value}\"")]
    NotANumber {
        /// The column or list.
        what: String,
        /// The cell's value.
        value: String,
    },
    /// Lists of one dialogue that have different lengths.
    #[error("lists of different lengths: {0}")]
    Ragged(String),
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
    /// A label that is more than a line of text.
    #[error("the label {0:?} has a line break or another control character")]
    ControlInLabel(String),
    /// Several labels, or one several times, that are not in the label set.
    #[error("{0}")]
    UnknownLabels(Box<UnknownLabels>),
    /// A label number outside the label set.
    #[error("label {label} is out of range: the label set has the labels 0 to {last}")]
    LabelOutOfRange {
        /// As in the file.
        label: i64,
        /// The highest valid number.
        last: usize,
    },
    /// An utterance without a label, which training and evaluation require.
    #[error("has no label")]
    MissingLabel,
    /// A file without any label, which training and evaluation require.
    #[error("no utterance has a label")]
    NoLabels {
        /// A key of the file that may mean it.
        instead: Option<String>,
        /// The keys of its utterances that mean nothing here.
        keys: Vec<String>,
    },
    /// A line without a key that its form has.
    #[error("{message}")]
    MissingKey {
        /// Which, and where.
        message: String,
        /// What the key is read for, as `data.columns` calls it.
        role: &'static str,
    },
    /// An utterance of implausible length.
    #[error("the utterance is longer than {0} KiB")]
    TooLong(usize),
    /// An utterance without text.
    #[error("the utterance is empty")]
    EmptyUtterance,
    /// An utterance without a speaker.
    #[error("the speaker's name is empty")]
    EmptySpeaker,
    /// The speaker cannot be determined.
    #[error("the speaker cannot be determined: {0}")]
    NoSpeaker(&'static str),
    /// A dialogue without an id.
    #[error("the dialogue's id is empty")]
    EmptyId,
    /// A dialogue without utterances.
    #[error("the dialogue has no utterances")]
    EmptyDialogue,
    /// A file without dialogues or documents.
    #[error("has no {0}")]
    Empty(&'static str),
    /// A file that `data.split` cannot divide.
    #[error("{dialogues} different dialogues are too few for {parts} parts")]
    TooFewDialogues {
        /// What the file has.
        dialogues: usize,
        /// What the recipe asks for.
        parts: usize,
    },
    /// A part of a divided file without any label.
    #[error("the {0} part of data.split has no utterance with a label")]
    PartWithoutLabels(SplitKind),
    /// A dialogue id that is repeated in the file.
    #[error("the id is used twice, first on line {first_line}")]
    DuplicateDialogue {
        /// The line of its first use, counted from 1.
        first_line: usize,
    },
    /// Rows of a dialogue that do not stand together in a table that is read row by row.
    #[error("rows of the dialogue stand apart; others are on line {first_line}")]
    ScatteredDialogue {
        /// The line of the first of the others, counted from 1.
        first_line: usize,
    },
    /// An utterance id that is repeated in the dialogue.
    #[error("utterance id {id} is used twice, first on line {first_line}")]
    DuplicateUtterance {
        /// The id as spelt in the file.
        id: String,
        /// The line of its first use, counted from 1.
        first_line: usize,
    },
    /// A DailyDialog folder without exactly one file of dialogues.
    #[error("expected one file dialogues_<split>.txt in the folder, found {0}")]
    NotOneDialoguesFile(String),
    /// A DailyDialog dialogues file without an emotion file.
    #[error("its emotion file {0} is missing")]
    NoEmotionFile(String),
    /// A DailyDialog file whose name does not imply the name of its emotion file.
    #[error("the name should be dialogues_<split>.txt, so that its emotion file can be found")]
    NotADialoguesFile,
    /// Files that should have one line per dialogue, with different numbers of lines.
    #[error("the numbers of lines differ: {dialogues} here, {emotions} in {emotion_file}")]
    UnequalFiles {
        /// Lines of the dialogues file.
        dialogues: usize,
        /// Lines of the emotion file.
        emotions: usize,
        /// The emotion file's name.
        emotion_file: String,
    },
    /// A knowledge source whose rows have no key for the text.
    #[error("no row has a text {wanted}; the rows have {found}")]
    NoKnowledgeField {
        /// The keys that were expected.
        wanted: String,
        /// The keys that were found.
        found: String,
    },
    /// Texts of another level than in the recipe.
    #[error("the texts belong to each {found}, but knowledge.{name}.level is \"{wanted}\"")]
    KnowledgeLevel {
        /// The source.
        name: String,
        /// The level of the texts.
        found: &'static str,
        /// The level in the recipe.
        wanted: &'static str,
    },
    /// A second text for the same place.
    #[error("already has a text, on line {first_line}")]
    DuplicateKnowledge {
        /// The line of the first one, counted from 1.
        first_line: usize,
    },
    /// A required source that does not cover the data.
    #[error("{0}")]
    MissingKnowledge(Box<KnowledgeGap>),
    /// A folder of texts that is incomplete, or is no such folder.
    #[error("has no manifest.json, so its texts are incomplete")]
    NoManifest,
    /// A format that is not read one dialogue at a time.
    #[error("files of data.format = \"{0}\" are not read one dialogue at a time")]
    NotStreamed(&'static str),
    /// Plain text instead of dialogues.
    #[error("the text format has no dialogues")]
    NoDialoguesInText,
    /// A file that looks like no format of dialogues.
    #[error("does not look like dialogues in any format that is read")]
    LooksLikeNothing,
    /// Two splits read the same file, or a copy of it.
    #[error("has the same contents as {0}: splits must not share data")]
    SameFile(String),
    /// A dialogue whose texts occur in two splits.
    #[error("is also in {also}: splits must not share data{}", more_of(*.more))]
    SharedDialogue {
        /// The other file, with its id for the dialogue if that differs.
        also: String,
        /// Number of further dialogues of this kind.
        more: usize,
    },
}

fn more_of(count: usize) -> String {
    if count == 0 { String::new() } else { format!(" ({count} more)") }
}

impl DataError {
    pub(crate) fn new(place: Place, problem: DataProblem) -> Self {
        Self { place: Box::new(place), problem: Box::new(problem) }
    }

    pub(crate) fn into_parts(self) -> (Place, DataProblem) {
        (*self.place, *self.problem)
    }

    /// Its place.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The problem.
    pub fn problem(&self) -> &DataProblem {
        &self.problem
    }
}

impl From<WriteError> for DataError {
    fn from(error: WriteError) -> Self {
        Self::new(Place::file(&error.path), DataProblem::Write(error))
    }
}
