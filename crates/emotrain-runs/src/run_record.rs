//! The form of `run.json`: what a run was made of, so that it can be made again. What writes the file reads it, too.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use emotrain_base::{Complaint, limits};
use emotrain_recipe::{Availability, KnowledgeLevel};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::contents::RECORD;
use crate::error::RunError;

/// The version of `run.json` and `report.json`.
pub const RECORD_VERSION: u32 = 1;

/// `run.json`. Parts that an earlier version did not write are empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunRecord {
    /// [`RECORD_VERSION`].
    pub format_version: u32,
    /// The program's version.
    pub emotrain: String,
    /// Architecture and operating system.
    pub platform: String,
    /// The recipe; all of it is in `recipe.toml`.
    pub recipe: RecipeRecord,
    /// The seed of everything that is drawn.
    pub seed: u64,
    /// When the first start began.
    pub begun_unix_s: f64,
    /// The data files, by split.
    pub data: IndexMap<String, DataRecord>,
    /// The bank, where prompts show demonstrations.
    pub retrieval: Option<RetrievalRecord>,
    /// The knowledge sources by split, where the recipe has any.
    pub knowledge: Option<IndexMap<String, Vec<KnowledgeRecord>>>,
    /// The prompt template; a run on plain text has none.
    pub template: Option<TemplateRecord>,
    /// What was asked besides the emotions.
    pub auxiliary: Vec<AuxiliaryRecord>,
    /// The tokenizer.
    pub tokenizer: TokenizerRecord,
    /// The labels.
    pub labels: LabelsRecord,
    /// Digests of the files that the curriculum reads, by key of the recipe.
    pub curriculum: IndexMap<String, String>,
    /// The adapter that training started from, where there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init_from: Option<InitRecord>,
    /// The base model.
    pub model: ModelRecord,
    /// What the first start ran on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceRecord>,
    /// Seconds that the first start took.
    pub elapsed_s: f64,
    /// Digests of files of the run that a later start reads, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
    /// How training ended, whichever start ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub training: Option<TrainingRecord>,
    /// The most memory that the first start had, where the system tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_memory_mib: Option<f64>,
    /// When everything was done: training, evaluation, and all that is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_unix_s: Option<f64>,
    /// The starts after the first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resumed: Vec<ResumptionRecord>,
}

/// A start after the first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ResumptionRecord {
    /// The program's version.
    pub emotrain: String,
    /// Architecture and operating system.
    pub platform: String,
    /// When it began.
    pub begun_unix_s: f64,
    /// What it ran on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceRecord>,
    /// What was not what it was when the run began.
    pub differences: Vec<Difference>,
    /// Seconds that it took.
    pub elapsed_s: f64,
    /// The most memory that it had, where the system tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_memory_mib: Option<f64>,
}

/// Something that is not what it was when a run began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// What it is.
    #[serde(rename = "what")]
    pub name: String,
    /// What it was.
    pub then: String,
    /// What it is now, if it is there at all.
    pub now: Option<String>,
}

/// Which recipe.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RecipeRecord {
    /// Its name.
    pub name: String,
    /// The digest of all that it says.
    pub fingerprint: String,
}

/// A data file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DataRecord {
    /// The file.
    pub path: PathBuf,
    /// Its digest.
    pub sha256: String,
    /// Samples that were made of it.
    pub samples: usize,
    /// How many of them ask what.
    pub tasks: IndexMap<String, usize>,
    /// Their tokens.
    pub tokens: usize,
}

/// Where demonstrations came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RetrievalRecord {
    /// The bank's folder.
    pub bank: PathBuf,
    /// The digest of what it holds.
    pub sha256: String,
    /// How texts were compared, for people.
    pub engine: String,
    /// The same, as it decides what is found.
    pub found_by: Option<String>,
}

/// A knowledge source for one split.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnowledgeRecord {
    /// Its name in the recipe.
    pub name: String,
    /// What its texts belong to.
    pub level: KnowledgeLevel,
    /// Whether its texts were written without what was said later.
    pub availability: Availability,
    /// The file.
    pub path: PathBuf,
    /// Its digest.
    pub sha256: String,
    /// Utterances, speakers or dialogues that should have a text.
    pub wanted: usize,
    /// Those without.
    pub missing: usize,
    /// Texts for other data.
    pub extra: usize,
}

/// The prompt template.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TemplateRecord {
    /// The file, or the name of one that comes with the program.
    pub origin: String,
    /// Its digest.
    pub sha256: String,
    /// Parts of it that the recipe takes out.
    pub removed_slots: Vec<String>,
}

/// A question besides that about the emotion.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AuxiliaryRecord {
    /// What it asks.
    pub task: String,
    /// The template's file, or the name of one that comes with the program.
    pub template: String,
    /// The template's digest.
    pub sha256: String,
}

/// Digests of the tokenizer's files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TokenizerRecord {
    /// Of `tokenizer.json`.
    pub sha256: String,
    /// Of `tokenizer_config.json`.
    pub config_sha256: Option<String>,
    /// Of the chat template, wherever it is.
    pub chat_template_sha256: Option<String>,
}

/// The labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LabelsRecord {
    /// In their order.
    pub names: Vec<String>,
    /// The digest of them.
    pub sha256: String,
}

/// The adapter that training started from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct InitRecord {
    /// Its folder.
    pub path: PathBuf,
    /// The digest of its numbers.
    pub sha256: String,
    /// The digest of its configuration.
    pub config_sha256: String,
}

/// The base model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ModelRecord {
    /// As the recipe names it.
    pub name: String,
    /// The commit, of a model from a hub.
    pub revision: Option<String>,
    /// The digest of the weights; one that was drawn at random has none.
    pub sha256: Option<String>,
    /// The digest of what its `config.json` says of how it computes.
    pub config_sha256: Option<String>,
}

/// What a run ran on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeviceRecord {
    /// The device.
    pub name: String,
    /// The type of the weights.
    pub dtype: String,
    /// Threads that the recipe asked for.
    pub num_threads: usize,
}

/// How training ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrainingRecord {
    /// `completed`, `stopped early` or `interrupted`.
    pub end: String,
    /// Optimizer steps.
    pub steps: usize,
    /// Tokens that went through the model.
    pub tokens: u64,
    /// Seconds spent training.
    pub seconds: f64,
    /// The best evaluation.
    pub best: Option<BestRecord>,
}

/// The best evaluation of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BestRecord {
    /// After this many steps.
    pub step: usize,
    /// What `eval.metric_for_best_model` was.
    pub value: f64,
}

impl RunRecord {
    /// The name of the file in the folder of a run.
    pub const FILE: &str = RECORD;

    /// Reads a `run.json`.
    ///
    /// # Errors
    /// A file that is damaged, or of a later version.
    pub fn read(path: &Path) -> Result<Self, RunError> {
        let complain = |what: String| {
            Complaint::input(format!("{}: {what}", path.display())).hint(
                "use an undamaged copy; without the file, a resumed run is not compared with its original inputs",
            )
        };
        let text = emotrain_base::read_to_string(path, limits::CONFIG)?;
        let record: Self =
            serde_json::from_str(&text).map_err(|error| complain(format!("is damaged: {error}")))?;
        if record.format_version > RECORD_VERSION {
            let version = record.format_version;
            return Err(
                complain(format!("format_version {version}, this version knows {RECORD_VERSION}")).into()
            );
        }
        Ok(record)
    }
}
