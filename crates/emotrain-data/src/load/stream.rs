//! Dialogues one at a time, for files that do not fit in memory and for standard input.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Read;
use std::path::Path;

use emotrain_recipe::DataFormat;

use super::LabelPolicy;
use super::assemble::{RawDialogue, Refused, Rules, Spot};
use super::faults::Faults;
use super::json_lines::Lines;
use super::layout::DataLayout;
use super::looks;
use super::other_rows;
use super::table::TableStream;
use crate::dialogue::Dialogue;
use crate::error::{DataError, DataProblem, Place};
use crate::io::LineReader;
use crate::label::LabelSet;

/// Where dialogues are read from.
pub enum DataInput<'p> {
    /// A file, or a pipe with a path.
    File(&'p Path),
    /// Anything else, such as standard input.
    Stream {
        /// Its name in messages.
        name: &'p str,
        /// What is read.
        from: Box<dyn Read + Send>,
    },
}

/// The dialogues of a file one at a time, checked as [`load_split`](crate::load_split) does. Created by
/// [`DialogueReader::open`].
///
/// A few bytes are kept for each dialogue, so that a repeated id is found; the rows of a dialogue in a table stand
/// together. A file without any label is not refused.
pub struct DialogueReader<'a> {
    rules: Rules<'a>,
    layout: DataLayout<'a>,
    source: Source<'a>,
    /// The line of each dialogue by the hash of its id; never iterated.
    seen: HashMap<u64, usize>,
    /// Whether reading came to an end, for whatever reason.
    is_over: bool,
}

/// Where raw dialogues come from.
enum Source<'a> {
    Json(LineReader),
    Table(Box<TableStream<'a>>),
}

impl<'a> DialogueReader<'a> {
    /// Whether files of this format can be read one dialogue at a time.
    pub fn reads(format: DataFormat) -> bool {
        format.is_own()
    }

    /// Opens a file or stream. The header of a table is read.
    ///
    /// # Errors
    /// A missing file, a folder, a system error, a table without the columns it needs, a format that is not read one
    /// dialogue at a time. A problem with a dialogue is an item of the iterator.
    pub fn open(
        input: DataInput<'_>,
        layout: impl Into<DataLayout<'a>>,
        labels: &'a LabelSet,
        policy: LabelPolicy,
    ) -> Result<Self, DataError> {
        let layout = layout.into();
        let lines = match input {
            DataInput::File(path) => LineReader::open_stream(path)?,
            DataInput::Stream { name, from } => LineReader::of(Path::new(name), from),
        };
        let rules = Rules { labels, policy };
        let source = match layout.format {
            DataFormat::Jsonl | DataFormat::Chat => Source::Json(lines),
            DataFormat::Csv | DataFormat::Tsv => {
                Source::Table(Box::new(TableStream::open(lines, layout, rules)?))
            }
            format @ (DataFormat::MeldCsv
            | DataFormat::PrcJson
            | DataFormat::Emorynlp
            | DataFormat::Dailydialog
            | DataFormat::Text) => {
                let place = Place::file(lines.path());
                return Err(DataError::new(place, DataProblem::NotStreamed(format.as_str())));
            }
        };
        Ok(Self { rules, layout, source, seen: HashMap::new(), is_over: false })
    }

    /// Whether the last item was the end: an error after which nothing can be read.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// A column of a table that is read without positions, which gives the rows read so far another order.
    pub fn other_order(&self) -> Option<String> {
        match &self.source {
            Source::Table(table) => table.other_order(),
            Source::Json(_) => None,
        }
    }

    /// The dialogue, unless its id was seen before or something is wrong with it.
    fn check(
        &mut self,
        raw: RawDialogue<'_>,
        mut faults: Faults,
        path: &Path,
    ) -> Result<Dialogue, DataError> {
        let mut add = |Refused { offset: line, subject, problem }: Refused| {
            faults.add(problem, || Place { path: path.to_owned(), line: Some(line), subject });
        };
        let mut hasher = DefaultHasher::new();
        raw.id.trim().hash(&mut hasher);
        let checked = match self.seen.insert(hasher.finish(), raw.offset) {
            Some(first_line) => {
                let problem = match self.source {
                    Source::Table(_) => DataProblem::ScatteredDialogue { first_line },
                    Source::Json(_) => DataProblem::DuplicateDialogue { first_line },
                };
                add(Refused::dialogue(raw.id.trim(), raw.offset, problem));
                None
            }
            None => match self.rules.dialogue(raw) {
                Ok((dialogue, _)) => Some(dialogue),
                Err(refused) => {
                    refused.into_iter().for_each(add);
                    None
                }
            },
        };
        match (faults.into_error(path), checked) {
            (None, Some(dialogue)) => Ok(dialogue),
            (error, _) => Err(error.expect("it is refused for a reason")),
        }
    }

    /// The next dialogue, or what is wrong with it.
    ///
    /// # Errors
    /// What makes the rest unreadable.
    fn read(&mut self) -> Result<Option<Result<Dialogue, DataError>>, DataError> {
        Ok(match &mut self.source {
            Source::Json(lines) => {
                let line = match lines.next_line() {
                    Ok(Some(line)) => line.to_owned(),
                    Ok(None) => return Ok(None),
                    Err(error) if matches!(error.problem(), DataProblem::NotUtf8(_)) => {
                        return Ok(Some(Err(error)));
                    }
                    Err(error) => return Err(error),
                };
                let place = lines.place();
                let number = place.line.unwrap_or(0);
                let is_first = self.seen.is_empty();
                let spot = Spot { line: number, offset: number };
                let parsed = Lines(self.layout).read(&line, spot);
                let parsed = parsed.map(|raw| self.check(raw, Faults::default(), &place.path));
                Some(match parsed {
                    Ok(checked) => {
                        let chat = checked.as_ref().ok();
                        let chat = chat.filter(|_| is_first && self.layout.format == DataFormat::Chat);
                        if let Some(problem) =
                            chat.and_then(|chat| other_rows::of_chat(chat, self.rules.labels))
                        {
                            return Err(DataError::new(Place::file(&place.path), problem));
                        }
                        checked
                    }
                    Err(problem) => {
                        let is_other = self.seen.is_empty() && problem.is_of_form();
                        if let Some(other) = is_other.then(|| looks::other(&line, self.layout)).flatten() {
                            return Err(DataError::new(Place::file(&place.path), other));
                        }
                        Err(DataError::new(place, problem))
                    }
                })
            }
            Source::Table(table) => {
                let Some((raw, faults)) = table.next_dialogue()? else { return Ok(None) };
                let path = table.path().to_owned();
                Some(self.check(raw, faults, &path))
            }
        })
    }
}

impl Iterator for DialogueReader<'_> {
    type Item = Result<Dialogue, DataError>;

    /// After a dialogue that is refused come the others; after an error that makes them unreadable nothing comes.
    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let read = self.read();
        self.is_over = !matches!(read, Ok(Some(_)));
        read.unwrap_or_else(|error| Some(Err(error)))
    }
}
