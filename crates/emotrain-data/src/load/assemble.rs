//! The checks that every format shares, made while raw dialogues become a [`Split`].

use std::borrow::Cow;
use std::collections::HashMap;

use crate::dialogue::{Dialogue, Utterance};
use crate::error::{DataError, DataProblem, Place};
use crate::io::TextFile;
use crate::label::{Label, LabelSet};
use crate::mend::{Mended, clean};
use crate::split::Split;

/// A dialogue as a reader found it.
pub(super) struct RawDialogue<'a> {
    pub(super) id: Cow<'a, str>,
    /// Where it begins in the file, in bytes: turned into a line only for an error.
    pub(super) offset: usize,
    pub(super) utterances: Vec<RawUtterance<'a>>,
}

/// An utterance as a reader found it.
pub(super) struct RawUtterance<'a> {
    pub(super) speaker: Cow<'a, str>,
    pub(super) text: Cow<'a, str>,
    pub(super) label: RawLabel<'a>,
    /// Where it begins in the file, in bytes.
    pub(super) offset: usize,
}

/// A label as a file may give it.
pub(super) enum RawLabel<'a> {
    Absent,
    Name(Cow<'a, str>),
    /// A place in the label set.
    Index(i64),
    Known(Label),
}

impl<'a> RawLabel<'a> {
    pub(super) fn name(name: Option<impl Into<Cow<'a, str>>>) -> Self {
        name.map_or(Self::Absent, |name| Self::Name(name.into()))
    }

    fn resolve(&self, labels: &LabelSet) -> Result<Option<Label>, DataProblem> {
        match self {
            Self::Absent => Ok(None),
            Self::Name(name) => label_named(labels, name).map(Some),
            Self::Index(index) => label_at(labels, *index).map(Some),
            Self::Known(label) => Ok(Some(*label)),
        }
    }
}

/// The label that a file calls `name`.
pub(super) fn label_named(labels: &LabelSet, name: &str) -> Result<Label, DataProblem> {
    labels.resolve(name).ok_or_else(|| DataProblem::UnknownLabel {
        label: name.trim().to_owned(),
        nearest: labels.nearest(name).map(str::to_owned),
        known: labels.names().join(", "),
    })
}

/// The label that a file numbers `index`.
pub(super) fn label_at(labels: &LabelSet, index: i64) -> Result<Label, DataProblem> {
    match usize::try_from(index) {
        Ok(place) if place < labels.len() => Ok(Label::from_index(place)),
        _ => Err(DataProblem::LabelOutOfRange { label: index, last: labels.len() - 1 }),
    }
}

/// A dialogue that is refused.
pub(super) struct Refused {
    /// Where in the file, in bytes.
    pub(super) offset: usize,
    /// The dialogue or utterance.
    pub(super) subject: Option<String>,
    pub(super) problem: DataProblem,
}

fn dialogue_id<'r>(raw: &'r RawDialogue<'_>) -> Result<&'r str, Refused> {
    match raw.id.trim() {
        "" => Err(Refused { offset: raw.offset, subject: None, problem: DataProblem::EmptyId }),
        id => Ok(id),
    }
}

/// What every dialogue must be, wherever it comes from.
#[derive(Clone, Copy)]
pub(super) struct Rules<'a> {
    pub(super) labels: &'a LabelSet,
    pub(super) require_labels: bool,
}

impl Rules<'_> {
    /// The dialogue, and how many of its utterances were mended.
    pub(super) fn dialogue(&self, raw: &RawDialogue<'_>) -> Result<(Dialogue, usize), Refused> {
        let id = dialogue_id(raw)?;
        if raw.utterances.is_empty() {
            let subject = Some(format!("dialogue {id}"));
            return Err(Refused { offset: raw.offset, subject, problem: DataProblem::EmptyDialogue });
        }
        let (mut utterances, mut mended) = (Vec::with_capacity(raw.utterances.len()), 0);
        for (position, utterance) in raw.utterances.iter().enumerate() {
            let (checked, how) = self.utterance(utterance).map_err(|problem| {
                let subject = Some(format!("utterance {id}#{position}"));
                Refused { offset: utterance.offset, subject, problem }
            })?;
            mended += usize::from(how == Mended::Yes);
            utterances.push(checked);
        }
        Ok((Dialogue { id: id.to_owned(), utterances }, mended))
    }

    fn utterance(&self, raw: &RawUtterance<'_>) -> Result<(Utterance, Mended), DataProblem> {
        let (text, text_mended) = clean(&raw.text);
        if text.is_empty() {
            return Err(DataProblem::EmptyUtterance);
        }
        let (speaker, speaker_mended) = clean(&raw.speaker);
        if speaker.is_empty() {
            return Err(DataProblem::EmptySpeaker);
        }
        let label = raw.label.resolve(self.labels)?;
        if label.is_none() && self.require_labels {
            return Err(DataProblem::MissingLabel);
        }
        let mended = if text_mended == Mended::Yes { text_mended } else { speaker_mended };
        Ok((Utterance { speaker: speaker.into_owned(), text: text.into_owned(), label }, mended))
    }
}

/// Collects the dialogues of one file.
pub(super) struct Assembler<'a> {
    file: &'a TextFile,
    rules: Rules<'a>,
    dialogues: Vec<Dialogue>,
    /// Offset of each dialogue's id; looked up only.
    offsets: HashMap<String, usize>,
    mended: usize,
}

impl<'a> Assembler<'a> {
    pub(super) fn new(file: &'a TextFile, labels: &'a LabelSet, require_labels: bool) -> Self {
        let (dialogues, offsets) = (Vec::new(), HashMap::new());
        Self { file, rules: Rules { labels, require_labels }, dialogues, offsets, mended: 0 }
    }

    pub(super) fn labels(&self) -> &'a LabelSet {
        self.rules.labels
    }

    pub(super) fn require_labels(&self) -> bool {
        self.rules.require_labels
    }

    /// Checks a dialogue and keeps it.
    pub(super) fn push(&mut self, raw: &RawDialogue<'_>) -> Result<(), DataError> {
        let id = dialogue_id(raw).map_err(|refused| self.refuse(refused))?;
        if let Some(&first) = self.offsets.get(id) {
            let problem = DataProblem::DuplicateDialogue { first_line: self.file.line_at(first) };
            return Err(self.dialogue_error(id, raw.offset, problem));
        }
        let (dialogue, mended) = self.rules.dialogue(raw).map_err(|refused| self.refuse(refused))?;
        self.offsets.insert(dialogue.id.clone(), raw.offset);
        self.dialogues.push(dialogue);
        self.mended += mended;
        Ok(())
    }

    fn refuse(&self, refused: Refused) -> DataError {
        self.error(refused.offset, refused.subject, refused.problem)
    }

    /// An error at a byte of the file.
    pub(super) fn error(&self, offset: usize, subject: Option<String>, problem: DataProblem) -> DataError {
        let line = Some(self.file.line_at(offset));
        DataError::new(Place { path: self.file.path.clone(), line, subject }, problem)
    }

    /// An error of a dialogue that begins at a byte of the file.
    pub(super) fn dialogue_error(&self, id: &str, offset: usize, problem: DataProblem) -> DataError {
        self.error(offset, Some(format!("dialogue {id}")), problem)
    }

    /// The split, if there is anything in it.
    pub(super) fn finish(self) -> Result<Split, DataError> {
        let (path, sha256) = (self.file.path.clone(), self.file.sha256.clone());
        if self.dialogues.is_empty() {
            return Err(DataError::new(Place::file(&path), DataProblem::Empty("dialogues")));
        }
        Ok(Split { path, sha256, dialogues: self.dialogues, mended: self.mended })
    }
}
