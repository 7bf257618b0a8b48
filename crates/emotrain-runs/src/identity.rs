//! The inputs of a run, by contents: resuming needs the same ones.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::run_record::{Difference, RunRecord};

/// What a run is made of: a digest, or another word that decides, by the name of what it is of.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Identity(BTreeMap<String, String>);

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
        let data = record.data.iter();
        let data =
            data.map(|(split, file)| (format!("data.{split} ({})", file.path.display()), &file.sha256));
        let knowledge = record.knowledge.iter().flatten().flat_map(|(split, sources)| {
            sources.iter().map(move |one| (format!("knowledge.{} of data.{split}", one.name), &one.sha256))
        });
        let auxiliary = record.auxiliary.iter();
        let auxiliary = auxiliary.map(|one| (format!("the template of auxiliary.{}", one.task), &one.sha256));
        let curriculum = record.curriculum.iter().map(|(key, sha256)| (format!("curriculum.{key}"), sha256));
        let parts = single.chain(data).chain(knowledge).chain(auxiliary).chain(curriculum);
        Self(parts.filter(|(_, word)| !word.is_empty()).map(|(name, word)| (name, word.clone())).collect())
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
}
