//! The checks shared by all formats, which turn raw dialogues into a [`Split`].

use std::borrow::Cow;
use std::collections::HashMap;

use emotrain_base::limits;
use emotrain_recipe::{DataFormat, has_control};

use crate::dialogue::{Dialogue, Utterance};
use crate::error::{DataError, DataProblem, Place};
use crate::io::TextFile;
use crate::label::{Label, LabelSet};
use crate::load::LabelPolicy;
use crate::load::faults::Faults;
use crate::load::layout::DataLayout;
use crate::load::looks;
use crate::load::order::Order;
use crate::load::other_names::means_label;
use crate::load::other_rows;
use crate::mend::{Mended, clean};
use crate::metadata::Metadata;
use crate::split::Split;

/// A dialogue as read.
pub(super) struct RawDialogue<'a> {
    pub(super) id: Cow<'a, str>,
    /// Its byte offset in the file; converted to a line only for an error.
    pub(super) offset: usize,
    pub(super) utterances: Vec<RawUtterance<'a>>,
    pub(super) metadata: Metadata,
    /// Messages that are no turns.
    pub(super) left_out: usize,
}

impl<'a> RawDialogue<'a> {
    /// A dialogue of which nothing else is known.
    pub(super) fn new(id: Cow<'a, str>, offset: usize, utterances: Vec<RawUtterance<'a>>) -> Self {
        Self { id, offset, utterances, metadata: Metadata::default(), left_out: 0 }
    }
}

/// Where a line is.
#[derive(Clone, Copy)]
pub(super) struct Spot {
    /// Counted from 1.
    pub(super) line: usize,
    /// What a dialogue takes for its offset.
    pub(super) offset: usize,
}

/// An utterance as read.
pub(super) struct RawUtterance<'a> {
    pub(super) speaker: Cow<'a, str>,
    pub(super) text: Cow<'a, str>,
    pub(super) label: RawLabel<'a>,
    /// Its byte offset in the file.
    pub(super) offset: usize,
    pub(super) metadata: Metadata,
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
            Self::Absent => Ok(None),
            Self::Name(name) => label_named(labels, name),
            // A number is the name of a label, if there is one, or else its place.
            Self::Index(index) => match labels.resolve(&index.to_string()) {
                Some(label) => Ok(Some(label)),
                None if labels.is_unknowing() => label_named(labels, &index.to_string()),
                None if *index == UNLABELLED => Ok(None),
                None => labels.at(*index).map(Some),
            },
            Self::Known(label) => Ok(Some(*label)),
        }
    }
}

/// The label with this name; `None` if the name means no label.
pub(super) fn label_named(labels: &LabelSet, name: &str) -> Result<Option<Label>, DataProblem> {
    if has_control(name) {
        return Err(DataProblem::ControlInLabel(name.trim().to_owned()));
    }
    match labels.resolve(name) {
        None if !labels.is_unlabelled(name) => Err(labels.unknown(name)),
        label => Ok(label),
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

impl Refused {
    pub(super) fn dialogue(id: &str, offset: usize, problem: DataProblem) -> Self {
        Self { offset, subject: Some(format!("dialogue {id}")), problem }
    }
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
    /// Messages that are no turns, counted one by one.
    pub(super) left_out: usize,
}

impl Rules<'_> {
    /// The dialogue, and the problems of its texts.
    ///
    /// # Errors
    /// All that is wrong with it, at least one.
    pub(super) fn dialogue(&self, raw: RawDialogue<'_>) -> Result<(Dialogue, Flaws), Vec<Refused>> {
        let id = dialogue_id(&raw).map_err(|refused| vec![refused])?;
        if raw.utterances.is_empty() {
            return Err(vec![Refused::dialogue(id, raw.offset, DataProblem::EmptyDialogue)]);
        }
        let mut utterances = Vec::with_capacity(raw.utterances.len());
        let mut flaws = Flaws { left_out: raw.left_out, ..Flaws::default() };
        let mut refused = Vec::new();
        let id = id.to_owned();
        for (position, utterance) in raw.utterances.into_iter().enumerate() {
            let offset = utterance.offset;
            match self.utterance(utterance) {
                Ok((checked, how)) => {
                    flaws.mended += usize::from(how == Mended::Yes);
                    flaws.damaged += usize::from(checked.text.contains(char::REPLACEMENT_CHARACTER));
                    utterances.push(checked);
                }
                Err(problems) => refused.extend(problems.into_iter().map(|problem| {
                    let subject = Some(format!("utterance {id}#{position}"));
                    Refused { offset, subject, problem }
                })),
            }
        }
        if refused.is_empty() {
            Ok((Dialogue { id, utterances, metadata: raw.metadata }, flaws))
        } else {
            Err(refused)
        }
    }

    fn utterance(&self, raw: RawUtterance<'_>) -> Result<(Utterance, Mended), Vec<DataProblem>> {
        if raw.text.len().max(raw.speaker.len()) > limits::UTTERANCE_BYTES {
            return Err(vec![DataProblem::TooLong(limits::UTTERANCE_BYTES >> 10)]);
        }
        let mut problems = Vec::new();
        let (text, text_mended) = clean(&raw.text);
        if text.is_empty() {
            problems.push(DataProblem::EmptyUtterance);
        }
        let (speaker, speaker_mended) = clean(&raw.speaker);
        if speaker.is_empty() {
            problems.push(DataProblem::EmptySpeaker);
        }
        let label = raw.label.resolve(self.labels).unwrap_or_else(|problem| {
            problems.push(problem);
            None
        });
        if problems.is_empty() && label.is_none() && self.policy == LabelPolicy::Required {
            problems.push(DataProblem::MissingLabel);
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let mended = if text_mended == Mended::Yes { text_mended } else { speaker_mended };
        let (speaker, text) = (speaker.into_owned(), text.into_owned());
        Ok((Utterance { speaker, text, label, metadata: raw.metadata }, mended))
    }
}

/// So many keys are named at most.
const LISTED: usize = 20;

/// Collects the dialogues of one file.
pub(super) struct Assembler<'a> {
    file: &'a TextFile,
    rules: Rules<'a>,
    dialogues: Vec<Dialogue>,
    /// The offset of each dialogue's id; never iterated.
    offsets: HashMap<String, usize>,
    flaws: Flaws,
    faults: Faults,
    /// A column of a table that is not read and may be the position.
    order: Option<Order>,
}

impl<'a> Assembler<'a> {
    pub(super) fn new(file: &'a TextFile, labels: &'a LabelSet, policy: LabelPolicy) -> Self {
        let (dialogues, offsets) = (Vec::new(), HashMap::new());
        let (flaws, faults) = (Flaws::default(), Faults::default());
        Self { file, rules: Rules { labels, policy }, dialogues, offsets, flaws, faults, order: None }
    }

    /// Keeps what may be the position.
    pub(super) fn order(&mut self, found: Option<Order>) {
        self.order = found;
    }

    /// The column that is the position, as far as that shows.
    pub(super) fn position(&self) -> Option<&str> {
        self.order.as_ref().filter(|order| order.is_sure).map(|order| order.column.as_str())
    }

    pub(super) fn labels(&self) -> &'a LabelSet {
        self.rules.labels
    }

    /// Whether a file without any field for labels is invalid.
    pub(super) fn needs_labels(&self) -> bool {
        self.rules.policy != LabelPolicy::Optional
    }

    /// Whether no dialogue was sound so far.
    pub(super) fn is_empty(&self) -> bool {
        self.dialogues.is_empty()
    }

    /// Checks a dialogue and adds it, or what is wrong with it.
    pub(super) fn push(&mut self, raw: RawDialogue<'_>) {
        let id = match dialogue_id(&raw) {
            Ok(id) => id,
            Err(refused) => return self.refuse(refused),
        };
        if let Some(&first) = self.offsets.get(id) {
            let problem = DataProblem::DuplicateDialogue { first_line: self.file.line_at(first) };
            return self.refuse(Refused::dialogue(id, raw.offset, problem));
        }
        self.offsets.insert(id.to_owned(), raw.offset);
        match self.rules.dialogue(raw) {
            Ok((dialogue, flaws)) => {
                self.dialogues.push(dialogue);
                self.flaws.mended += flaws.mended;
                self.flaws.damaged += flaws.damaged;
                self.flaws.left_out += flaws.left_out;
            }
            Err(refused) => refused.into_iter().for_each(|refused| self.refuse(refused)),
        }
    }

    /// Adds a fault at a byte offset of the file.
    pub(super) fn refuse(&mut self, refused: Refused) {
        let Refused { offset, subject, problem } = refused;
        let file = self.file;
        self.faults.add(problem, || Place {
            path: file.path.clone(),
            line: Some(file.line_at(offset)),
            subject,
        });
    }

    /// Adds a fault that has its place.
    pub(super) fn fault(&mut self, error: DataError) {
        let (place, problem) = error.into_parts();
        self.faults.add(problem, || place);
    }

    /// An error at a byte offset of the file.
    pub(super) fn error(&self, offset: usize, subject: Option<String>, problem: DataProblem) -> DataError {
        let line = Some(self.file.line_at(offset));
        DataError::new(Place { path: self.file.path.clone(), line, subject }, problem)
    }

    /// The keys of the first utterances that mean nothing here.
    fn other_keys(&self) -> Vec<String> {
        let utterances = self.dialogues.iter().flat_map(|dialogue| &dialogue.utterances).take(100);
        let mut keys = Vec::new();
        for (key, _) in utterances.flat_map(|utterance| utterance.metadata.iter()) {
            if keys.len() < LISTED && !keys.iter().any(|known| known == key) {
                keys.push(key.to_owned());
            }
        }
        keys
    }

    /// The words for labels that are not in the set, unless something else is wrong with the file.
    pub(super) fn into_words(
        mut self,
        ended: Result<(), DataError>,
        layout: DataLayout<'_>,
    ) -> Result<Vec<(String, usize)>, DataError> {
        let words = self.faults.take_unknown();
        // Without a word and without a label the file may have its labels under another key.
        if ended.is_err() || !self.faults.is_empty() || words.is_empty() {
            self.finish(ended, layout)?;
        }
        Ok(words)
    }

    /// The split, unless something is wrong with it. `ended` is the fault that ended reading, if one did.
    /// A file without a sound dialogue may be of another format than the one that was `given`.
    pub(super) fn finish(
        mut self,
        ended: Result<(), DataError>,
        given: DataLayout<'_>,
    ) -> Result<Split, DataError> {
        if let Err(error) = ended {
            self.fault(error);
        }
        let (path, sha256) = (self.file.path.clone(), self.file.sha256.clone());
        if self.dialogues.is_empty()
            && self.faults.are_of_form()
            && let Some(problem) = looks::other(&self.file.text, given)
        {
            return Err(DataError::new(Place::file(&path), problem));
        }
        if !self.faults.is_empty() {
            return Err(self.faults.into_error(&path).expect("there are faults"));
        }
        if self.dialogues.is_empty() {
            return Err(DataError::new(Place::file(&path), DataProblem::Empty("dialogues")));
        }
        let is_chat = given.format == DataFormat::Chat;
        let first = self.dialogues.first().filter(|_| is_chat && !self.needs_labels());
        if let Some(problem) = first.and_then(|first| other_rows::of_chat(first, self.rules.labels)) {
            return Err(DataError::new(Place::file(&path), problem));
        }
        let mut utterances = self.dialogues.iter().flat_map(|dialogue| &dialogue.utterances);
        if self.needs_labels() && utterances.all(|utterance| utterance.label.is_none()) {
            let keys = self.other_keys();
            let instead = keys.iter().find(|key| means_label(key)).cloned();
            let prompts = (is_chat && instead.is_none()).then(|| other_rows::of_unlabelled(&self.dialogues));
            if let Some(problem) = prompts.flatten() {
                return Err(DataError::new(Place::file(&path), problem));
            }
            return Err(DataError::new(Place::file(&path), DataProblem::NoLabels { instead, keys }));
        }
        let Flaws { mended, damaged, left_out } = self.flaws;
        let order = self.order.filter(|order| order.is_other);
        let (dialogues, other_order, part) = (self.dialogues, order.map(|order| order.column), None);
        Ok(Split { path, sha256, dialogues, mended, damaged, left_out, other_order, part })
    }
}
