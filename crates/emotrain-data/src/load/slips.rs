//! The key with the wrong value in a line: the parser does not name it.

use serde_json::Value;

use crate::error::DataProblem;
use crate::io::line_problem;

/// The parser's message, with the utterance and the key if a value has the wrong type or a key is misspelt.
pub(super) fn problem(error: &serde_json::Error, line: &str) -> DataProblem {
    let problem = line_problem(error, line);
    let DataProblem::WrongForm(message) = &problem else { return problem };
    let wrong = if message.starts_with("missing field") {
        misspelt(line)
    } else {
        wrong_value(line, &UTTERANCES).map(DataProblem::WrongForm)
    };
    wrong.unwrap_or(problem)
}

/// The same for a chat, whose missing and misspelt keys its reader finds.
pub(super) fn chat_problem(error: &serde_json::Error, line: &str) -> DataProblem {
    let problem = line_problem(error, line);
    let DataProblem::WrongForm(_) = &problem else { return problem };
    wrong_value(line, &MESSAGES).map_or(problem, DataProblem::WrongForm)
}

/// A key that takes the place of one that is known.
pub(super) fn unknown_key(place: &str, key: &str, near: &str) -> DataProblem {
    DataProblem::UnknownKey { place: place.to_owned(), key: key.to_owned(), near: near.to_owned() }
}

/// A value of the wrong type.
pub(super) fn wrong_type(place: &str, key: &str, wanted: &str, found: &Value) -> DataProblem {
    DataProblem::WrongForm(message(place, key, wanted, found))
}

/// The first key that is near to one that is missing.
fn misspelt(line: &str) -> Option<DataProblem> {
    let row: Value = serde_json::from_str(line).ok()?;
    let near = |place: &str, object: &Value, known: &[&'static str]| {
        let object = object.as_object()?;
        let missing: Vec<&str> = known.iter().copied().filter(|key| !object.contains_key(*key)).collect();
        let others = object.keys().filter(|key| !known.contains(&key.as_str()));
        let named = |key: &String| emotrain_base::nearest(&key.to_lowercase(), missing.iter().copied());
        others.into_iter().find_map(|key| named(key).map(|near| unknown_key(place, key, near)))
    };
    near("", &row, &["id", "utterances"]).or_else(|| {
        let utterances = row.get("utterances")?.as_array()?.iter().enumerate();
        utterances.into_iter().find_map(|(position, utterance)| {
            near(&format!("utterance {position}: "), utterance, &["speaker", "text", "label"])
        })
    })
}

/// What a key takes.
struct Taken {
    key: &'static str,
    fits: fn(&Value) -> bool,
    wanted: &'static str,
}

const LABEL: Taken = Taken {
    key: "label",
    fits: |value| value.is_null() || is_cell(value),
    wanted: "the name or the number of a label",
};

/// The lists of turns that a line may have, and what is in them.
struct Turns {
    lists: &'static [&'static str],
    word: &'static str,
    /// The keys of a turn, in words.
    has: &'static str,
    keys: &'static [Taken],
}

const UTTERANCES: Turns = Turns {
    lists: &["utterances"],
    word: "utterance",
    has: "`speaker`, `text` and `label`",
    keys: &[
        Taken { key: "speaker", fits: is_cell, wanted: "text" },
        Taken { key: "text", fits: Value::is_string, wanted: "text" },
        LABEL,
    ],
};

const MESSAGES: Turns = Turns {
    lists: &["messages", "conversations"],
    word: "message",
    has: "`role` and `content`, or `from` and `value`",
    keys: &[
        Taken { key: "role", fits: |value| value.is_null() || value.is_string(), wanted: "text" },
        Taken { key: "from", fits: |value| value.is_null() || value.is_string(), wanted: "text" },
        Taken { key: "name", fits: |value| value.is_null() || is_cell(value), wanted: "text" },
        LABEL,
    ],
};

/// The first key whose value has the wrong type.
fn wrong_value(line: &str, turns: &Turns) -> Option<String> {
    let row: Value = serde_json::from_str(line).ok()?;
    if let Some(id) = row.get("id").filter(|id| !is_cell(id)) {
        return Some(message("", "id", "text", id));
    }
    let (list, found) = turns.lists.iter().find_map(|list| Some((list, row.get(list)?)))?;
    let Some(found) = found.as_array() else { return Some(message("", list, "a list", found)) };
    found.iter().enumerate().find_map(|(position, turn)| {
        let place = format!("{} {position}: ", turns.word);
        if !turn.is_object() {
            return Some(format!("{place}expected an object with {}, not {}", turns.has, kind(turn)));
        }
        turns.keys.iter().find_map(|Taken { key, fits, wanted }| {
            let value = turn.get(key).filter(|value| !fits(value))?;
            Some(message(&place, key, wanted, value))
        })
    })
}

fn is_cell(value: &Value) -> bool {
    value.is_string() || value.is_i64() || value.as_f64().is_some_and(|number| number.fract() == 0.0)
}

fn message(place: &str, key: &str, wanted: &str, found: &Value) -> String {
    format!("{place}`{key}` should be {wanted}, not {}", kind(found))
}

fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(_) => "text".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}
