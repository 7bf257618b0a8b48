//! `emotrain sweep cancel`.

use std::collections::BTreeSet;

use emotrain_sweep::{SweepDir, SweepState, SweepStatus};

use crate::cli::CancelArgs;
use crate::exit::Exit;
use crate::shell::Shell;
use crate::slurm;

/// Runs the command.
///
/// # Errors
/// A folder without a sweep, and a Slurm that does not answer.
pub(super) fn run(args: &CancelArgs, shell: &Shell) -> anyhow::Result<Exit> {
    let sweep = SweepDir::find(&args.sweep)?;
    let places = slurm::places(sweep.path())?;
    let is_live = |id: &str| places.get(id).is_some_and(|job| job.task.state.is_live());
    let jobs: BTreeSet<u64> =
        places.values().filter(|job| job.task.state.is_live()).map(|job| job.task.job).collect();
    if jobs.is_empty() {
        shell.printer.say(format_args!("{}: Slurm has no task of the sweep", sweep.path().display()));
    } else {
        slurm::cancel(&jobs)?;
        for job in jobs {
            shell
                .printer
                .say(format_args!("cancelled job {job}; runs that were being trained save their state"));
        }
    }
    for run in SweepStatus::read(&sweep)?.runs {
        if run.state == SweepState::Running && !is_live(&run.id) {
            let id = &run.id;
            shell
                .printer
                .warn(format_args!("{id} is trained by a process outside Slurm: press Ctrl-C there"));
        }
    }
    Ok(Exit::Done)
}
