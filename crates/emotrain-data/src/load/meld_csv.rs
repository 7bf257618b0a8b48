//! MELD's own release: one utterance a row, columns `Sr No.`, `Utterance`, `Speaker`, `Emotion`,
//! `Sentiment`, `Dialogue_ID`, `Utterance_ID`, `Season`, `Episode`, `StartTime`, `EndTime`. Rows
//! of a dialogue are gathered and put in the order of `Utterance_ID`; dialogues stay in the order of
//! their first row. The columns not named below are not read.

use std::borrow::Cow;
use std::collections::HashMap;

use csv::StringRecord;

use super::assemble::{Assembler, RawDialogue, RawLabel, RawUtterance};
use crate::error::{DataError, DataProblem, Place};
use crate::io::TextFile;

const NEEDED: [&str; 5] = ["Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID"];

struct Columns {
    utterance: usize,
    speaker: usize,
    emotion: Option<usize>,
    dialogue: usize,
    number: usize,
}

struct Row {
    number: u64,
    utterance: RawUtterance<'static>,
}

pub(super) fn read(file: &TextFile, assembler: &mut Assembler<'_>) -> Result<(), DataError> {
    if file.text.trim().is_empty() {
        return Ok(());
    }
    let mut reader = csv::Reader::from_reader(file.text.as_bytes());
    let header = reader.headers().map_err(|error| csv_error(file, &error))?;
    let columns = Columns::find(header, assembler.require_labels())
        .map_err(|problem| DataError::new(Place::line(&file.path, 1), problem))?;
    let mut ids: Vec<String> = Vec::new();
    let mut groups: Vec<Vec<Row>> = Vec::new();
    let mut group_of: HashMap<String, usize> = HashMap::new();
    let mut record = StringRecord::new();
    while reader.read_record(&mut record).map_err(|error| csv_error(file, &error))? {
        let offset = row_offset(file, &record);
        let row = columns.row(&record, offset).map_err(|problem| assembler.error(offset, None, problem))?;
        let id = record[columns.dialogue].trim();
        let group = *group_of.entry(id.to_owned()).or_insert_with(|| {
            ids.push(id.to_owned());
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
    fn find(header: &StringRecord, require_labels: bool) -> Result<Self, DataProblem> {
        let find = |column: &'static str| {
            let found = header.iter().position(|name| name.trim() == column);
            found.ok_or_else(|| DataProblem::MissingColumn { column, nearest: nearest(header, column) })
        };
        let emotion = match find("Emotion") {
            Err(problem) if require_labels => return Err(problem),
            other => other.ok(),
        };
        Ok(Self {
            utterance: find("Utterance")?,
            speaker: find("Speaker")?,
            emotion,
            dialogue: find("Dialogue_ID")?,
            number: find("Utterance_ID")?,
        })
    }

    fn row(&self, record: &StringRecord, offset: usize) -> Result<Row, DataProblem> {
        let number = record[self.number].trim();
        let number = number
            .parse()
            .map_err(|_| DataProblem::NotANumber { what: "Utterance_ID", value: number.to_owned() })?;
        let emotion = self.emotion.map(|column| record[column].trim()).filter(|name| !name.is_empty());
        let utterance = RawUtterance {
            speaker: Cow::Owned(record[self.speaker].to_owned()),
            text: Cow::Owned(record[self.utterance].to_owned()),
            label: RawLabel::name(emotion.map(str::to_owned)),
            offset,
        };
        Ok(Row { number, utterance })
    }
}

/// The header's name most like `column`, if it is a misspelling of it and not another column.
fn nearest(header: &StringRecord, column: &str) -> Option<String> {
    let distance = |name: &str| strsim::damerau_levenshtein(&name.to_lowercase(), &column.to_lowercase());
    let near = header.iter().map(str::trim).filter(|name| distance(name) * 3 <= column.len());
    let near = near.filter(|name| !NEEDED.contains(name));
    near.min_by_key(|name| distance(name)).map(str::to_owned)
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

/// Where a row begins. The reader's own position may stand on the line break before it.
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
