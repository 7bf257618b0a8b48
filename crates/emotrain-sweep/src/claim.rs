//! A run in the hands of one process.

use std::path::PathBuf;

use emotrain_base::{Lock, LockError, create_folder};
use emotrain_runs::{RunState, StoredRun};

use crate::attempt::{Attempt, Attempts};
use crate::error::SweepError;
use crate::sweep_dir::SweepDir;

/// Whether a process may be at a run.
#[derive(Debug)]
pub enum Claim {
    /// It may: the run is locked for it.
    Ours(ClaimedRun),
    /// Another process is at it, in its words.
    Taken(String),
    /// It is finished, or was halted at a rung.
    Done,
}

/// A run that this process alone is at, as long as this value lives.
#[derive(Debug)]
pub struct ClaimedRun {
    folder: PathBuf,
    attempts: Attempts,
    _lock: Lock,
}

impl SweepDir {
    /// Takes a run, unless it is done or taken. `attempt` is written as begun.
    ///
    /// # Errors
    /// A folder that cannot be read or written.
    pub fn claim(&self, id: &str, attempt: Attempt) -> Result<Claim, SweepError> {
        let folder = self.attempts(id);
        create_folder(&folder)?;
        let lock = match Lock::take(&folder) {
            Ok(lock) => lock,
            Err(LockError::Taken { owner, .. }) => return Ok(Claim::Taken(owner)),
            Err(error @ LockError::Write(_)) => return Err(error.into()),
        };
        let run = self.run(id);
        let is_finished = StoredRun::is_in(&run) && StoredRun::open(&run)?.state == RunState::Finished;
        if is_finished || self.is_halted(id)? {
            return Ok(Claim::Done);
        }
        let mut attempts = Attempts::read(&folder)?;
        attempts.0.push(attempt);
        attempts.write(&folder)?;
        Ok(Claim::Ours(ClaimedRun { folder, attempts, _lock: lock }))
    }
}

impl ClaimedRun {
    /// Writes down how the attempt ended, and lets go of the run.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn end(mut self, now_unix_s: f64, exit: u8, message: Option<String>) -> Result<(), SweepError> {
        if let Some(attempt) = self.attempts.0.last_mut() {
            attempt.ended_unix_s = Some(now_unix_s);
            attempt.exit = Some(exit);
            attempt.message = message;
        }
        self.attempts.write(&self.folder)
    }
}
