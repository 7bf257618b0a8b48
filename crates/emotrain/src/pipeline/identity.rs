//! What a run is made of, by contents: whoever goes on with it has to have the same.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value, json};

/// What a run is made of: a digest, or another word that decides, by the name of what it is of.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Identity(BTreeMap<String, String>);

/// Something that is not what it was when a run began.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    name: String,
    then: String,
    now: Option<String>,
}

/// Parts of `run.json` that hold one digest.
const SINGLE: [(&str, &str); 10] = [
    ("the base model's weights", "/model/sha256"),
    ("the adapter that training starts from", "/init_from/sha256"),
    ("the configuration of the adapter that training starts from", "/init_from/config_sha256"),
    ("the tokenizer", "/tokenizer/sha256"),
    ("the tokenizer's configuration", "/tokenizer/config_sha256"),
    ("the chat template", "/tokenizer/chat_template_sha256"),
    ("the prompt template", "/template/sha256"),
    ("the bank of demonstrations", "/retrieval/sha256"),
    ("the way demonstrations are found", "/retrieval/found_by"),
    ("the label set", "/labels/sha256"),
];

impl Identity {
    /// Of the parts of `run.json`, this version's or an earlier one's.
    pub(crate) fn of(record: &Map<String, Value>) -> Self {
        let record = Value::Object(record.clone());
        let mut parts = BTreeMap::new();
        let mut note = |name: String, value: &Value| {
            parts.extend(value.as_str().map(|value| (name, value.to_owned())));
        };
        for (name, pointer) in SINGLE {
            note(name.to_owned(), record.pointer(pointer).unwrap_or(&Value::Null));
        }
        for (split, file) in record["data"].as_object().into_iter().flatten() {
            note(format!("data.{split} ({})", file["path"].as_str().unwrap_or_default()), &file["sha256"]);
        }
        for (split, sources) in record["knowledge"].as_object().into_iter().flatten() {
            for source in sources.as_array().into_iter().flatten() {
                let name = source["name"].as_str().unwrap_or_default();
                note(format!("knowledge.{name} of data.{split}"), &source["sha256"]);
            }
        }
        for task in record["auxiliary"].as_array().into_iter().flatten() {
            let name = task["task"].as_str().unwrap_or_default();
            note(format!("the template of auxiliary.{name}"), &task["sha256"]);
        }
        for (key, sha256) in record["curriculum"].as_object().into_iter().flatten() {
            note(format!("curriculum.{key}"), sha256);
        }
        Self(parts)
    }

    /// What is another one in `now`. What an earlier version did not write down cannot be compared.
    pub(crate) fn differences(&self, now: &Self) -> Vec<Difference> {
        let differs = |(name, then): (&String, &String)| {
            let now = now.0.get(name);
            (now != Some(then)).then(|| Difference {
                name: name.clone(),
                then: then.clone(),
                now: now.cloned(),
            })
        };
        self.0.iter().filter_map(differs).collect()
    }
}

impl Difference {
    /// As `run.json` keeps it.
    pub(crate) fn record(&self) -> Value {
        json!({ "what": self.name, "then": self.then, "now": self.now })
    }
}

/// The names alone, in one line.
pub(crate) fn named(differences: &[Difference]) -> String {
    let names: Vec<&str> = differences.iter().map(|difference| difference.name.as_str()).collect();
    names.join(", ")
}

/// A line for each.
pub(crate) fn listed(differences: &[Difference]) -> String {
    let mut text = String::new();
    for Difference { name, then, now } in differences {
        let now =
            now.as_ref().map_or_else(|| "there is none now".to_owned(), |now| format!("{} now", short(now)));
        // Writing to a string cannot fail.
        let _ = write!(text, "\n  {name}: {} then, {now}", short(then));
    }
    text
}

/// The beginning of a digest; other words as they are.
fn short(value: &str) -> String {
    let is_digest = value.len() == 64 && value.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_digest { format!("sha256 {}…", &value[..12]) } else { value.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(record: &Value) -> Identity {
        Identity::of(record.as_object().unwrap())
    }

    #[test]
    fn all_that_differs_is_named_and_what_was_not_written_down_is_not() {
        let digest = |letter: &str| letter.repeat(64);
        let then = identity(&json!({
            "data": { "train": { "path": "a.jsonl", "sha256": digest("a"), "samples": 9 } },
            "model": { "sha256": digest("b") },
            "knowledge": { "train": [{ "name": "mood", "sha256": digest("c") }] },
            "tokenizer": { "sha256": digest("d") },
        }));
        let now = identity(&json!({
            "data": { "train": { "path": "a.jsonl", "sha256": digest("e"), "samples": 9 } },
            "model": { "sha256": digest("b") },
            "knowledge": null,
            "tokenizer": { "sha256": digest("d"), "chat_template_sha256": digest("f") },
            "labels": { "sha256": digest("0") },
        }));
        assert_eq!(
            listed(&then.differences(&now)),
            "\n  data.train (a.jsonl): sha256 aaaaaaaaaaaa… then, sha256 eeeeeeeeeeee… now\
             \n  knowledge.mood of data.train: sha256 cccccccccccc… then, there is none now"
        );
        assert_eq!(then.differences(&then), []);
    }
}
