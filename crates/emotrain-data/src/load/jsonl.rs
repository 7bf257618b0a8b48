//! The project's own format, one dialogue a line:
//! `{"id":"qs-001","utterances":[{"speaker":"Maya","text":"…","label":"joy"}]}`.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::assemble::{Assembler, RawDialogue, RawLabel, RawUtterance};
use crate::dialogue::{Dialogue, Utterance};
use crate::error::DataError;
use crate::io::{JsonlReader, TextFile};
use crate::label::LabelSet;

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, expecting = "an object with `id` and `utterances`")]
struct Row {
    id: String,
    utterances: Vec<RowUtterance>,
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
        let offset = offsets.of(line);
        let utterances = row.utterances.into_iter().map(|utterance| RawUtterance {
            speaker: Cow::Owned(utterance.speaker),
            text: Cow::Owned(utterance.text),
            label: RawLabel::name(utterance.label),
            offset,
        });
        let utterances = utterances.collect();
        assembler.push(&RawDialogue { id: Cow::Owned(row.id), offset, utterances })?;
    }
    Ok(())
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
