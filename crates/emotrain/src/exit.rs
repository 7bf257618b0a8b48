//! From an error to its exit code and hint.

use std::error::Error;
use std::io;

use emotrain_ask::AskError;
use emotrain_base::{Advice, Complaint, DamagedFile, Fault, GrowError, LockError, Problems, WriteError};
use emotrain_curriculum::CurriculumError;
use emotrain_data::DataError;
use emotrain_eval::EvalError;
use emotrain_export::ExportError;
use emotrain_hub::HubError;
use emotrain_model::ModelError;
use emotrain_prepare::PrepareError;
use emotrain_prompt::PromptError;
use emotrain_recipe::RecipeError;
use emotrain_report::ReportError;
use emotrain_retrieval::RetrievalError;
use emotrain_runs::RunError;
use emotrain_sweep::SweepError;
use emotrain_train::TrainError;
use emotrain_verify::VerifyError;

/// How the program ends. The numbers are documented in `--help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// A defect of the program.
    Defect = 1,
    /// The recipe or the command line is wrong.
    Usage = 2,
    /// Data, model files or the device cannot be used, or do not do what they should.
    Input = 3,
    /// Training stopped at a number that is not finite.
    NonFinite = 4,
    /// Output could not be written.
    Output = 5,
    /// Ended by SIGHUP; the state is saved.
    HungUp = 129,
    /// Interrupted; the state is saved.
    Interrupted = 130,
    /// Ended by a scheduler's warning, SIGUSR1; the state is saved.
    Warned = 138,
    /// Ended by SIGTERM; the state is saved.
    Terminated = 143,
}

impl From<Fault> for Exit {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Usage => Self::Usage,
            Fault::Input => Self::Input,
            Fault::NonFinite => Self::NonFinite,
            Fault::Output => Self::Output,
        }
    }
}

/// The reader of standard output went away, as `head` does: nothing is wrong.
#[derive(Debug, thiserror::Error)]
#[error("standard output was closed by its reader")]
pub(crate) struct ReaderGone;

/// The whole text of an error: what happened, why, and what to do.
pub(crate) fn described(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        // Some errors print their cause themselves.
        if !text.ends_with(&cause) {
            let separator = if text.is_empty() { "" } else { ": " };
            text = format!("{text}{separator}{cause}");
        }
    }
    for line in hint(error).iter().flat_map(|hint| hint.lines()) {
        text = format!("{text}\n  hint: {line}");
    }
    text
}

/// The exit code of an error.
pub(crate) fn of(error: &anyhow::Error) -> Exit {
    error.chain().find_map(of_cause).unwrap_or(Exit::Input)
}

fn of_cause(cause: &(dyn std::error::Error + 'static)) -> Option<Exit> {
    if cause.is::<ReaderGone>() {
        return Some(Exit::Done);
    }
    if let Some(problems) = cause.downcast_ref::<Problems>() {
        return Some(problems.fault().into());
    }
    Some(advice(cause)?.fault().into())
}

/// The advice that goes with an error. That of several errors, or of a recipe's problems, is in their text.
fn hint(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(|cause| advice(cause)?.hint())
}

/// What the crate that an error comes from knows of it.
fn advice<'e>(cause: &'e (dyn Error + 'static)) -> Option<&'e dyn Advice> {
    fn of<'e, E: Advice + 'static>(cause: &'e (dyn Error + 'static)) -> Option<&'e dyn Advice> {
        cause.downcast_ref::<E>().map(|error| error as &dyn Advice)
    }
    let crates = [
        of::<Complaint>,
        of::<DamagedFile>,
        of::<WriteError>,
        of::<LockError>,
        of::<GrowError>,
        of::<RecipeError>,
        of::<DataError>,
        of::<RetrievalError>,
        of::<CurriculumError>,
        of::<PromptError>,
        of::<ModelError>,
        of::<EvalError>,
        of::<HubError>,
        of::<PrepareError>,
        of::<AskError>,
        of::<ExportError>,
        of::<VerifyError>,
        of::<RunError>,
        of::<ReportError>,
        of::<SweepError>,
        of::<TrainError>,
        of::<io::Error>,
    ];
    crates.into_iter().find_map(|of| of(cause))
}

#[cfg(test)]
mod tests {
    use std::io::{Error as IoError, ErrorKind};
    use std::path::Path;

    use super::*;

    #[test]
    fn an_error_keeps_its_code_and_its_hint_under_context() {
        let error = anyhow::Error::new(Complaint::usage("no").hint("yes")).context("cannot start");
        assert_eq!(of(&error), Exit::Usage);
        assert_eq!(described(&error), "cannot start: no\n  hint: yes");
    }

    #[test]
    fn a_full_disk_is_an_output_error() {
        let full = || IoError::from(ErrorKind::StorageFull);
        assert_eq!(of(&ModelError::Io(full()).into()), Exit::Output);
        let denied = || WriteError::new(Path::new("out"), &ErrorKind::PermissionDenied.into());
        assert_eq!(of(&TrainError::Write(denied()).into()), Exit::Output);
        assert_eq!(of(&RetrievalError::Lock(denied().into()).into()), Exit::Output);
        assert_eq!(of(&DataError::from(denied()).into()), Exit::Output);
        assert_eq!(of(&anyhow::Error::new(denied()).context("writing")), Exit::Output);
        assert_eq!(of(&anyhow::Error::new(full()).context("writing")), Exit::Output);
        let not_finite = TrainError::NonFinite { step: 3, what: "loss", value: f64::NAN };
        assert_eq!(of(&not_finite.into()), Exit::NonFinite);
    }
}
