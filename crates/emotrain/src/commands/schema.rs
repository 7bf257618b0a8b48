//! `emotrain schema`: the JSON Schema of recipes.

use crate::exit::Exit;
use crate::shell::Shell;

/// Runs the command.
///
/// # Errors
/// When standard output cannot be written.
pub(crate) fn run(shell: &Shell) -> anyhow::Result<Exit> {
    shell.printer.result(format_args!("{:#}", emotrain_recipe::json_schema()))?;
    Ok(Exit::Done)
}
