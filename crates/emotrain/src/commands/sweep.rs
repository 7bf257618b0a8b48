//! `emotrain sweep`: many runs from one file.

mod estimate;
mod local;
mod tasks;
mod work;

use emotrain_sweep::{Board, SweepDir, SweepFile, SweepState, SweepStatus, expand};
use serde_json::json;

use crate::cli::{BoardArgs, StartArgs, StatusArgs, SweepCommand};
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::shell::Shell;

use self::tasks::tasks;

/// Runs the command.
///
/// # Errors
/// A sweep file, a recipe or a folder that is wrong.
pub(crate) fn run(command: &SweepCommand, shell: &Shell) -> anyhow::Result<Exit> {
    match command {
        SweepCommand::Start(args) => start(args, shell),
        SweepCommand::Status(args) => status(args, shell),
        SweepCommand::Board(args) => board(args, shell),
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
    let folder = sweep.path().display();
    let others = sweep.store(&file, &runs)?;
    if others > 0 {
        shell.printer.warn(format_args!(
            "{folder}: {others} folders in runs/ belong to an earlier version of the sweep file or of its data; they are kept, \
and are on no board"
        ));
    }
    let before = SweepStatus::read(&sweep)?;
    let tasks = tasks(&before, &runs, file.runs_per_process, args.retry_failed);
    let open: usize = tasks.iter().map(Vec::len).sum();
    shell.printer.say(format_args!("{folder}: {}; {open} to train", before.counted()));
    let interrupt = Interrupt::install()?;
    let stopped = local::train(&sweep, tasks, args, shell, &interrupt)?;
    let status = SweepStatus::read(&sweep)?;
    shell.printer.result(&status)?;
    Ok(if stopped {
        shell.printer.say(format_args!("resume with: emotrain sweep {}", args.file.display()));
        interrupt.exit()
    } else if status.runs.iter().all(|run| run.state.is_over()) {
        Exit::Done
    } else {
        Exit::Input
    })
}

fn status(args: &StatusArgs, shell: &Shell) -> anyhow::Result<Exit> {
    let status = SweepStatus::read(&SweepDir::find(&args.sweep)?)?;
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
