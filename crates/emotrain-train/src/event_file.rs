//! A file of TensorBoard events.

use std::io::BufWriter;
use std::path::{Path, PathBuf};

use emotrain_base::WriteError;
use protobuf::Message;
use tensorboard_proto::event::Event;
use tensorboard_proto::summary::{Summary, Summary_Value};
use tensorboard_proto::types::DataType;
use tensorboard_rs::record_writer::RecordWriter;
use tensorboard_rs::summary::scalar;

/// A file of TensorBoard events. Its errors name it.
pub(crate) struct EventFile {
    path: PathBuf,
    writer: RecordWriter<BufWriter<fs_err::File>>,
}

impl EventFile {
    /// Starts a file.
    pub(crate) fn begin(path: &Path, time: f64) -> Result<Self, WriteError> {
        let file = fs_err::File::create(path).map_err(|error| WriteError::new(path, &error))?;
        let mut event = Event::new();
        event.set_file_version("brain.Event:2".to_owned());
        let mut file = Self { path: path.to_path_buf(), writer: RecordWriter::new(BufWriter::new(file)) };
        file.write(event, time)?;
        Ok(file)
    }

    /// Goes on with a file, or starts it.
    pub(crate) fn go_on(path: &Path, time: f64) -> Result<Self, WriteError> {
        if !path.exists() {
            return Self::begin(path, time);
        }
        let file = fs_err::OpenOptions::new().append(true).open(path);
        let file = file.map_err(|error| WriteError::new(path, &error))?;
        Ok(Self { path: path.to_path_buf(), writer: RecordWriter::new(BufWriter::new(file)) })
    }

    /// Writes a summary of step `step`.
    pub(crate) fn summary(&mut self, summary: Summary, step: usize, time: f64) -> Result<(), WriteError> {
        let mut event = Event::new();
        event.set_step(i64::try_from(step).unwrap_or(i64::MAX));
        event.set_summary(summary);
        self.write(event, time)
    }

    /// Writes a number.
    pub(crate) fn scalar(&mut self, tag: &str, value: f64, step: usize, time: f64) -> Result<(), WriteError> {
        #[expect(clippy::cast_possible_truncation, reason = "TensorBoard's scalars are f32")]
        self.summary(scalar(tag, value as f32), step, time)
    }

    /// Hands everything to the system.
    pub(crate) fn flush(&mut self) -> Result<(), WriteError> {
        self.writer.flush().map_err(|error| WriteError::new(&self.path, &error))
    }

    fn write(&mut self, mut event: Event, time: f64) -> Result<(), WriteError> {
        event.set_wall_time(time);
        let bytes = event.write_to_bytes().map_err(std::io::Error::other);
        let written = bytes.and_then(|bytes| self.writer.write(&bytes));
        written.map_err(|error| WriteError::new(&self.path, &error))
    }
}

/// A Markdown text for TensorBoard's text plugin, which tensorboard-rs does not support.
pub(crate) fn text(tag: &str, markdown: &str) -> Summary {
    let mut value = Summary_Value::new();
    value.set_tag(tag.to_owned());
    value.mut_metadata().mut_plugin_data().set_plugin_name("text".to_owned());
    value.mut_tensor().set_dtype(DataType::DT_STRING);
    value.mut_tensor().mut_string_val().push(markdown.as_bytes().to_vec());
    let mut summary = Summary::new();
    summary.mut_value().push(value);
    summary
}
