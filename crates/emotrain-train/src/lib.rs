//! The training run: order, steps, evaluation, checkpoints.
//!
//! A [`Training`] takes a model with its trainable parameters set up, and encoded samples, and writes a run folder;
//! [`Together`] is the loop, for one run or several on one base. It prints nothing, reads no clock of its own, and every
//! random draw is a function of the seed and the step, so that a resumed run equals the uninterrupted one bit for bit.

mod answers;
mod baseline;
mod checkpoint;
mod class_weights;
mod diary;
mod error;
mod eval_set;
mod event;
mod event_file;
#[cfg(test)]
mod fixture;
mod hparams;
mod job;
mod label_draw;
mod loss_trace;
mod metrics_log;
mod micro_batches;
mod moments;
mod optim;
mod order;
mod packing;
mod sample_schedule;
mod selection;
mod start;
mod step;
mod together;
mod trainer;
mod validate;
mod validation_sample;

pub use answers::AnswerReader;
pub use baseline::baseline;
pub use checkpoint::State;
pub use class_weights::sample_weights;
pub use error::TrainError;
pub use eval_set::{EvalContext, EvalSet, ask, comparison, predictions};
pub use event::{End, Evaluation, Event};
pub use job::{Job, TrainData};
pub use loss_trace::LossRise;
pub use metrics_log::record_result;
pub use optim::{AdamWOptimizer, LearningRate};
pub use order::SampleOrder;
pub use packing::Packing;
pub use sample_schedule::{EpochSamples, SamplePlace, SampleSchedule};
pub use start::{
    check_init, check_init_fits, fresh_size, init_record, init_size, lora_config, make_trainable,
};
pub use step::{StepAt, StepResult, Turn, step};
pub use together::Together;
pub use trainer::{Models, Outcome, Training};
pub use validate::{Questions, Scored, Validation, evaluate, label_loss, sample_losses, sequence_loss};
pub use validation_sample::validation_sample;
