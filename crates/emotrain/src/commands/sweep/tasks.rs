//! Which runs a process of a sweep trains.

use emotrain_recipe::{Recipe, TrainMethod};
use emotrain_sweep::{RunStatus, SweepState};

use crate::pipeline;

/// Which runs are trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// Those that are neither done nor failed.
    Open,
    /// Those, and failed ones again.
    OpenAndFailed,
    /// Failed ones alone.
    Failed,
}

impl Which {
    fn has(self, state: SweepState) -> bool {
        match state {
            SweepState::Waiting | SweepState::Stopped | SweepState::Lost => self != Self::Failed,
            SweepState::Failed => self != Self::Open,
            SweepState::Running | SweepState::Halted | SweepState::Finished => false,
        }
    }
}

/// The runs that are to be trained, in groups for one process each: those of one base and one shape of adapter, up to
/// `most` of them, in the order of the sweep.
pub(super) fn tasks(runs: &[(RunStatus, Recipe)], most: usize, which: Which) -> Vec<Vec<String>> {
    let mut tasks: Vec<(Option<String>, Vec<String>)> = Vec::new();
    for (status, recipe) in runs.iter().filter(|(status, _)| which.has(status.state)) {
        // A model that is trained whole belongs to one run.
        let alone = most == 1 || recipe.train.method == TrainMethod::Full;
        let shape = (!alone).then(|| pipeline::shape(recipe));
        let is_free = |task: &&mut (Option<String>, Vec<String>)| task.0 == shape && task.1.len() < most;
        match tasks.iter_mut().find(is_free).filter(|_| !alone) {
            Some((_, ids)) => ids.push(status.id.clone()),
            None => tasks.push((shape, vec![status.id.clone()])),
        }
    }
    tasks.into_iter().map(|(_, ids)| ids).collect()
}
