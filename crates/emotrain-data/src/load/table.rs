//! CSV with one utterance per row, as in the releases of MELD and EmoryNLP: columns `Utterance`, `Speaker`, `Emotion`,
//! `Utterance_ID`, and those that identify the dialogue. The rows of a dialogue are sorted by `Utterance_ID`; dialogues
//! are in the order of their first row. Other columns are ignored.

mod quotes;

use std::borrow::Cow;
use std::collections::HashMap;

use csv::StringRecord;

use super::assemble::{Assembler, RawDialogue, RawLabel, RawUtterance};
use crate::error::{DataError, DataProblem, Place};
use crate::io::TextFile;

const TEXT: &str = "Utterance";
const SPEAKER: &str = "Speaker";
const EMOTION: &str = "Emotion";
const NUMBER: &str = "Utterance_ID";

/// What is specific to one data set's tables.
pub(super) struct Form {
    /// The columns that together identify a dialogue.
    pub(super) key: &'static [&'static str],
    /// The dialogue's id made from their cells.
    pub(super) id: fn(&[&str]) -> String,
    /// The speaker's name made from the cell.
    pub(super) speaker: fn(&str) -> String,
    /// A column that only another data set's tables have, and the `data.format` for them.
    pub(super) other: (&'static str, &'static str),
}

struct Columns {
    text: usize,
    speaker: usize,
    emotion: Option<usize>,
    number: usize,
    key: Vec<usize>,
}

struct Row {
    number: u64,
    utterance: RawUtterance<'static>,
}

/// Reads the table's dialogues.
pub(super) fn read(file: &TextFile, assembler: &mut Assembler<'_>, form: &Form) -> Result<(), DataError> {
    if file.text.trim().is_empty() {
        return Ok(());
    }
    let mut reader = csv::Reader::from_reader(file.text.as_bytes());
    let header = reader.headers().map_err(|error| csv_error(file, &error))?;
    let columns = Columns::find(header, form, assembler.needs_labels())
        .map_err(|problem| DataError::new(Place::line(&file.path, 1), problem))?;
    let quotes = quotes::Quotes { columns: header.len(), number: columns.number };
    if let Some((offset, problem)) = quotes.first_problem(&file.text) {
        return Err(assembler.error(offset, None, problem));
    }
    let mut ids: Vec<String> = Vec::new();
    let mut groups: Vec<Vec<Row>> = Vec::new();
    let mut group_of: HashMap<String, usize> = HashMap::new();
    let mut record = StringRecord::new();
    while reader.read_record(&mut record).map_err(|error| csv_error(file, &error))? {
        let offset = row_offset(file, &record);
        let row =
            columns.row(&record, offset, form).map_err(|problem| assembler.error(offset, None, problem))?;
        let key: Vec<&str> = columns.key.iter().map(|&column| whole(record[column].trim())).collect();
        let id = if key.iter().all(|cell| cell.is_empty()) { String::new() } else { (form.id)(&key) };
        let group = *group_of.entry(id).or_insert_with_key(|id| {
            ids.push(id.clone());
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[group].push(row);
    }
    for (id, mut rows) in ids.into_iter().zip(groups) {
        rows.sort_by_key(|row| row.number);
        check_numbers(&id, &rows, file, assembler)?;
        let offset = rows[0].utterance.offset;
        let utterances = rows.into_iter().map(|row| row.utterance).collect();
        assembler.push(&RawDialogue { id: Cow::Owned(id), offset, utterances })?;
    }
    Ok(())
}

impl Columns {
    fn find(header: &StringRecord, form: &Form, needs_labels: bool) -> Result<Self, DataProblem> {
        let find = |column: &'static str| {
            let found = header.iter().position(|name| name.trim() == column);
            found.ok_or_else(|| missing(header, column, form))
        };
        let emotion = match find(EMOTION) {
            Err(problem) if needs_labels => return Err(problem),
            other => other.ok(),
        };
        let key = form.key.iter().map(|column| find(column)).collect::<Result<_, _>>();
        Ok(Self { text: find(TEXT)?, speaker: find(SPEAKER)?, emotion, key: key?, number: find(NUMBER)? })
    }

    fn row(&self, record: &StringRecord, offset: usize, form: &Form) -> Result<Row, DataProblem> {
        let number = record[self.number].trim();
        let number = whole(number)
            .parse()
            .map_err(|_| DataProblem::NotANumber { what: NUMBER, value: number.to_owned() })?;
        let emotion = self.emotion.map(|column| record[column].trim()).filter(|name| !name.is_empty());
        let utterance = RawUtterance {
            speaker: Cow::Owned((form.speaker)(&record[self.speaker])),
            text: Cow::Owned(record[self.text].to_owned()),
            label: RawLabel::name(emotion.map(str::to_owned)),
            offset,
        };
        Ok(Row { number, utterance })
    }
}

/// The problem with a header that lacks a column.
fn missing(header: &StringRecord, column: &'static str, form: &Form) -> DataProblem {
    if header.len() == 1 {
        let name = |separator| match separator {
            '\t' => "a tab",
            ';' => ";",
            _ => "|",
        };
        if let Some(separator) = [';', '\t', '|'].into_iter().find(|&separator| header[0].contains(separator))
        {
            return DataProblem::OtherSeparator(name(separator));
        }
    }
    let (foreign, format) = form.other;
    if form.key.contains(&column) && header.iter().any(|name| name.trim() == foreign) {
        return DataProblem::OtherTable { column, format };
    }
    DataProblem::MissingColumn { column, nearest: nearest(header, column, form) }
}

/// The most similar name in the header, if it is a misspelling and not another column.
fn nearest(header: &StringRecord, column: &str, form: &Form) -> Option<String> {
    let is_other = |name: &str| [TEXT, SPEAKER, EMOTION, NUMBER].contains(&name) || form.key.contains(&name);
    let candidates = header.iter().map(str::trim).filter(|name| !is_other(name));
    let lower: Vec<(String, &str)> = candidates.map(|name| (name.to_lowercase(), name)).collect();
    let near = emotrain_base::nearest(&column.to_lowercase(), lower.iter().map(|(lower, _)| lower.as_str()))?;
    lower.iter().find(|(lower, _)| lower == near).map(|(_, name)| (*name).to_owned())
}

/// An integer without the fraction that spreadsheets and pandas add: `3` for `3.0`.
pub(super) fn whole(cell: &str) -> &str {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match cell.split_once('.') {
        Some((number, fraction)) if is_number(number) && fraction.bytes().all(|byte| byte == b'0') => number,
        _ => cell,
    }
}

fn check_numbers(
    id: &str,
    rows: &[Row],
    file: &TextFile,
    assembler: &Assembler<'_>,
) -> Result<(), DataError> {
    for pair in rows.windows(2) {
        if pair[0].number == pair[1].number {
            let first_line = file.line_at(pair[0].utterance.offset);
            let problem = DataProblem::DuplicateUtterance { id: pair[1].number.to_string(), first_line };
            return Err(assembler.dialogue_error(id, pair[1].utterance.offset, problem));
        }
    }
    Ok(())
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
    if let csv::ErrorKind::UnequalLengths { pos, expected_len, len } = error.kind() {
        let mut record = StringRecord::new();
        record.set_position(pos.clone());
        let line = file.line_at(row_offset(file, &record));
        let problem = DataProblem::InvalidCsv(format!("the row has {len} cells, the header {expected_len}"));
        return DataError::new(Place::line(&file.path, line), problem);
    }
    DataError::new(Place::file(&file.path), DataProblem::InvalidCsv(error.to_string()))
}
