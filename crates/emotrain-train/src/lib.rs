//! The training run: order, steps, evaluation, checkpoints.
//!
//! [`train`] takes a model with its trainable parameters set up, and encoded samples, and writes a run folder. It
//! prints nothing, reads no clock of its own, and every random draw is a function of the seed and the step, so that a
//! resumed run equals the uninterrupted one bit for bit.

mod answers;
mod baseline;
mod checkpoint;
mod error;
mod eval_set;
mod event;
mod job;
mod metrics_log;
mod optim;
mod order;
mod sample_schedule;
mod selection;
mod start;
mod step;
mod trainer;
mod validate;

pub use answers::AnswerReader;
pub use baseline::baseline;
pub use checkpoint::State;
pub use error::TrainError;
pub use eval_set::{EvalContext, EvalSet, ask, comparison, predictions};
pub use event::{End, Evaluation, Event};
pub use job::Job;
pub use optim::{AdamWOptimizer, LearningRate};
pub use order::SampleOrder;
pub use sample_schedule::{EpochSamples, SamplePlace, SampleSchedule};
pub use start::{check_init, init_record, init_size, make_trainable};
pub use step::{StepAt, StepResult, step};
pub use trainer::{Outcome, TrainData, train};
pub use validate::{Questions, Scored, Validation, evaluate, label_loss, sample_losses, sequence_loss};
