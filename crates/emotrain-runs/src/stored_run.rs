//! A run as it lies in its folder, for those that only read.

use std::path::{Path, PathBuf};

use emotrain_base::{Complaint, Lock, limits};
use emotrain_data::{JsonlReader, SplitKind, TextFile};
use emotrain_eval::{EvalError, EvalReport, Prediction};
use emotrain_recipe::{Recipe, run_of_recipe};

use crate::contents::{self, RECIPE};
use crate::error::RunError;
use crate::metrics_line::MetricsLine;
use crate::run_record::RunRecord;
use crate::run_report::RunReport;

/// How far a run is, as its folder shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// A process holds its lock.
    Running,
    /// Training and evaluation are done.
    Finished,
    /// It began and is not done; it can be resumed from its last saved step, or from the beginning.
    Unfinished,
}

impl RunState {
    /// The word for it in tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Unfinished => "unfinished",
        }
    }
}

/// A run as it lies in its folder.
#[derive(Clone, Debug)]
pub struct StoredRun {
    /// The folder.
    pub folder: PathBuf,
    /// `run.json`.
    pub record: RunRecord,
    /// `report.json`; written at the end.
    pub report: Option<RunReport>,
    /// How far it is.
    pub state: RunState,
}

/// What is wrong with a place that has no run.
fn no_run(folder: &Path) -> Complaint {
    let name = folder.display();
    if let Some(run) = run_of_recipe(folder) {
        let complaint = Complaint::input(format!("{name}: is a recipe, not a run"));
        return complaint.hint(format!("name the folder of its run: {}", run.display()));
    }
    let complaint = Complaint::input(if folder.is_dir() {
        format!("{}: there is no such file", folder.join(RunRecord::FILE).display())
    } else if folder.exists() {
        format!("{name}: is a file, not the folder of a run")
    } else {
        format!("{name}: no such folder")
    });
    complaint.hint("name the run directory of a training")
}

/// How often each true label (row) was answered with each label (column), by the labels of a report.
fn confusion(predictions: &[Prediction], report: &EvalReport) -> Vec<Vec<usize>> {
    let number =
        |label: &Option<String>| report.labels.iter().position(|row| Some(&row.label) == label.as_ref());
    let mut counts = vec![vec![0; report.labels.len()]; report.labels.len()];
    for prediction in predictions {
        if let (Some(truth), Some(answer)) = (number(&prediction.truth), number(&prediction.label)) {
            counts[truth][answer] += 1;
        }
    }
    counts
}

impl StoredRun {
    /// Whether a folder is that of a run that has begun.
    pub fn is_in(folder: &Path) -> bool {
        folder.join(RunRecord::FILE).is_file()
    }

    /// Reads what a folder says of its run.
    ///
    /// # Errors
    /// A folder that has no run; a record that is damaged or of a later version.
    pub fn open(folder: &Path) -> Result<Self, RunError> {
        if !Self::is_in(folder) {
            return Err(no_run(folder).into());
        }
        let record = RunRecord::read(&folder.join(RunRecord::FILE))?;
        let report = folder.join(RunReport::FILE);
        let report = report.is_file().then(|| RunReport::read(&report)).transpose()?;
        let state = if Lock::is_taken(folder) {
            RunState::Running
        } else if record.finished_unix_s.is_some() || report.is_some() {
            RunState::Finished
        } else {
            RunState::Unfinished
        };
        Ok(Self { folder: folder.to_owned(), record, report, state })
    }

    /// The trained model's scores on a split, where they were measured.
    pub fn scores(&self, split: SplitKind) -> Option<&EvalReport> {
        let results = self.report.iter().flat_map(|report| &report.after);
        results.filter(|result| result.split == split.as_str()).find_map(|result| result.report.as_ref())
    }

    /// The file with the predictions for a split.
    pub fn predictions_file(&self, split: SplitKind) -> PathBuf {
        self.folder.join(contents::predictions(split))
    }

    /// The trained model's predictions for a split.
    ///
    /// # Errors
    /// A file that is missing or damaged.
    pub fn predictions(&self, split: SplitKind) -> Result<Vec<Prediction>, RunError> {
        let text = TextFile::read(&self.predictions_file(split)).map_err(EvalError::from)?;
        let predictions =
            JsonlReader::new(&text).map(|line| Ok(line?.1)).collect::<Result<_, EvalError>>()?;
        Ok(predictions)
    }

    /// Looks whether these predictions for a split are those that the run's report has scored.
    ///
    /// # Errors
    /// Others.
    pub fn check_scored(&self, split: SplitKind, predictions: &[Prediction]) -> Result<(), Complaint> {
        if self.scores(split).is_none_or(|scores| confusion(predictions, scores) == scores.confusion) {
            return Ok(());
        }
        let file = self.predictions_file(split);
        let message =
            format!("{}: its answers are not those that report.json has the scores of", file.display());
        Err(Complaint::input(message).hint("use undamaged copies of both"))
    }

    /// The training curves; none where the recipe does not write them.
    ///
    /// # Errors
    /// A file that cannot be read. A last line that was cut off is left out.
    pub fn metrics(&self) -> Result<Vec<MetricsLine>, RunError> {
        let path = self.folder.join(MetricsLine::FILE);
        if !path.is_file() {
            return Ok(Vec::new());
        }
        let text = emotrain_base::read_to_string(&path, limits::LINES)?;
        Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }

    /// The resolved recipe.
    ///
    /// # Errors
    /// A file that is missing, damaged, or of another version of the program.
    pub fn recipe(&self) -> Result<Recipe, RunError> {
        Ok(emotrain_recipe::load(&self.folder.join(RECIPE), &[])?)
    }
}

/// What was found of runs under a folder, in the order of the names.
#[derive(Debug, Default)]
pub struct FoundRuns {
    /// The folders of the runs.
    pub runs: Vec<PathBuf>,
    /// Folders that cannot be read, with the reason; there may be runs in them.
    pub unreadable: Vec<(PathBuf, std::io::Error)>,
}

/// The folders of runs in a folder and those in it, `depth` levels down. A run's own folders are not looked into.
///
/// # Errors
/// The folder itself cannot be read.
pub fn find_runs(folder: &Path, depth: usize) -> Result<FoundRuns, RunError> {
    let mut found = FoundRuns::default();
    find(folder, depth, &mut found)?;
    Ok(found)
}

fn find(folder: &Path, depth: usize, found: &mut FoundRuns) -> std::io::Result<()> {
    if StoredRun::is_in(folder) {
        found.runs.push(folder.to_owned());
        return Ok(());
    }
    let entries = fs_err::read_dir(folder)?;
    if depth == 0 {
        return Ok(());
    }
    let mut within: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    // A link may lead back to where it is.
    within.retain(|path| path.is_dir() && !path.is_symlink());
    within.sort();
    for path in within {
        if let Err(error) = find(&path, depth - 1, found) {
            found.unreadable.push((path, error));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_folder_that_cannot_be_read_hides_no_other() {
        use std::os::unix::fs::PermissionsExt as _;

        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        for name in ["a/run.json", "b/c/run.json", "z/run.json"] {
            fs_err::create_dir_all(at(name).parent().unwrap()).unwrap();
            fs_err::write(at(name), "{}").unwrap();
        }
        let allow = |mode| {
            fs_err::set_permissions(at("b"), std::fs::Permissions::from_mode(mode)).unwrap();
        };
        allow(0o000);
        // Who may read everything finds everything.
        let is_unreadable = fs_err::read_dir(at("b")).is_err();
        let found = find_runs(place.path(), 6).unwrap();
        allow(0o700);
        if is_unreadable {
            assert_eq!(found.runs, [at("a"), at("z")]);
            assert_eq!(found.unreadable.iter().map(|(path, _)| path).collect::<Vec<_>>(), [&at("b")]);
        } else {
            assert_eq!(found.runs, [at("a"), at("b/c"), at("z")]);
        }
        assert_eq!(find_runs(place.path(), 1).unwrap().runs, [at("a"), at("z")]);
        assert!(find_runs(&at("nowhere"), 6).is_err());
    }
}
