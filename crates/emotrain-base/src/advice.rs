//! What an error means to whoever started the program: whose fault it is, and what to do about it.

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};

use crate::error::{DamagedFile, WriteError};
use crate::lock::LockError;

/// Whose fault an error is. A program makes its exit code of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The recipe or the command line is wrong.
    Usage,
    /// Data, model files or the device cannot be used.
    Input,
    /// A number that is not finite came out.
    NonFinite,
    /// Output could not be written.
    Output,
}

/// What a crate knows of its own errors beyond their text.
pub trait Advice: Error {
    /// The error of another crate that this one passes on, and with it that one's advice.
    fn passed_on(&self) -> Option<&dyn Advice> {
        None
    }

    /// The errors that this one stands for, where it is several.
    fn several(&self) -> Option<&Problems> {
        None
    }

    /// Whose fault it is: that of the error passed on, or of the first of several.
    fn fault(&self) -> Fault {
        let several = || self.several().map_or(Fault::Input, Problems::fault);
        self.passed_on().map_or_else(several, Advice::fault)
    }

    /// What to do about it, a line for each piece of advice; `None` where that is not known or in the text already.
    fn hint(&self) -> Option<String> {
        self.passed_on()?.hint()
    }
}

/// An error in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    fault: Fault,
    message: String,
    hint: Option<String>,
}

impl Complaint {
    /// An error in these words.
    pub fn new(fault: Fault, message: impl Into<String>) -> Self {
        Self { fault, message: message.into(), hint: None }
    }

    /// The recipe or the command line is wrong.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Fault::Usage, message)
    }

    /// Data, model files or the device cannot be used.
    pub fn input(message: impl Into<String>) -> Self {
        Self::new(Fault::Input, message)
    }

    /// Output could not be written.
    pub fn output(message: impl Into<String>) -> Self {
        Self::new(Fault::Output, message)
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The words with what to do about it below them.
    pub fn with_hint(&self) -> String {
        let hints = self.hint.iter().flat_map(|hint| hint.lines()).map(|line| format!("\n  hint: {line}"));
        hints.fold(self.message.clone(), |text, hint| text + &hint)
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Complaint {}

impl Advice for Complaint {
    fn fault(&self) -> Fault {
        self.fault
    }

    fn hint(&self) -> Option<String> {
        self.hint.clone()
    }
}

/// Independent errors, to be told in one go. Prints each with its hint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(Vec<Complaint>);

impl Problems {
    /// Keeps an error and lets a value through.
    pub fn take<T, E: Into<Self>>(&mut self, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.add(error)).ok()
    }

    /// Keeps an error, unless it was told already.
    pub fn add(&mut self, error: impl Into<Self>) {
        for complaint in error.into().0 {
            if !self.0.contains(&complaint) {
                self.0.push(complaint);
            }
        }
    }

    /// The same errors, each beginning with what it is about.
    #[must_use]
    pub fn about(mut self, what: &str) -> Self {
        self.0.iter_mut().for_each(|complaint| complaint.message = format!("{what}: {}", complaint.message));
        self
    }

    /// Whose fault the first one is.
    pub fn fault(&self) -> Fault {
        self.0.first().map_or(Fault::Input, |complaint| complaint.fault)
    }

    /// An error if any was kept.
    ///
    /// # Errors
    /// All that were kept.
    pub fn finish(self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.0.iter().map(Complaint::with_hint).collect();
        f.write_str(&texts.join("\n"))
    }
}

impl Error for Problems {}

impl<E: Advice> From<E> for Problems {
    fn from(error: E) -> Self {
        let one = || {
            let complaint = Complaint::new(error.fault(), with_causes(&error));
            Self(vec![Complaint { hint: error.hint(), ..complaint }])
        };
        error.several().cloned().unwrap_or_else(one)
    }
}

/// The text of an error and of its causes.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        // Some errors print their cause themselves.
        if !text.ends_with(&words) {
            text = format!("{text}: {words}");
        }
        cause = error.source();
    }
    text
}

/// Errors that only writing has; any other is taken for one of reading.
impl Advice for io::Error {
    fn fault(&self) -> Fault {
        let writing = matches!(
            self.kind(),
            ErrorKind::StorageFull
                | ErrorKind::ReadOnlyFilesystem
                | ErrorKind::QuotaExceeded
                | ErrorKind::FileTooLarge
                | ErrorKind::WriteZero
        );
        if writing { Fault::Output } else { Fault::Input }
    }
}

impl Advice for WriteError {
    fn fault(&self) -> Fault {
        // Whoever names the place of a folder that must not exist can name another one.
        if self.is_occupied() { Fault::Usage } else { Fault::Output }
    }

    fn hint(&self) -> Option<String> {
        Self::hint(self).map(str::to_owned)
    }
}

impl Advice for DamagedFile {
    fn fault(&self) -> Fault {
        Fault::Input
    }

    fn hint(&self) -> Option<String> {
        Self::hint(self).map(str::to_owned)
    }
}

impl Advice for LockError {
    fn fault(&self) -> Fault {
        match self {
            Self::Taken { .. } => Fault::Input,
            Self::Write(error) => error.fault(),
        }
    }

    fn hint(&self) -> Option<String> {
        Self::hint(self).map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn several_problems_are_told_at_once() {
        let mut problems = Problems::default();
        assert_eq!(problems.take(Ok::<_, Complaint>(1)), Some(1));
        problems.add(Complaint::input("one"));
        problems.add(Complaint::input("one"));
        let mut more = Problems::default();
        more.take(Err::<(), _>(Complaint::usage("two").hint("three\nfour")));
        problems.add(more.about("context"));
        let error = problems.finish().unwrap_err();
        assert_eq!(error.fault(), Fault::Input);
        assert_eq!(error.to_string(), "one\ncontext: two\n  hint: three\n  hint: four");
    }

    #[test]
    fn a_full_disk_is_an_error_of_output() {
        assert_eq!(io::Error::from(ErrorKind::StorageFull).fault(), Fault::Output);
        assert_eq!(io::Error::from(ErrorKind::NotFound).fault(), Fault::Input);
        let denied = WriteError::new(Path::new("out"), &ErrorKind::PermissionDenied.into());
        assert_eq!(denied.fault(), Fault::Output);
        assert_eq!(LockError::from(denied).fault(), Fault::Output);
    }
}
