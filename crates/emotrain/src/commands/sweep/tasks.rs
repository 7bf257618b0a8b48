//! Which runs a process of a sweep trains.

use emotrain_recipe::TrainMethod;
use emotrain_sweep::{PlannedRun, SweepState, SweepStatus};

use crate::pipeline;

/// The runs that are to be trained, in groups for one process each: those of one base and one shape of adapter, up to
/// `most` of them, in the order of the sweep.
pub(super) fn tasks(
    status: &SweepStatus,
    runs: &[PlannedRun],
    most: usize,
    retry_failed: bool,
) -> Vec<Vec<String>> {
    let is_open = |state: SweepState| match state {
        SweepState::Waiting | SweepState::Stopped | SweepState::Lost => true,
        SweepState::Failed => retry_failed,
        SweepState::Running | SweepState::Halted | SweepState::Finished => false,
    };
    let mut tasks: Vec<(Option<String>, Vec<String>)> = Vec::new();
    for (run, status) in runs.iter().zip(&status.runs).filter(|(_, status)| is_open(status.state)) {
        // A model that is trained whole belongs to one run.
        let alone = most == 1 || run.recipe.train.method == TrainMethod::Full;
        let shape = (!alone).then(|| pipeline::shape(&run.recipe));
        let is_free = |task: &&mut (Option<String>, Vec<String>)| task.0 == shape && task.1.len() < most;
        match tasks.iter_mut().find(is_free).filter(|_| !alone) {
            Some((_, ids)) => ids.push(status.id.clone()),
            None => tasks.push((shape, vec![status.id.clone()])),
        }
    }
    tasks.into_iter().map(|(_, ids)| ids).collect()
}
