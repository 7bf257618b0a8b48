//! The metrics of a run: `metrics.jsonl`, and the same scalars as TensorBoard events.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use emotrain_base::{WriteError, create_folder, limits, write_atomic};
use emotrain_recipe::{Recipe, Reporter};
use emotrain_runs::{MetricsLine, RunDir};
use protobuf::Message;
use serde_json::json;
use tensorboard_proto::event::Event;
use tensorboard_proto::summary::{Summary, Summary_Value};
use tensorboard_proto::types::DataType;
use tensorboard_rs::record_writer::RecordWriter;
use tensorboard_rs::summary::scalar;

use crate::error::TrainError;

/// The logs of a run's scalars.
pub(crate) struct MetricsLog {
    jsonl: Option<(PathBuf, fs_err::File)>,
    tensorboard: Option<(PathBuf, RecordWriter<BufWriter<fs_err::File>>)>,
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
            let folder = run.path().join("tb");
            create_folder(&folder)?;
            remove_later_events(&folder, step)?;
            let path = folder.join(events_file(step));
            let writer = begin_events(&path, recipe, time).map_err(|error| WriteError::new(&path, &error))?;
            log.tensorboard = Some((path, writer));
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
        if let Some((path, writer)) = &mut self.tensorboard {
            events(writer, group, step, time, scalars).map_err(|error| WriteError::new(path, &error))?;
        }
        Ok(())
    }
}

/// TensorBoard reads the files of a folder in the order of their names.
fn events_file(step: usize) -> String {
    format!("{EVENTS}{step:010}{OURS}")
}

const EVENTS: &str = "events.out.tfevents.";
const OURS: &str = ".emotrain";

/// Removes the events after `step`.
fn remove_later_events(folder: &Path, step: usize) -> Result<(), TrainError> {
    for entry in fs_err::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let number = name.strip_prefix(EVENTS).and_then(|rest| rest.strip_suffix(OURS));
        if number.and_then(|number| number.parse::<usize>().ok()).is_some_and(|number| number > step) {
            let path = folder.join(name);
            fs_err::remove_file(&path).map_err(|error| WriteError::new(&path, &error))?;
        }
    }
    Ok(())
}

/// Starts an event file with the recipe.
fn begin_events(
    path: &Path,
    recipe: &Recipe,
    time: f64,
) -> std::io::Result<RecordWriter<BufWriter<fs_err::File>>> {
    let mut writer = RecordWriter::new(BufWriter::new(fs_err::File::create(path)?));
    let mut first = Event::new();
    first.set_wall_time(time);
    first.set_file_version("brain.Event:2".to_owned());
    writer.write(&bytes(&first)?)?;
    let mut event = Event::new();
    event.set_wall_time(time);
    event.set_summary(text("recipe", &format!("```toml\n{}```\n", recipe.to_toml())));
    writer.write(&bytes(&event)?)?;
    writer.flush()?;
    Ok(writer)
}

fn events(
    writer: &mut RecordWriter<BufWriter<fs_err::File>>,
    group: &str,
    step: usize,
    time: f64,
    scalars: &[(String, f64)],
) -> std::io::Result<()> {
    for (name, value) in scalars {
        let mut event = Event::new();
        event.set_wall_time(time);
        event.set_step(i64::try_from(step).unwrap_or(i64::MAX));
        #[expect(clippy::cast_possible_truncation, reason = "TensorBoard's scalars are f32")]
        event.set_summary(scalar(&format!("{group}/{name}"), *value as f32));
        writer.write(&bytes(&event)?)?;
    }
    writer.flush()
}

/// A Markdown text for TensorBoard's text plugin, which tensorboard-rs does not support.
fn text(tag: &str, markdown: &str) -> Summary {
    let mut value = Summary_Value::new();
    value.set_tag(tag.to_owned());
    value.mut_metadata().mut_plugin_data().set_plugin_name("text".to_owned());
    value.mut_tensor().set_dtype(DataType::DT_STRING);
    value.mut_tensor().mut_string_val().push(markdown.as_bytes().to_vec());
    let mut summary = Summary::new();
    summary.mut_value().push(value);
    summary
}

fn bytes(event: &Event) -> std::io::Result<Vec<u8>> {
    event.write_to_bytes().map_err(std::io::Error::other)
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
