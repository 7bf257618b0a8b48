//! What a run was made of, so that it can be made again.

use emotrain_runs::{RunRecord, StoredRun};

use crate::block::{Block, DataTable, Section};
use crate::text::{count, duration, moment};

/// The section.
pub(crate) fn section(run: &StoredRun) -> Section {
    let record = &run.record;
    let mut rows = Vec::new();
    let mut say = |name: &str, text: String| {
        if !text.is_empty() {
            rows.push((name.to_owned(), text));
        }
    };
    say("Folder", run.folder.display().to_string());
    say("Recipe", record.recipe.name.clone());
    say("Fingerprint of the recipe", record.recipe.fingerprint.clone());
    say("Seed", record.seed.to_string());
    say("emotrain", format!("{}, {}", record.emotrain, record.platform));
    say("Begun", moment(record.begun_unix_s));
    say("Finished", record.finished_unix_s.map(moment).unwrap_or_default());
    say("Time of the first start", duration(record.elapsed_s));
    let device =
        record.device.as_ref().map(|on| format!("{}, {}, threads {}", on.name, on.dtype, on.num_threads));
    say("Device", device.unwrap_or_default());
    say("Peak memory", record.peak_memory_mib.map(|mib| format!("{mib:.0} MiB")).unwrap_or_default());
    files(record, &mut say);
    if let Some(training) = &record.training {
        say("Training", format!("{} after {} steps", training.end, count(training.steps)));
        let tokens = usize::try_from(training.tokens).map_or(String::new(), count);
        say("Tokens trained on", tokens);
        say("Time in training", duration(training.seconds));
        let best = training.best.map(|best| format!("step {}, {:.4}", best.step, best.value));
        say("Best evaluation", best.unwrap_or_default());
    }
    let mut blocks = vec![Block::Facts { rows }];
    if !record.resumed.is_empty() {
        blocks.push(Block::Table { table: resumed(record) });
    }
    Section { id: "provenance", title: "Provenance".to_owned(), blocks }
}

/// What it read besides the data.
fn files(record: &RunRecord, say: &mut impl FnMut(&str, String)) {
    let model = &record.model;
    say("Base model", model.name.clone());
    say("Revision of the base model", model.revision.clone().unwrap_or_default());
    say("SHA-256 of the base model", model.sha256.clone().unwrap_or_default());
    say("SHA-256 of the tokenizer", record.tokenizer.sha256.clone());
    say("SHA-256 of the chat template", record.tokenizer.chat_template_sha256.clone().unwrap_or_default());
    if let Some(template) = &record.template {
        say("Prompt template", template.origin.clone());
        say("SHA-256 of the prompt template", template.sha256.clone());
        say("Parts taken out of the template", template.removed_slots.join(", "));
    }
    for auxiliary in &record.auxiliary {
        say("Auxiliary question", format!("{} by {}", auxiliary.task, auxiliary.template));
    }
    if let Some(bank) = &record.retrieval {
        say("SHA-256 of the bank", bank.sha256.clone());
    }
    for (key, digest) in &record.curriculum {
        say(&format!("SHA-256 of curriculum.{key}"), digest.clone());
    }
    if let Some(init) = &record.init_from {
        say("Started from the adapter", init.path.display().to_string());
        say("SHA-256 of that adapter", init.sha256.clone());
    }
    for (split, data) in &record.data {
        say(&format!("SHA-256 of the {split} split"), data.sha256.clone());
    }
    say("Labels", record.labels.names.join(", "));
}

/// The starts after the first.
fn resumed(record: &RunRecord) -> DataTable {
    let columns = ["Begun", "emotrain", "device", "time", "what was not as before"];
    let mut table = DataTable::new("Later starts", &columns);
    for start in &record.resumed {
        let device = start.device.as_ref().map(|on| on.name.clone()).unwrap_or_default();
        let changed = start.differences.iter().map(|one| {
            let now = one.now.as_deref().unwrap_or("nothing");
            format!("{}: {} is now {now}", one.name, one.then)
        });
        let changed = changed.collect::<Vec<_>>().join("; ");
        let version = format!("{}, {}", start.emotrain, start.platform);
        table.row([moment(start.begun_unix_s), version, device, duration(start.elapsed_s), changed]);
    }
    table
}
