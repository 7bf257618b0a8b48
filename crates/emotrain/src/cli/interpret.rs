//! The arguments of `emotrain interpret`.

use clap::Args;
use emotrain_data::SplitKind;

use super::{RecipeArgs, number, split};

#[derive(Args, Debug)]
#[command(
    after_help = "Fills every [[knowledge]] source of the recipe that has a query, with the model that [interpret] names; the
texts are written to the folder that the source's path names. Replies are saved as they arrive, so the command
can be stopped or killed at any time; run again, it asks only what is missing.

Examples:
  emotrain interpret recipe.toml --dry-run              counts questions and tokens, asks nothing
  emotrain interpret recipe.toml --limit 20             asks the first twenty questions of each split
  emotrain interpret recipe.toml --split valid --set interpret.base_url=http://localhost:8000/v1
  emotrain interpret recipe.toml --retry-failed         repeats questions without a usable reply"
)]
pub(crate) struct InterpretArgs {
    #[command(flatten)]
    pub(crate) recipe: RecipeArgs,
    /// Ask only about this split; may be repeated. By default, about every split of the recipe
    #[arg(long, value_parser = split(), value_name = "SPLIT")]
    pub(crate) split: Vec<SplitKind>,
    /// Count questions and tokens; ask nothing, write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Repeat questions that have no usable reply after all attempts
    #[arg(long)]
    pub(crate) retry_failed: bool,
    /// Delete what the folders hold, for all splits, and ask everything again
    #[arg(long, conflicts_with_all = ["dry_run", "retry_failed"])]
    pub(crate) fresh: bool,
    /// Ask at most this many questions per split; another run continues
    #[arg(long, value_name = "N", value_parser = number(0, 1_000_000_000))]
    pub(crate) limit: Option<usize>,
}
