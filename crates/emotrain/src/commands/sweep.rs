//! `emotrain sweep`: many runs from one file.

mod cancel;
mod claims;
mod engine;
mod estimate;
mod inputs;
mod local;
mod requeue;
mod tasks;
mod work;

use emotrain_recipe::Recipe;
use emotrain_sweep::{Board, RunStatus, SweepDir, SweepFile, SweepState, SweepStatus, expand};
use serde_json::json;

use crate::cli::{BoardArgs, RetryArgs, StartArgs, StatusArgs, SweepCommand};
use crate::exit::{Exit, described};
use crate::shell::Shell;
use crate::slurm;

use self::engine::Launch;
use self::inputs::check_inputs;
use self::tasks::{Which, tasks};

/// Runs the command.
///
/// # Errors
/// A sweep file, a recipe or a folder that is wrong.
pub(crate) fn run(command: &SweepCommand, shell: &Shell) -> anyhow::Result<Exit> {
    match command {
        SweepCommand::Start(args) => start(args, shell),
        SweepCommand::Status(args) => status(args, shell),
        SweepCommand::Board(args) => board(args, shell),
        SweepCommand::Retry(args) => retry(args, shell),
        SweepCommand::Cancel(args) => cancel::run(args, shell),
        SweepCommand::Work(args) => work::run(args, shell),
    }
}

fn start(args: &StartArgs, shell: &Shell) -> anyhow::Result<Exit> {
    let file = SweepFile::read(&args.file)?;
    let runs = expand(&file, &SweepDir::new(&file.output_dir).runs())?;
    if args.dry_run {
        estimate::show(&file, &runs, shell)?;
        return Ok(Exit::Done);
    }
    let sweep = SweepDir::new(&file.output_dir);
    check_inputs(&sweep, &runs, shell)?;
    let folder = sweep.path().display();
    let others = sweep.store(&file, &runs)?;
    if others > 0 {
        shell.printer.warn(format_args!(
            "{folder}: {others} folders in runs/ belong to an earlier version of the sweep file or of its data; they are kept, \
and are on no board"
        ));
    }
    let status = SweepStatus::read(&sweep)?;
    let counted = status.counted();
    let recipes = runs.into_iter().map(|run| run.recipe);
    let runs: Vec<(RunStatus, Recipe)> = status.runs.into_iter().zip(recipes).collect();
    let which = if args.retry_failed { Which::OpenAndFailed } else { Which::Open };
    let tasks = tasks(&runs, file.runs_per_process, which);
    let open: usize = tasks.iter().map(Vec::len).sum();
    shell.printer.say(format_args!("{folder}: {counted}; {open} to train"));
    Launch { sweep: &sweep, file: &file, tasks, named: &args.file }.begin(args.engine, shell)
}

fn retry(args: &RetryArgs, shell: &Shell) -> anyhow::Result<Exit> {
    let sweep = SweepDir::find(&args.sweep)?;
    let file = sweep.file()?;
    let status = SweepStatus::read(&sweep)?;
    let mut runs = Vec::new();
    for (status, plan) in status.runs.into_iter().zip(sweep.plans()?) {
        runs.push((status, plan.recipe(&sweep)?));
    }
    let tasks = tasks(&runs, file.runs_per_process, Which::Failed);
    if tasks.is_empty() {
        shell.printer.say(format_args!("{}: no run has failed", sweep.path().display()));
        return Ok(Exit::Done);
    }
    Launch { sweep: &sweep, file: &file, tasks, named: &args.sweep }.begin(args.engine, shell)
}

fn status(args: &StatusArgs, shell: &Shell) -> anyhow::Result<Exit> {
    let sweep = SweepDir::find(&args.sweep)?;
    let mut status = SweepStatus::read(&sweep)?;
    match slurm::places(sweep.path()) {
        Ok(places) => status = status.with_slurm(places),
        Err(error) => shell
            .printer
            .warn(format_args!("what Slurm has of the sweep is not known: {}", described(&error))),
    }
    if args.json {
        shell.printer.result(format!("{:#}", json!(status)))?;
    } else {
        shell.printer.result(&status)?;
    }
    Ok(Exit::Done)
}

fn board(args: &BoardArgs, shell: &Shell) -> anyhow::Result<Exit> {
    let sweep = SweepDir::find(&args.sweep)?;
    let file = sweep.file()?;
    let status = SweepStatus::read(&sweep)?;
    let (score, split) = (args.metric.unwrap_or(file.objective), args.split.unwrap_or(file.split));
    let board = Board::of(&status, score, split)?;
    shell.printer.result(board.render(args.format, args.runs)?)?;
    let failed = status.runs.iter().filter(|run| matches!(run.state, SweepState::Failed | SweepState::Lost));
    let failed = failed.count();
    if failed > 0 {
        shell
            .printer
            .warn(format_args!("{failed} runs have failed; what they said is in {}", sweep.logs().display()));
    }
    Ok(Exit::Done)
}
