//! Who answered what: the identity of texts, and the manifest of a folder.

use std::collections::BTreeMap;

use emotrain_recipe::{Availability, InterpretSection, KnowledgeLevel, ResponseFormat};
use serde::{Deserialize, Serialize};

use super::task::Task;
use crate::chat_model::ModelIdentity;

/// The version of folders and journals.
pub(super) const VERSION: u32 = 1;

/// What the texts of one folder have in common.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Identity {
    /// Of the query's texts, keys and bounds.
    pub(super) query_sha256: String,
    /// Who was asked.
    pub(super) model: ModelIdentity,
    /// How replies were drawn.
    pub(super) parameters: Parameters,
}

/// How replies are drawn, in the recipe's words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    temperature: f64,
    top_p: f64,
    max_tokens: Option<usize>,
    #[serde(default)]
    response_format: ResponseFormat,
    seed: u64,
    extra_body: Option<String>,
}

impl Identity {
    /// What the recipe and the model at hand would write.
    pub(super) fn new(task: &Task, section: &InterpretSection, model: ModelIdentity) -> Self {
        let InterpretSection { temperature, top_p, max_tokens, response_format, seed, .. } = *section;
        let extra_body = section.extra_body.clone();
        let parameters = Parameters { temperature, top_p, max_tokens, response_format, seed, extra_body };
        Self { query_sha256: task.query.sha256(), model, parameters }
    }

    /// In what this differs from `other`, which was there before, in words. A revision that is not known yet differs
    /// from none.
    pub(super) fn differences(&self, other: &Self) -> Vec<String> {
        let (new, old) = (&self.parameters, &other.parameters);
        let is_known = !self.model.revision.is_empty();
        let revision = |model: &ModelIdentity| {
            let is_told = is_known && !model.revision.is_empty();
            if is_told { format!(", {}", model.revision) } else { String::new() }
        };
        let model =
            |model: &ModelIdentity| format!("{} ({}{})", model.model, model.provider, revision(model));
        let most = |most: Option<usize>| most.unwrap_or(0).to_string();
        let extra = |extra: &Option<String>| format!("{:?}", extra.as_deref().unwrap_or_default());
        let pairs = [
            ("model", model(&self.model), model(&other.model)),
            ("temperature", new.temperature.to_string(), old.temperature.to_string()),
            ("top_p", new.top_p.to_string(), old.top_p.to_string()),
            ("max_tokens", most(new.max_tokens), most(old.max_tokens)),
            ("response_format", new.response_format.to_string(), old.response_format.to_string()),
            ("seed", new.seed.to_string(), old.seed.to_string()),
            ("extra_body", extra(&new.extra_body), extra(&old.extra_body)),
        ];
        let differ = pairs.into_iter().filter(|(_, new, old)| new != old);
        let mut differences: Vec<String> =
            differ.map(|(what, new, old)| format!("{what} was {old} and is {new}")).collect();
        if self.query_sha256 != other.query_sha256 {
            differences.insert(0, "the query's texts, keys or limits differ".to_owned());
        }
        differences
    }
}

/// `manifest.json`: what a folder holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    pub(super) format_version: u32,
    pub(super) level: KnowledgeLevel,
    pub(super) availability: Availability,
    /// The query's name.
    pub(super) query: String,
    pub(super) query_sha256: String,
    /// The keys of the texts in a row.
    pub(super) keys: Vec<String>,
    pub(super) model: ModelIdentity,
    pub(super) parameters: Parameters,
    /// What was asked and what came of it, by split.
    pub(super) splits: BTreeMap<String, SplitRecord>,
}

/// What was asked about a split, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SplitRecord {
    /// Of the dialogues' ids, speakers and texts.
    pub(super) data_sha256: String,
    /// Of `<split>.jsonl`.
    pub(super) sha256: String,
    /// Questions, each about an utterance, a speaker or a dialogue.
    pub(super) questions: usize,
    /// Replies to them, unusable ones included.
    pub(super) replies: usize,
    /// Questions with a reply that was taken.
    pub(super) done: usize,
    /// Questions without.
    pub(super) failed: usize,
    /// Texts that contain a label of the data set as a word.
    pub(super) naming_labels: usize,
    /// Texts that are shorter or longer than the query asks for.
    pub(super) length_outside: usize,
}

impl Manifest {
    /// One without splits.
    pub(super) fn new(task: &Task, identity: &Identity) -> Self {
        let Identity { query_sha256, model, parameters } = identity.clone();
        Self {
            format_version: VERSION,
            level: task.query.level(),
            availability: task.query.availability(),
            query: task.name.clone(),
            query_sha256,
            keys: task.query.keys().to_vec(),
            model,
            parameters,
            splits: BTreeMap::new(),
        }
    }

    pub(super) fn identity(&self) -> Identity {
        let Self { query_sha256, model, parameters, .. } = self.clone();
        Identity { query_sha256, model, parameters }
    }
}
