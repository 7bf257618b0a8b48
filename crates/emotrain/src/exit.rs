//! From an error to what the shell is told, and to the advice that goes with it.

use std::fmt;
use std::io::{Error as IoError, ErrorKind};
use std::path::Path;

use emotrain_base::{DamagedFile, LockError, WriteError};
use emotrain_curriculum::CurriculumError;
use emotrain_data::{DataError, DataProblem};
use emotrain_eval::EvalError;
use emotrain_model::ModelError;
use emotrain_prompt::PromptError;
use emotrain_recipe::RecipeError;
use emotrain_retrieval::RetrievalError;
use emotrain_train::TrainError;

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
    /// Data, model files or the device cannot be used.
    Input = 3,
    /// Training stopped at a number that is not finite.
    NonFinite = 4,
    /// Output could not be written.
    Output = 5,
    /// Ended by SIGHUP; the state is saved.
    HungUp = 129,
    /// Interrupted; the state is saved.
    Interrupted = 130,
    /// Ended by SIGTERM; the state is saved.
    Terminated = 143,
}

/// An error of the program itself, which knows its exit code.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Complaint {
    exit: Exit,
    message: String,
    hint: Option<String>,
}

impl Complaint {
    /// The recipe or the command line is wrong.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, message: message.into(), hint: None }
    }

    /// Data, model files or the device cannot be used.
    pub(crate) fn input(message: impl Into<String>) -> Self {
        Self { exit: Exit::Input, message: message.into(), hint: None }
    }

    /// Output could not be written.
    pub(crate) fn output(message: impl Into<String>) -> Self {
        Self { exit: Exit::Output, message: message.into(), hint: None }
    }

    /// Adds what to do about it.
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// The reader of standard output went away, as `head` does: nothing is wrong.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads the output any more")]
pub(crate) struct ReaderGone;

/// Several independent errors, to be reported in one go.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<anyhow::Error>);

impl Problems {
    /// Keeps an error and lets a value through.
    pub(crate) fn take<T>(&mut self, result: anyhow::Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.add(error);
                None
            }
        }
    }

    /// Keeps an error; several are taken apart, and what was told already is not told again.
    pub(crate) fn add(&mut self, error: anyhow::Error) {
        match error.downcast::<Self>() {
            Ok(several) => several.0.into_iter().for_each(|error| self.add(error)),
            Err(error) => {
                let text = described(&error);
                if !self.0.iter().any(|known| described(known) == text) {
                    self.0.push(error);
                }
            }
        }
    }

    /// Keeps an error of a recipe with the recipe's name, unless the error names it by itself.
    pub(crate) fn add_of(&mut self, recipe: &Path, error: anyhow::Error) {
        let about = |error: anyhow::Error| {
            if error.is::<RecipeError>() { error } else { error.context(recipe.display().to_string()) }
        };
        match error.downcast::<Self>() {
            Ok(several) => self.0.extend(several.0.into_iter().map(about)),
            Err(error) => self.0.push(about(error)),
        }
    }

    /// An error if any was kept.
    ///
    /// # Errors
    /// See [`Problems::into_error`].
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(self.into_error()) }
    }

    /// The only error as it is, several as [`Problems`].
    pub(crate) fn into_error(mut self) -> anyhow::Error {
        if self.0.len() == 1 { self.0.remove(0) } else { self.into() }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.0.iter().map(described).collect();
        f.write_str(&texts.join("\n"))
    }
}

impl std::error::Error for Problems {}

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
        return problems.0.first().map(of);
    }
    let complaint = cause.downcast_ref::<Complaint>().map(|complaint| complaint.exit);
    let recipe = cause.downcast_ref::<RecipeError>().map(|_| Exit::Usage);
    let data = cause.downcast_ref().map(of_data);
    let write = cause.downcast_ref::<WriteError>().map(|_| Exit::Output);
    let retrieval = cause.downcast_ref().map(of_retrieval);
    let curriculum = cause.downcast_ref().map(of_curriculum);
    let prompt = cause.downcast_ref().map(of_prompt);
    let model = cause.downcast_ref().map(of_model);
    let eval = cause.downcast_ref().map(of_eval);
    let train = cause.downcast_ref().map(of_train);
    let system = cause.downcast_ref().map(of_system);
    complaint
        .or(write)
        .or(recipe)
        .or(data)
        .or(retrieval)
        .or(curriculum)
        .or(prompt)
        .or(model)
        .or(eval)
        .or(train)
        .or(system)
}

fn of_data(error: &DataError) -> Exit {
    if matches!(error.problem(), DataProblem::Write(_)) { Exit::Output } else { Exit::Input }
}

fn of_lock(error: &LockError) -> Exit {
    if matches!(error, LockError::Write(_)) { Exit::Output } else { Exit::Input }
}

fn of_retrieval(error: &RetrievalError) -> Exit {
    match error {
        RetrievalError::Write(_) => Exit::Output,
        RetrievalError::Lock(error) => of_lock(error),
        RetrievalError::Data(error) => of_data(error),
        RetrievalError::Bank { .. } | RetrievalError::Embedder(_) => Exit::Input,
    }
}

fn of_curriculum(error: &CurriculumError) -> Exit {
    #[expect(clippy::wildcard_enum_match_arm, reason = "all others are about files and what they hold")]
    match error {
        CurriculumError::Data(error) => of_data(error),
        CurriculumError::Wheel(_)
        | CurriculumError::UnknownEmotion { .. }
        | CurriculumError::TooFewDialogues { .. } => Exit::Usage,
        _ => Exit::Input,
    }
}

fn of_prompt(error: &PromptError) -> Exit {
    // A template is part of what the user wrote for the run.
    let is_recipe = matches!(
        error,
        PromptError::Template(_)
            | PromptError::UnusedWindow { .. }
            | PromptError::UnusedKnowledge { .. }
            | PromptError::NoSuchPart { .. }
            | PromptError::NoTemplate { .. }
    );
    if is_recipe { Exit::Usage } else { Exit::Input }
}

fn of_model(error: &ModelError) -> Exit {
    #[expect(clippy::wildcard_enum_match_arm, reason = "all others are about files and what they hold")]
    match error {
        ModelError::Write(_) => Exit::Output,
        ModelError::Io(error) => of_system(error),
        _ => Exit::Input,
    }
}

fn of_eval(error: &EvalError) -> Exit {
    if let EvalError::Data(error) = error { of_data(error) } else { Exit::Input }
}

fn of_train(error: &TrainError) -> Exit {
    #[expect(clippy::wildcard_enum_match_arm, reason = "more kinds may come")]
    match error {
        TrainError::NonFinite { .. } => Exit::NonFinite,
        TrainError::Write(_) => Exit::Output,
        TrainError::Lock(error) => of_lock(error),
        TrainError::Model(error) => of_model(error),
        TrainError::Eval(error) => of_eval(error),
        TrainError::Io(error) => of_system(error),
        TrainError::Run { hint: Some(_), .. } => Exit::Usage,
        _ => Exit::Input,
    }
}

/// Errors that only writing has; any other is taken for one of reading.
fn of_system(error: &IoError) -> Exit {
    let writing = matches!(
        error.kind(),
        ErrorKind::StorageFull
            | ErrorKind::ReadOnlyFilesystem
            | ErrorKind::QuotaExceeded
            | ErrorKind::FileTooLarge
            | ErrorKind::WriteZero
    );
    if writing { Exit::Output } else { Exit::Input }
}

/// The advice that goes with an error. That of several errors, or of a recipe's problems, is in their text.
fn hint(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(|cause| {
        let complaint = cause.downcast_ref::<Complaint>().and_then(|complaint| complaint.hint.clone());
        let data = cause.downcast_ref::<DataError>().and_then(DataError::hint);
        let damaged = cause.downcast_ref::<DamagedFile>().and_then(|error| error.hint().map(str::to_owned));
        let write = cause.downcast_ref::<WriteError>().and_then(|error| error.hint().map(str::to_owned));
        let retrieval = cause.downcast_ref::<RetrievalError>().and_then(RetrievalError::hint);
        let curriculum = cause.downcast_ref::<CurriculumError>().and_then(CurriculumError::hint);
        let prompt = cause.downcast_ref::<PromptError>().and_then(PromptError::hint);
        let model = cause.downcast_ref::<ModelError>().and_then(ModelError::hint);
        let train = cause.downcast_ref::<TrainError>().and_then(TrainError::hint);
        complaint.or(damaged).or(write).or(data).or(retrieval).or(curriculum).or(prompt).or(model).or(train)
    })
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn an_error_keeps_its_code_and_its_hint_under_context() {
        let error = anyhow::Error::new(Complaint::usage("no").hint("yes")).context("cannot start");
        assert_eq!(of(&error), Exit::Usage);
        assert_eq!(described(&error), "cannot start: no\n  hint: yes");
    }

    #[test]
    fn several_problems_are_told_at_once() {
        let mut problems = Problems::default();
        assert_eq!(problems.take(Ok(1)), Some(1));
        problems.add(Complaint::input("one").into());
        problems.add(Complaint::input("one").into());
        let two = Err::<(), _>(Complaint::usage("two").hint("three")).context("context");
        problems.take(two);
        let error = problems.finish().unwrap_err();
        assert_eq!(of(&error), Exit::Input);
        assert_eq!(described(&error), "one\ncontext: two\n  hint: three");
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
