//! `run.json`: what a run was made of, so that it can be made again.

use emotrain_model::Checkpoint;
use emotrain_model::device::OpenDevice;
use emotrain_prompt::Task;
use emotrain_recipe::Recipe;
use emotrain_train::RunDir;
use serde_json::{Map, Value, json};

use super::{Auxiliary, Base, Found, Material, Prepared};
use crate::env;

/// The version of `run.json` and `report.json`.
pub(crate) const FORMAT_VERSION: u32 = 1;

/// `run.json` as it grows; it is written anew, whole, after every part.
pub(crate) struct Record {
    rows: Map<String, Value>,
    begun: f64,
}

impl Record {
    /// What is known before any weight is loaded.
    pub(crate) fn new(prepared: &Prepared) -> Self {
        let recipe = prepared.recipe;
        let begun = env::now();
        let files =
            prepared.materials.iter().map(|material| (material.name.as_str().to_owned(), file(material)));
        let template = match prepared.encoder() {
            Some(encoder) => json!({
                "origin": encoder.template().origin(),
                "sha256": emotrain_data::sha256_hex(encoder.template().text().as_bytes()),
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
                prepared.materials.iter().find_map(|m| m.found.as_ref()).map_or(Value::Null, Found::record),
            ),
            ("knowledge", knowledge(prepared)),
            ("template", template),
            ("auxiliary", prepared.auxiliary.iter().map(Auxiliary::record).collect()),
            (
                "tokenizer",
                json!({ "sha256": emotrain_data::sha256_hex(prepared.tokenizer.tokenizer_json.as_bytes()) }),
            ),
        ];
        let rows = rows.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        Self { rows, begun }
    }

    /// The weights, and where they are. Reads the files of the weights once more, for their hash.
    pub(crate) fn made_of(
        &mut self,
        base: &Base,
        checkpoint: Option<&Checkpoint>,
        (on, recipe): (&OpenDevice, &Recipe),
    ) {
        let (name, revision, sha256) = (base.named().name, base.commit(), checkpoint.map(Checkpoint::sha256));
        self.set("model", json!({ "name": name, "revision": revision, "sha256": sha256 }));
        let dtype = recipe.model.dtype.as_str();
        self.set(
            "device",
            json!({ "name": on.name, "dtype": dtype, "num_threads": recipe.model.num_threads }),
        );
    }

    /// Adds or replaces a part.
    pub(crate) fn set(&mut self, key: &str, value: Value) {
        self.rows.insert(key.to_owned(), value);
    }

    /// Writes the file, with the seconds since the beginning.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write(&mut self, run: &RunDir) -> anyhow::Result<()> {
        self.set("elapsed_s", json!(env::now() - self.begun));
        Ok(run.write_json("run.json", &Value::Object(self.rows.clone()))?)
    }
}

/// The knowledge sources by file; nothing without any.
fn knowledge(prepared: &Prepared) -> Value {
    if prepared.recipe.knowledge.is_empty() {
        return Value::Null;
    }
    let known = |material: &Material| (material.name.as_str().to_owned(), material.known.record());
    Value::Object(prepared.materials.iter().map(known).collect())
}

fn file(material: &Material) -> Value {
    let tasks = Task::counts(&material.samples).into_iter();
    let tasks: Map<String, Value> =
        tasks.map(|(task, count)| (task.as_str().to_owned(), json!(count))).collect();
    json!({
        "path": material.content.path(),
        "sha256": material.content.sha256(),
        "samples": material.samples.len(),
        "tasks": tasks,
        "tokens": material.counts().tokens,
    })
}
