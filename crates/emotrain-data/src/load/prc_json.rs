//! The JSON in which PRC-Emo publishes MELD, IEMOCAP and EmoryNLP: one object of dialogues by id, each `{labels: [int],
//! sentences: [text], genders: [..], speakers: [name]}`, with integers in the data set's label order.
//!
//! The speaker is the name in `speakers` if there is one, never the `genders` code. Without names, IEMOCAP's
//! `"M"`/`"F"` together with the session of the dialogue's id is the speaker (`Ses05_F`), and a one-hot code is
//! `Speaker 1`, `Speaker 2`, … by its position.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Unexpected, Visitor};
use serde_json::value::RawValue;

use super::assemble::{Assembler, RawDialogue, RawLabel, RawUtterance, Refused};
use crate::cell::whole;
use crate::error::{DataError, DataProblem};
use crate::io::TextFile;
use crate::metadata::Metadata;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object of lists: labels, sentences, genders, speakers")]
struct PrcDialogue {
    labels: Option<Vec<PrcLabel>>,
    sentences: Vec<String>,
    genders: Option<Vec<Gender>>,
    speakers: Option<Vec<String>>,
}

/// A number in the data set's label order; names are accepted, too, because converted files have them.
enum PrcLabel {
    Index(i64),
    Name(String),
    Null,
}

/// The data set's "gender": for MELD and EmoryNLP a number of the speaker within the dialogue.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gender {
    Female,
    Male,
    OneHot(usize),
}

pub(super) fn read(file: &TextFile, assembler: &mut Assembler<'_>) -> Result<(), DataError> {
    read_entries(file, entries(file)?, assembler);
    Ok(())
}

pub(super) fn read_entries(
    file: &TextFile,
    entries: Vec<(String, &RawValue)>,
    assembler: &mut Assembler<'_>,
) {
    for (id, value) in entries {
        let offset = file.offset_of(value.get());
        match serde_json::from_str(value.get()) {
            Ok(dialogue) => match utterances(&id, dialogue, offset) {
                Ok(utterances) => {
                    assembler.push(RawDialogue::new(Cow::Owned(id), offset, utterances));
                }
                Err(problem) => assembler.refuse(Refused::dialogue(&id, offset, problem)),
            },
            Err(error) => assembler.fault(file.json_error(value.get(), &error)),
        }
    }
}

/// The entries of a file's top-level object in order, repeated keys included, so that they can be refused.
pub(super) fn entries(file: &TextFile) -> Result<Vec<(String, &RawValue)>, DataError> {
    if file.text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let entries: Entries<'_> =
        serde_json::from_str(&file.text).map_err(|error| file.json_error(&file.text, &error))?;
    Ok(entries.0)
}

struct Entries<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor;
        impl<'de> Visitor<'de> for EntriesVisitor {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of dialogues by id")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(EntriesVisitor)
    }
}

fn utterances(
    id: &str,
    dialogue: PrcDialogue,
    offset: usize,
) -> Result<Vec<RawUtterance<'static>>, DataProblem> {
    check_lengths(&dialogue)?;
    let speakers = speakers(id, &dialogue)?;
    let mut labels = dialogue.labels.map(Vec::into_iter);
    let mut label = || match labels.as_mut().and_then(Iterator::next) {
        None | Some(PrcLabel::Null) => RawLabel::Absent,
        Some(PrcLabel::Index(index)) => RawLabel::Index(index),
        Some(PrcLabel::Name(name)) => RawLabel::Name(Cow::Owned(name)),
    };
    let pairs = dialogue.sentences.into_iter().zip(speakers);
    Ok(pairs
        .map(|(text, speaker)| RawUtterance {
            speaker: Cow::Owned(speaker),
            text: Cow::Owned(text),
            label: label(),
            offset,
            metadata: Metadata::default(),
        })
        .collect())
}

fn check_lengths(dialogue: &PrcDialogue) -> Result<(), DataProblem> {
    let lengths = [
        ("sentences", Some(dialogue.sentences.len())),
        ("labels", dialogue.labels.as_ref().map(Vec::len)),
        ("genders", dialogue.genders.as_ref().map(Vec::len)),
        ("speakers", dialogue.speakers.as_ref().map(Vec::len)),
    ];
    let present = || lengths.iter().filter_map(|(name, length)| length.map(|length| (name, length)));
    if present().all(|(_, length)| length == dialogue.sentences.len()) {
        return Ok(());
    }
    let lengths: Vec<String> = present().map(|(name, length)| format!("{name} {length}")).collect();
    Err(DataProblem::Ragged(lengths.join(", ")))
}

/// One name per sentence.
fn speakers(id: &str, dialogue: &PrcDialogue) -> Result<Vec<String>, DataProblem> {
    if let Some(names) = &dialogue.speakers {
        return Ok(names.clone());
    }
    let Some(genders) = &dialogue.genders else {
        return Err(DataProblem::NoSpeaker("neither `speakers` nor `genders` is given"));
    };
    let name = |gender: &Gender| match gender {
        Gender::OneHot(position) => Ok(format!("Speaker {}", position + 1)),
        Gender::Female => Ok(format!("{}_F", session(id)?)),
        Gender::Male => Ok(format!("{}_M", session(id)?)),
    };
    genders.iter().map(name).collect()
}

/// `Ses05` of `Ses05M_impro03`.
fn session(id: &str) -> Result<&str, DataProblem> {
    let wrong = DataProblem::NoSpeaker("the dialogue's id has no IEMOCAP session (such as Ses05M_impro03)");
    let session = id.get(..5).filter(|session| {
        session.strip_prefix("Ses").is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
    });
    session.ok_or(wrong)
}

impl<'de> Deserialize<'de> for PrcLabel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LabelVisitor;
        impl Visitor<'_> for LabelVisitor {
            type Value = PrcLabel;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a label's number or name")
            }

            fn visit_i64<E: Error>(self, index: i64) -> Result<PrcLabel, E> {
                Ok(PrcLabel::Index(index))
            }

            fn visit_u64<E: Error>(self, index: u64) -> Result<PrcLabel, E> {
                Ok(PrcLabel::Index(i64::try_from(index).unwrap_or(i64::MAX)))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<PrcLabel, E> {
                match whole(number) {
                    Some(index) => Ok(PrcLabel::Index(index)),
                    None => Err(E::invalid_value(Unexpected::Float(number), &self)),
                }
            }

            fn visit_unit<E: Error>(self) -> Result<PrcLabel, E> {
                Ok(PrcLabel::Null)
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<PrcLabel, E> {
                Ok(PrcLabel::Name(name.to_owned()))
            }
        }
        deserializer.deserialize_any(LabelVisitor)
    }
}

impl<'de> Deserialize<'de> for Gender {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct GenderVisitor;
        impl<'de> Visitor<'de> for GenderVisitor {
            type Value = Gender;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"M\", \"F\" or a list of zeros with a single 1")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Gender, E> {
                match text {
                    "F" => Ok(Gender::Female),
                    "M" => Ok(Gender::Male),
                    _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut codes: A) -> Result<Gender, A::Error> {
                let mut all = Vec::new();
                while let Some(code) = codes.next_element::<u8>()? {
                    all.push(code);
                }
                let one = all.iter().position(|&code| code == 1);
                match one.filter(|_| all.iter().map(|&code| u64::from(code)).sum::<u64>() == 1) {
                    Some(position) => Ok(Gender::OneHot(position)),
                    None => Err(A::Error::invalid_value(Unexpected::Other("another list"), &self)),
                }
            }
        }
        deserializer.deserialize_any(GenderVisitor)
    }
}
