//! The training run: order, steps, evaluation, checkpoints.
//!
//! [`train`] takes a model with its trainable parameters set up, and encoded samples, and writes a run folder. It
//! prints nothing, reads no clock of its own, and every random draw is a function of the seed and the step, so that a
//! resumed run equals the uninterrupted one bit for bit.

mod checkpoint;
mod course;
mod error;
mod event;
mod job;
mod metrics_log;
mod optim;
mod order;
mod run_dir;
mod selection;
mod step;
mod trainer;
mod validate;

pub use checkpoint::State;
pub use course::{Course, EpochSamples, SamplePlace};
pub use error::TrainError;
pub use event::{End, Evaluation, Event};
pub use job::Job;
pub use optim::{Adam, LearningRate, Moments};
pub use order::SampleOrder;
pub use run_dir::{FORMAT_VERSION, RunDir};
pub use step::{StepAt, StepResult, step};
pub use trainer::{Outcome, TrainData, train};
pub use validate::{Questions, Scored, Validation, evaluate, label_loss, sample_losses, sequence_loss};
