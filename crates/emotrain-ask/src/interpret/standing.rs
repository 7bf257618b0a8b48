//! The state of a split's questions: the files of a finished split, and the journal on top of them.

use std::collections::HashMap;
use std::path::Path;

use emotrain_base::Complaint;
use emotrain_data::{JsonlReader, LabelSet, TextFile};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::journal::{Entry, Outcome, Place};
use super::session::Session;
use crate::error::AskError;

/// A line of `<split>.failed.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FailedRow {
    pub(super) of: Place,
    /// Replies that it got.
    pub(super) attempts: usize,
    /// What was wrong with the last one.
    pub(super) reason: String,
    /// The last one as it came.
    pub(super) reply: String,
}

/// The state of a question.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct QuestionState {
    /// Replies that it got in all.
    pub(super) attempts: usize,
    /// Those that count against the most it gets.
    pub(super) counted: usize,
    pub(super) texts: Option<Vec<String>>,
    /// Why the last reply was not taken, and that reply.
    pub(super) last: Option<(String, String)>,
    /// Whether asking again is of no use.
    pub(super) refused: bool,
}

impl QuestionState {
    /// Whether it has no text and gets no more replies.
    pub(super) fn has_failed(&self, most: usize) -> bool {
        self.texts.is_none() && (self.refused || self.counted >= most)
    }

    pub(super) fn is_open(&self, most: usize) -> bool {
        self.texts.is_none() && !self.has_failed(most)
    }

    /// Records the outcome of a further reply.
    pub(super) fn receive(&mut self, outcome: &Outcome) {
        self.attempts += 1;
        self.counted += 1;
        match outcome {
            Outcome::Taken(texts) => self.texts = Some(texts.clone()),
            Outcome::Bad { reason, reply } => self.last = Some((reason.clone(), reply.clone())),
            Outcome::Refused { reason } => {
                self.last = Some((reason.clone(), String::new()));
                self.refused = true;
            }
        }
    }

    /// Reopens a failed question.
    pub(super) fn reopen(&mut self) {
        if self.texts.is_none() {
            self.counted = 0;
            self.refused = false;
        }
    }
}

/// The states of all questions of a session, by number.
#[derive(Clone, Debug)]
pub(super) struct SessionState {
    pub(super) known: Vec<QuestionState>,
    /// Replies of all times.
    pub(super) replies: usize,
}

/// The state of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// Questions there are.
    pub questions: usize,
    /// Those with a text.
    pub done: usize,
    /// Those without one that get no more replies.
    pub failed: usize,
    /// Questions that are still to be asked.
    pub open: usize,
    /// Replies of all times.
    pub replies: usize,
    /// Texts that contain a label as a word.
    pub naming_labels: usize,
    /// Texts that are shorter or longer than asked for.
    pub length_outside: usize,
}

/// Finds questions by what they are about.
pub(super) struct Numbers(HashMap<Place, usize>);

impl Numbers {
    pub(super) fn of(session: &Session<'_>) -> Self {
        let places = session.questions.iter().map(|asked| Place::new(asked.dialogue, &asked.target));
        Self(places.zip(0..).collect())
    }

    fn find(&self, place: &Place, path: &Path) -> Result<usize, AskError> {
        let stranger = || {
            let about = serde_json::to_string(place).unwrap_or_default();
            let complaint = Complaint::input(format!("{}: {about} is not in the data", path.display()));
            complaint.hint("the file was changed: ask everything again with --fresh")
        };
        Ok(*self.0.get(place).ok_or_else(stranger)?)
    }
}

impl SessionState {
    /// No question has a reply.
    pub(super) fn new(session: &Session<'_>) -> Self {
        Self { known: vec![QuestionState::default(); session.questions.len()], replies: 0 }
    }

    /// Takes in the texts of a finished split, whose rows have these keys.
    ///
    /// # Errors
    /// A file that cannot be read or is not of this session.
    pub(super) fn read_done(
        &mut self,
        path: &Path,
        keys: &[String],
        numbers: &Numbers,
    ) -> Result<(), AskError> {
        let file = TextFile::read(path)?;
        for row in JsonlReader::<Map<String, Value>>::new(&file) {
            let (line, mut row) = row?;
            let texts =
                keys.iter().map(|key| row.remove(key).and_then(|text| text.as_str().map(str::to_owned)));
            let texts: Option<Vec<String>> = texts.collect();
            let place = serde_json::from_value(Value::Object(row));
            let (Some(texts), Ok(place)) = (texts, place) else {
                let message = format!("{}:{line}: not a row of this query's", path.display());
                return Err(Complaint::input(message)
                    .hint("the file was changed: ask everything again with --fresh")
                    .into());
            };
            let known = &mut self.known[numbers.find(&place, path)?];
            known.texts = Some(texts);
            known.attempts = 1;
        }
        Ok(())
    }

    /// Takes in the failed questions of a finished split.
    ///
    /// # Errors
    /// A file that cannot be read or is not of this session.
    pub(super) fn read_failed(&mut self, path: &Path, numbers: &Numbers) -> Result<(), AskError> {
        let file = TextFile::read(path)?;
        for row in JsonlReader::<FailedRow>::new(&file) {
            let (_, row) = row?;
            let known = &mut self.known[numbers.find(&row.of, path)?];
            known.attempts = row.attempts;
            known.last = Some((row.reason, row.reply));
            known.refused = true;
        }
        Ok(())
    }

    /// Takes in the lines of a journal.
    ///
    /// # Errors
    /// A line about something that is not of this session.
    pub(super) fn read_entries(
        &mut self,
        entries: &[Entry],
        numbers: &Numbers,
        path: &Path,
    ) -> Result<(), AskError> {
        for entry in entries {
            self.known[numbers.find(&entry.of, path)?].receive(&entry.outcome);
        }
        Ok(())
    }

    /// How many questions are answered, failed and open if each gets at most `most` replies.
    pub(super) fn outlook(&self, session: &Session<'_>, most: usize, labels: &LabelSet) -> Outlook {
        let known = &self.known;
        let texts = known.iter().flat_map(|known| known.texts.iter().flatten().map(String::as_str));
        let measures = session.task.query.measure(texts, labels);
        let done = known.iter().filter(|known| known.texts.is_some()).count();
        let failed = known.iter().filter(|known| known.has_failed(most)).count();
        Outlook {
            questions: known.len(),
            done,
            failed,
            open: known.len() - done - failed,
            replies: self.replies,
            naming_labels: measures.naming_labels,
            length_outside: measures.length_outside,
        }
    }

    /// The numbers of the questions that are still to be asked.
    pub(super) fn open(&self, most: usize) -> Vec<usize> {
        (0..self.known.len()).filter(|number| self.known[*number].is_open(most)).collect()
    }
}

/// The bytes of JSON lines.
pub(super) fn lines<T: Serialize>(rows: impl Iterator<Item = T>) -> Result<Vec<u8>, AskError> {
    let mut bytes = Vec::new();
    for row in rows {
        serde_json::to_writer(&mut bytes, &row)?;
        bytes.push(b'\n');
    }
    Ok(bytes)
}
