//! Keys of JSON lines that are not called like what they are read for: `data.columns` names them, as it names the columns
//! of tables.
//!
//! Its keys are called as its reader knows them. What has such a key and is not meant is set aside first, and is metadata
//! under its own name.

use std::collections::{BTreeMap, HashSet};

use emotrain_recipe::{ColumnRole, DataFormat, folded};
use serde_json::{Map, Value};

use super::assemble::RawDialogue;
use super::layout::DataLayout;
use super::other_names::others_of;
use crate::error::DataProblem;
use crate::fields::Fields;
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

/// The keys that a recipe names.
#[derive(Clone, Copy)]
pub(super) struct OwnKeys<'a>(pub(super) DataLayout<'a>);

impl OwnKeys<'_> {
    /// The metadata with the keys that the file has.
    pub(super) fn restore(self, raw: &mut RawDialogue<'_>) {
        if self.0.columns.is_empty() {
            return;
        }
        let turns = raw.utterances.iter_mut().map(|utterance| &mut utterance.metadata);
        for key in turns.chain([&mut raw.metadata]).flat_map(Metadata::keys_mut) {
            if key.starts_with(ASIDE) {
                key.remove(0);
            }
        }
    }

    /// The keys of a line called as their reader calls them.
    ///
    /// # Errors
    /// A line without a key that is named.
    pub(super) fn rename_row(self, row: &mut Fields<'_>) -> Result<(), DataProblem> {
        self.rename(row, ColumnRole::Dialogue)
    }

    /// The same for the keys of a turn.
    ///
    /// # Errors
    /// A turn without a key that is named, unless it is that of the label.
    pub(super) fn rename_turn(self, turn: &mut Fields<'_>) -> Result<(), DataProblem> {
        OF_TURNS.into_iter().try_for_each(|role| self.rename(turn, role))
    }

    fn rename(self, object: &mut Fields<'_>, role: ColumnRole) -> Result<(), DataProblem> {
        let Some(own) = self.0.columns.get(&role).map(|own| own.trim()) else { return Ok(()) };
        if !object.has(own) && role != ColumnRole::Label {
            let place = object.place();
            let message = format!("{place}no key `{own}`, which data.columns names as the {role}");
            return Err(DataProblem::WrongForm(message));
        }
        let names = names(self.0.format, role);
        // Of a role it is known whether it instructs a model.
        let is_role = self.0.format == DataFormat::Chat && ROLES.contains(&own);
        let name = if is_role && role == ColumnRole::Speaker { own } else { names[0] };
        object.rename(|key| match key {
            key if key == own => Some(name.to_owned()),
            key if names.contains(&key) => Some(format!("{ASIDE}{key}")),
            _ => None,
        });
        Ok(())
    }

    /// What is wrong with a line, with the keys that it has, and what is missing with its role.
    pub(super) fn in_own_words(self, problem: DataProblem) -> DataProblem {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the others name no key, or as it is spelt")]
        match problem {
            DataProblem::WrongForm(message) => match missing(&message) {
                Some(role) => DataProblem::MissingKey { message, role: role.as_str() },
                None => DataProblem::WrongForm(self.in_own_keys(&message)),
            },
            DataProblem::WrongValue(mut value) => {
                let own = self
                    .0
                    .columns
                    .iter()
                    .find(|(role, _)| names(self.0.format, **role).contains(&&*value.key));
                if let Some((_, own)) = own {
                    own.trim().clone_into(&mut value.key);
                }
                DataProblem::WrongValue(value)
            }
            problem => problem,
        }
    }

    fn in_own_keys(self, message: &str) -> String {
        self.0.columns.iter().fold(message.to_owned(), |message, (role, own)| {
            names(self.0.format, *role)
                .iter()
                .fold(message, |message, known| message.replace(&format!("`{known}`"), &format!("`{own}`")))
        })
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
