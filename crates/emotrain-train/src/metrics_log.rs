//! The metrics of a run: `metrics.jsonl`, and the same scalars as TensorBoard events.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use emotrain_base::{WriteError, create_folder, limits, write_atomic};
use emotrain_recipe::{Recipe, Reporter};
use emotrain_runs::{MetricsLine, RunDir, RunReport};
use serde_json::json;

use crate::error::TrainError;
use crate::event_file::{EventFile, text};
use crate::hparams::{experiment, scores, session_end, session_start};

/// The logs of a run's scalars.
pub(crate) struct MetricsLog {
    jsonl: Option<(PathBuf, fs_err::File)>,
    tensorboard: Option<EventFile>,
}

impl MetricsLog {
    /// Opens the logs of a run at `step`; entries of later steps (from before a crash) are removed.
    ///
    /// # Errors
    /// A file that cannot be read or written.
    pub(crate) fn open(run: &RunDir, recipe: &Recipe, step: usize, time: f64) -> Result<Self, TrainError> {
        let report_to = &recipe.logging.report_to;
        let mut log = Self { jsonl: None, tensorboard: None };
        if report_to.contains(&Reporter::Jsonl) {
            let path = run.path().join(MetricsLine::FILE);
            let kept = if step > 0 && path.exists() { lines_until(&path, step)? } else { String::new() };
            write_atomic(&path, kept.as_bytes())?;
            let file = fs_err::OpenOptions::new().append(true).open(&path);
            let file = file.map_err(|error| WriteError::new(&path, &error))?;
            log.jsonl = Some((path, file));
        }
        if report_to.contains(&Reporter::Tensorboard) {
            let folder = run.path().join(FOLDER);
            create_folder(&folder)?;
            remove_later_events(&folder, step)?;
            log.tensorboard = Some(begin_events(&folder.join(events_file(step)), recipe, time)?);
        }
        Ok(log)
    }

    /// Writes the scalars of `step`: one line, and one event per scalar, named `group/name`.
    ///
    /// # Errors
    /// A file that cannot be written: a full disk ends the run while its last state is intact.
    pub(crate) fn write(
        &mut self,
        group: &str,
        step: usize,
        time: f64,
        scalars: &[(String, f64)],
    ) -> Result<(), TrainError> {
        if let Some((path, file)) = &mut self.jsonl {
            let finite = |value: f64| value.is_finite().then_some(value);
            let scalars = scalars.iter().map(|(name, value)| (name.clone(), finite(*value))).collect();
            let line = format!("{}\n", json!(MetricsLine { event: group.to_owned(), step, scalars }));
            file.write_all(line.as_bytes()).map_err(|error| WriteError::new(path, &error))?;
        }
        if let Some(file) = &mut self.tensorboard {
            for (name, value) in scalars {
                file.scalar(&format!("{group}/{name}"), *value, step, time)?;
            }
            file.flush()?;
        }
        Ok(())
    }
}

/// TensorBoard reads the files of a folder in the order of their names.
fn events_file(step: usize) -> String {
    format!("{EVENTS}{step:010}{OURS}")
}

/// Where they are in the folder of a run.
const FOLDER: &str = "tb";
const EVENTS: &str = "events.out.tfevents.";
const OURS: &str = ".emotrain";

/// The event files of a run, each with the step after which it begins.
fn event_files(folder: &Path) -> Result<BTreeMap<usize, PathBuf>, TrainError> {
    let mut files = BTreeMap::new();
    for entry in fs_err::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let number = name.strip_prefix(EVENTS).and_then(|rest| rest.strip_suffix(OURS));
        files.extend(number.and_then(|number| number.parse().ok()).map(|step| (step, folder.join(&name))));
    }
    Ok(files)
}

/// The file that the last process of a run has written.
fn newest_events(folder: &Path) -> Result<Option<PathBuf>, TrainError> {
    Ok(event_files(folder)?.pop_last().map(|(_, path)| path))
}

/// Removes the events after `step`.
fn remove_later_events(folder: &Path, step: usize) -> Result<(), TrainError> {
    for path in event_files(folder)?.split_off(&(step + 1)).values() {
        fs_err::remove_file(path).map_err(|error| WriteError::new(path, &error))?;
    }
    Ok(())
}

/// Starts an event file with the recipe.
fn begin_events(path: &Path, recipe: &Recipe, time: f64) -> Result<EventFile, WriteError> {
    let mut file = EventFile::begin(path, time)?;
    let recipe_text = text("recipe", &format!("```toml\n{}```\n", recipe.to_toml()));
    for summary in [recipe_text, experiment(recipe, time), session_start(recipe, time)] {
        file.summary(summary, 0, time)?;
    }
    file.flush()?;
    Ok(file)
}

/// Adds the scores of a run that is done to its TensorBoard events, if the recipe wants such: those of the untrained model
/// at step 0, those of the trained one at its last step.
///
/// # Errors
/// A file that cannot be written.
pub fn record_result(
    run: &RunDir,
    recipe: &Recipe,
    report: Option<&RunReport>,
    step: usize,
    time: f64,
) -> Result<(), TrainError> {
    if !recipe.logging.report_to.contains(&Reporter::Tensorboard) {
        return Ok(());
    }
    let folder = run.path().join(FOLDER);
    create_folder(&folder)?;
    let mut file =
        EventFile::go_on(&newest_events(&folder)?.unwrap_or_else(|| folder.join(events_file(step))), time)?;
    for (step, scores) in [0, step].into_iter().zip(report.map(scores).into_iter().flatten()) {
        for (tag, value) in scores {
            file.scalar(&tag, value, step, time)?;
        }
    }
    file.summary(session_end(time), step, time)?;
    Ok(file.flush()?)
}

/// The lines of steps up to and including `step`.
fn lines_until(path: &Path, step: usize) -> Result<String, TrainError> {
    let text = emotrain_base::read_to_string(path, limits::LINES)?;
    let keep = |line: &&str| {
        let line: Option<MetricsLine> = serde_json::from_str(line).ok();
        line.is_some_and(|line| line.step <= step)
    };
    Ok(text.lines().filter(keep).fold(String::new(), |kept, line| kept + line + "\n"))
}
