//! Tables with one utterance per row. The rows of a dialogue are sorted by the utterance's number, if they have one;
//! dialogues are in the order of their first row.

mod contents;
mod moment;
mod order;
mod own;
mod published;
mod quotes;
mod stream;

use std::borrow::Cow;
use std::collections::HashMap;

use csv::StringRecord;

use super::assemble::{Assembler, RawDialogue, RawLabel, RawUtterance, Refused};
use crate::error::{DataError, DataProblem, Place, PositionKind};
use crate::io::TextFile;
use crate::label::LabelSet;
use crate::metadata::Metadata;

use self::moment::Moment;
use self::order::OrderSearch;
pub(super) use self::own::{OwnTable, row_for_header, suggested_columns, unread_time};
pub(super) use self::published::Published;
use self::quotes::{Mark, Quotes};
pub(super) use self::stream::TableStream;

/// How a kind of tables is read.
pub(super) trait Form {
    /// Between cells: a comma, a semicolon or a tab.
    fn separator(&self) -> u8;

    /// The columns of a header.
    fn columns(&self, header: &StringRecord, needs_labels: bool) -> Result<Columns, DataProblem>;

    /// The dialogue's id made from the cells of its columns.
    fn id(&self, key: &[&str]) -> String;

    /// The speaker's name made from the cell.
    fn speaker(&self, cell: &str) -> String;
}

/// Which column is read for what.
#[derive(Default)]
pub(super) struct Columns {
    /// The number of columns.
    width: usize,
    text: usize,
    /// `None`: all utterances are the same person's.
    speaker: Option<usize>,
    label: Option<usize>,
    /// The column of the utterance's number, with its name for messages.
    number: Option<(usize, String)>,
    /// Whether a time may be there, too.
    takes_times: bool,
    /// The columns that together identify the dialogue.
    key: Vec<usize>,
    /// The columns that are kept as metadata, with their names.
    others: Vec<(usize, String)>,
}

/// Everyone's name in a table without speakers.
pub const SPEAKER: &str = "Speaker";

/// A row as read.
struct Row {
    /// The utterance's place in its dialogue, in a table with positions.
    number: Option<Moment>,
    utterance: RawUtterance<'static>,
}

impl Row {
    /// The whole number, or the time, in a column that is kept.
    fn number_in(&self, column: &str) -> Option<Moment> {
        let mut kept = self.utterance.metadata.iter();
        let json = kept.find(|(name, _)| *name == column)?.1;
        let cell: Cow<'_, str> = serde_json::from_str(json).ok()?;
        moment::place(cell.trim())
    }
}

/// Reads the table's dialogues.
pub(super) fn read(
    file: &TextFile,
    assembler: &mut Assembler<'_>,
    form: &impl Form,
) -> Result<(), DataError> {
    if file.text.trim().is_empty() {
        return Ok(());
    }
    let mut reader = csv::ReaderBuilder::new();
    let reader = reader.flexible(true).delimiter(form.separator());
    let mut reader = reader.from_reader(file.text.as_bytes());
    let header = reader.headers().map_err(|error| csv_error(file, &error))?;
    let columns = form
        .columns(header, assembler.needs_labels())
        .map_err(|problem| DataError::new(Place::line(&file.path, 1), problem))?;
    if let Some((offset, problem)) = columns.quotes(form, assembler.labels()).first_problem(&file.text) {
        return Err(assembler.error(offset, None, problem));
    }
    let mut ids: Vec<String> = Vec::new();
    let mut groups: Vec<Vec<Row>> = Vec::new();
    let mut group_of: HashMap<String, usize> = HashMap::new();
    let mut record = StringRecord::new();
    while reader.read_record(&mut record).map_err(|error| csv_error(file, &error))? {
        if is_blank(&record) {
            continue;
        }
        let offset = row_offset(file, &record);
        let (id, row) = match columns.row(&record, offset, form) {
            Ok(row) => row,
            Err(problem) => {
                assembler.refuse(Refused { offset, subject: None, problem });
                continue;
            }
        };
        let group = *group_of.entry(id).or_insert_with_key(|id| {
            ids.push(id.clone());
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[group].push(row);
    }
    if let Some(mut search) = columns.order_search() {
        for rows in &groups {
            search.see(rows);
        }
        assembler.order(search.found());
    }
    for (id, rows) in ids.into_iter().zip(groups) {
        let (raw, clashes) = dialogue(id, rows);
        for clash in clashes {
            let problem = clash.problem(file.line_at(clash.first_offset));
            assembler.refuse(Refused::dialogue(&raw.id, clash.offset, problem));
        }
        assembler.push(raw);
    }
    Ok(())
}

/// Two rows of a dialogue whose positions do not go together.
struct Clash {
    what: Clashing,
    first_offset: usize,
    offset: usize,
}

/// What is wrong with the second.
enum Clashing {
    /// It has the same number.
    Repeated(u64),
    /// It is written in another way, and the first.
    Mixed { kind: PositionKind, first: PositionKind },
}

impl Clash {
    fn problem(&self, first_line: usize) -> DataProblem {
        match self.what {
            Clashing::Repeated(number) => {
                DataProblem::DuplicateUtterance { id: number.to_string(), first_line }
            }
            Clashing::Mixed { kind, first } => DataProblem::MixedPositions { kind, first, first_line },
        }
    }
}

/// The dialogue of these rows, sorted by their numbers, and what is wrong with these.
fn dialogue(id: String, mut rows: Vec<Row>) -> (RawDialogue<'static>, Vec<Clash>) {
    let mixed = mixed(&rows);
    rows.sort_by_key(|row| row.number);
    let repeated = |pair: &[Row]| {
        let (first_offset, offset) = (pair[0].utterance.offset, pair[1].utterance.offset);
        let number = pair[1].number.filter(|number| !number.is_time && pair[0].number == Some(*number))?;
        Some(Clash { what: Clashing::Repeated(number.millionths / Moment::ONE), first_offset, offset })
    };
    let clashes = rows.windows(2).filter_map(repeated).chain(mixed).collect();
    let offset = rows[0].utterance.offset;
    let utterances = rows.into_iter().map(|row| row.utterance).collect();
    (RawDialogue::new(Cow::Owned(id), offset, utterances), clashes)
}

/// The first row whose position is written in another way than that of the first row.
fn mixed(rows: &[Row]) -> Option<Clash> {
    let first = rows.first()?;
    let first_kind = first.number?.kind;
    let other = |row: &Row| Some((row.number?.kind, row.utterance.offset));
    let (kind, offset) = rows.iter().filter_map(other).find(|(kind, _)| *kind != first_kind)?;
    let what = Clashing::Mixed { kind, first: first_kind };
    Some(Clash { what, first_offset: first.utterance.offset, offset })
}

impl Columns {
    /// What looks for the position, where none is read.
    fn order_search(&self) -> Option<OrderSearch> {
        let names = self.others.iter().map(|(_, name)| name.as_str());
        self.number.is_none().then(|| OrderSearch::new(names))
    }

    /// What quotation marks may not do in such a table.
    fn quotes<'l>(&self, form: &impl Form, labels: &'l LabelSet) -> Quotes<'l> {
        let number = self.number.as_ref().map(|(column, _)| (*column, Mark::Number));
        let label = self.label.map(|column| (column, Mark::Label(labels)));
        // A column after the text also tells where a row ends within it.
        let mut marks = number.into_iter().chain(label);
        let mark = marks.clone().find(|(column, _)| *column > self.text).or_else(|| marks.next());
        Quotes { separator: form.separator(), columns: self.width, mark }
    }

    /// The dialogue's id and the utterance of a record.
    fn row(
        &self,
        record: &StringRecord,
        offset: usize,
        form: &impl Form,
    ) -> Result<(String, Row), DataProblem> {
        if record.len() != self.width {
            let message = format!("the row has {} cells, the header {}", record.len(), self.width);
            return Err(DataProblem::InvalidCsv(message));
        }
        let number = match &self.number {
            Some((column, name)) => {
                let cell = record[*column].trim();
                let not = || {
                    let (name, value) = (name.clone(), cell.to_owned());
                    if self.takes_times {
                        DataProblem::NotAPosition { column: name, value }
                    } else {
                        DataProblem::NotANumber { what: name, value }
                    }
                };
                let is_taken = |_: &Moment| self.takes_times || whole(cell).parse::<u64>().is_ok();
                Some(moment::place(cell).filter(is_taken).ok_or_else(not)?)
            }
            None => None,
        };
        let label = self.label.map(|column| record[column].trim()).filter(|name| !name.is_empty());
        let speaker = self.speaker.map_or_else(|| SPEAKER.to_owned(), |column| form.speaker(&record[column]));
        let mut metadata = Metadata::default();
        for (column, name) in &self.others {
            metadata.push(name, &record[*column]);
        }
        let utterance = RawUtterance {
            speaker: Cow::Owned(speaker),
            text: Cow::Owned(record[self.text].to_owned()),
            label: RawLabel::name(label.map(str::to_owned)),
            offset,
            metadata,
        };
        let key: Vec<&str> = self.key.iter().map(|&column| whole(record[column].trim())).collect();
        let id = if key.iter().all(|cell| cell.is_empty()) { String::new() } else { form.id(&key) };
        Ok((id, Row { number, utterance }))
    }
}

/// Whether nothing is in a row: spreadsheets write such rows behind the last one.
fn is_blank(record: &StringRecord) -> bool {
    record.iter().all(|cell| cell.trim().is_empty())
}

/// An integer without the fraction that spreadsheets and pandas add: `3` for `3.0`.
fn whole(cell: &str) -> &str {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match cell.split_once('.') {
        Some((number, fraction)) if is_number(number) && fraction.bytes().all(|byte| byte == b'0') => number,
        _ => cell,
    }
}

/// The start of a row. The reader's own position may be the line break before it.
fn row_offset(file: &TextFile, record: &StringRecord) -> usize {
    let bytes = file.text.as_bytes();
    let position = record.position().map_or(0, csv::Position::byte);
    let mut offset = usize::try_from(position).unwrap_or(bytes.len());
    while bytes.get(offset).is_some_and(|byte| b"\r\n".contains(byte)) {
        offset += 1;
    }
    offset
}

fn csv_error(file: &TextFile, error: &csv::Error) -> DataError {
    DataError::new(Place::file(&file.path), DataProblem::InvalidCsv(error.to_string()))
}
