//! JSON by dialogue: a list of texts, or of objects with texts, one for every utterance, or a single text.

use std::collections::HashSet;
use std::fmt;
use std::io::{BufRead, BufReader};
use std::path::Path;

use emotrain_base::limits;
use emotrain_recipe::KnowledgeLevel;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::gather::Gather;
use crate::error::{DataError, DataProblem, Place};
use crate::io::{foreign, json_problem, read_problem};

/// The byte order mark.
const MARK: &[u8] = "\u{feff}".as_bytes();

/// Reads a file dialogue by dialogue.
pub(super) fn read(path: &Path, gather: &mut Gather<'_>) -> Result<(), DataError> {
    let system = |error| DataError::new(Place::file(path), read_problem(&error));
    let mut file = BufReader::new(emotrain_base::open(path, limits::DOCUMENT).map_err(system)?);
    if let Some(kind) = foreign(file.fill_buf().map_err(system)?) {
        return Err(DataError::new(Place::file(path), DataProblem::OtherKind(kind)));
    }
    if file.fill_buf().map_err(system)?.starts_with(MARK) {
        file.consume(MARK.len());
    }
    let mut json = serde_json::Deserializer::from_reader(file);
    let read = File(gather).deserialize(&mut json).and_then(|count| json.end().map(|()| count));
    match read {
        Ok(0) => Err(DataError::new(Place::file(path), DataProblem::Empty("texts"))),
        Ok(_) => Ok(()),
        Err(error) if error.is_io() => Err(system(error.into())),
        Err(error) => {
            let place = Place { line: Some(error.line()), ..Place::file(path) };
            // Why it is no JSON shows in its text.
            let text = emotrain_base::read_to_string(path, limits::DOCUMENT).unwrap_or_default();
            Err(DataError::new(place, json_problem(&error, text.trim_start_matches('\u{feff}'))))
        }
    }
}

/// The whole file; its value is the number of dialogues.
struct File<'g, 's>(&'g mut Gather<'s>);

impl<'de> DeserializeSeed<'de> for File<'_, '_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<usize, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for File<'_, '_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of texts by dialogue")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<usize, A::Error> {
        let mut seen = HashSet::new();
        while let Some(id) = map.next_key::<String>()? {
            if seen.contains(&id) {
                return Err(A::Error::custom(format!("dialogue {id}: the id is used twice")));
            }
            let number = self.0.number(&id);
            map.next_value_seed(Entry { gather: &mut *self.0, id: &id, number })?;
            seen.insert(id);
        }
        Ok(seen.len())
    }
}

/// The value of a dialogue's id.
struct Entry<'g, 's> {
    gather: &'g mut Gather<'s>,
    id: &'g str,
    /// The dialogue's index in the split, if it has one.
    number: Option<usize>,
}

impl<'de> DeserializeSeed<'de> for Entry<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Entry<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.gather.section.level {
            KnowledgeLevel::Dialogue => write!(f, "a text for dialogue {}", self.id),
            KnowledgeLevel::Utterance | KnowledgeLevel::Speaker => {
                write!(f, "a list for dialogue {}, with a text for every utterance", self.id)
            }
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        if self.gather.section.level != KnowledgeLevel::Dialogue {
            return Err(E::invalid_type(serde::de::Unexpected::Str(text), &self));
        }
        self.gather.row_had(true, Vec::new());
        match self.number {
            Some(number) => self.gather.fill(number, 0, text),
            None => self.gather.pass(1),
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut texts: A) -> Result<(), A::Error> {
        let level = self.gather.section.level;
        if level == KnowledgeLevel::Dialogue {
            return Err(A::Error::invalid_type(serde::de::Unexpected::Seq, &self));
        }
        let mut position = 0;
        while let Some(text) = texts.next_element_seed(Item(&mut *self.gather))? {
            let text = text.unwrap_or_default();
            match (self.number, level) {
                (None, _) => self.gather.pass(1),
                (Some(number), _) if position >= self.gather.dialogue(number).utterances.len() => {}
                (Some(number), KnowledgeLevel::Speaker) => {
                    self.gather.fill_speaker(number, position, &text);
                }
                (Some(number), _) => self.gather.fill(number, position, &text),
            }
            position += 1;
        }
        let utterances = self.number.map(|number| self.gather.dialogue(number).utterances.len());
        match utterances.filter(|utterances| *utterances != position) {
            Some(utterances) => {
                let id = self.id;
                Err(A::Error::custom(format!("dialogue {id}: {position} texts for {utterances} utterances")))
            }
            None => Ok(()),
        }
    }
}

/// One element of a list: a text, an object with the text, or `null`.
struct Item<'g, 's>(&'g mut Gather<'s>);

impl<'de> DeserializeSeed<'de> for Item<'_, '_> {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Option<String>, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Item<'_, '_> {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, or an object with the text")
    }

    fn visit_unit<E: Error>(self) -> Result<Option<String>, E> {
        Ok(None)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Option<String>, E> {
        self.0.row_had(true, Vec::new());
        Ok(Some(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<String>, A::Error> {
        let (mut best, mut has_field, mut others) = (None, false, Vec::new());
        while let Some(key) = map.next_key::<String>()? {
            if let Some(rank) = self.0.suits(&key) {
                let text = map.next_value_seed(Text(&key))?;
                has_field = true;
                best = best.max(text.map(|text| (rank, text)));
            } else {
                let IgnoredAny = map.next_value()?;
                others.push(key);
            }
        }
        self.0.row_had(has_field, others);
        Ok(best.map(|(_, text)| text))
    }
}

/// The text of an object, or `null`, under its key.
struct Text<'k>(&'k str);

impl<'de> DeserializeSeed<'de> for Text<'_> {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Option<String>, D::Error> {
        from.deserialize_any(self)
    }
}

impl Visitor<'_> for Text<'_> {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "text or null for `{}`", self.0)
    }

    fn visit_unit<E: Error>(self) -> Result<Option<String>, E> {
        Ok(None)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Option<String>, E> {
        Ok(Some(text.to_owned()))
    }
}
