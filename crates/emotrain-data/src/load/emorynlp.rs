//! EmoryNLP's own release: `{episodes: [{scenes: [{scene_id, utterances: [{utterance_id, speakers,
//! transcript, emotion}]}]}]}`, a scene being a dialogue. A file without `episodes` is read in the
//! form of [`prc_json`](super::prc_json), which PRC-Emo publishes.
//!
//! Several speakers at once are one speaker of a joined name, `Ann Lee and Bo Kim`. Other keys
//! (tokens, notes, season) are passed over.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::assemble::{Assembler, RawDialogue, RawLabel, RawUtterance};
use super::prc_json;
use crate::error::{DataError, DataProblem};
use crate::io::TextFile;

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

pub(super) fn read(file: &TextFile, assembler: &mut Assembler<'_>) -> Result<(), DataError> {
    let entries = prc_json::entries(file)?;
    let Some((_, episodes)) = entries.iter().find(|(key, _)| key == "episodes") else {
        return prc_json::read_entries(file, entries, assembler);
    };
    for episode in parse::<Vec<&RawValue>>(file, episodes)? {
        for scene in parse::<Episode<'_>>(file, episode)?.scenes {
            read_scene(file, scene, assembler)?;
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
            return Err(assembler.dialogue_error(&scene.scene_id, offset, problem));
        }
        ids.push((utterance.utterance_id, offset));
        utterances.push(RawUtterance {
            speaker: Cow::Owned(joined(&utterance.speakers)),
            text: Cow::Owned(utterance.transcript),
            label: RawLabel::name(utterance.emotion),
            offset,
        });
    }
    assembler.push(&RawDialogue { id: Cow::Owned(scene.scene_id), offset, utterances })
}

fn parse<'a, T: Deserialize<'a>>(file: &TextFile, raw: &'a RawValue) -> Result<T, DataError> {
    serde_json::from_str(raw.get()).map_err(|error| file.json_error(raw.get(), &error))
}

/// `A`, `A and B`, `A, B and C`.
fn joined(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
