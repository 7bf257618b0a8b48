//! The training run: order, steps, evaluation, checkpoints.
//!
//! [`train`] takes a model with its trainable parameters set up, and encoded samples, and writes a run folder. It
//! prints nothing, reads no clock of its own, and every random draw is a function of the seed and the step, so that a
//! resumed run equals the uninterrupted one bit for bit. What a run writes of itself has a type that also reads it:
//! [`RunRecord`] is `run.json`, [`RunReport`] `report.json`, [`MetricsLine`] a line of `metrics.jsonl`.

mod answers;
mod checkpoint;
mod error;
mod eval_set;
mod event;
mod identity;
mod job;
mod metrics_log;
mod optim;
mod order;
mod report;
mod run_dir;
mod run_log;
mod run_record;
mod sample_schedule;
mod score_context;
mod selection;
mod start;
mod step;
mod trainer;
mod validate;

pub use answers::AnswerReader;
pub use checkpoint::State;
pub use error::TrainError;
pub use eval_set::{EvalContext, EvalResult, EvalSet, ask, comparison, predictions};
pub use event::{End, Evaluation, Event};
pub use identity::list_differences;
pub use job::Job;
pub use metrics_log::MetricsLine;
pub use optim::{AdamWOptimizer, LearningRate};
pub use order::SampleOrder;
pub use report::{BASELINE, RunReport, baseline};
pub use run_dir::{FORMAT_VERSION, RunDir};
pub use run_log::{OnDifference, RunLog};
pub use run_record::{
    AuxiliaryRecord, BestRecord, DataRecord, DeviceRecord, Difference, InitRecord, KnowledgeRecord,
    LabelsRecord, ModelRecord, RECORD_VERSION, RecipeRecord, ResumptionRecord, RetrievalRecord, RunRecord,
    TemplateRecord, TokenizerRecord, TrainingRecord,
};
pub use sample_schedule::{EpochSamples, SamplePlace, SampleSchedule};
pub use score_context::{ScoreContext, SourceUse};
pub use start::{check_init, init_record, init_size, make_trainable};
pub use step::{StepAt, StepResult, step};
pub use trainer::{Outcome, TrainData, train};
pub use validate::{Questions, Scored, Validation, evaluate, label_loss, sample_losses, sequence_loss};
