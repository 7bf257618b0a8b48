//! Our JSON lines: `{"dialogue":"0","position":3,"explicit":"…","implicit":"…"}`.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::path::Path;

use emotrain_recipe::KnowledgeLevel;

use super::gather::Gather;
use crate::error::{DataError, DataProblem, Place};
use crate::fields::Fields;
use crate::io::LineReader;
use crate::split_kind::SplitKind;

/// A row, reduced to what the source needs.
struct Row<'a> {
    dialogue: Option<Cow<'a, str>>,
    position: Option<usize>,
    speaker: Option<Cow<'a, str>>,
    split: Option<SplitKind>,
    text: Cow<'a, str>,
    /// Whether there was a key for it, even with `null`.
    has_field: bool,
    others: Vec<String>,
}

/// Reads the rows of a file one by one; returns whether all of them name their split.
pub(super) fn read(path: &Path, gather: &mut Gather<'_>, kind: SplitKind) -> Result<bool, DataError> {
    let mut lines = LineReader::open(path)?;
    let (mut count, mut is_by_split) = (0, true);
    while let Some(line) = lines.next_line()?.map(str::to_owned) {
        let row = Row::read(&line, gather).map_err(|problem| DataError::new(lines.place(), problem))?;
        count += 1;
        is_by_split &= row.split.is_some();
        if row.split.is_some_and(|split| split != kind) {
            continue;
        }
        let place = Place { subject: row.subject(), ..lines.place() };
        let line = place.line.unwrap_or(0);
        keep(&row, line, gather).map_err(|problem| DataError::new(place, problem))?;
    }
    if count == 0 {
        return Err(DataError::new(Place::file(path), DataProblem::Empty("texts")));
    }
    Ok(is_by_split)
}

/// Stores the text of a row.
fn keep(row: &Row<'_>, line: usize, gather: &mut Gather<'_>) -> Result<(), DataProblem> {
    let missing = |key: &str| DataProblem::WrongForm(format!("missing field `{key}`"));
    let id = row.dialogue.as_deref().ok_or_else(|| missing("dialogue"))?;
    row.check_level(gather)?;
    gather.row_had(row.has_field, row.others.clone());
    let Some(number) = gather.number(id) else {
        gather.pass(1);
        return Ok(());
    };
    let dialogue = gather.dialogue(number);
    let place = match gather.section.level {
        KnowledgeLevel::Utterance => {
            let position = row.position.ok_or_else(|| missing("position"))?;
            let utterances = dialogue.utterances.len();
            if position >= utterances {
                return Err(DataProblem::WrongForm(format!(
                    "position {position}, but the dialogue has {utterances} utterances, counted from 0"
                )));
            }
            position
        }
        KnowledgeLevel::Speaker => {
            let speaker = row.speaker.as_deref().ok_or_else(|| missing("speaker"))?;
            let Some(place) = dialogue.speakers().iter().position(|other| *other == speaker.trim()) else {
                gather.pass(1);
                return Ok(());
            };
            place
        }
        KnowledgeLevel::Dialogue => 0,
    };
    gather.put(number, place, &row.text, line)
}

impl<'a> Row<'a> {
    fn read(line: &'a str, gather: &Gather<'_>) -> Result<Self, DataProblem> {
        let row = Fields::of_line(line, "`dialogue` and a text")?;
        let mut row = row.without_nulls(&["position", "speaker", "split"]);
        let (dialogue, position) = (row.name("dialogue")?, row.position("position")?);
        let (speaker, split) = (row.name("speaker")?, row.split("split")?);
        let mut keys: Vec<(usize, String)> =
            row.names().filter_map(|key| Some((gather.suits(key)?, key.to_owned()))).collect();
        keys.sort_by_key(|(rank, _)| Reverse(*rank));
        let has_field = !keys.is_empty();
        let mut row = row.without_nulls(&keys.iter().map(|(_, key)| key.as_str()).collect::<Vec<_>>());
        let mut text = None;
        for (_, key) in &keys {
            text = text.or(row.text(key)?);
        }
        let others = row.names().map(str::to_owned).collect();
        let text = text.unwrap_or_default();
        Ok(Self { dialogue, position, speaker, split, text, has_field, others })
    }

    /// The row's subject, for messages.
    fn subject(&self) -> Option<String> {
        let dialogue = self.dialogue.as_deref()?;
        Some(match (self.position, &self.speaker) {
            (Some(position), _) => format!("utterance {dialogue}#{position}"),
            (None, Some(speaker)) => format!("speaker {dialogue}/{speaker}"),
            (None, None) => format!("dialogue {dialogue}"),
        })
    }

    /// A row of another level indicates that `knowledge.level` is wrong.
    fn check_level(&self, gather: &Gather<'_>) -> Result<(), DataProblem> {
        let found = match (self.position, &self.speaker) {
            (Some(_), _) => KnowledgeLevel::Utterance,
            (None, Some(_)) => KnowledgeLevel::Speaker,
            (None, None) => KnowledgeLevel::Dialogue,
        };
        let wanted = gather.section.level;
        if found == wanted {
            return Ok(());
        }
        Err(DataProblem::KnowledgeLevel {
            name: gather.section.name.clone(),
            found: found.as_str(),
            wanted: wanted.as_str(),
        })
    }
}
