//! The checks shared by all formats, which turn raw dialogues into a [`Split`].

use std::borrow::Cow;
use std::collections::HashMap;

use emotrain_base::limits;

use crate::dialogue::{Dialogue, Utterance};
use crate::error::{DataError, DataProblem, Place};
use crate::io::TextFile;
use crate::label::{Label, LabelSet};
use crate::load::LabelPolicy;
use crate::mend::{Mended, clean};
use crate::split::Split;

/// A dialogue as read.
pub(super) struct RawDialogue<'a> {
    pub(super) id: Cow<'a, str>,
    /// Its byte offset in the file; converted to a line only for an error.
    pub(super) offset: usize,
    pub(super) utterances: Vec<RawUtterance<'a>>,
}

/// An utterance as read.
pub(super) struct RawUtterance<'a> {
    pub(super) speaker: Cow<'a, str>,
    pub(super) text: Cow<'a, str>,
    pub(super) label: RawLabel<'a>,
    /// Its byte offset in the file.
    pub(super) offset: usize,
}

/// The number that means no label.
pub(super) const UNLABELLED: i64 = -1;

/// A label as a file may specify it.
pub(super) enum RawLabel<'a> {
    Absent,
    Name(Cow<'a, str>),
    /// An index into the label set; -1 for none.
    Index(i64),
    Known(Label),
}

impl<'a> RawLabel<'a> {
    pub(super) fn name(name: Option<impl Into<Cow<'a, str>>>) -> Self {
        name.map_or(Self::Absent, |name| Self::Name(name.into()))
    }

    fn resolve(&self, labels: &LabelSet) -> Result<Option<Label>, DataProblem> {
        match self {
            Self::Absent | Self::Index(UNLABELLED) => Ok(None),
            Self::Name(name) => label_named(labels, name),
            Self::Index(index) => label_at(labels, *index).map(Some),
            Self::Known(label) => Ok(Some(*label)),
        }
    }
}

/// The label with this name; `None` if the name means no label.
pub(super) fn label_named(labels: &LabelSet, name: &str) -> Result<Option<Label>, DataProblem> {
    match labels.resolve(name) {
        None if !labels.is_unlabelled(name) => Err(DataProblem::UnknownLabel {
            label: name.trim().to_owned(),
            nearest: labels.nearest(name).map(str::to_owned),
            known: labels.names().join(", "),
        }),
        label => Ok(label),
    }
}

/// The label with this number.
pub(super) fn label_at(labels: &LabelSet, index: i64) -> Result<Label, DataProblem> {
    match usize::try_from(index) {
        Ok(place) if place < labels.len() => Ok(Label::from_index(place)),
        _ => Err(DataProblem::LabelOutOfRange { label: index, last: labels.len() - 1 }),
    }
}

/// A refused dialogue.
pub(super) struct Refused {
    /// The byte offset in the file.
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

/// The checks on every dialogue, whatever its source.
#[derive(Clone, Copy)]
pub(super) struct Rules<'a> {
    pub(super) labels: &'a LabelSet,
    pub(super) policy: LabelPolicy,
}

/// Repaired or tolerated problems of text, counted in utterances.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flaws {
    /// Text or speaker were repaired.
    pub(super) mended: usize,
    /// Characters were lost before: the text has U+FFFD.
    pub(super) damaged: usize,
}

impl Rules<'_> {
    /// The dialogue, and the problems of its texts.
    pub(super) fn dialogue(&self, raw: &RawDialogue<'_>) -> Result<(Dialogue, Flaws), Refused> {
        let id = dialogue_id(raw)?;
        if raw.utterances.is_empty() {
            let subject = Some(format!("dialogue {id}"));
            return Err(Refused { offset: raw.offset, subject, problem: DataProblem::EmptyDialogue });
        }
        let (mut utterances, mut flaws) = (Vec::with_capacity(raw.utterances.len()), Flaws::default());
        for (position, utterance) in raw.utterances.iter().enumerate() {
            let (checked, how) = self.utterance(utterance).map_err(|problem| {
                let subject = Some(format!("utterance {id}#{position}"));
                Refused { offset: utterance.offset, subject, problem }
            })?;
            flaws.mended += usize::from(how == Mended::Yes);
            flaws.damaged += usize::from(checked.text.contains(char::REPLACEMENT_CHARACTER));
            utterances.push(checked);
        }
        Ok((Dialogue { id: id.to_owned(), utterances }, flaws))
    }

    fn utterance(&self, raw: &RawUtterance<'_>) -> Result<(Utterance, Mended), DataProblem> {
        if raw.text.len().max(raw.speaker.len()) > limits::UTTERANCE_BYTES {
            return Err(DataProblem::TooLong(limits::UTTERANCE_BYTES >> 10));
        }
        let (text, text_mended) = clean(&raw.text);
        if text.is_empty() {
            return Err(DataProblem::EmptyUtterance);
        }
        let (speaker, speaker_mended) = clean(&raw.speaker);
        if speaker.is_empty() {
            return Err(DataProblem::EmptySpeaker);
        }
        let label = raw.label.resolve(self.labels)?;
        if label.is_none() && self.policy == LabelPolicy::Required {
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
    /// The offset of each dialogue's id; never iterated.
    offsets: HashMap<String, usize>,
    flaws: Flaws,
}

impl<'a> Assembler<'a> {
    pub(super) fn new(file: &'a TextFile, labels: &'a LabelSet, policy: LabelPolicy) -> Self {
        let (dialogues, offsets) = (Vec::new(), HashMap::new());
        Self { file, rules: Rules { labels, policy }, dialogues, offsets, flaws: Flaws::default() }
    }

    pub(super) fn labels(&self) -> &'a LabelSet {
        self.rules.labels
    }

    /// Whether a file without any field for labels is invalid.
    pub(super) fn needs_labels(&self) -> bool {
        self.rules.policy != LabelPolicy::Optional
    }

    /// Checks a dialogue and adds it.
    pub(super) fn push(&mut self, raw: &RawDialogue<'_>) -> Result<(), DataError> {
        let id = dialogue_id(raw).map_err(|refused| self.refuse(refused))?;
        if let Some(&first) = self.offsets.get(id) {
            let problem = DataProblem::DuplicateDialogue { first_line: self.file.line_at(first) };
            return Err(self.dialogue_error(id, raw.offset, problem));
        }
        let (dialogue, flaws) = self.rules.dialogue(raw).map_err(|refused| self.refuse(refused))?;
        self.offsets.insert(dialogue.id.clone(), raw.offset);
        self.dialogues.push(dialogue);
        self.flaws.mended += flaws.mended;
        self.flaws.damaged += flaws.damaged;
        Ok(())
    }

    fn refuse(&self, refused: Refused) -> DataError {
        self.error(refused.offset, refused.subject, refused.problem)
    }

    /// An error at a byte offset of the file.
    pub(super) fn error(&self, offset: usize, subject: Option<String>, problem: DataProblem) -> DataError {
        let line = Some(self.file.line_at(offset));
        DataError::new(Place { path: self.file.path.clone(), line, subject }, problem)
    }

    /// An error of a dialogue at a byte offset of the file.
    pub(super) fn dialogue_error(&self, id: &str, offset: usize, problem: DataProblem) -> DataError {
        self.error(offset, Some(format!("dialogue {id}")), problem)
    }

    /// The split, unless it is empty.
    pub(super) fn finish(self) -> Result<Split, DataError> {
        let (path, sha256) = (self.file.path.clone(), self.file.sha256.clone());
        if self.dialogues.is_empty() {
            return Err(DataError::new(Place::file(&path), DataProblem::Empty("dialogues")));
        }
        let mut utterances = self.dialogues.iter().flat_map(|dialogue| &dialogue.utterances);
        if self.needs_labels() && utterances.all(|utterance| utterance.label.is_none()) {
            return Err(DataError::new(Place::file(&path), DataProblem::NoLabels));
        }
        let Flaws { mended, damaged } = self.flaws;
        Ok(Split { path, sha256, dialogues: self.dialogues, mended, damaged })
    }
}
