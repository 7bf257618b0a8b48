//! `run.json` as it grows.

use std::path::Path;

use emotrain_base::{Complaint, WriteError, sha256_file};
use serde_json::json;

use crate::error::RunError;
use crate::identity::{Identity, list_differences, named};
use crate::run_dir::RunDir;
use crate::run_record::{Difference, ResumptionRecord, RunRecord, TrainingRecord};

/// `run.json` as it grows; it is written anew, whole, after every part. What the first start wrote into it stays: a
/// later one has an entry of its own.
#[derive(Debug)]
pub struct RunLog {
    record: RunRecord,
    /// What this start adds, where it is not the first.
    resumption: Option<ResumptionRecord>,
    begun_unix_s: f64,
}

/// Whether a run may resume with other inputs than it started with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDifference {
    /// It may not.
    Refuse,
    /// It may, and the record keeps note.
    GoOn,
}

impl RunLog {
    /// Opens the record of a run for a start with the inputs that `record` has. When a run is resumed, that
    /// is compared with what the run began with, and what differs is returned; the record of another run is put aside.
    ///
    /// # Errors
    /// All that differs; a record, or a file that it vouches for, that is damaged.
    pub fn take_up(
        record: RunRecord,
        run: &RunDir,
        resume: bool,
        on_difference: OnDifference,
    ) -> Result<(Self, Vec<Difference>), RunError> {
        let begun_unix_s = record.begun_unix_s;
        let path = run.path().join(RunRecord::FILE);
        if !path.exists() || !resume {
            if path.exists() {
                put_aside(&path)?;
            }
            return Ok((Self { record, resumption: None, begun_unix_s }, Vec::new()));
        }
        let before = RunRecord::read(&path)?;
        check_kept(run, &before)?;
        let differences = Identity::of(&before).differences(&Identity::of(&record));
        if !differences.is_empty() && on_difference == OnDifference::Refuse {
            let (folder, names) = (run.path().display(), named(&differences));
            let listed = list_differences(&differences);
            let message = format!("{folder}: inputs have changed since the run started: {names}{listed}");
            return Err(Complaint::input(message)
                .hint(
                    "restore them, start a new run in another train.output_dir, or resume anyway with \
                     --resume-anyway, which run.json records",
                )
                .into());
        }
        let RunRecord { emotrain, platform, device, .. } = record;
        let resumption = ResumptionRecord {
            emotrain,
            platform,
            begun_unix_s,
            device,
            differences: differences.clone(),
            elapsed_s: 0.0,
            peak_memory_mib: None,
        };
        // A run that becomes longer is not finished any more.
        let record = RunRecord { finished_unix_s: None, ..before };
        Ok((Self { record, resumption: Some(resumption), begun_unix_s }, differences))
    }

    /// Says how training ended, and how much memory this start has had.
    pub fn end(&mut self, training: TrainingRecord, peak_memory_mib: Option<f64>) {
        self.record.training = Some(training);
        match &mut self.resumption {
            Some(resumption) => resumption.peak_memory_mib = peak_memory_mib,
            None => self.record.peak_memory_mib = peak_memory_mib,
        }
    }

    /// Vouches for files of the run that a later start reads, and writes the record.
    ///
    /// # Errors
    /// When one cannot be read, or the record cannot be written.
    pub fn keep(&mut self, run: &RunDir, names: &[&str], now_unix_s: f64) -> Result<(), RunError> {
        for name in names {
            let path = run.path().join(name);
            if path.exists() {
                self.record.files.insert((*name).to_owned(), sha256_file(&path)?);
            }
        }
        self.write(run, now_unix_s)
    }

    /// Says that everything is done.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub fn finish(&mut self, run: &RunDir, now_unix_s: f64) -> Result<(), RunError> {
        self.record.finished_unix_s = Some(now_unix_s);
        self.write(run, now_unix_s)
    }

    /// Writes the file, with the seconds since this start began.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&mut self, run: &RunDir, now_unix_s: f64) -> Result<(), RunError> {
        let elapsed_s = now_unix_s - self.begun_unix_s;
        let mut record = self.record.clone();
        match &self.resumption {
            Some(resumption) => record.resumed.push(ResumptionRecord { elapsed_s, ..resumption.clone() }),
            None => record.elapsed_s = elapsed_s,
        }
        run.write_json(RunRecord::FILE, &json!(record))
    }
}

/// Keeps the record of a run that left nothing else, next to that of the one that starts.
fn put_aside(path: &Path) -> Result<(), RunError> {
    let places = (1..).map(|number| path.with_file_name(format!("run.{number}.json")));
    let free = places.into_iter().find(|place| !place.exists()).unwrap_or_default();
    fs_err::rename(path, &free).map_err(|error| WriteError::new(&free, &error))?;
    Ok(())
}

fn check_kept(run: &RunDir, record: &RunRecord) -> Result<(), RunError> {
    for (name, sha256) in &record.files {
        let path = run.path().join(name);
        if path.exists() && *sha256 != sha256_file(&path)? {
            let file = RunRecord::FILE;
            let complaint =
                Complaint::input(format!("{}: is damaged: {file} has another sha256", path.display()));
            return Err(complaint.hint("remove the file: its contents are measured again").into());
        }
    }
    Ok(())
}
