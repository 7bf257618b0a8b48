//! How far the runs of a sweep are.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use emotrain_base::Lock;
use emotrain_data::SplitKind;
use emotrain_eval::EvalReport;
use emotrain_runs::{RunState, StoredRun};
use indexmap::IndexMap;
use serde::Serialize;

use crate::attempt::{Attempt, Attempts};
use crate::error::SweepError;
use crate::slurm::SlurmJob;
use crate::sweep_dir::{StoredPlan, SweepDir};
use crate::tables::TextTable;

/// How far a run of a sweep is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SweepState {
    /// No process has been at it.
    Waiting,
    /// A process is at it.
    Running,
    /// It was interrupted and saved its state.
    Stopped,
    /// Its last attempt ended with an error.
    Failed,
    /// Its process is gone without having said how it ended: it was killed, or its machine died.
    Lost,
    /// Successive halving ended it.
    Halted,
    /// It is trained and scored.
    Finished,
}

impl SweepState {
    /// All, in the order of a run's life.
    pub const ALL: [Self; 7] =
        [Self::Waiting, Self::Running, Self::Stopped, Self::Failed, Self::Lost, Self::Halted, Self::Finished];

    /// The word for it in tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Lost => "lost",
            Self::Halted => "halted",
            Self::Finished => "finished",
        }
    }

    /// Whether nothing is left to do.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Halted | Self::Finished)
    }
}

impl fmt::Display for SweepState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A run and how far it is.
#[derive(Clone, Debug, Serialize)]
pub struct RunStatus {
    /// Its id.
    pub id: String,
    /// What its seeds have in common.
    pub name: String,
    /// Its seed.
    pub seed: u64,
    /// How far it is.
    pub state: SweepState,
    /// Steps that are known to be done.
    pub steps: Option<usize>,
    /// Steps of the whole run, where the recipe limits them.
    pub max_steps: Option<usize>,
    /// The last evaluation's scalars by name.
    pub evaluated: Option<IndexMap<String, Option<f64>>>,
    /// Seconds spent training, in all attempts.
    pub seconds: Option<f64>,
    /// How many processes have been at it.
    pub attempts: usize,
    /// What the last one said.
    pub message: Option<String>,
    /// Where it said it.
    pub log: PathBuf,
    /// Its place in Slurm, where Slurm has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slurm: Option<SlurmJob>,
    /// The scores of a finished run by split.
    #[serde(skip)]
    pub(crate) scores: Vec<(SplitKind, EvalReport)>,
}

/// All runs of a sweep.
#[derive(Clone, Debug, Serialize)]
pub struct SweepStatus {
    /// In the order of the sweep file.
    pub runs: Vec<RunStatus>,
}

impl SweepStatus {
    /// Reads the folder of a sweep.
    ///
    /// # Errors
    /// Files that cannot be read or are damaged.
    pub fn read(sweep: &SweepDir) -> Result<Self, SweepError> {
        let plans = sweep.plans()?.into_iter();
        Ok(Self { runs: plans.map(|plan| RunStatus::read(sweep, plan)).collect::<Result<_, _>>()? })
    }

    /// Reads one run of a sweep; `None` if the sweep has no such run.
    ///
    /// # Errors
    /// As [`SweepStatus::read`].
    pub fn of_run(sweep: &SweepDir, id: &str) -> Result<Option<RunStatus>, SweepError> {
        let plan = sweep.plans()?.into_iter().find(|plan| plan.id == id);
        plan.map(|plan| RunStatus::read(sweep, plan)).transpose()
    }

    /// Adds what Slurm says, by run.
    #[must_use]
    pub fn with_slurm(mut self, mut places: BTreeMap<String, SlurmJob>) -> Self {
        for run in &mut self.runs {
            run.slurm = places.remove(&run.id);
        }
        self
    }

    /// How many runs are in each state, in words.
    pub fn counted(&self) -> String {
        let counts: Vec<String> =
            self.counts().iter().map(|(state, count)| format!("{count} {state}")).collect();
        let runs = if self.runs.len() == 1 { "run" } else { "runs" };
        format!("{} {runs}: {}", self.runs.len(), counts.join(", "))
    }

    /// How many runs are in each state, those that no run is in left out.
    fn counts(&self) -> Vec<(SweepState, usize)> {
        let count = |state| self.runs.iter().filter(|run| run.state == state).count();
        SweepState::ALL
            .map(|state| (state, count(state)))
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .collect()
    }
}

/// A line for each run that is not finished, and how many are in each state.
impl fmt::Display for SweepStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = self.runs.iter().filter(|run| run.state != SweepState::Finished);
        let in_slurm = self.runs.iter().any(|run| run.slurm.is_some());
        let columns =
            ["run", "seed", "state", "Slurm", "steps", "weighted F1", "attempts", "recipe", "message"];
        let shown = |column: &str| in_slurm || column != "Slurm";
        let mut table = TextTable::new(columns.into_iter().filter(|column| shown(column)));
        for run in open {
            let cells = columns.into_iter().zip(run.cells()).filter(|(column, _)| shown(column));
            table.row(cells.map(|(_, cell)| cell));
        }
        if table.has_rows() {
            writeln!(f, "{}\n", table.plain())?;
        }
        write!(f, "{}", self.counted())
    }
}

impl RunStatus {
    /// Its row in the table of runs that are not finished.
    fn cells(&self) -> [String; 9] {
        let count = |count: Option<usize>| count.map_or(String::new(), |count| count.to_string());
        let steps = match (self.steps, self.max_steps) {
            (Some(steps), Some(most)) => format!("{steps}/{most}"),
            (steps, _) => count(steps),
        };
        let score = self.evaluated.as_ref().and_then(|scalars| *scalars.get("weighted_f1")?);
        let score = score.map_or(String::new(), |score| format!("{:.2}", 100.0 * score));
        let slurm = self.slurm.as_ref().map(|job| job.task.to_string()).unwrap_or_default();
        let message = self.message.as_deref().and_then(|text| text.lines().next()).unwrap_or_default();
        let message = match (self.state, &self.slurm) {
            (SweepState::Failed | SweepState::Lost, _) => {
                format!("{message} ({})", self.log.display()).trim_start().to_owned()
            }
            // It ended before the program began.
            (SweepState::Waiting, Some(job)) if !job.task.state.is_live() => {
                format!("see {}", job.output.display())
            }
            _ => message.to_owned(),
        };
        let [seed, attempts] = [self.seed.to_string(), self.attempts.to_string()];
        let (id, state, name) = (self.id.clone(), self.state.to_string(), self.name.clone());
        [id, seed, state, slurm, steps, score, attempts, name, message]
    }

    fn read(sweep: &SweepDir, plan: StoredPlan) -> Result<Self, SweepError> {
        let attempts_folder = sweep.attempts(&plan.id);
        let attempts = Attempts::read(&attempts_folder)?;
        let folder = sweep.run(&plan.id);
        let stored = StoredRun::is_in(&folder).then(|| StoredRun::open(&folder)).transpose()?;
        let is_taken = stored.as_ref().is_some_and(|run| run.state == RunState::Running)
            || Lock::is_taken(&attempts_folder);
        let is_finished = stored.as_ref().is_some_and(|run| run.state == RunState::Finished);
        let halted = sweep.rungs_of(&plan.id)?.halted_at;
        let state = match attempts.last() {
            _ if is_taken => SweepState::Running,
            _ if is_finished => SweepState::Finished,
            _ if halted.is_some() => SweepState::Halted,
            None if stored.is_some() => SweepState::Stopped,
            None => SweepState::Waiting,
            Some(Attempt { ended_unix_s: None, .. }) => SweepState::Lost,
            Some(Attempt { exit: Some(0 | 129 | 130 | 138 | 143), .. }) => SweepState::Stopped,
            Some(_) => SweepState::Failed,
        };
        let training = stored.as_ref().and_then(|run| run.record.training.as_ref());
        let open = stored.as_ref().filter(|_| !is_finished);
        let metrics = open.map(StoredRun::metrics).transpose()?.unwrap_or_default();
        let steps = match training {
            Some(training) if state != SweepState::Running => Some(training.steps),
            _ => metrics.last().map(|line| line.step),
        };
        let scores = stored.iter().filter(|_| is_finished).flat_map(|run| {
            SplitKind::ALL.into_iter().filter_map(|split| Some((split, run.scores(split)?.clone())))
        });
        Ok(Self {
            log: sweep.log(&plan.id),
            slurm: None,
            max_steps: plan.max_steps,
            evaluated: metrics.into_iter().rev().find(|line| line.event == "eval").map(|line| line.scalars),
            state,
            steps,
            seconds: training.map(|training| training.seconds),
            attempts: attempts.0.len(),
            message: attempts.last().and_then(|last| last.message.clone()),
            scores: scores.collect(),
            id: plan.id,
            name: plan.name,
            seed: plan.seed,
        })
    }
}
