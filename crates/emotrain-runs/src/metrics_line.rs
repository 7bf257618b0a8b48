//! A line of `metrics.jsonl`.

use std::path::Path;

use emotrain_base::limits;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::error::RunError;

/// A line of `metrics.jsonl`. `None` stands for a number that is not finite.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricsLine {
    /// What was measured: `train` after a step, `eval` after an evaluation.
    pub event: String,
    /// Steps made by then.
    pub step: usize,
    /// The scalars by name.
    #[serde(flatten)]
    pub scalars: IndexMap<String, Option<f64>>,
}

impl MetricsLine {
    /// The name of the file in the folder of a run.
    pub const FILE: &str = "metrics.jsonl";

    /// All lines in the folder of a run; none where the recipe does not write them.
    ///
    /// # Errors
    /// A file that cannot be read. A last line that was cut off is left out.
    pub fn read_all(run: &Path) -> Result<Vec<Self>, RunError> {
        let path = run.join(Self::FILE);
        if !path.is_file() {
            return Ok(Vec::new());
        }
        let text = emotrain_base::read_to_string(&path, limits::LINES)?;
        Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }
}
