//! DailyDialog's text release: `dialogues_<split>.txt` with one dialogue per line, utterances terminated by `__eou__`,
//! and `dialogues_emotion_<split>.txt` with one number per utterance (the unsplit `dialogues_text.txt` belongs with
//! `dialogues_emotion.txt`). Two people take turns, here called A and B; a dialogue's id is its line number.
//!
//! The numbers are DailyDialog's own whatever the label set: they are resolved by the emotion's name.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use emotrain_recipe::{DataFormat, LabelSetName};

use super::assemble::{Assembler, RawDialogue, RawLabel, RawUtterance, Refused, UNLABELLED, label_named};
use super::{LabelPolicy, looks};
use crate::error::{DataError, DataProblem, Place};
use crate::io::{TextFile, read_problem};
use crate::label::{Label, LabelSet};
use crate::metadata::Metadata;
use crate::split::Split;

const END: &str = "__eou__";
/// The release's file names: dialogues, and emotions per utterance.
const PREFIX: &str = "dialogues_";
const OTHER_FILES: [&str; 3] = ["dialogues_emotion", "dialogues_act", "dialogues_topic"];

pub(super) fn load(path: &Path, labels: &LabelSet, policy: LabelPolicy) -> Result<Split, DataError> {
    let path = if path.is_dir() { find_dialogues(path)? } else { path.to_owned() };
    let mut file = TextFile::read(&path)?;
    let emotions = read_emotions(&path, policy != LabelPolicy::Optional).map_err(|error| {
        let is_other = error.problem().is_of_form() && !file.text.contains(END);
        let other = || looks::other(&file.text, DataFormat::Dailydialog.into());
        match is_other.then(other).flatten() {
            Some(problem) => DataError::new(Place::file(&path), problem),
            None => error,
        }
    })?;
    if let Some(emotions) = &emotions {
        check_lines(&file, emotions)?;
        file.sha256 =
            emotrain_base::sha256_hex([file.text.as_bytes(), emotions.text.as_bytes()].concat().as_slice());
    }
    let mut assembler = Assembler::new(&file, labels, policy);
    read(&file, emotions.as_ref(), &mut assembler);
    assembler.finish(Ok(()), DataFormat::Dailydialog.into())
}

/// The one file of dialogues in a folder.
fn find_dialogues(folder: &Path) -> Result<PathBuf, DataError> {
    let fail = |problem| DataError::new(Place::file(folder), problem);
    let mut found = Vec::new();
    for entry in fs_err::read_dir(folder).map_err(|error| fail(read_problem(&error)))? {
        let name = entry.map_err(|error| fail(read_problem(&error)))?.file_name();
        let name = name.to_string_lossy().into_owned();
        let is_text = Path::new(&name).extension().is_some_and(|extension| extension == "txt");
        if is_text && name.starts_with(PREFIX) && !OTHER_FILES.iter().any(|other| name.starts_with(other)) {
            found.push(name);
        }
    }
    found.sort();
    match &found[..] {
        [name] => Ok(folder.join(name)),
        [] => Err(fail(DataProblem::NotOneDialoguesFile("none".to_owned()))),
        names => Err(fail(DataProblem::NotOneDialoguesFile(names.join(", ")))),
    }
}

/// The emotion file; `None` if labels are optional and it does not exist.
fn read_emotions(dialogues: &Path, require_labels: bool) -> Result<Option<TextFile>, DataError> {
    let name = dialogues.file_name().unwrap_or_default().to_string_lossy();
    let emotion_name = match name.strip_prefix(PREFIX) {
        Some("text.txt") => "dialogues_emotion.txt".to_owned(),
        Some(split) if !OTHER_FILES.iter().any(|other| name.starts_with(other)) => {
            format!("dialogues_emotion_{split}")
        }
        _ if require_labels => {
            return Err(DataError::new(Place::file(dialogues), DataProblem::NotADialoguesFile));
        }
        _ => return Ok(None),
    };
    match TextFile::read(&dialogues.with_file_name(&emotion_name)) {
        Err(error) if *error.problem() == DataProblem::NotFound => {
            let problem = DataProblem::NoEmotionFile(emotion_name);
            if require_labels { Err(DataError::new(Place::file(dialogues), problem)) } else { Ok(None) }
        }
        other => other.map(Some),
    }
}

fn check_lines(file: &TextFile, emotions: &TextFile) -> Result<(), DataError> {
    let lines = |text: &str| text.trim_end().lines().count();
    let (dialogue_lines, emotion_lines) = (lines(&file.text), lines(&emotions.text));
    if dialogue_lines == emotion_lines {
        return Ok(());
    }
    let name = emotions.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let problem =
        DataProblem::UnequalFiles { dialogues: dialogue_lines, emotions: emotion_lines, emotion_file: name };
    Err(DataError::new(Place::file(&file.path), problem))
}

fn read(file: &TextFile, emotions: Option<&TextFile>, assembler: &mut Assembler<'_>) {
    let mut emotion_lines = emotions.map(|emotions| emotions.text.lines());
    for (index, line) in file.text.trim_end().lines().enumerate() {
        let id = (index + 1).to_string();
        let offset = file.offset_of(line);
        let texts = utterance_texts(line);
        let labels = match (emotions, emotion_lines.as_mut().and_then(Iterator::next)) {
            (Some(emotions), Some(numbers)) => {
                let fail = |problem| {
                    let subject = Some(format!("dialogue {id}"));
                    let place = Place { path: emotions.path.clone(), line: Some(index + 1), subject };
                    DataError::new(place, problem)
                };
                let (labels, problems) = parse_emotions(numbers, assembler.labels());
                if !problems.is_empty() {
                    for problem in problems {
                        assembler.fault(fail(problem));
                    }
                    continue;
                }
                Some(labels)
            }
            _ => None,
        };
        if let Some(labels) = labels.as_ref().filter(|labels| labels.len() != texts.len()) {
            let problem =
                DataProblem::Ragged(format!("utterances {}, emotions {}", texts.len(), labels.len()));
            assembler.refuse(Refused::dialogue(&id, offset, problem));
            continue;
        }
        let utterances = texts.into_iter().enumerate().map(|(position, text)| RawUtterance {
            speaker: Cow::Borrowed(if position % 2 == 0 { "A" } else { "B" }),
            text: Cow::Borrowed(text),
            label: labels
                .as_ref()
                .and_then(|labels| labels[position])
                .map_or(RawLabel::Absent, RawLabel::Known),
            offset,
            metadata: Metadata::default(),
        });
        let utterances = utterances.collect();
        assembler.push(RawDialogue::new(Cow::Owned(id), offset, utterances));
    }
}

/// The utterances of a line; the final terminator is optional.
fn utterance_texts(line: &str) -> Vec<&str> {
    let mut texts: Vec<&str> = line.split(END).collect();
    if texts.last().is_some_and(|rest| rest.trim().is_empty()) {
        texts.pop();
    }
    texts
}

/// The labels of a line, and what is wrong with its numbers.
fn parse_emotions(line: &str, labels: &LabelSet) -> (Vec<Option<Label>>, Vec<DataProblem>) {
    let published = LabelSet::builtin(LabelSetName::Dailydialog);
    let parse = |number: &str| {
        let index = number.parse().map_err(|_| DataProblem::NotANumber {
            what: "an emotion".to_owned(),
            value: number.to_owned(),
        })?;
        if index == UNLABELLED {
            return Ok(None);
        }
        let emotion = published.at(index)?;
        label_named(labels, published.name(emotion))
    };
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    for number in line.split_whitespace() {
        match parse(number) {
            Ok(label) => found.push(label),
            Err(problem) => problems.push(problem),
        }
    }
    (found, problems)
}
