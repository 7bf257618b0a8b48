//! The project's own format, one dialogue per line:
//! `{"id":"qs-001","utterances":[{"speaker":"Maya","text":"…","label":"joy"}]}`. Other keys are metadata.

use std::borrow::Cow;

use serde::Deserialize;

use super::assemble::{RawDialogue, RawLabel, RawUtterance, Spot};
use super::cell::Cell;
use super::slips;
use crate::error::DataProblem;
use crate::metadata::Metadata;

#[derive(Deserialize)]
#[serde(expecting = "an object with `id` and `utterances`")]
struct Row<'a> {
    #[serde(borrow)]
    id: Cell<'a>,
    #[serde(borrow)]
    utterances: Vec<RowUtterance<'a>>,
    #[serde(flatten)]
    metadata: Metadata,
}

#[derive(Deserialize)]
#[serde(expecting = "an object with `speaker`, `text` and `label`")]
struct RowUtterance<'a> {
    #[serde(borrow)]
    speaker: Cell<'a>,
    #[serde(borrow)]
    text: Cow<'a, str>,
    #[serde(borrow, default)]
    label: Option<Cell<'a>>,
    #[serde(flatten)]
    metadata: Metadata,
}

/// The dialogue of a line.
pub(super) fn dialogue(line: &str, spot: Spot) -> Result<RawDialogue<'_>, DataProblem> {
    let row: Row<'_> = serde_json::from_str(line).map_err(|error| slips::problem(&error, line))?;
    let Spot { offset, .. } = spot;
    let mut utterances = Vec::with_capacity(row.utterances.len());
    for (position, RowUtterance { speaker, text, label, metadata }) in row.utterances.into_iter().enumerate()
    {
        if label.is_none()
            && let Some((key, near)) = metadata.misspelt(&["label"])
        {
            return Err(slips::unknown_key(&format!("utterance {position}: "), key, near));
        }
        let label = label.into();
        utterances.push(RawUtterance { speaker: speaker.into_text(), text, label, offset, metadata });
    }
    Ok(RawDialogue { id: row.id.into_text(), offset, utterances, metadata: row.metadata, left_out: 0 })
}

impl<'a> From<Option<Cell<'a>>> for RawLabel<'a> {
    fn from(label: Option<Cell<'a>>) -> Self {
        match label {
            None => Self::Absent,
            Some(Cell::Text(name)) => Self::Name(name),
            Some(Cell::Number(index)) => Self::Index(index),
        }
    }
}
