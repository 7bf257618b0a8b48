//! A line of `metrics.jsonl`.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::contents::METRICS;

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
    pub const FILE: &str = METRICS;
}
