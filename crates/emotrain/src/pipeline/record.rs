//! What `run.json` says of a run before its first step.

use std::path::PathBuf;

use emotrain_base::{sha256_file, sha256_hex};
use emotrain_model::Checkpoint;
use emotrain_model::device::OpenDevice;
use emotrain_prepare::{Auxiliary, EncodedSplit, Opened, PreparedTraining, RetrievedDemonstrations};
use emotrain_prompt::{Encoder, Sample};
use emotrain_recipe::{CurriculumSection, Recipe};
use emotrain_runs::{
    DataRecord, DeviceRecord, LabelsRecord, ModelRecord, RECORD_VERSION, RecipeRecord, RunRecord,
    TemplateRecord, TokenizerRecord,
};

use crate::env;

/// What is known before any weight is loaded.
pub(super) fn prepared(prepared: &PreparedTraining<'_>) -> RunRecord {
    let opened = &prepared.opened;
    let recipe = opened.recipe;
    let name = |split: &EncodedSplit| split.name.as_str().to_owned();
    let knowledge = || prepared.splits().map(|split| (name(split), split.known.record())).collect();
    RunRecord {
        format_version: RECORD_VERSION,
        emotrain: env!("CARGO_PKG_VERSION").to_owned(),
        platform: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
        recipe: RecipeRecord { name: recipe.name().to_owned(), fingerprint: recipe.fingerprint() },
        seed: recipe.train.seed,
        begun_unix_s: env::now(),
        data: prepared.splits().map(|split| (name(split), data(split))).collect(),
        retrieval: prepared
            .splits()
            .find_map(|split| split.found.as_ref())
            .map(RetrievedDemonstrations::record),
        knowledge: (!recipe.knowledge.is_empty()).then(knowledge),
        template: opened.encoder().map(template),
        auxiliary: prepared.auxiliary.iter().map(Auxiliary::record).collect(),
        tokenizer: tokenizer(opened),
        labels: labels(opened),
        curriculum: curriculum(&recipe.curriculum),
        ..RunRecord::default()
    }
}

/// The base. Reads the files of its weights once more, for their hash.
///
/// # Errors
/// When they cannot be read.
pub(super) fn model(opened: &Opened<'_>, checkpoint: Option<&Checkpoint>) -> anyhow::Result<ModelRecord> {
    let sha256 = checkpoint.map(Checkpoint::sha256).transpose()?;
    let (name, revision) = (opened.base.named().name.to_owned(), opened.base.commit().map(str::to_owned));
    Ok(ModelRecord { name, revision, sha256, config_sha256: Some(opened.config.sha256()) })
}

/// Where the weights are.
pub(super) fn device(on: &OpenDevice, recipe: &Recipe) -> DeviceRecord {
    let (name, dtype) = (on.name.clone(), recipe.model.dtype.as_str().to_owned());
    DeviceRecord { name, dtype, num_threads: recipe.model.num_threads }
}

fn template(encoder: &Encoder) -> TemplateRecord {
    let template = encoder.template();
    TemplateRecord {
        origin: template.origin().to_owned(),
        sha256: sha256_hex(template.text().as_bytes()),
        removed_slots: template.removed().to_vec(),
    }
}

fn tokenizer(opened: &Opened<'_>) -> TokenizerRecord {
    let digest = |text: &str| sha256_hex(text.as_bytes());
    TokenizerRecord {
        sha256: digest(&opened.tokenizer.tokenizer_json),
        config_sha256: opened.tokenizer.tokenizer_config_json.as_deref().map(digest),
        chat_template_sha256: opened.sample_maker.tokenizer().chat_template().map(digest),
    }
}

fn labels(opened: &Opened<'_>) -> LabelsRecord {
    let names = opened.labels.names().to_vec();
    let sha256 = sha256_hex(names.join("\n").as_bytes());
    LabelsRecord { names, sha256 }
}

/// The files that a curriculum reads; an unreadable one has been reported by then.
fn curriculum(section: &CurriculumSection) -> indexmap::IndexMap<String, String> {
    let files = [("difficulty_file", &section.difficulty_file), ("wheel", &section.wheel)];
    let digest =
        |(key, file): (&str, &Option<PathBuf>)| Some((key.to_owned(), sha256_file(file.as_deref()?).ok()?));
    files.into_iter().filter_map(digest).collect()
}

fn data(split: &EncodedSplit) -> DataRecord {
    let tasks = Sample::tasks(&split.samples).into_iter();
    DataRecord {
        path: split.content.path().clone(),
        sha256: split.content.sha256().to_owned(),
        samples: split.samples.len(),
        tasks: tasks.map(|(task, count)| (task.as_str().to_owned(), count)).collect(),
        tokens: split.counts().tokens,
    }
}
