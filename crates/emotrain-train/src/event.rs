//! Events of a run in progress.

use std::path::PathBuf;

/// Metrics of one evaluation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// Mean negative log-likelihood of the true labels' tokens.
    pub loss: f64,
    /// Weighted F1, macro F1 and accuracy, if labels were scored.
    pub classification: Option<[f64; 3]>,
}

/// An event of a run.
#[derive(Clone, Debug)]
pub enum Event {
    /// Training starts or resumes.
    Started {
        /// Steps of the whole run.
        total_steps: usize,
        /// Steps done before.
        start_step: usize,
    },
    /// A phase of the curriculum starts.
    Phase {
        /// The phase, from 0.
        phase: usize,
        /// Samples of each of its epochs.
        samples: usize,
        /// Fraction of all samples; 1 without a curriculum.
        share: f64,
    },
    /// A step is done.
    Step {
        /// Number of the step, from 1.
        step: usize,
        /// Steps of the whole run.
        total_steps: usize,
        /// Epochs done, with fraction.
        epoch: f64,
        /// Loss of the step: mean over the supervised tokens of its window.
        loss: f64,
        /// Gradient norm before clipping.
        grad_norm: f64,
        /// The learning rate used.
        learning_rate: f64,
        /// Tokens per second since this process started training.
        tokens_per_second: f64,
        /// Estimated seconds left.
        eta_s: f64,
        /// Whether `logging.logging_steps` includes this step.
        logged: bool,
    },
    /// Progress of an evaluation.
    EvalProgress {
        /// Utterances done.
        done: usize,
        /// Utterances in all.
        total: usize,
    },
    /// An evaluation is done.
    Evaluated {
        /// After this many steps.
        step: usize,
        /// Its metrics.
        scores: Evaluation,
        /// Whether it is the best so far.
        best: bool,
    },
    /// A step was saved.
    Saved {
        /// The step.
        step: usize,
        /// Its folder.
        path: PathBuf,
    },
}

/// Why training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All steps are done.
    Completed,
    /// No improvement for `eval.early_stopping_patience` evaluations.
    EarlyStopped,
    /// Stopped by a signal; the state is saved.
    Interrupted,
}
