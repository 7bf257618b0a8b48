//! The project's own format, one dialogue a line:
//! `{"id":"qs-001","utterances":[{"speaker":"Maya","text":"…","label":"joy"}]}`.

use std::borrow::Cow;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::assemble::{Assembler, RawDialogue, RawLabel, RawUtterance, Rules};
use crate::dialogue::{Dialogue, Utterance};
use crate::error::{DataError, Place};
use crate::io::{JsonlReader, LineReader, TextFile};
use crate::label::LabelSet;

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, expecting = "an object with `id` and `utterances`")]
struct Row {
    id: String,
    utterances: Vec<RowUtterance>,
}

impl Row {
    fn raw(self, offset: usize) -> RawDialogue<'static> {
        let utterances = self.utterances.into_iter().map(|utterance| RawUtterance {
            speaker: Cow::Owned(utterance.speaker),
            text: Cow::Owned(utterance.text),
            label: RawLabel::name(utterance.label),
            offset,
        });
        RawDialogue { id: Cow::Owned(self.id), offset, utterances: utterances.collect() }
    }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, expecting = "an object with `speaker`, `text` and `label`")]
struct RowUtterance {
    speaker: String,
    text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    label: Option<String>,
}

pub(super) fn read(file: &TextFile, assembler: &mut Assembler<'_>) -> Result<(), DataError> {
    let mut offsets = LineOffsets::new(&file.text);
    for row in JsonlReader::<Row>::new(file) {
        let (line, row) = row?;
        assembler.push(&row.raw(offsets.of(line)))?;
    }
    Ok(())
}

/// The dialogues of a JSONL file one after another, for files that are larger than the memory: only
/// one dialogue is held at a time. Made by [`jsonl_dialogues`].
pub struct JsonlDialogues<'a> {
    lines: LineReader,
    rules: Rules<'a>,
}

/// Reads a file of [`DataFormat::Jsonl`](emotrain_recipe::DataFormat::Jsonl) as
/// [`load_split`](crate::load_split) does, but one dialogue at a time.
///
/// Every check but one is made: an id that is used twice is not noticed, since that would take memory
/// for every dialogue.
///
/// # Errors
/// A missing file, a folder, a system error. What is wrong with a dialogue is an item of the iterator,
/// after which there is nothing to be gained from reading on.
pub fn jsonl_dialogues<'a>(
    path: &Path,
    labels: &'a LabelSet,
    require_labels: bool,
) -> Result<JsonlDialogues<'a>, DataError> {
    Ok(JsonlDialogues { lines: LineReader::open(path)?, rules: Rules { labels, require_labels } })
}

impl Iterator for JsonlDialogues<'_> {
    type Item = Result<Dialogue, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = match self.lines.next_value::<Row>() {
            Ok(row) => row?,
            Err(error) => return Some(Err(error)),
        };
        let dialogue = self.rules.dialogue(&row.raw(0));
        Some(dialogue.map(|(dialogue, _)| dialogue).map_err(|refused| {
            DataError::new(Place { subject: refused.subject, ..self.lines.place() }, refused.problem)
        }))
    }
}

/// Where lines begin, asked for in ascending order.
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

/// Dialogues as a text that [`load_split`](crate::load_split) reads back equal, labels by name.
///
/// # Panics
/// If a dialogue holds a label that is not of `labels`.
pub fn to_jsonl(dialogues: &[Dialogue], labels: &LabelSet) -> String {
    let mut text = String::new();
    for dialogue in dialogues {
        let utterances = dialogue.utterances.iter().map(|utterance| row(utterance, labels)).collect();
        let row = serde_json::to_string(&Row { id: dialogue.id.clone(), utterances });
        text.push_str(&row.expect("strings always have a JSON form"));
        text.push('\n');
    }
    text
}

fn row(utterance: &Utterance, labels: &LabelSet) -> RowUtterance {
    RowUtterance {
        speaker: utterance.speaker.clone(),
        text: utterance.text.clone(),
        label: utterance.label.map(|label| labels.name(label).to_owned()),
    }
}
