//! Keys of JSON lines that are not called like what they are read for: `data.columns` names them, as it names the columns
//! of tables.
//!
//! A line is written anew with the keys that its reader knows. What has such a key and is not meant is set aside first, and
//! is metadata under its own name.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use emotrain_recipe::{ColumnRole, DataFormat, folded};
use serde_json::{Map, Value};

use super::assemble::{RawDialogue, Spot};
use super::layout::DataLayout;
use super::other_names::others_of;
use super::{chat, jsonl};
use crate::error::DataProblem;
use crate::metadata::Metadata;

type Object = Map<String, Value>;

/// Stands before the name of a key that is set aside.
const ASIDE: char = '\u{f0000}';

/// What is read of a turn.
const OF_TURNS: [ColumnRole; 3] = [ColumnRole::Speaker, ColumnRole::Text, ColumnRole::Label];

/// The keys of a message that say who speaks and whether it instructs a model.
const ROLES: [&str; 2] = ["role", "from"];

/// So many lines are looked at for keys that seem to be meant.
const LOOKED_AT: usize = 100;

/// Reads lines of one dialogue each.
#[derive(Clone, Copy)]
pub(super) struct Lines<'a>(pub(super) DataLayout<'a>);

impl Lines<'_> {
    /// What `then` makes of the dialogue of a line.
    ///
    /// # Errors
    /// A line that is no dialogue in this form.
    pub(super) fn read<R>(
        self,
        line: &str,
        spot: Spot,
        then: impl FnOnce(RawDialogue<'_>) -> R,
    ) -> Result<R, DataProblem> {
        if self.0.columns.is_empty() {
            return self.parse(line, spot).map(then);
        }
        let renamed = self.renamed(line)?;
        let mut raw = self.parse(&renamed, spot).map_err(|problem| self.in_own_words(problem))?;
        let turns = raw.utterances.iter_mut().map(|utterance| &mut utterance.metadata);
        for key in turns.chain([&mut raw.metadata]).flat_map(Metadata::keys_mut) {
            if key.starts_with(ASIDE) {
                key.remove(0);
            }
        }
        Ok(then(raw))
    }

    fn parse(self, line: &str, spot: Spot) -> Result<RawDialogue<'_>, DataProblem> {
        let parsed = if self.0.format == DataFormat::Chat {
            chat::dialogue(line, spot)
        } else {
            jsonl::dialogue(line, spot)
        };
        parsed.map_err(|problem| {
            let DataProblem::WrongForm(message) = problem else { return problem };
            match missing(&message) {
                Some(role) => DataProblem::MissingKey { message, role: role.as_str() },
                None => DataProblem::WrongForm(message),
            }
        })
    }

    /// The line with the keys that its reader knows; as it is where it is no object.
    fn renamed(self, line: &str) -> Result<Cow<'_, str>, DataProblem> {
        let Ok(mut row) = serde_json::from_str::<Object>(line) else { return Ok(line.into()) };
        self.rename(&mut row, ColumnRole::Dialogue, "")?;
        let (keys, word) = turns(self.0.format);
        for key in keys {
            let list = row.get_mut(*key).and_then(Value::as_array_mut);
            for (number, turn) in list.into_iter().flatten().enumerate() {
                let Some(turn) = turn.as_object_mut() else { continue };
                for role in OF_TURNS {
                    self.rename(turn, role, &format!("{word} {number}: "))?;
                }
            }
        }
        Ok(serde_json::to_string(&row).map_or(line.into(), Cow::Owned))
    }

    /// The key that is named for this role called as its reader calls it.
    ///
    /// # Errors
    /// An object without it, unless a label may be missing.
    fn rename(self, object: &mut Object, role: ColumnRole, place: &str) -> Result<(), DataProblem> {
        let Some(own) = self.0.columns.get(&role).map(|own| own.trim()) else { return Ok(()) };
        if !object.contains_key(own) && role != ColumnRole::Label {
            let message = format!("{place}no key `{own}`, which data.columns names as the {role}");
            return Err(DataProblem::WrongForm(message));
        }
        let names = names(self.0.format, role);
        // Of a role it is known whether it instructs a model.
        let is_role = self.0.format == DataFormat::Chat && ROLES.contains(&own);
        let name = if is_role && role == ColumnRole::Speaker { own } else { names[0] };
        *object = std::mem::take(object)
            .into_iter()
            .map(|(key, value)| match key.as_str() {
                key if key == own => (name.to_owned(), value),
                key if names.contains(&key) => (format!("{ASIDE}{key}"), value),
                _ => (key, value),
            })
            .collect();
        Ok(())
    }

    /// What is wrong with a line that was written anew, with the keys that it has.
    fn in_own_words(self, problem: DataProblem) -> DataProblem {
        let DataProblem::WrongForm(message) = problem else { return problem };
        let own = self.0.columns.iter().fold(message, |message, (role, own)| {
            let known = names(self.0.format, *role)[0];
            message.replace(&format!("`{known}`"), &format!("`{own}`"))
        });
        DataProblem::WrongForm(own)
    }
}

/// What is read from the key that a message calls missing.
fn missing(message: &str) -> Option<ColumnRole> {
    let keys = [
        ("id", ColumnRole::Dialogue),
        ("speaker", ColumnRole::Speaker),
        ("role", ColumnRole::Speaker),
        ("text", ColumnRole::Text),
        ("content", ColumnRole::Text),
    ];
    keys.into_iter()
        .find(|(key, _)| message.ends_with(&format!("missing field `{key}`")))
        .map(|(_, role)| role)
}

/// What the reader of a format calls this, the usual name first.
fn names(format: DataFormat, role: ColumnRole) -> &'static [&'static str] {
    match (role, format == DataFormat::Chat) {
        (ColumnRole::Dialogue, _) => &["id"],
        (ColumnRole::Position, _) => &[],
        (ColumnRole::Speaker, false) => &["speaker"],
        (ColumnRole::Speaker, true) => &["name"],
        (ColumnRole::Text, false) => &["text"],
        (ColumnRole::Text, true) => &["content", "value"],
        (ColumnRole::Label, _) => &["label"],
    }
}

/// The keys of the list of turns, and what a turn is called.
fn turns(format: DataFormat) -> (&'static [&'static str], &'static str) {
    if format == DataFormat::Chat {
        (&["messages", "conversations"], "message")
    } else {
        (&["utterances"], "utterance")
    }
}

/// The keys that seem to be meant, where they are not called like their roles: by other names, and what is another one in
/// each line is the dialogue's id. Those that are `given` are meant.
pub(super) fn suggested_keys(
    text: &str,
    format: DataFormat,
    given: &BTreeMap<ColumnRole, String>,
) -> BTreeMap<ColumnRole, String> {
    let lines = text.lines().filter(|line| !line.trim().is_empty()).take(LOOKED_AT);
    let rows: Vec<Object> = lines.map_while(|line| serde_json::from_str(line).ok()).collect();
    let lists =
        rows.iter().flat_map(|row| turns(format).0.iter().filter_map(|key| row.get(*key)?.as_array()));
    let turns: Vec<&Object> = lists.flatten().filter_map(Value::as_object).collect();
    let rows: Vec<&Object> = rows.iter().collect();
    let mut columns = given.clone();
    for (role, objects) in
        [(ColumnRole::Dialogue, &rows)].into_iter().chain(OF_TURNS.map(|role| (role, &turns)))
    {
        let mut known = names(format, role).to_vec();
        if format == DataFormat::Chat && role == ColumnRole::Speaker {
            known.extend(ROLES);
        }
        let is_there = objects.iter().any(|object| known.iter().any(|key| object.contains_key(*key)));
        if is_there || columns.contains_key(&role) {
            continue;
        }
        let found = named(role, objects);
        let found = found.or_else(|| (role == ColumnRole::Dialogue).then(|| numbered(objects)).flatten());
        columns.extend(found.map(|key| (role, key.to_owned())));
    }
    columns
}

/// The first of the names that others give it which is there.
fn named<'o>(role: ColumnRole, objects: &[&'o Object]) -> Option<&'o str> {
    let keys = || objects.iter().flat_map(|object| object.iter());
    let is_plain = |value: &Value| !value.is_array() && !value.is_object();
    [role.as_str()].iter().chain(others_of(role)).find_map(|other| {
        keys().find(|(key, value)| folded(key) == *other && is_plain(value)).map(|(key, _)| key.as_str())
    })
}

/// The key that has another text or number in each of several objects, if there is one alone.
fn numbered<'o>(objects: &[&'o Object]) -> Option<&'o str> {
    let (first, others) = objects.split_first().filter(|(_, others)| !others.is_empty())?;
    let is_another = |key: &&'o String| {
        let values = others.iter().chain([first]).map(|object| object.get(key.as_str()));
        let mut seen = HashSet::new();
        values.into_iter().all(|value| match value {
            Some(value @ (Value::String(_) | Value::Number(_))) => seen.insert(value.to_string()),
            _ => false,
        })
    };
    let mut keys = first.keys().filter(is_another);
    keys.next().filter(|_| keys.next().is_none()).map(String::as_str)
}
