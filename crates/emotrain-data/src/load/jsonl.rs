//! The project's own format, one dialogue per line:
//! `{"id":"qs-001","utterances":[{"speaker":"Maya","text":"…","label":"joy"}]}`. Other keys are metadata.

use super::assemble::{RawDialogue, RawLabel, RawUtterance, Spot};
use super::keys::OwnKeys;
use crate::cell::Cell;
use crate::error::DataProblem;
use crate::fields::Fields;

/// The dialogue of a line.
pub(super) fn dialogue<'a>(
    line: &'a str,
    spot: Spot,
    keys: OwnKeys<'_>,
) -> Result<RawDialogue<'a>, DataProblem> {
    let mut row = Fields::of_line(line, "`id` and `utterances`")?;
    keys.rename_row(&mut row)?;
    let id = row.name("id")?;
    let list = row.list("utterances")?;
    let id = match id {
        Some(id) => id,
        None if list.is_none() => return Err(row.missing("id", &["utterances"])),
        None => return Err(row.missing("id", &[])),
    };
    let list = list.ok_or_else(|| row.missing("utterances", &[]))?;
    let Spot { offset, .. } = spot;
    let mut utterances = Vec::with_capacity(list.len());
    for (position, turn) in list.into_iter().enumerate() {
        let place = format!("utterance {position}: ");
        let mut turn = Fields::of_value(turn, place, "`speaker`, `text` and `label`")?;
        keys.rename_turn(&mut turn)?;
        utterances.push(utterance(turn, offset)?);
    }
    Ok(RawDialogue { id, offset, utterances, metadata: row.into_metadata(), left_out: 0 })
}

fn utterance(turn: Fields<'_>, offset: usize) -> Result<RawUtterance<'_>, DataProblem> {
    let mut turn = turn.without_nulls(&["label"]);
    let (speaker, text, label) = (turn.name("speaker")?, turn.text("text")?, turn.label("label")?);
    if label.is_none()
        && let Some(problem) = turn.misspelt(&["label"])
    {
        return Err(problem);
    }
    let text = text.ok_or_else(|| turn.missing("text", &[]))?;
    let speaker = speaker.ok_or_else(|| turn.missing("speaker", &[]))?;
    Ok(RawUtterance { speaker, text, label: label.into(), offset, metadata: turn.into_metadata() })
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
