//! What attempts at a run came to.

use std::path::Path;

use emotrain_base::{Complaint, limits, write_atomic};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::error::SweepError;

/// A process that was at a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Attempt {
    /// The name of the machine, where it has one.
    pub host: Option<String>,
    /// The scheduler's name for the job, as in `slurm 17_3`.
    pub job: Option<String>,
    /// The process.
    pub process: u32,
    /// When it took the run.
    pub begun_unix_s: f64,
    /// The run's steps before it.
    pub from_step: usize,
    /// When it let go of it; `None` while it is at it, or if it was killed.
    pub ended_unix_s: Option<f64>,
    /// The exit code.
    pub exit: Option<u8>,
    /// Why it ended before the run did: an error, a signal, a rung.
    pub message: Option<String>,
}

/// All attempts at a run, in their order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Attempts(pub Vec<Attempt>);

const FILE: &str = "attempts.json";

impl Attempts {
    /// Reads the attempts in a folder; none if there was none.
    ///
    /// # Errors
    /// A file that cannot be read or is damaged.
    pub(crate) fn read(folder: &Path) -> Result<Self, SweepError> {
        let path = folder.join(FILE);
        if !path.is_file() {
            return Ok(Self::default());
        }
        let text = emotrain_base::read_to_string(&path, limits::CONFIG)?;
        let read = serde_json::from_str(&text);
        let hint = "remove the file: it only tells what earlier attempts came to";
        Ok(read.map_err(|error| Complaint::input(format!("{}: {error}", path.display())).hint(hint))?)
    }

    /// Writes them.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), SweepError> {
        Ok(write_atomic(&folder.join(FILE), format!("{:#}\n", json!(self)).as_bytes())?)
    }

    /// The newest.
    pub fn last(&self) -> Option<&Attempt> {
        self.0.last()
    }
}
