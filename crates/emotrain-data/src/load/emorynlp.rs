//! EmoryNLP as published: JSON, or the tables that come with MELD, which papers report on.
//!
//! The JSON is `{episodes: [{scenes: [{scene_id, utterances: [{utterance_id, speakers, transcript, emotion}]}]}]}`,
//! where a scene is a dialogue. A file without `episodes` is read in the format of [`prc_json`](super::prc_json), which
//! PRC-Emo publishes.
//!
//! The tables are CSV with the columns `Utterance`, `Speaker`, `Emotion`, `Scene_ID`, `Utterance_ID`, `Season` and
//! `Episode`, where a scene of an episode is a dialogue with the JSON's id: `s01_e02_c03`. Speakers are a Python list,
//! `['Ann Lee', 'Bo Kim']`.
//!
//! Several speakers at once are one speaker with a joined name, `Ann Lee and Bo Kim`. Other keys (tokens, notes,
//! season) are ignored.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::assemble::{Assembler, RawDialogue, RawLabel, RawUtterance};
use super::prc_json;
use super::table::{self, Published};
use crate::error::{DataError, DataProblem};
use crate::io::TextFile;
use crate::metadata::Metadata;

#[derive(Deserialize)]
#[serde(expecting = "an object with `scenes`")]
struct Episode<'a> {
    #[serde(borrow)]
    scenes: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object with `scene_id` and `utterances`")]
struct Scene<'a> {
    scene_id: String,
    #[serde(borrow)]
    utterances: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object with `utterance_id`, `speakers`, `transcript` and `emotion`")]
struct EmoryUtterance {
    utterance_id: String,
    speakers: Vec<String>,
    transcript: String,
    emotion: Option<String>,
}

const TABLE: Published = Published {
    key: &["Season", "Episode", "Scene_ID"],
    id: scene_id,
    speaker: |cell| python_list(cell).map_or_else(|| cell.to_owned(), |names| joined(&names)),
};

pub(super) fn read(file: &TextFile, assembler: &mut Assembler<'_>) -> Result<(), DataError> {
    if !file.text.trim_start().starts_with(['{', '[']) {
        return table::read(file, assembler, &TABLE);
    }
    let entries = prc_json::entries(file)?;
    let Some((_, episodes)) = entries.iter().find(|(key, _)| key == "episodes") else {
        prc_json::read_entries(file, entries, assembler);
        return Ok(());
    };
    for episode in parse::<Vec<&RawValue>>(file, episodes)? {
        for scene in parse::<Episode<'_>>(file, episode)?.scenes {
            if let Err(error) = read_scene(file, scene, assembler) {
                assembler.fault(error);
            }
        }
    }
    Ok(())
}

fn read_scene(file: &TextFile, raw: &RawValue, assembler: &mut Assembler<'_>) -> Result<(), DataError> {
    let offset = file.offset_of(raw.get());
    let scene: Scene<'_> = parse(file, raw)?;
    let mut utterances = Vec::with_capacity(scene.utterances.len());
    let mut ids: Vec<(String, usize)> = Vec::with_capacity(scene.utterances.len());
    for raw in scene.utterances {
        let offset = file.offset_of(raw.get());
        let utterance: EmoryUtterance = parse(file, raw)?;
        if let Some((id, first)) = ids.iter().find(|(id, _)| *id == utterance.utterance_id) {
            let problem =
                DataProblem::DuplicateUtterance { id: id.clone(), first_line: file.line_at(*first) };
            let subject = Some(format!("dialogue {}", scene.scene_id));
            return Err(assembler.error(offset, subject, problem));
        }
        ids.push((utterance.utterance_id, offset));
        utterances.push(RawUtterance {
            speaker: Cow::Owned(joined(&utterance.speakers)),
            text: Cow::Owned(utterance.transcript),
            label: RawLabel::name(utterance.emotion),
            offset,
            metadata: Metadata::default(),
        });
    }
    assembler.push(RawDialogue::new(Cow::Owned(scene.scene_id), offset, utterances));
    Ok(())
}

fn parse<'a, T: Deserialize<'a>>(file: &TextFile, raw: &'a RawValue) -> Result<T, DataError> {
    serde_json::from_str(raw.get()).map_err(|error| file.json_error(raw.get(), &error))
}

/// `s01_e02_c03` from season, episode and scene; a scene whose own name is more than a number keeps it.
fn scene_id(key: &[&str]) -> String {
    let numbers: Option<Vec<u32>> = key.iter().map(|cell| cell.parse().ok()).collect();
    match (numbers.as_deref(), key) {
        (Some(&[season, episode, scene]), _) => format!("s{season:02}_e{episode:02}_c{scene:02}"),
        (None, [.., scene]) if scene.contains("_c") => (*scene).to_owned(),
        _ => key.join("_"),
    }
}

/// The texts of a printed Python list; `None` if it is not one.
fn python_list(cell: &str) -> Option<Vec<String>> {
    let mut rest = cell.trim().strip_prefix('[')?.strip_suffix(']')?.trim();
    let mut texts = Vec::new();
    while !rest.is_empty() {
        let (text, after) = python_text(rest)?;
        texts.push(text);
        rest = after.trim_start();
        rest = match rest.strip_prefix(',') {
            Some(more) => more.trim_start(),
            None if rest.is_empty() => rest,
            None => return None,
        };
    }
    Some(texts)
}

/// A quoted text at the start, and the rest.
fn python_text(from: &str) -> Option<(String, &str)> {
    let quote = from.chars().next().filter(|first| matches!(first, '\'' | '"'))?;
    let (mut text, mut escaped) = (String::new(), false);
    for (at, character) in from.char_indices().skip(1) {
        match character {
            _ if escaped => {
                text.push(character);
                escaped = false;
            }
            '\\' => escaped = true,
            _ if character == quote => return Some((text, &from[at + 1..])),
            _ => text.push(character),
        }
    }
    None
}

/// `A`, `A and B`, `A, B and C`.
fn joined(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
