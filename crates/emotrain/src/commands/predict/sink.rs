//! Where answers go: standard output, a file that goes on where it was, or a pipe.

use std::io::Write;
use std::path::Path;

use emotrain_base::{Complaint, FileOrigin, Growing, Output, WriteError, sha256_hex};
use emotrain_data::Dialogue;
use emotrain_eval::{AnswerFormat, AnswerWriter};

use crate::cli::PredictArgs;
use crate::shell::Shell;

/// Endings of files that answers are not written as.
const OTHER_KINDS: [&str; 9] = ["xlsx", "xls", "ods", "parquet", "html", "pdf", "sqlite", "feather", "arrow"];

/// Where rows are written as they come.
pub(super) struct Sink<'s> {
    /// Makes them.
    pub(super) writer: AnswerWriter,
    shell: &'s Shell,
    to: To,
    /// Stands for the dialogues that were answered.
    mark: String,
}

enum To {
    Stdout,
    Stream(Output),
    File(Growing),
}

impl<'s> Sink<'s> {
    /// Opens what the command line names.
    ///
    /// # Errors
    /// A file that is there already, was begun by another command, or cannot be written.
    pub(super) fn open(args: &PredictArgs, origin: FileOrigin, shell: &'s Shell) -> anyhow::Result<Self> {
        let writer = AnswerWriter::new(format_of(args)?, args.terms());
        check_is_free(args)?;
        let to = match &args.output {
            None => To::Stdout,
            Some(path) => match Growing::open(path, origin)? {
                Some(file) => To::File(file),
                None => To::Stream(Output::create(path)?),
            },
        };
        Ok(Self { writer, shell, to, mark: String::new() })
    }

    /// Dialogues whose answers an earlier process has written, and their mark.
    pub(super) fn reached(&self) -> (u64, String) {
        match &self.to {
            To::File(file) => (file.reached().parts, file.reached().mark.clone()),
            To::Stdout | To::Stream(_) => (0, String::new()),
        }
    }

    /// Takes a dialogue into the mark.
    pub(super) fn count(&mut self, dialogue: &Dialogue) {
        self.writer.begin(dialogue);
        if matches!(self.to, To::File(_)) {
            self.mark = sha256_hex(format!("{}{dialogue:?}", self.mark).as_bytes());
        }
    }

    /// Refuses to go on with the answers of other dialogues.
    ///
    /// # Errors
    /// A mark of other dialogues.
    pub(super) fn check_mark(&self, expected: &str, input: &str) -> Result<(), Complaint> {
        if self.mark == expected {
            return Ok(());
        }
        let To::File(file) = &self.to else { return Ok(()) };
        let (partial, parts) = (file.partial(), file.reached().parts);
        let message = format!("{input}: does not begin with the {parts} dialogues of {}", partial.display());
        let hint = format!("give the input as it was then, or remove {} to begin again", file.files());
        Err(Complaint::usage(message).hint(hint))
    }

    /// Writes the rows of dialogues.
    ///
    /// # Errors
    /// A system error; a reader that has gone.
    pub(super) fn write(&mut self, rows: &[u8], dialogues: u64) -> anyhow::Result<()> {
        match &mut self.to {
            To::Stdout => self.shell.printer.rows(rows)?,
            To::Stream(output) => {
                let written = output.write_all(rows).and_then(|()| output.flush());
                written.map_err(|error| WriteError::new(output.path(), &error))?;
            }
            To::File(file) => file.append(rows, dialogues, self.mark.clone())?,
        }
        Ok(())
    }

    /// Gives a file its name.
    ///
    /// # Errors
    /// A system error.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        match self.to {
            To::Stdout => {}
            To::Stream(output) => output.finish()?,
            To::File(file) => file.finish()?,
        }
        Ok(())
    }

    /// Whether a bar would be drawn between rows.
    pub(super) fn is_stdout(&self) -> bool {
        matches!(self.to, To::Stdout)
    }

    /// What an error leaves.
    pub(super) fn leave(&self) {
        let To::File(file) = &self.to else { return };
        let (parts, partial) = (file.reached().parts, file.partial());
        if let Err(error) = file.leave() {
            self.shell.printer.warn(error);
        } else if parts > 0 {
            self.shell.printer.say(format_args!(
                "the answers to {parts} dialogues are in {}; the same command goes on behind them",
                partial.display()
            ));
        }
    }
}

/// Refuses to put answers in the place of a file that is there.
fn check_is_free(args: &PredictArgs) -> Result<(), Complaint> {
    let real = |path: &Path| fs_err::canonicalize(path).ok().filter(|path| path.is_file());
    if let (Some(input), Some(output)) = (&args.input, &args.output)
        && real(input).is_some_and(|input| real(output) == Some(input))
    {
        let complaint = Complaint::usage(format!("--output {}: is the input", output.display()));
        return Err(complaint.hint("name another file"));
    }
    let Some(path) = args.output.as_deref().filter(|path| path.is_file() && !args.overwrite) else {
        return Ok(());
    };
    let complaint = Complaint::usage(format!("{}: exists already", path.display()));
    Err(complaint
        .hint("name another file with --output, or give --overwrite to put the answers in its place"))
}

/// As the command line says, or as the file's name ends.
///
/// # Errors
/// A name that ends like a file of another kind.
fn format_of(args: &PredictArgs) -> Result<AnswerFormat, Complaint> {
    let path = args.output.as_deref().filter(|path| path.is_file() || !path.exists());
    let ending = path.and_then(|path| path.extension()).unwrap_or_default();
    let ending = ending.to_string_lossy().to_lowercase();
    let named = AnswerFormat::ALL.into_iter().find(|format| format.as_str() == ending);
    let is_other = args.output_format.is_none() && OTHER_KINDS.contains(&ending.as_str());
    if let Some(path) = path.filter(|_| is_other) {
        let complaint = Complaint::usage(format!("--output {}: .{ending} is not written", path.display()));
        let known = AnswerFormat::ALL.map(|format| format!(".{}", format.as_str())).join(", ");
        return Err(complaint.hint(format!("name a file that ends in one of {known}")));
    }
    Ok(args.output_format.or(named).unwrap_or(AnswerFormat::Jsonl))
}
