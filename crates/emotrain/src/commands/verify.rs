//! `emotrain verify`: whether an export, or a running server, answers as the run does that it came from.

use emotrain_base::Complaint;
use emotrain_verify::{Verdict, VerifyContext, verify_endpoint, verify_export};

use crate::cli::VerifyArgs;
use crate::env::{self, Env};
use crate::exit::Exit;
use crate::shell::Shell;

/// Runs the command.
///
/// # Errors
/// A run, an export or a server that cannot be asked, or that does not answer as the run.
pub(crate) fn run(args: &VerifyArgs, shell: &Shell) -> anyhow::Result<Exit> {
    let Shell { env: Env { hub: settings, .. }, printer } = shell;
    let scratch = env::scratch();
    let context = VerifyContext { settings, listener: printer, variable: env::variable, scratch: &scratch };
    let Verdict { text, json, warnings, conclusion } = match (&args.folder, &args.endpoint) {
        (_, Some(served)) => verify_endpoint(served.address(), &args.options(), context)?,
        (Some(place), None) => verify_export(place, &args.options(), context)?,
        (None, None) => return Err(Complaint::usage("name an export, or a server with --endpoint").into()),
    };
    printer.result(if args.json { format!("{json:#}") } else { text })?;
    for warning in warnings {
        printer.warn(warning);
    }
    printer.say(conclusion?);
    Ok(Exit::Done)
}
