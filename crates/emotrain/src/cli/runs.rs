//! The command line of `emotrain runs`.

use std::path::PathBuf;

use clap::Args;

#[derive(Args, Debug)]
#[command(
    after_help = "A run is running while a process holds the lock of its folder, and finished when it is trained and scored.
The score is that of the test split, else that of the validation split, weighted F1 in percent. Best is
the value of eval.metric_for_best_model, and the step that it was seen at.

Examples:
  emotrain runs
  emotrain runs checkpoints/curriculum/runs --against checkpoints/baseline"
)]
pub(crate) struct RunsArgs {
    /// The folder to look in
    #[arg(default_value = "checkpoints")]
    pub(crate) folder: PathBuf,
    /// Show the keys in which each recipe differs from this run's
    #[arg(long, value_name = "RUN")]
    pub(crate) against: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}
