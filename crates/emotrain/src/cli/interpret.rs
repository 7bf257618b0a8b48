//! The arguments of `emotrain interpret`.

use clap::Args;
use emotrain_data::SplitKind;

use super::{RecipeArgs, number, split};

#[derive(Args, Debug)]
#[command(
    after_help = "Every [[knowledge]] source of the recipe with a query is filled, by the model that [interpret] names: its
path is the folder that the texts go to. Replies are kept as they come, so the command can be stopped or
killed at any moment; run again, it asks what is missing and nothing twice.

Examples:
  emotrain interpret recipe.toml --dry-run              counts questions and tokens, asks nothing
  emotrain interpret recipe.toml --limit 20             tries it out on twenty questions
  emotrain interpret recipe.toml --split valid --set interpret.base_url=http://localhost:8000/v1
  emotrain interpret recipe.toml --retry-failed         asks again what had no usable reply"
)]
pub(crate) struct InterpretArgs {
    #[command(flatten)]
    pub(crate) recipe: RecipeArgs,
    /// Ask about this file alone; may be repeated. Without it, about every file the recipe names
    #[arg(long, value_parser = split(), value_name = "SPLIT")]
    pub(crate) split: Vec<SplitKind>,
    /// Count questions and tokens; ask nothing, write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Ask again what has no usable reply after all attempts
    #[arg(long)]
    pub(crate) retry_failed: bool,
    /// Throw away what the folders hold, for all splits, and ask everything anew
    #[arg(long, conflicts_with_all = ["dry_run", "retry_failed"])]
    pub(crate) fresh: bool,
    /// Put at most so many questions about each file; a further run goes on
    #[arg(long, value_name = "N", value_parser = number(0, 1_000_000_000))]
    pub(crate) limit: Option<usize>,
}
