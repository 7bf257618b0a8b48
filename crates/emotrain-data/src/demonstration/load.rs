//! Reading demonstrations: our own JSONL, and the list published by PRC-Emo.

use std::borrow::Cow;
use std::path::Path;

use emotrain_base::limits;
use emotrain_recipe::has_control;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Demonstration, Origin};
use crate::cell::Cell;
use crate::error::{DataError, DataProblem, Place};
use crate::fields::Fields;
use crate::io::TextFile;
use crate::label::{emotion_of, is_unlabelled};
use crate::mend::clean;
use crate::split_kind::SplitKind;

/// The dialogue id for a list without dialogues; positions are those in the list.
const LIST: &str = "list";

/// The demonstrations of one file, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DemonstrationFile {
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// In file order; at least one.
    pub demonstrations: Vec<Demonstration>,
}

/// A line of our JSONL: a demonstration, or a dialogue of them.
struct Line {
    dataset: Option<String>,
    split: Option<SplitKind>,
    domain: Option<String>,
    // A demonstration.
    dialogue: Option<String>,
    position: Option<usize>,
    turn: Turn,
    // A dialogue.
    id: Option<String>,
    utterances: Option<Vec<Turn>>,
}

/// What a line may have; the topic is for readers of the file alone.
const KEYS: [&str; 12] = [
    "dataset",
    "split",
    "domain",
    "dialogue",
    "position",
    "speaker",
    "text",
    "label",
    "emotion",
    "id",
    "topic",
    "utterances",
];

/// What an utterance of a dialogue may have.
const OF_TURNS: [&str; 4] = ["speaker", "text", "label", "emotion"];

struct Turn {
    speaker: Option<String>,
    text: Option<String>,
    label: Option<String>,
    emotion: Option<String>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object with `sentence` and `label`")]
struct PrcEntry {
    sentence: String,
    label: String,
}

/// Reads our JSONL. A line is a [`Demonstration`], with `emotion` optional, or a dialogue
/// `{"id":"d-1","domain":"family","topic":"…","utterances":[{"speaker":"Ana","text":"…","label":"joy"}]}` with `domain`
/// and `topic` optional. `origin` replaces a missing data set, split or domain.
///
/// # Errors
/// The first problem, with its line: invalid JSON, a missing key, an empty text or id. Duplicate ids are not checked: a
/// bank reads more than one file.
pub fn load_demonstrations(path: &Path, origin: Origin<'_>) -> Result<DemonstrationFile, DataError> {
    let file = TextFile::read_json(path, limits::DOCUMENT)?;
    let mut demonstrations = Vec::new();
    for (index, line) in file.text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let fail = |problem| DataError::new(Place::line(path, index + 1), problem);
        let line = Line::read(line).map_err(fail)?;
        demonstrations.extend(line.demonstrations(origin).map_err(fail)?);
    }
    finish(file, demonstrations)
}

/// Reads PRC-Emo's demonstrations, `[{"sentence":"…","label":"…"}]`. They have no dialogues: all count as one dialogue,
/// and the position is that in the list, so that duplicate sentences have different ids.
///
/// # Errors
/// The first problem, with its line.
pub fn load_prc_demonstrations(path: &Path, origin: Origin<'_>) -> Result<DemonstrationFile, DataError> {
    let file = TextFile::read_json(path, limits::DOCUMENT)?;
    let entries: Vec<&RawValue> =
        serde_json::from_str(&file.text).map_err(|error| file.json_error(&file.text, &error))?;
    let mut demonstrations = Vec::with_capacity(entries.len());
    for (position, raw) in entries.into_iter().enumerate() {
        let entry: PrcEntry =
            serde_json::from_str(raw.get()).map_err(|error| file.json_error(raw.get(), &error))?;
        let place = || Place::line(path, file.line_at(file.offset_of(raw.get())));
        let (text, label) =
            checked(&entry.sentence, &entry.label).map_err(|problem| DataError::new(place(), problem))?;
        demonstrations.push(Demonstration {
            dataset: origin.dataset.to_owned(),
            split: origin.split,
            dialogue: LIST.to_owned(),
            position,
            speaker: None,
            domain: origin.domain.map(str::to_owned),
            emotion: emotion_of(&label),
            text,
            label,
        });
    }
    finish(file, demonstrations)
}

fn finish(file: TextFile, demonstrations: Vec<Demonstration>) -> Result<DemonstrationFile, DataError> {
    if demonstrations.is_empty() {
        return Err(DataError::new(Place::file(&file.path), DataProblem::Empty("demonstrations")));
    }
    Ok(DemonstrationFile { sha256: file.sha256, demonstrations })
}

/// Text and label, repaired and trimmed.
fn checked(text: &str, label: &str) -> Result<(String, String), DataProblem> {
    let (text, _) = clean(text);
    if text.is_empty() {
        return Err(DataProblem::EmptyUtterance);
    }
    if label.trim().is_empty() {
        return Err(DataProblem::MissingLabel);
    }
    if has_control(label) {
        return Err(DataProblem::ControlInLabel(label.trim().to_owned()));
    }
    Ok((text.into_owned(), label.trim().to_owned()))
}

impl Turn {
    fn read(fields: &mut Fields<'_>) -> Result<Self, DataProblem> {
        let owned = |text: Option<Cow<'_, str>>| text.map(Cow::into_owned);
        Ok(Self {
            speaker: owned(fields.name("speaker")?),
            text: owned(fields.text("text")?),
            label: owned(fields.label("label")?.map(Cell::into_text)),
            emotion: owned(fields.text("emotion")?),
        })
    }
}

impl Line {
    fn read(line: &str) -> Result<Self, DataProblem> {
        let owned = |text: Option<Cow<'_, str>>| text.map(Cow::into_owned);
        let mut fields =
            Fields::of_line(line, "the keys of a demonstration or a dialogue")?.without_nulls(&KEYS);
        let utterances = fields.list("utterances")?;
        let turns = utterances.map(|utterances| {
            let turns = utterances.into_iter().enumerate();
            let turns = turns.map(|(position, turn)| {
                let place = format!("utterance {position}: ");
                let turn = Fields::of_value(turn, place, "`speaker`, `text` and `label`")?;
                let mut turn = turn.without_nulls(&["speaker", "label", "emotion"]);
                let read = Turn::read(&mut turn)?;
                if read.text.is_none() {
                    return Err(turn.missing("text", &[]));
                }
                turn.finish(&OF_TURNS).map(|()| read)
            });
            turns.collect::<Result<Vec<Turn>, DataProblem>>()
        });
        let line = Self {
            dataset: owned(fields.name("dataset")?),
            split: fields.split("split")?,
            domain: owned(fields.text("domain")?),
            dialogue: owned(fields.name("dialogue")?),
            position: fields.position("position")?,
            turn: Turn::read(&mut fields)?,
            id: owned(fields.name("id")?),
            utterances: turns.transpose()?,
        };
        fields.take("topic");
        fields.finish(&KEYS).map(|()| line)
    }

    fn demonstrations(self, origin: Origin<'_>) -> Result<Vec<Demonstration>, DataProblem> {
        let missing = |key: &str| DataProblem::WrongForm(format!("missing field `{key}`"));
        let dataset = self.dataset.unwrap_or_else(|| origin.dataset.to_owned());
        let split = self.split.unwrap_or(origin.split);
        let domain = self.domain.or_else(|| origin.domain.map(str::to_owned));
        let in_dialogue = self.utterances.is_some();
        let (dialogue, first, turns) = if let Some(turns) = self.utterances {
            let stray = [self.turn.text.is_some(), self.dialogue.is_some(), self.position.is_some()];
            if stray.contains(&true) {
                let message =
                    "a line is a dialogue with `utterances` or a demonstration with `text`, not both";
                return Err(DataProblem::WrongForm(message.to_owned()));
            }
            (self.id.ok_or_else(|| missing("id"))?, 0, turns)
        } else {
            let turn = self.turn;
            for (key, value) in [("text", &turn.text), ("label", &turn.label)] {
                value.as_ref().ok_or_else(|| missing(key))?;
            }
            let dialogue = self.dialogue.ok_or_else(|| missing("dialogue"))?;
            (dialogue, self.position.ok_or_else(|| missing("position"))?, vec![turn])
        };
        if dataset.trim().is_empty() || dialogue.trim().is_empty() {
            return Err(DataProblem::EmptyId);
        }
        if turns.is_empty() {
            return Err(DataProblem::EmptyDialogue);
        }
        // An utterance without an agreed label cannot be an example.
        let is_example = |turn: &Turn| turn.label.as_deref().is_some_and(|label| !is_unlabelled(label));
        let numbered = turns.into_iter().enumerate().filter(|(_, turn)| !in_dialogue || is_example(turn));
        let demonstrations = numbered.map(|(place, turn)| {
            let (text, label) =
                checked(turn.text.as_deref().unwrap_or_default(), turn.label.as_deref().unwrap_or_default())?;
            let speaker =
                turn.speaker.map(|name| clean(&name).0.into_owned()).filter(|name| !name.is_empty());
            Ok(Demonstration {
                dataset: dataset.trim().to_owned(),
                split,
                dialogue: dialogue.trim().to_owned(),
                position: first + place,
                speaker,
                domain: domain.clone(),
                emotion: turn.emotion.unwrap_or_else(|| emotion_of(&label)),
                text,
                label,
            })
        });
        demonstrations.collect()
    }
}
