//! The dialogues that are labelled: a file or standard input.

use std::io::{BufRead, Cursor, IsTerminal, Read, stdin};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};

use anyhow::anyhow;
use emotrain_base::{Complaint, Listener};
use emotrain_data::{
    ColumnsOption, DataError, DataInput, DataLayout, DataOptions, DataProblem, Dialogue, DialogueReader,
    LabelPolicy, LabelSet, OtherOrder, Split, load_split, looks_like, sha256_file,
};
use emotrain_recipe::{DataFormat, DataSection};

use crate::cli::{PredictArgs, format_named};
use crate::commands::table_columns::without_recipe;
use crate::exit::described;
use crate::printer::Printer;

/// What messages call standard input.
const STDIN: &str = "standard input";

/// Dialogues that are read before they are asked for.
const AHEAD: usize = 256;

/// How much of standard input is looked at for its format, in bytes.
const HEAD: u64 = 1 << 16;

/// A larger file with a fault is not read as a whole, which would find all of its faults.
const WHOLE: u64 = 1 << 30;

/// What this command calls keys of a recipe.
const OPTIONS: DataOptions = DataOptions { format: Some("--input-format"), columns: ColumnsOption::Set };

/// Dialogues, one at a time.
pub(super) struct Input<'a> {
    /// How messages call it.
    pub(super) path: PathBuf,
    /// Whether it can be read again.
    pub(super) is_file: bool,
    /// A column of a table without positions, which gives its rows another order.
    other_order: Option<String>,
    dialogues: Dialogues<'a>,
    /// What is told of the dialogues that are passed over; `None` where the first one is an error.
    skips: Option<&'a dyn Listener>,
    /// An error that comes behind dialogues that are not answered yet.
    ahead: Option<anyhow::Error>,
    /// Dialogues that were passed over.
    pub(super) skipped: usize,
}

enum Dialogues<'a> {
    /// They can be read at once.
    There(Box<dyn Iterator<Item = Item> + 'a>),
    /// They come when they come.
    Coming(Receiver<Item>),
}

/// A dialogue, or what is wrong with it.
struct Item {
    dialogue: Result<Dialogue, DataError>,
    /// Whether nothing can be read behind it.
    is_end: bool,
}

impl Item {
    fn whole(dialogue: Dialogue) -> Self {
        Self { dialogue: Ok(dialogue), is_end: false }
    }

    fn all(mut reader: DialogueReader<'_>) -> impl Iterator<Item = Self> + '_ {
        std::iter::from_fn(move || {
            let dialogue = reader.next()?;
            Some(Self { dialogue, is_end: reader.is_over() })
        })
    }
}

/// Reads standard input ahead.
fn coming(format: Option<DataFormat>, section: &DataSection, labels: LabelSet) -> Receiver<Item> {
    let (sender, receiver) = sync_channel(AHEAD);
    let (columns, own) = (section.columns.clone(), section.format);
    std::thread::spawn(move || {
        let mut head = Vec::new();
        // What cannot be read is told by whoever reads on.
        let _ = stdin().lock().take(HEAD).read_until(b'\n', &mut head);
        let text = String::from_utf8_lossy(&head);
        let looks = looks_like(&text).filter(|looks| DialogueReader::reads(*looks));
        // What is wrong with other JSON is told by the reader of lines.
        let looks = looks.or_else(|| text.trim_start().starts_with(['{', '[']).then(|| json(own)));
        let format = format.or(looks).unwrap_or_else(|| own_or_lines(own));
        let input = DataInput::Stream { name: STDIN, from: Box::new(Cursor::new(head).chain(stdin())) };
        let layout = DataLayout::with_columns(format, own, &columns);
        // Whether the other end is still there shows at the next dialogue.
        let _ = match DialogueReader::open(input, layout, &labels, LabelPolicy::Optional) {
            Ok(dialogues) => Item::all(dialogues).try_for_each(|read| sender.send(read)),
            Err(error) => sender.send(Item { dialogue: Err(error), is_end: true }),
        };
    });
    receiver
}

impl<'a> Input<'a> {
    /// Opens what the command line names, or standard input.
    ///
    /// # Errors
    /// No input, a file that cannot be read.
    pub(super) fn open(
        args: &PredictArgs,
        section: &'a DataSection,
        labels: &'a LabelSet,
        listener: &'a dyn Listener,
    ) -> anyhow::Result<Self> {
        let skips = args.skip_errors.then_some(listener);
        let policy = LabelPolicy::Optional;
        let named = args.input.as_deref().filter(|path| *path != Path::new("-"));
        let Some(path) = named else {
            if args.input.is_none() && stdin().is_terminal() {
                let complaint = Complaint::usage("there are no dialogues to label");
                let hint = "name a file with --input FILE, or send dialogues to standard input";
                return Err(complaint.hint(hint).into());
            }
            if let Some(format) = args.input_format.filter(|format| !DialogueReader::reads(*format)) {
                let complaint = Complaint::usage(format!("{format} is not read from standard input"));
                return Err(complaint.hint("name a file with --input FILE, or send JSON lines").into());
            }
            let dialogues = Dialogues::Coming(coming(args.input_format, section, labels.clone()));
            return Ok(Self {
                path: STDIN.into(),
                is_file: false,
                other_order: None,
                dialogues,
                skips,
                ahead: None,
                skipped: 0,
            });
        };
        let format = format_of(args, path, section.format);
        let layout = DataLayout::with_columns(format, section.format, &section.columns);
        let is_file = path.is_file();
        let stream = || DialogueReader::open(DataInput::File(path), layout, labels, policy);
        let checked = if DialogueReader::reads(format) && is_file { check(stream()) } else { Ok(None) };
        let is_large = || fs_err::metadata(path).is_ok_and(|about| about.len() > WHOLE);
        let streamed =
            || Ok::<_, anyhow::Error>(Dialogues::There(Box::new(Item::all(stream().map_err(told)?))));
        let (other_order, dialogues) = match checked {
            Ok(order) if DialogueReader::reads(format) => (order, streamed()?),
            Err(fault) if is_large() && !args.skip_errors => return Err(told(fault)),
            Err(_) if is_large() => (None, streamed()?),
            // Rows of dialogues that stand apart are none: they are put together as in training.
            Ok(_) | Err(_) => match load_split(path, layout, labels, policy) {
                Ok(Split { other_order, dialogues, .. }) => {
                    (other_order, Dialogues::There(Box::new(dialogues.into_iter().map(Item::whole))))
                }
                Err(_) if args.skip_errors && DialogueReader::reads(format) => (None, streamed()?),
                Err(fault) => return Err(told(fault)),
            },
        };
        Ok(Self { path: path.to_owned(), is_file, other_order, dialogues, skips, ahead: None, skipped: 0 })
    }

    /// Whether dialogues with something wrong are passed over.
    pub(super) fn skips(&self) -> bool {
        self.skips.is_some()
    }

    /// Says that the rows of a table stand in another order than a column gives them, if they do.
    pub(super) fn warn_of_order(&self, section: &DataSection, printer: &Printer) {
        let Some(column) = &self.other_order else { return };
        let order = OtherOrder { path: &self.path, column };
        let table = order.table(&section.columns);
        printer.warn(format_args!(
            "{order}\n  hint: if it is, say --set data.format=csv --set 'data.columns={table}'"
        ));
    }

    /// All dialogues at once.
    ///
    /// # Errors
    /// Those of the dialogues.
    pub(super) fn whole(mut self) -> anyhow::Result<(Self, Split)> {
        let mut all = Vec::new();
        loop {
            let some = self.next(1)?;
            if some.is_empty() {
                break;
            }
            all.extend(some);
        }
        let dialogues = Dialogues::There(Box::new(all.clone().into_iter().map(Item::whole)));
        let split = Split::of(self.path.clone(), all);
        Ok((Self { dialogues, ..self }, split))
    }

    /// The digest of the file, if it is one.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(super) fn sha256(&self) -> Result<Option<String>, DataError> {
        self.is_file.then(|| sha256_file(&self.path)).transpose()
    }

    /// No dialogues, of the same name.
    pub(super) fn nothing(&self) -> Split {
        Split::of(self.path.clone(), Vec::new())
    }

    /// Whether the input is one of these files.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(super) fn is_one_of(&self, files: &[&Path]) -> Result<bool, DataError> {
        let Some(own) = self.sha256()? else { return Ok(false) };
        Ok(files
            .iter()
            .filter(|file| file.is_file())
            .any(|file| sha256_file(file).is_ok_and(|other| other == own)))
    }

    /// The next dialogues, with at least this many utterances if there are so many; of those that are still to come, one
    /// and all that have come since.
    ///
    /// # Errors
    /// The first dialogue that cannot be read, unless it is passed over; what makes the rest unreadable.
    pub(super) fn next(&mut self, utterances: usize) -> anyhow::Result<Vec<Dialogue>> {
        let (mut found, mut count) = (Vec::new(), 0);
        if let Some(error) = self.ahead.take() {
            return Err(error);
        }
        while count < utterances {
            let next = match &mut self.dialogues {
                Dialogues::There(dialogues) => dialogues.next(),
                Dialogues::Coming(dialogues) if found.is_empty() => dialogues.recv().ok(),
                Dialogues::Coming(dialogues) => dialogues.try_recv().ok(),
            };
            let is_coming = matches!(self.dialogues, Dialogues::Coming(_));
            let Some(Item { dialogue, is_end }) = next else { break };
            let dialogue = match (dialogue, self.skips) {
                (Ok(dialogue), _) => dialogue,
                (Err(error), Some(listener)) if !is_end => {
                    listener.warn(&described(&told(error)));
                    self.skipped += 1;
                    continue;
                }
                (Err(error), skips) => {
                    let error = if is_coming { of_stream(error, skips.is_some()) } else { told(error) };
                    if found.is_empty() {
                        return Err(error);
                    }
                    // What came before is answered first.
                    self.ahead = Some(error);
                    break;
                }
            };
            count += dialogue.utterances.len();
            found.push(dialogue);
        }
        Ok(found)
    }
}

/// Reads a file to its end, for its first fault; returns a column that gives the rows of a table another order.
fn check(dialogues: Result<DialogueReader<'_>, DataError>) -> Result<Option<String>, DataError> {
    let mut dialogues = dialogues?;
    dialogues.try_for_each(|dialogue| dialogue.map(drop))?;
    Ok(dialogues.other_order())
}

/// A fault of a file.
fn told(error: DataError) -> anyhow::Error {
    without_recipe(error, OPTIONS)
}

/// A fault of what comes through a pipe, which ends the answers in the middle.
fn of_stream(error: DataError, skips: bool) -> anyhow::Error {
    let way_out = if skips {
        "answers end before it: what comes behind it cannot be told apart"
    } else {
        "answers end before it; a file named with --input is checked to its end before the first answer, and \
         --skip-errors passes over such dialogues"
    };
    let is_of_input = !matches!(error.problem(), DataProblem::Read(_));
    let hint = error.hint_without_recipe(OPTIONS);
    if let DataProblem::Several(problems) = error.problem() {
        return anyhow!(Complaint::input(problems.to_string()).hint(way_out));
    }
    if !is_of_input {
        return error.into();
    }
    let hint = hint.map_or_else(|| way_out.to_owned(), |hint| format!("{hint}\n{way_out}"));
    anyhow!(Complaint::input(error.to_string()).hint(hint))
}

/// The format of the training's data if it is JSON, else JSON lines.
fn json(own: DataFormat) -> DataFormat {
    if own == DataFormat::Chat { own } else { DataFormat::Jsonl }
}

/// The format of the training's data if JSON lines or a table may be in it, else JSON lines.
fn own_or_lines(own: DataFormat) -> DataFormat {
    if DialogueReader::reads(own) { own } else { DataFormat::Jsonl }
}

/// As the command line says; as the training's data if the file looks like that; as the file's name ends; as the file
/// looks; and last as the training's data.
fn format_of(args: &PredictArgs, path: &Path, own: DataFormat) -> DataFormat {
    let looks = || emotrain_data::format_of(path).ok().flatten().filter(|_| path.is_file());
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    let table = ["csv", "tsv"].contains(&ending.as_str()).then(|| format_named(&ending)).flatten();
    args.input_format
        .or_else(|| {
            let looks = looks();
            let is_own = looks.filter(|looks| *looks == own);
            is_own.or(table).or(looks.filter(|looks| DialogueReader::reads(*looks)))
        })
        .unwrap_or_else(|| own_or_lines(own))
}
