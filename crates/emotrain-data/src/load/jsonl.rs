//! The project's own format, one dialogue per line:
//! `{"id":"qs-001","utterances":[{"speaker":"Maya","text":"…","label":"joy"}]}`.

mod slips;

use std::borrow::Cow;

use serde::Deserialize;

use super::assemble::{Assembler, RawDialogue, RawLabel, RawUtterance};
use super::cell::Cell;
use crate::error::{DataError, DataProblem};
use crate::io::TextFile;

/// A file that begins with this many lines that are no JSON is read no further.
const NOT_JSON: usize = 3;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with `id` and `utterances`")]
pub(super) struct Row<'a> {
    #[serde(borrow)]
    id: Cell<'a>,
    #[serde(borrow)]
    utterances: Vec<RowUtterance<'a>>,
}

impl<'a> Row<'a> {
    pub(super) fn raw(self, offset: usize) -> RawDialogue<'a> {
        let utterances = self.utterances.into_iter().map(|utterance| RawUtterance {
            speaker: utterance.speaker.into_text(),
            text: utterance.text,
            label: match utterance.label {
                None => RawLabel::Absent,
                Some(Cell::Text(name)) => RawLabel::Name(name),
                Some(Cell::Number(index)) => RawLabel::Index(index),
            },
            offset,
        });
        RawDialogue { id: self.id.into_text(), offset, utterances: utterances.collect() }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with `speaker`, `text` and `label`")]
struct RowUtterance<'a> {
    #[serde(borrow)]
    speaker: Cell<'a>,
    #[serde(borrow)]
    text: Cow<'a, str>,
    #[serde(borrow, default)]
    label: Option<Cell<'a>>,
}

/// The dialogue of a line.
pub(super) fn parse(line: &str) -> Result<Row<'_>, (serde_json::Error, DataProblem)> {
    serde_json::from_str(line).map_err(|error| {
        let problem = slips::problem(&error, line);
        (error, problem)
    })
}

pub(super) fn read(file: &TextFile, assembler: &mut Assembler<'_>) -> Result<(), DataError> {
    let (mut offsets, mut broken) = (LineOffsets::new(&file.text), 0);
    for (index, line) in file.text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match parse(line) {
            Ok(row) => assembler.push(&row.raw(offsets.of(index + 1))),
            Err((error, problem)) => {
                broken += usize::from(matches!(problem, DataProblem::InvalidJson(_)));
                // What holds for the whole file is told once.
                let is_other = matches!(
                    problem,
                    DataProblem::JsonList | DataProblem::JsonOverLines | DataProblem::PythonForm
                );
                let error = file.json_error_of(line, &error, problem);
                if is_other || (broken == NOT_JSON && assembler.is_empty()) {
                    return Err(error);
                }
                assembler.fault(error);
            }
        }
    }
    Ok(())
}

/// The line of a byte offset; offsets must be ascending.
struct LineOffsets<'a> {
    text: &'a str,
    line: usize,
    offset: usize,
}

impl<'a> LineOffsets<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, line: 1, offset: 0 }
    }

    fn of(&mut self, line: usize) -> usize {
        while self.line < line {
            let Some(length) = self.text[self.offset..].find('\n') else { break };
            self.offset += length + 1;
            self.line += 1;
        }
        self.offset
    }
}
