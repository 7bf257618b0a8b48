//! Sweeps on Slurm, and scripts for other schedulers: what is submitted, what is recorded of it, and how Slurm's answers
//! are read. Nothing here starts a program.

mod plan;
mod queue;
mod quoting;
mod section;
mod submission;
mod task_script;

pub use self::plan::{MAX_ARRAY_SIZE, SlurmPlan, array_limit};
pub use self::queue::{SlurmQueue, SlurmTask, SlurmTaskState};
pub use self::section::SlurmSection;
pub use self::submission::{SlurmJob, SlurmSubmission, job_of_sbatch};
pub use self::task_script::task_script;
