//! Sweeps: many runs from one file, their folder, and what came of them.
//!
//! [`SweepFile`] is what a person writes: a base recipe, axes, seeds. [`expand`] makes the runs of it, each a resolved
//! recipe with a stable id ([`PlannedRun`]). [`SweepDir`] is the folder that every process of a sweep reads and writes; the
//! file system is the only thing that they share. A process [claims](SweepDir::claim) a run under a lock, so that none is
//! trained twice, and records its [`Attempt`]. [`SweepStatus`] and [`Board`] read the folder.

mod attempt;
mod board;
mod claim;
mod digests;
mod distribution;
mod error;
mod expand;
mod halving;
mod settings;
mod shape;
mod size;
mod slurm;
mod status;
mod sweep_dir;
mod sweep_file;
mod tables;

pub use attempt::{Attempt, Attempts};
pub use board::{Board, BoardGroup, BoardRun};
pub use claim::{Claim, ClaimedRun};
pub use error::SweepError;
pub use expand::{PlannedRun, expand};
pub use halving::{Halving, RungVerdict};
pub use slurm::{
    MAX_ARRAY_SIZE, SlurmJob, SlurmPlan, SlurmQueue, SlurmSection, SlurmSubmission, SlurmTask,
    SlurmTaskState, array_limit, job_of_sbatch, task_script,
};
pub use status::{RunStatus, SweepState, SweepStatus};
pub use sweep_dir::{StoredPlan, SweepDir};
pub use sweep_file::{HalvingSection, SweepFile};
pub use tables::{TableFormat, TextTable};
