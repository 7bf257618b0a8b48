//! The dialogues that are labelled: a file or standard input.

use std::io::{IsTerminal, stdin};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};

use emotrain_base::Complaint;
use emotrain_data::{
    DataError, DataInput, DataLayout, Dialogue, DialogueReader, LabelPolicy, LabelSet, Split, load_split,
    sha256_file,
};
use emotrain_recipe::{DataFormat, DataSection};

use crate::cli::{PredictArgs, format_named};

/// What messages call standard input.
const STDIN: &str = "standard input";

/// Dialogues that are read before they are asked for.
const AHEAD: usize = 256;

/// Dialogues, one at a time.
pub(super) struct Input<'a> {
    /// How messages call it.
    pub(super) path: PathBuf,
    /// Whether it can be read again.
    pub(super) is_file: bool,
    dialogues: Dialogues<'a>,
}

enum Dialogues<'a> {
    /// They can be read at once.
    There(Box<dyn Iterator<Item = Result<Dialogue, DataError>> + 'a>),
    /// They come when they come.
    Coming(Receiver<Result<Dialogue, DataError>>),
}

/// Reads standard input ahead.
fn coming(
    format: DataFormat,
    section: &DataSection,
    labels: LabelSet,
) -> Receiver<Result<Dialogue, DataError>> {
    let (sender, receiver) = sync_channel(AHEAD);
    let columns = section.columns.clone();
    std::thread::spawn(move || {
        let input = DataInput::Stream { name: STDIN, from: Box::new(stdin()) };
        let layout = DataLayout { format, columns: &columns };
        // Whether the other end is still there shows at the next dialogue.
        let _ = match DialogueReader::open(input, layout, &labels, LabelPolicy::Optional) {
            Ok(mut dialogues) => dialogues.try_for_each(|dialogue| sender.send(dialogue)),
            Err(error) => sender.send(Err(error)),
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
    ) -> anyhow::Result<Self> {
        let policy = LabelPolicy::Optional;
        let named = args.input.as_deref().filter(|path| *path != Path::new("-"));
        let Some(path) = named else {
            if args.input.is_none() && stdin().is_terminal() {
                let complaint = Complaint::usage("there are no dialogues to label");
                let hint = "name a file with --input FILE, or send dialogues to standard input";
                return Err(complaint.hint(hint).into());
            }
            let format = args.input_format.unwrap_or(DataFormat::Jsonl);
            if !DialogueReader::reads(format) {
                let complaint = Complaint::usage(format!("{format} is not read from standard input"));
                return Err(complaint.hint("name a file with --input FILE, or send JSON lines").into());
            }
            let dialogues = Dialogues::Coming(coming(format, section, labels.clone()));
            return Ok(Self { path: STDIN.into(), is_file: false, dialogues });
        };
        let format = format_of(args, path);
        let layout = DataLayout { format, columns: &section.columns };
        let dialogues: Box<dyn Iterator<Item = _> + 'a> = if DialogueReader::reads(format) {
            Box::new(DialogueReader::open(DataInput::File(path), layout, labels, policy)?)
        } else {
            Box::new(load_split(path, layout, labels, policy)?.dialogues.into_iter().map(Ok))
        };
        Ok(Self { path: path.to_owned(), is_file: path.is_file(), dialogues: Dialogues::There(dialogues) })
    }

    /// All dialogues at once.
    ///
    /// # Errors
    /// Those of the dialogues.
    pub(super) fn whole(self) -> anyhow::Result<(Self, Split)> {
        let Self { path, is_file, dialogues } = self;
        let dialogues = match dialogues {
            Dialogues::There(dialogues) => dialogues.collect::<Result<Vec<_>, _>>()?,
            Dialogues::Coming(dialogues) => dialogues.iter().collect::<Result<_, _>>()?,
        };
        let again = Dialogues::There(Box::new(dialogues.clone().into_iter().map(Ok)));
        let split = Split::of(path.clone(), dialogues);
        Ok((Self { path, is_file, dialogues: again }, split))
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

    /// The next dialogues, with at least this many utterances if there are so many; of those that are still to come, one
    /// and all that have come since.
    ///
    /// # Errors
    /// The first dialogue that cannot be read.
    pub(super) fn next(&mut self, utterances: usize) -> Result<Vec<Dialogue>, DataError> {
        let (mut found, mut count) = (Vec::new(), 0);
        while count < utterances {
            let next = match &mut self.dialogues {
                Dialogues::There(dialogues) => dialogues.next(),
                Dialogues::Coming(dialogues) if found.is_empty() => dialogues.recv().ok(),
                Dialogues::Coming(dialogues) => dialogues.try_recv().ok(),
            };
            let Some(dialogue) = next.transpose()? else { break };
            count += dialogue.utterances.len();
            found.push(dialogue);
        }
        Ok(found)
    }
}

/// As the command line says, or as the file's name ends.
fn format_of(args: &PredictArgs, path: &Path) -> DataFormat {
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    let table = ["csv", "tsv"].contains(&ending.as_str()).then(|| format_named(&ending)).flatten();
    args.input_format.or(table).unwrap_or(DataFormat::Jsonl)
}
