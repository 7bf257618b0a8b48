//! Our JSON lines: `{"dialogue":"0","position":3,"explicit":"…","implicit":"…"}`.

use std::fmt;
use std::path::Path;

use emotrain_recipe::KnowledgeLevel;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use super::gather::Gather;
use crate::error::{DataError, DataProblem, Place};
use crate::io::LineReader;
use crate::split_kind::SplitKind;

/// A row, reduced to what the source needs.
#[derive(Default)]
struct Row {
    dialogue: Option<String>,
    position: Option<usize>,
    speaker: Option<String>,
    split: Option<String>,
    /// The text, and how well its key matches.
    text: Option<(usize, String)>,
    /// Whether there was a key for it, even with `null`.
    has_field: bool,
    others: Vec<String>,
}

/// Reads the rows of a file one by one; returns whether all of them name their split.
pub(super) fn read(path: &Path, gather: &mut Gather<'_>, kind: SplitKind) -> Result<bool, DataError> {
    let mut lines = LineReader::open(path)?;
    let (mut count, mut is_by_split) = (0, true);
    while let Some(line) = lines.next_line()? {
        let mut json = serde_json::Deserializer::from_str(line);
        let row = RowSeed(gather).deserialize(&mut json).and_then(|row| json.end().map(|()| row));
        let row = row.map_err(|error| lines.json_error(&error))?;
        count += 1;
        is_by_split &= row.split.is_some();
        if row.split.as_ref().is_some_and(|split| split != kind.as_str()) {
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
fn keep(row: &Row, line: usize, gather: &mut Gather<'_>) -> Result<(), DataProblem> {
    let missing = |key: &str| DataProblem::WrongForm(format!("missing field `{key}`"));
    let id = row.dialogue.as_deref().ok_or_else(|| missing("dialogue"))?;
    row.check_level(gather)?;
    let text = row.text.as_ref().map_or("", |(_, text)| text.as_str());
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
    gather.put(number, place, text, line)
}

impl Row {
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

/// Reads one row for a source.
struct RowSeed<'g, 's>(&'g Gather<'s>);

impl<'de> DeserializeSeed<'de> for RowSeed<'_, '_> {
    type Value = Row;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Row, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RowSeed<'_, '_> {
    type Value = Row;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `dialogue` and a text")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Row, A::Error> {
        let mut row = Row::default();
        let mut seen = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            if seen.contains(&key) {
                return Err(A::Error::custom(format!("duplicate field `{key}`")));
            }
            match key.as_str() {
                "dialogue" => row.dialogue = Some(map.next_value()?),
                "position" => row.position = map.next_value()?,
                "speaker" => row.speaker = map.next_value()?,
                "split" => row.split = map.next_value()?,
                name => {
                    if let Some(rank) = self.0.suits(name) {
                        let text: Option<String> = map.next_value()?;
                        row.has_field = true;
                        row.text = row.text.max(text.map(|text| (rank, text)));
                    } else {
                        let IgnoredAny = map.next_value()?;
                        row.others.push(key.clone());
                    }
                }
            }
            seen.push(key);
        }
        Ok(row)
    }
}
