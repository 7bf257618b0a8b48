//! The errors of this crate.

use emotrain_base::{Advice, Complaint, Fault};
use emotrain_eval::EvalError;

/// Why a report cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// Predictions that cannot be scored.
    #[error(transparent)]
    Eval(#[from] EvalError),
    /// A run that has nothing to report.
    #[error(transparent)]
    Unfit(#[from] Complaint),
    /// A plot that cannot be drawn.
    #[error("a plot cannot be drawn: {0}")]
    Plot(String),
    /// A page that cannot be put together.
    #[error("the page cannot be put together: {0:#}")]
    Page(#[from] minijinja::Error),
}

impl Advice for ReportError {
    fn fault(&self) -> Fault {
        match self {
            Self::Eval(error) => error.fault(),
            Self::Unfit(error) => error.fault(),
            Self::Plot(_) | Self::Page(_) => Fault::Input,
        }
    }

    fn hint(&self) -> Option<String> {
        if let Self::Unfit(error) = self { Advice::hint(error) } else { None }
    }
}
