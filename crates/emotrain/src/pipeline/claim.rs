//! The folder of a run, before anything is written to it.

use emotrain_base::{Complaint, verify};
use emotrain_prepare::PreparedTraining;
use emotrain_recipe::{KeyDifference, Recipe, ResumeFrom, TrainMethod};
use emotrain_runs::{RunDir, RunRecord, RunReport, step_number, way_back};
use emotrain_train::TrainError;

use crate::shell::Shell;

/// Claims the run folder, and returns its state.
pub(super) fn claim(recipe: &Recipe, shell: &Shell) -> anyhow::Result<RunDir> {
    let run = RunDir::claim(recipe)?;
    let folder = run.path().display();
    check_start(&run, recipe)?;
    if !run.is_locked() {
        shell.printer.warn(format_args!(
            "{folder}: the file system has no locks: make sure that no other process uses the folder"
        ));
    }
    for KeyDifference { key, here, there } in run.longer() {
        let words = |value: &Option<String>| match value.as_deref() {
            // Without a number of steps the epochs decide.
            None | Some("0") => "no limit".to_owned(),
            Some(value) => value.to_owned(),
        };
        let [here, there] = [here, there].map(words);
        shell.printer.say(format_args!(
            "{folder}: {key} was {here} and is {there} now: the learning rate follows the new plan from here on"
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

/// Refuses a step that the recipe cannot go on from, before the run is told of a recipe that has become longer: it would
/// not take the earlier one again.
fn check_start(run: &RunDir, recipe: &Recipe) -> anyhow::Result<()> {
    let from = match &recipe.save.resume_from_checkpoint {
        None => None,
        Some(ResumeFrom::Latest) => run.latest_step()?,
        Some(ResumeFrom::Step(path)) => Some(path.clone()),
    };
    let Some(from) = from.filter(|_| !run.longer().is_empty()) else { return Ok(()) };
    if let (Some(most), Some(done)) = (recipe.train.max_steps, step_number(&from))
        && done > most
    {
        let folder = run.path().display();
        let complaint =
            Complaint::usage(format!("{folder}: train.max_steps = {most}, but step {done} is done"));
        let hint = format!(
            "train.max_steps may be {done} and more, or 0; save.resume_from_checkpoint names an earlier step"
        );
        return Err(complaint.hint(hint).into());
    }
    let damaged = verify(&from).err();
    damaged.map_or(Ok(()), |damaged| Err(TrainError::Damaged { damaged, hint: Some(way_back(&from)) }.into()))
}

/// Whether a run that is to be resumed from its latest step is done: its record says so, and nothing of it is missing.
pub(super) fn is_finished(run: &RunDir, recipe: &Recipe) -> anyhow::Result<bool> {
    let path = run.path().join(RunRecord::FILE);
    if recipe.save.resume_from_checkpoint != Some(ResumeFrom::Latest) || !path.exists() {
        return Ok(false);
    }
    if !run.longer().is_empty() {
        return Ok(false);
    }
    let record = RunRecord::read(&path)?;
    let steps = record.training.filter(|_| record.finished_unix_s.is_some()).map(|training| training.steps);
    let saved = run.latest_step()?.and_then(|path| step_number(&path));
    let measured = PreparedTraining::measured(recipe).is_empty() || run.path().join(RunReport::FILE).exists();
    Ok(steps.is_some() && steps == saved && measured && verify(&result_folder(run, recipe)).is_ok())
}

/// The folder of what was trained.
pub(super) fn result_folder(run: &RunDir, recipe: &Recipe) -> std::path::PathBuf {
    if recipe.train.method == TrainMethod::Lora { run.adapter() } else { run.model() }
}
