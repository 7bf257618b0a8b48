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
        wrong_value(line).map(DataProblem::WrongForm)
    };
    wrong.unwrap_or(problem)
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

/// The first key whose value has the wrong type.
fn wrong_value(line: &str) -> Option<String> {
    let row: Value = serde_json::from_str(line).ok()?;
    if let Some(id) = row.get("id").filter(|id| !is_cell(id)) {
        return Some(message("", "id", "text", id));
    }
    let utterances = row.get("utterances")?;
    let Some(utterances) = utterances.as_array() else {
        return Some(message("", "utterances", "a list", utterances));
    };
    utterances.iter().enumerate().find_map(|(position, utterance)| {
        let place = format!("utterance {position}: ");
        if !utterance.is_object() {
            return Some(format!(
                "{place}expected an object with `speaker`, `text` and `label`, not {}",
                kind(utterance)
            ));
        }
        let key = |name: &str, fits: fn(&Value) -> bool, wanted: &str| {
            let value = utterance.get(name).filter(|value| !fits(value))?;
            Some(message(&place, name, wanted, value))
        };
        key("speaker", is_cell, "text").or_else(|| key("text", Value::is_string, "text")).or_else(|| {
            key("label", |label| label.is_null() || is_cell(label), "the name or the number of a label")
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
