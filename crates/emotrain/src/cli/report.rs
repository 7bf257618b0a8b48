//! The command line of `emotrain report`.

use std::path::PathBuf;

use clap::Args;
use emotrain_data::SplitKind;

use super::{number, split};

#[derive(Args, Debug)]
#[command(
    after_help = "The report is one HTML file without scripts, for a browser with or without a network: training
curves, confusion matrix, F1 of each label, scores by difficulty, emotion shift, speaker, position and
retrieved demonstrations, calibration, the most confident errors with what the model saw, data and
leakage, the recipe against the defaults or another run, provenance.

Of a sweep: the board, a plot for each axis, significance against the first recipe, the runs that have no
score. The report of a run that is in its folder as report.html is linked.

Dialogues, prompts and demonstrations are read from the run's data files. Where these have moved or
changed, the report says so and shows the rest.

Examples:
  emotrain report checkpoints/quickstart
  emotrain report checkpoints/b --against checkpoints/a --out b.html
  emotrain report checkpoints/b --split valid --errors 50
  emotrain report checkpoints/curriculum"
)]
pub(crate) struct ReportArgs {
    /// The run directory of a finished training, or the folder or file of a sweep
    #[arg(value_name = "RUN|SWEEP")]
    pub(crate) run: PathBuf,
    /// The file to write; by default report.html in the folder of the run or sweep
    #[arg(long, short, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// The split whose predictions are shown; by default test if it was scored, else valid
    #[arg(long, value_parser = split())]
    pub(crate) split: Option<SplitKind>,
    /// Another run whose recipe is compared with this one, instead of the defaults
    #[arg(long, value_name = "RUN")]
    pub(crate) against: Option<PathBuf>,
    /// How many errors to show
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = number(0, 1_000))]
    pub(crate) errors: usize,
}
