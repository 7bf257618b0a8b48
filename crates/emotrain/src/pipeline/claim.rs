//! The folder of a run, before anything is written to it.

use emotrain_recipe::{Recipe, ResumeFrom};
use emotrain_runs::{RunDir, RunRecord};

use crate::shell::Shell;

/// Claims the run folder, and returns its state.
pub(super) fn claim(recipe: &Recipe, shell: &Shell) -> anyhow::Result<RunDir> {
    let run = RunDir::claim(recipe)?;
    let folder = run.path().display();
    if !run.is_locked() {
        shell.printer.warn(format_args!(
            "{folder}: the file system has no locks: make sure that no other process uses the folder"
        ));
    }
    if let Some(from) = &recipe.save.resume_from_checkpoint {
        let is_saved = run.latest_step()?.is_some();
        if !is_saved && *from == ResumeFrom::Latest {
            shell.printer.say(format_args!(
                "{folder}: there is no checkpoint yet, so the run starts from the beginning"
            ));
        }
        if is_saved && !run.path().join(RunRecord::FILE).exists() {
            let file = RunRecord::FILE;
            shell
                .printer
                .warn(format_args!("{folder}: {file} is missing, so the run's inputs are not compared"));
        }
    }
    Ok(run)
}
