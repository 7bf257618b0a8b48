//! What the runs of a sweep read, checked before any of them begins.

use emotrain_base::Problems;
use emotrain_recipe::Recipe;
use emotrain_sweep::{PlannedRun, SweepDir};

use crate::commands::check::check;
use crate::shell::Shell;

/// Checks data, templates, demonstrations, knowledge and tokenizers of all runs that are not done, each combination once.
///
/// # Errors
/// Everything that is wrong; nothing has been written then.
pub(super) fn check_inputs(sweep: &SweepDir, runs: &[PlannedRun], shell: &Shell) -> anyhow::Result<()> {
    let mut checked: Vec<&Recipe> = Vec::new();
    let mut problems = Problems::default();
    for run in runs {
        if sweep.is_done(&run.id)? || checked.iter().any(|other| reads_the_same(&run.recipe, other)) {
            continue;
        }
        checked.push(&run.recipe);
        if let Err(error) = check(&run.recipe, shell) {
            problems.add(Problems::from(error).about(&run.name));
        }
    }
    Ok(problems.finish()?)
}

/// Whether two runs read the same files in the same way.
fn reads_the_same(one: &Recipe, other: &Recipe) -> bool {
    one.model == other.model
        && one.data == other.data
        && one.prompt == other.prompt
        && one.retrieval == other.retrieval
        && one.knowledge == other.knowledge
        && one.auxiliary == other.auxiliary
        && one.lora.init_from == other.lora.init_from
        && one.train.max_seq_length == other.train.max_seq_length
}
