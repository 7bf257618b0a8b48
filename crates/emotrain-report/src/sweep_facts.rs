//! What a report of a sweep is made of.

use std::collections::BTreeMap;
use std::path::PathBuf;

use emotrain_eval::RunComparison;
use emotrain_sweep::{Board, StoredPlan, SweepState};

/// A sweep and what came of it.
#[derive(Clone, Debug)]
pub struct SweepFacts {
    /// Its folder.
    pub folder: PathBuf,
    /// The recipes by the scores of their seeds.
    pub board: Board,
    /// The runs, in the order of the sweep file.
    pub plans: Vec<StoredPlan>,
    /// How many runs are in each state.
    pub states: Vec<(SweepState, usize)>,
    /// Every recipe against the first of the sweep file.
    pub comparison: Option<RunComparison>,
    /// The reports of runs, by id: addresses relative to that of the page.
    pub reports: BTreeMap<String, String>,
    /// What could not be had, each with its reason.
    pub missing: Vec<String>,
}
