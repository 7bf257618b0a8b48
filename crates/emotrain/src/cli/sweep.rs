//! The command line of `emotrain sweep`.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand, ValueEnum};
use emotrain_data::SplitKind;
use emotrain_eval::HeadlineScore;
use emotrain_sweep::TableFormat;

use super::compare::score;
use super::{number, split};

#[derive(Debug, Subcommand)]
pub(crate) enum SweepCommand {
    /// Train all runs of a sweep file that are not finished; the word "start" may be omitted
    #[command(override_usage = "emotrain sweep [OPTIONS] <FILE>")]
    Start(StartArgs),
    /// Show how far the runs of a sweep are
    Status(StatusArgs),
    /// Show the recipes of a sweep by the scores of their seeds
    Board(BoardArgs),
    /// Train runs again whose last attempt failed, and no others
    Retry(RetryArgs),
    /// Cancel the tasks of a sweep on Slurm; runs that are being trained save their state
    Cancel(CancelArgs),
    /// Train runs of a sweep in this process, as an engine does
    Work(WorkArgs),
}

/// What trains the runs of a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    /// Processes on this machine
    Local,
    /// A job array on Slurm, as `[slurm]` of the sweep file says
    Slurm,
    /// A script on standard output that other schedulers can run
    Script,
}

/// How runs are trained.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct EngineArgs {
    /// What trains the runs
    #[arg(long, value_enum, default_value_t = Engine::Local)]
    pub(crate) engine: Engine,
    /// How many processes train at a time, with the local engine
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = number(1, 1024))]
    pub(crate) jobs: usize,
}

#[derive(Args, Debug)]
#[command(
    after_help = "The sweep file has a base recipe, axes, and seeds: recipes/sweeps/README.md. Runs that are finished are
skipped, interrupted ones are resumed, and no two processes train the same run. Failed ones are left as
they are, unless --retry-failed.

Examples:
  emotrain sweep recipes/sweeps/curriculum.toml --dry-run
  emotrain sweep recipes/sweeps/curriculum.toml --jobs 2
  emotrain sweep recipes/sweeps/curriculum.toml --engine slurm
  emotrain sweep status recipes/sweeps/curriculum.toml
  emotrain sweep board recipes/sweeps/curriculum.toml --format markdown"
)]
pub(crate) struct StartArgs {
    /// The sweep file
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    /// Also train runs again whose last attempt failed
    #[arg(long)]
    pub(crate) retry_failed: bool,
    /// Show the runs with their steps, tokens and expected time; train nothing, write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Args, Debug)]
pub(crate) struct StatusArgs {
    /// The sweep file, or the folder of the sweep
    pub(crate) sweep: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
#[command(
    after_help = "Intervals are Student's t intervals over seeds. Runs without a score are listed below the table, with the
reason; no run is left out.

Examples:
  emotrain sweep board recipes/sweeps/curriculum.toml
  emotrain sweep board checkpoints/curriculum --metric macro_f1 --split valid --format latex"
)]
pub(crate) struct BoardArgs {
    /// The sweep file, or the folder of the sweep
    pub(crate) sweep: PathBuf,
    /// The split whose scores are shown, instead of the sweep file's
    #[arg(long, value_parser = split())]
    pub(crate) split: Option<SplitKind>,
    /// The score, instead of the sweep file's objective
    #[arg(long, value_parser = score())]
    pub(crate) metric: Option<HeadlineScore>,
    /// The form of the table
    #[arg(long, value_parser = format(), default_value = "text")]
    pub(crate) format: TableFormat,
    /// A row for each run instead of each recipe
    #[arg(long)]
    pub(crate) runs: bool,
}

#[derive(Args, Debug)]
pub(crate) struct RetryArgs {
    /// The sweep file, or the folder of the sweep
    pub(crate) sweep: PathBuf,
    /// The runs whose last attempt failed
    #[arg(long, required = true)]
    pub(crate) failed: bool,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
}

#[derive(Args, Debug)]
pub(crate) struct CancelArgs {
    /// The sweep file, or the folder of the sweep
    pub(crate) sweep: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct WorkArgs {
    /// The folder of the sweep
    pub(crate) folder: PathBuf,
    /// The ids of the runs; several train together on one base
    #[arg(required = true, value_name = "ID")]
    pub(crate) ids: Vec<String>,
    /// Threads of the CPU, where the recipe does not say how many
    #[arg(long, value_name = "N", value_parser = number(1, 1024))]
    pub(crate) threads: Option<usize>,
    /// The number of the GPU, where the recipe does not say which
    #[arg(long, value_name = "N", value_parser = number(0, 1023))]
    pub(crate) gpu: Option<usize>,
    /// As a task of a Slurm array: on SIGUSR1, save, stop, and put the task back into the queue
    #[arg(long)]
    pub(crate) requeue: bool,
}

fn format() -> impl TypedValueParser<Value = TableFormat> {
    let named = |name: String| TableFormat::ALL.into_iter().find(|format| format.as_str() == name);
    PossibleValuesParser::new(TableFormat::ALL.map(TableFormat::as_str))
        .map(move |name| named(name).unwrap_or(TableFormat::Text))
}
