//! The folder of a run, and what is in it.
//!
//! What a run writes of itself has a type that also reads it: [`RunRecord`] is `run.json`, [`RunReport`] `report.json`,
//! [`MetricsLine`] a line of `metrics.jsonl`. [`RunDir`] is the folder while a process writes to it, under a lock.

mod contents;
mod error;
mod identity;
mod metrics_line;
mod run_dir;
mod run_log;
mod run_record;
mod run_report;
mod same_recipe;
mod score_context;
mod stored_run;

pub use contents::{BASELINE, LOSSES, step_number};
pub use error::RunError;
pub use identity::list_differences;
pub use metrics_line::MetricsLine;
pub use run_dir::{RunDir, way_back};
pub use run_log::{OnDifference, RunLog};
pub use run_record::{
    AuxiliaryRecord, BestRecord, DataRecord, DeviceRecord, Difference, InitRecord, KnowledgeRecord,
    LabelsRecord, ModelRecord, RECORD_VERSION, RecipeRecord, ResumptionRecord, RetrievalRecord, RunRecord,
    TemplateRecord, TokenizerRecord, TrainingRecord,
};
pub use run_report::{EvalResult, RunReport};
pub use score_context::{ScoreContext, SourceUse};
pub use stored_run::{FoundRuns, RunState, StoredRun, find_runs};
