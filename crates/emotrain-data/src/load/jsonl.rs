//! The project's own format, one dialogue per line:
//! `{"id":"qs-001","utterances":[{"speaker":"Maya","text":"…","label":"joy"}]}`.

mod slips;

use std::borrow::Cow;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;

use super::LabelPolicy;
use super::assemble::{Assembler, RawDialogue, RawLabel, RawUtterance, Rules};
use super::cell::Cell;
use crate::dialogue::Dialogue;
use crate::error::{DataError, DataProblem, Place};
use crate::io::{LineReader, TextFile};
use crate::label::LabelSet;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with `id` and `utterances`")]
struct Row<'a> {
    #[serde(borrow)]
    id: Cell<'a>,
    #[serde(borrow)]
    utterances: Vec<RowUtterance<'a>>,
}

impl<'a> Row<'a> {
    fn raw(self, offset: usize) -> RawDialogue<'a> {
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
fn parse(line: &str) -> Result<Row<'_>, (serde_json::Error, DataProblem)> {
    serde_json::from_str(line).map_err(|error| {
        let problem = slips::problem(&error, line);
        (error, problem)
    })
}

pub(super) fn read(file: &TextFile, assembler: &mut Assembler<'_>) -> Result<(), DataError> {
    let mut offsets = LineOffsets::new(&file.text);
    for (index, line) in file.text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let row = parse(line).map_err(|(error, problem)| file.json_error_of(line, &error, problem))?;
        assembler.push(&row.raw(offsets.of(index + 1)))?;
    }
    Ok(())
}

/// The dialogues of a JSONL file, one at a time, for files that do not fit in memory. Created by [`jsonl_dialogues`].
pub struct JsonlDialogues<'a> {
    lines: LineReader,
    rules: Rules<'a>,
}

/// Reads a file of [`DataFormat::Jsonl`](emotrain_recipe::DataFormat::Jsonl) as
/// [`load_split`](crate::load_split) does, but one dialogue at a time.
///
/// All checks are made except those that would need memory for every dialogue or the whole file: repeated ids, and a
/// file without any label.
///
/// # Errors
/// A missing file, a folder, a system error. A problem with a dialogue is an item of the iterator; do not read on after
/// it.
pub fn jsonl_dialogues<'a>(
    path: &Path,
    labels: &'a LabelSet,
    policy: LabelPolicy,
) -> Result<JsonlDialogues<'a>, DataError> {
    Ok(JsonlDialogues { lines: LineReader::open(path)?, rules: Rules { labels, policy } })
}

impl<'a> JsonlDialogues<'a> {
    /// Reads a stream in the same way; messages call it by `name`.
    pub fn of(stream: Box<dyn Read>, name: &Path, labels: &'a LabelSet, policy: LabelPolicy) -> Self {
        Self { lines: LineReader::of(stream, name), rules: Rules { labels, policy } }
    }
}

impl Iterator for JsonlDialogues<'_> {
    type Item = Result<Dialogue, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = match self.lines.next_line() {
            Ok(line) => line?,
            Err(error) => return Some(Err(error)),
        };
        let row = match parse(line) {
            Ok(row) => row,
            Err((_, problem)) => return Some(Err(DataError::new(self.lines.place(), problem))),
        };
        let dialogue = self.rules.dialogue(&row.raw(0));
        Some(dialogue.map(|(dialogue, _)| dialogue).map_err(|refused| {
            DataError::new(Place { subject: refused.subject, ..self.lines.place() }, refused.problem)
        }))
    }
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
