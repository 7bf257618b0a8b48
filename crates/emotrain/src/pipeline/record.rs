//! `run.json`: what a run was made of, so that it can be made again.

use std::path::{Path, PathBuf};

use emotrain_base::{Complaint, WriteError, limits, sha256_hex};
use emotrain_hub::Base;
use emotrain_model::Checkpoint;
use emotrain_model::device::OpenDevice;
use emotrain_prepare::{Auxiliary, EncodedSplit, PreparedTraining, RetrievedDemonstrations};
use emotrain_prompt::Sample;
use emotrain_recipe::Recipe;
use emotrain_train::RunDir;
use serde_json::{Map, Value, json};

use super::identity::{Difference, Identity, listed, named};
use crate::env;

/// The version of `run.json` and `report.json`.
pub(crate) const FORMAT_VERSION: u32 = 1;

pub(crate) const FILE: &str = "run.json";
/// The starts after the first, each with what it was.
const RESUMED: &str = "resumed";

/// `run.json` as it grows; it is written anew, whole, after every part. What the first start wrote into it stays: a
/// later one has an entry of its own.
pub(crate) struct Record {
    rows: Map<String, Value>,
    /// What this start adds, where it is not the first.
    entry: Option<Map<String, Value>>,
    begun: f64,
}

/// Whether a run may go on with other things than it began with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnDifference {
    Refuse,
    GoOn,
}

impl Record {
    /// What is known before any weight is loaded.
    pub(crate) fn new(prepared: &PreparedTraining<'_>) -> Self {
        let recipe = prepared.opened.recipe;
        let begun = env::now();
        let files = prepared.splits().map(|split| (split.name.as_str().to_owned(), file(split)));
        let template = match prepared.opened.encoder() {
            Some(encoder) => json!({
                "origin": encoder.template().origin(),
                "sha256": sha256_hex(encoder.template().text().as_bytes()),
                "removed_slots": encoder.template().removed(),
            }),
            None => Value::Null,
        };
        let rows = [
            ("format_version", json!(FORMAT_VERSION)),
            ("emotrain", json!(env!("CARGO_PKG_VERSION"))),
            ("platform", json!(format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS))),
            ("recipe", json!({ "name": recipe.name(), "fingerprint": recipe.fingerprint() })),
            ("seed", json!(recipe.train.seed)),
            ("begun_unix_s", json!(begun)),
            ("data", Value::Object(files.collect())),
            (
                "retrieval",
                prepared
                    .splits()
                    .find_map(|m| m.found.as_ref())
                    .map_or(Value::Null, RetrievedDemonstrations::record),
            ),
            ("knowledge", knowledge(prepared)),
            ("template", template),
            ("auxiliary", prepared.auxiliary.iter().map(Auxiliary::record).collect()),
            ("tokenizer", tokenizer(prepared)),
            ("labels", labels(prepared)),
            ("curriculum", curriculum(recipe)),
        ];
        let rows = rows.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        Self { rows, entry: None, begun }
    }

    /// The weights, and where they are. Reads the files of the weights once more, for their hash.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(crate) fn made_of(
        &mut self,
        base: &Base,
        checkpoint: Option<&Checkpoint>,
        (on, recipe): (&OpenDevice, &Recipe),
    ) -> anyhow::Result<()> {
        let sha256 = checkpoint.map(Checkpoint::sha256).transpose()?;
        let (name, revision) = (base.named().name, base.commit());
        self.set("model", json!({ "name": name, "revision": revision, "sha256": sha256 }));
        let dtype = recipe.model.dtype.as_str();
        self.set(
            "device",
            json!({ "name": on.name, "dtype": dtype, "num_threads": recipe.model.num_threads }),
        );
        Ok(())
    }

    /// Takes up the record of the run: of one that is gone on with, compares what it was made of with what is there
    /// now, and returns what differs; that of another run is put aside.
    ///
    /// # Errors
    /// All that differs; a record, or a file that it vouches for, that is damaged.
    pub(crate) fn take_up(
        &mut self,
        run: &RunDir,
        resume: bool,
        on_difference: OnDifference,
    ) -> anyhow::Result<Vec<Difference>> {
        let path = run.path().join(FILE);
        if !path.exists() {
            return Ok(Vec::new());
        }
        if !resume {
            return put_aside(&path).map(|()| Vec::new());
        }
        let mut before = read(&path)?;
        check_kept(run, &before)?;
        let differences = Identity::of(&before).differences(&Identity::of(&self.rows));
        if !differences.is_empty() && on_difference == OnDifference::Refuse {
            let (folder, names) = (run.path().display(), named(&differences));
            let listed = listed(&differences);
            let message = format!("{folder}: not what the run began with: {names}{listed}");
            return Err(Complaint::input(message)
                .hint(
                    "put them back, begin a new run in another train.output_dir, or go on all the same with \
                     --resume-anyway, of which run.json keeps note",
                )
                .into());
        }
        let mut entry = Map::new();
        for key in ["emotrain", "platform", "begun_unix_s", "device"] {
            entry.extend(self.rows.remove(key).map(|value| (key.to_owned(), value)));
        }
        let records = differences.iter().map(Difference::record).collect();
        entry.insert("differences".to_owned(), Value::Array(records));
        before.entry(RESUMED).or_insert_with(|| json!([]));
        (self.rows, self.entry) = (before, Some(entry));
        Ok(differences)
    }

    /// Adds or replaces a part of this start.
    pub(crate) fn set(&mut self, key: &str, value: Value) {
        self.entry.as_mut().unwrap_or(&mut self.rows).insert(key.to_owned(), value);
    }

    /// Says how training ended, whichever start ended it.
    pub(crate) fn set_ending(&mut self, ending: Value) {
        self.rows.insert("training".to_owned(), ending);
    }

    /// Vouches for files of the run that a later start reads.
    ///
    /// # Errors
    /// When one cannot be read, or the record cannot be written.
    pub(crate) fn keep(&mut self, run: &RunDir, names: &[&str]) -> anyhow::Result<()> {
        let mut kept = self.rows.get(KEPT).and_then(Value::as_object).cloned().unwrap_or_default();
        for name in names {
            let path = run.path().join(name);
            if path.exists() {
                kept.insert((*name).to_owned(), json!(emotrain_base::sha256_file(&path)?));
            }
        }
        self.rows.insert(KEPT.to_owned(), Value::Object(kept));
        self.write(run)
    }

    /// Writes the file, with the seconds since the beginning.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write(&mut self, run: &RunDir) -> anyhow::Result<()> {
        self.set("elapsed_s", json!(env::now() - self.begun));
        let mut rows = self.rows.clone();
        if let Some(entry) = &self.entry
            && let Some(Value::Array(starts)) = rows.get_mut(RESUMED)
        {
            starts.push(Value::Object(entry.clone()));
        }
        Ok(run.write_json(FILE, &Value::Object(rows))?)
    }
}

/// Digests of files that a later start reads, by name.
const KEPT: &str = "files";

fn read(path: &Path) -> anyhow::Result<Map<String, Value>> {
    serde_json::from_str(&emotrain_base::read_to_string(path, limits::CONFIG)?).map_err(|error| {
        Complaint::input(format!("{}: is damaged: {error}", path.display()))
            .hint("take an undamaged copy; without the file nothing is compared with what the run began with")
            .into()
    })
}

/// Keeps the record of a run that left nothing else beside that of the one that begins.
fn put_aside(path: &Path) -> anyhow::Result<()> {
    let places = (1..).map(|number| path.with_file_name(format!("run.{number}.json")));
    let free = places.into_iter().find(|place| !place.exists()).unwrap_or_default();
    fs_err::rename(path, &free).map_err(|error| WriteError::new(&free, &error))?;
    Ok(())
}

fn check_kept(run: &RunDir, record: &Map<String, Value>) -> anyhow::Result<()> {
    for (name, sha256) in record.get(KEPT).and_then(Value::as_object).into_iter().flatten() {
        let path = run.path().join(name);
        if path.exists() && sha256.as_str() != Some(&emotrain_base::sha256_file(&path)?) {
            let complaint =
                Complaint::input(format!("{}: is damaged: {FILE} has another sha256", path.display()));
            return Err(complaint.hint("remove the file: what is in it is measured again").into());
        }
    }
    Ok(())
}

fn tokenizer(prepared: &PreparedTraining<'_>) -> Value {
    let chat = prepared.opened.sample_maker.tokenizer().chat_template();
    json!({
        "sha256": sha256_hex(prepared.opened.tokenizer.tokenizer_json.as_bytes()),
        "config_sha256": prepared.opened.tokenizer.tokenizer_config_json.as_ref().map(|text| sha256_hex(text.as_bytes())),
        "chat_template_sha256": chat.map(|template| sha256_hex(template.as_bytes())),
    })
}

fn labels(prepared: &PreparedTraining<'_>) -> Value {
    let names: Vec<&str> = prepared.opened.labels.names().iter().map(String::as_str).collect();
    json!({ "names": names, "sha256": sha256_hex(names.join("\n").as_bytes()) })
}

/// The files that a curriculum reads; one that cannot be read has been told of by then.
fn curriculum(recipe: &Recipe) -> Value {
    let section = &recipe.curriculum;
    let files = [("difficulty_file", &section.difficulty_file), ("wheel", &section.wheel)];
    let digest = |(key, file): (&str, &Option<PathBuf>)| {
        let sha256 = emotrain_base::sha256_file(file.as_deref()?).ok()?;
        Some((key.to_owned(), json!(sha256)))
    };
    Value::Object(files.into_iter().filter_map(digest).collect())
}

/// The knowledge sources by file; nothing without any.
fn knowledge(prepared: &PreparedTraining<'_>) -> Value {
    if prepared.opened.recipe.knowledge.is_empty() {
        return Value::Null;
    }
    let known = |split: &EncodedSplit| (split.name.as_str().to_owned(), split.known.record());
    Value::Object(prepared.splits().map(known).collect())
}

fn file(split: &EncodedSplit) -> Value {
    let tasks = Sample::tasks(&split.samples).into_iter();
    let tasks: Map<String, Value> =
        tasks.map(|(task, count)| (task.as_str().to_owned(), json!(count))).collect();
    json!({
        "path": split.content.path(),
        "sha256": split.content.sha256(),
        "samples": split.samples.len(),
        "tasks": tasks,
        "tokens": split.counts().tokens,
    })
}
