//! A run in the hands of one process.

use std::path::{Path, PathBuf};

use emotrain_base::{Lock, LockError, create_folder};
use emotrain_runs::{RunState, StoredRun, step_number};

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
    /// The folder of the run itself.
    run: PathBuf,
    attempts: Attempts,
    _lock: Lock,
}

impl SweepDir {
    /// Whether nothing is left to do for a run: it is finished, or was halted at a rung.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn is_done(&self, id: &str) -> Result<bool, SweepError> {
        let run = self.run(id);
        let is_finished = StoredRun::is_in(&run) && StoredRun::open(&run)?.state == RunState::Finished;
        Ok(is_finished || self.is_halted(id)?)
    }

    /// Takes a run, unless it is done or taken. `attempt` is written as begun.
    ///
    /// # Errors
    /// A folder that cannot be read or written.
    pub fn claim(&self, id: &str, mut attempt: Attempt) -> Result<Claim, SweepError> {
        let folder = self.attempts(id);
        create_folder(&folder)?;
        let lock = match Lock::take(&folder) {
            Ok(lock) => lock,
            Err(LockError::Taken { owner, .. }) => return Ok(Claim::Taken(owner)),
            Err(error @ LockError::Write(_)) => return Err(error.into()),
        };
        if self.is_done(id)? {
            return Ok(Claim::Done);
        }
        let run = self.run(id);
        let mut attempts = Attempts::read(&folder)?;
        attempt.from_step = saved_step(&run);
        attempts.0.push(attempt);
        attempts.write(&folder)?;
        Ok(Claim::Ours(ClaimedRun { folder, run, attempts, _lock: lock }))
    }
}

/// The newest saved step of a run; 0 if there is none.
fn saved_step(run: &Path) -> usize {
    let entries = fs_err::read_dir(run).into_iter().flatten().flatten();
    entries.filter_map(|entry| step_number(&entry.path())).max().unwrap_or(0)
}

impl ClaimedRun {
    /// Whether nothing was saved in this attempt nor in the one before, which ended with this exit code: another one would
    /// come no further.
    pub fn is_stuck(&self, exit: u8) -> bool {
        let [.., before, this] = &self.attempts.0[..] else { return false };
        let is_still = before.from_step == this.from_step && saved_step(&self.run) == this.from_step;
        is_still && before.exit == Some(exit)
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_stuck_if_two_attempts_that_ended_alike_saved_nothing() {
        const WARNED: u8 = 138;
        let folder = tempfile::tempdir().unwrap();
        let sweep = SweepDir::new(folder.path());
        let claim = || match sweep.claim("a", Attempt::default()).unwrap() {
            Claim::Ours(claim) => claim,
            other @ (Claim::Taken(_) | Claim::Done) => panic!("{other:?}"),
        };
        let save =
            |step: usize| fs_err::create_dir_all(sweep.run("a").join(format!("step-{step:06}"))).unwrap();
        let first = claim();
        assert!(!first.is_stuck(WARNED));
        assert!(matches!(sweep.claim("a", Attempt::default()).unwrap(), Claim::Taken(_)));
        first.end(1.0, WARNED, None).unwrap();

        let second = claim();
        assert!(second.is_stuck(WARNED) && !second.is_stuck(143));
        save(5);
        assert!(!second.is_stuck(WARNED));
        second.end(2.0, WARNED, None).unwrap();

        // It begins where the second ended, and that one began elsewhere.
        let third = claim();
        assert!(!third.is_stuck(WARNED));
        third.end(3.0, WARNED, None).unwrap();
        assert!(claim().is_stuck(WARNED));
    }
}
