//! The form of `report.json`: scores before and after a training.

use std::path::Path;

use emotrain_base::{Complaint, limits};
use emotrain_model::CausalLm;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::error::TrainError;
use crate::eval_set::{EvalContext, EvalResult, EvalSet};
use crate::run_dir::RunDir;
use crate::run_record::RECORD_VERSION;

/// The untrained model's scores in the folder of a run.
pub const BASELINE: &str = "baseline.json";

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
    pub const FILE: &str = "report.json";

    /// Scores, in this version's form.
    pub fn new(before: Vec<EvalResult>, after: Vec<EvalResult>) -> Self {
        Self { format_version: RECORD_VERSION, before, after }
    }

    /// Reads a `report.json`.
    ///
    /// # Errors
    /// A file that is damaged, or of another version.
    pub fn read(path: &Path) -> Result<Self, TrainError> {
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
    pub fn write(&self, run: &RunDir) -> Result<(), TrainError> {
        run.write_json(Self::FILE, &json!(self))
    }
}

/// The untrained model's scores, measured once in the life of a run and kept in its folder, where a resumed run
/// finds them; none where the recipe does not ask for them.
///
/// # Errors
/// A score that is not finite; a file that is damaged or cannot be written.
pub fn baseline(
    model: &CausalLm,
    sets: &[EvalSet],
    run: &RunDir,
    resume: bool,
    terms: EvalContext,
) -> Result<Vec<EvalResult>, TrainError> {
    if !terms.section.baseline || sets.is_empty() {
        return Ok(Vec::new());
    }
    let path = run.path().join(BASELINE);
    if resume && path.exists() {
        return read(&path);
    }
    terms.listener.say("measuring the untrained model");
    let results: Vec<EvalResult> =
        sets.iter().map(|set| Ok(set.hold(model, terms)?.0)).collect::<Result<_, TrainError>>()?;
    run.write_json(BASELINE, &json!(results))?;
    Ok(results)
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, TrainError> {
    let text = emotrain_base::read_to_string(path, limits::CONFIG)?;
    let read = serde_json::from_str(&text);
    Ok(read.map_err(|error| Complaint::input(format!("{}: {error}", path.display())))?)
}
