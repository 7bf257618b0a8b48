//! The form of `report.json`: scores before and after a training.

use std::path::Path;

use emotrain_base::{Complaint, limits};
use emotrain_eval::EvalReport;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::contents::REPORT;
use crate::error::RunError;
use crate::run_dir::RunDir;
use crate::run_record::RECORD_VERSION;
use crate::score_context::ScoreContext;

/// The scores of one split, as they are stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvalResult {
    /// `valid` or `test`.
    pub split: String,
    /// Mean negative log-likelihood of the supervised tokens, in nats.
    pub loss: f64,
    /// The scores, where there are labels.
    pub report: Option<EvalReport>,
    /// With what they were made, where there are scores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<ScoreContext>,
}

impl EvalResult {
    /// Reads a [`BASELINE`](crate::BASELINE).
    ///
    /// # Errors
    /// A file that is damaged.
    pub fn read_all(path: &Path) -> Result<Vec<Self>, RunError> {
        read(path)
    }
}

/// `report.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunReport {
    /// [`RECORD_VERSION`].
    pub format_version: u32,
    /// The untrained model's scores, where they were measured.
    pub before: Vec<EvalResult>,
    /// The trained model's.
    pub after: Vec<EvalResult>,
}

impl RunReport {
    /// The name of the file in the folder of a run.
    pub const FILE: &str = REPORT;

    /// Scores, in this version's form.
    pub fn new(before: Vec<EvalResult>, after: Vec<EvalResult>) -> Self {
        Self { format_version: RECORD_VERSION, before, after }
    }

    /// Reads a `report.json`.
    ///
    /// # Errors
    /// A file that is damaged, or of another version.
    pub fn read(path: &Path) -> Result<Self, RunError> {
        let report: Self = read(path)?;
        if report.format_version != RECORD_VERSION {
            let version = report.format_version;
            let message =
                format!("{}: format_version {version}, this version knows {RECORD_VERSION}", path.display());
            return Err(Complaint::input(message).into());
        }
        Ok(report)
    }

    /// Writes it into the folder of the run.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, run: &RunDir) -> Result<(), RunError> {
        run.write_json(Self::FILE, &json!(self))
    }
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, RunError> {
    let text = emotrain_base::read_to_string(path, limits::CONFIG)?;
    let read = serde_json::from_str(&text);
    Ok(read.map_err(|error| Complaint::input(format!("{}: {error}", path.display())))?)
}
