//! The inputs of a run, by contents: resuming needs the same ones.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::run_record::{Difference, RunRecord};

/// What a run is made of, by the name of what it is of.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Identity(BTreeMap<String, Part>);

/// A digest, or another word that decides.
#[derive(Debug, PartialEq, Eq)]
struct Part {
    word: String,
    /// Where it was read; another place makes no other run.
    place: Option<String>,
}

impl Identity {
    /// Of a record, this version's or an earlier one's.
    pub(crate) fn of(record: &RunRecord) -> Self {
        let (init, tokenizer) = (record.init_from.as_ref(), &record.tokenizer);
        let retrieval = record.retrieval.as_ref();
        let single = [
            ("the base model's weights", record.model.sha256.as_ref()),
            ("the base model's configuration", record.model.config_sha256.as_ref()),
            ("the adapter that training starts from", init.map(|init| &init.sha256)),
            (
                "the configuration of the adapter that training starts from",
                init.map(|init| &init.config_sha256),
            ),
            ("the tokenizer", Some(&tokenizer.sha256)),
            ("the tokenizer's configuration", tokenizer.config_sha256.as_ref()),
            ("the chat template", tokenizer.chat_template_sha256.as_ref()),
            ("the prompt template", record.template.as_ref().map(|template| &template.sha256)),
            ("the bank of demonstrations", retrieval.map(|retrieval| &retrieval.sha256)),
            ("the way demonstrations are found", retrieval.and_then(|retrieval| retrieval.found_by.as_ref())),
            ("the label set", Some(&record.labels.sha256)),
        ];
        let single = single.into_iter().filter_map(|(name, sha256)| Some((name.to_owned(), sha256?)));
        let places: BTreeMap<String, String> = record
            .data
            .iter()
            .map(|(split, file)| (format!("data.{split}"), file.path.display().to_string()))
            .collect();
        let data = record.data.iter().map(|(split, file)| (format!("data.{split}"), &file.sha256));
        let knowledge = record.knowledge.iter().flatten().flat_map(|(split, sources)| {
            sources.iter().map(move |one| (format!("knowledge.{} of data.{split}", one.name), &one.sha256))
        });
        let auxiliary = record.auxiliary.iter();
        let auxiliary = auxiliary.map(|one| (format!("the template of auxiliary.{}", one.task), &one.sha256));
        let curriculum = record.curriculum.iter().map(|(key, sha256)| (format!("curriculum.{key}"), sha256));
        let parts = single.chain(data).chain(knowledge).chain(auxiliary).chain(curriculum);
        let part = |(name, word): (String, &String)| {
            let place = places.get(&name).cloned();
            (name, Part { word: word.clone(), place })
        };
        Self(parts.filter(|(_, word)| !word.is_empty()).map(part).collect())
    }

    /// Whether the contents of what this key of the recipe names were written down.
    pub(crate) fn has_contents_of(&self, key: &str) -> bool {
        let has = |name: &str| self.0.contains_key(name);
        match key {
            "model.model_name_or_path" => has("the base model's weights"),
            "lora.init_from" => has("the adapter that training starts from"),
            "prompt.template" => has("the prompt template"),
            "retrieval.bank" => has("the bank of demonstrations"),
            "retrieval.encoder" => has("the way demonstrations are found"),
            "data.train" | "data.valid" | "curriculum.difficulty_file" | "curriculum.wheel" => has(key),
            _ => {
                if let Some(source) =
                    key.strip_suffix(".path").filter(|source| source.starts_with("knowledge."))
                {
                    return has(&format!("{source} of data.train"));
                }
                let task = key.strip_prefix("auxiliary.").and_then(|key| key.strip_suffix("_template"));
                task.is_some_and(|task| has(&format!("the template of auxiliary.{task}")))
            }
        }
    }

    /// What is another one in `now`. What an earlier version did not write down cannot be compared.
    pub(crate) fn differences(&self, now: &Self) -> Vec<Difference> {
        let differs = |(name, then): (&String, &Part)| {
            let now = now.0.get(name);
            let place = now.unwrap_or(then).place.as_ref();
            (now.map(|now| &now.word) != Some(&then.word)).then(|| Difference {
                name: place.map_or_else(|| name.clone(), |place| format!("{name} ({place})")),
                then: then.word.clone(),
                now: now.map(|now| now.word.clone()),
            })
        };
        self.0.iter().filter_map(differs).collect()
    }
}

/// The names alone, in one line.
pub(crate) fn named(differences: &[Difference]) -> String {
    let names: Vec<&str> = differences.iter().map(|difference| difference.name.as_str()).collect();
    names.join(", ")
}

/// A line for each.
pub fn list_differences(differences: &[Difference]) -> String {
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
    use serde_json::{Value, json};

    use super::*;

    fn identity(record: Value) -> Identity {
        Identity::of(&serde_json::from_value(record).unwrap())
    }

    #[test]
    fn all_that_differs_is_named_and_what_was_not_written_down_is_not() {
        let digest = |letter: &str| letter.repeat(64);
        let mood = json!({
            "name": "mood", "level": "utterance", "availability": "online", "path": "mood.json",
            "sha256": digest("c"), "wanted": 9, "missing": 0, "extra": 0,
        });
        let then = identity(json!({
            "data": { "train": { "path": "a.jsonl", "sha256": digest("a"), "samples": 9 } },
            "model": { "sha256": digest("b") },
            "knowledge": { "train": [mood] },
            "tokenizer": { "sha256": digest("d") },
        }));
        let now = identity(json!({
            "data": { "train": { "path": "a.jsonl", "sha256": digest("e"), "samples": 9 } },
            "model": { "sha256": digest("b") },
            "knowledge": null,
            "tokenizer": { "sha256": digest("d"), "chat_template_sha256": digest("f") },
            "labels": { "sha256": digest("0") },
        }));
        assert_eq!(
            list_differences(&then.differences(&now)),
            "\n  data.train (a.jsonl): sha256 aaaaaaaaaaaa… then, sha256 eeeeeeeeeeee… now\
             \n  knowledge.mood of data.train: sha256 cccccccccccc… then, there is none now"
        );
        assert_eq!(then.differences(&then), []);
    }

    #[test]
    fn a_file_is_known_by_what_it_holds_wherever_it_lies() {
        let at = |path: &str, letter: &str| {
            identity(json!({ "data": { "train": { "path": path, "sha256": letter.repeat(64) } } }))
        };
        assert_eq!(at("/old/a.jsonl", "a").differences(&at("/new/a.jsonl", "a")), []);
        assert_eq!(
            list_differences(&at("/old/a.jsonl", "a").differences(&at("/new/a.jsonl", "b"))),
            "\n  data.train (/new/a.jsonl): sha256 aaaaaaaaaaaa… then, sha256 bbbbbbbbbbbb… now"
        );
    }
}
