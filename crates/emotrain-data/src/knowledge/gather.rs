//! Collecting texts while they are read.

use std::collections::HashMap;
use std::path::Path;

use emotrain_recipe::{KnowledgeLevel, KnowledgeSection};

use super::Coverage;
use crate::dialogue::Dialogue;
use crate::error::{DataError, DataProblem, Place};
use crate::mend::{Mended, clean};

/// The key of the text if a row has none with the source's name.
const TEXT: &str = "text";

/// The places of a split that a source can fill.
pub(super) struct Gather<'s> {
    pub(super) section: &'s KnowledgeSection,
    dialogues: &'s [Dialogue],
    /// Never iterated.
    numbers: HashMap<&'s str, usize>,
    places: Vec<Vec<Filling>>,
    extra: usize,
    differing: usize,
    mended: usize,
    /// Whether any row had a key for the text.
    has_field: bool,
    /// The keys of the first row without one.
    others: Vec<String>,
}

/// One place.
#[derive(Clone, Default)]
struct Filling {
    text: Option<Box<str>>,
    /// The line of the row that filled it; 0 if none did.
    line: usize,
}

/// The result of reading a file.
pub(super) struct Gathered {
    pub(super) texts: HashMap<String, Vec<Option<Box<str>>>>,
    pub(super) coverage: Coverage,
    pub(super) mended: usize,
}

/// The index of an utterance's text in its dialogue.
pub(super) fn place_of(level: KnowledgeLevel, dialogue: &Dialogue, position: usize) -> Option<usize> {
    match level {
        KnowledgeLevel::Utterance => Some(position),
        KnowledgeLevel::Speaker => {
            let speaker = &dialogue.utterances.get(position)?.speaker;
            dialogue.speakers().iter().position(|other| other == speaker)
        }
        KnowledgeLevel::Dialogue => Some(0),
    }
}

impl<'s> Gather<'s> {
    pub(super) fn new(section: &'s KnowledgeSection, dialogues: &'s [Dialogue]) -> Self {
        let count = |dialogue: &Dialogue| match section.level {
            KnowledgeLevel::Utterance => dialogue.utterances.len(),
            KnowledgeLevel::Speaker => dialogue.speakers().len(),
            KnowledgeLevel::Dialogue => 1,
        };
        Self {
            section,
            dialogues,
            numbers: dialogues
                .iter()
                .enumerate()
                .map(|(number, dialogue)| (dialogue.id.as_str(), number))
                .collect(),
            places: dialogues.iter().map(|dialogue| vec![Filling::default(); count(dialogue)]).collect(),
            extra: 0,
            differing: 0,
            mended: 0,
            has_field: false,
            others: Vec::new(),
        }
    }

    /// The index of the dialogue in the split.
    pub(super) fn number(&self, id: &str) -> Option<usize> {
        self.numbers.get(id).copied()
    }

    pub(super) fn dialogue(&self, number: usize) -> &'s Dialogue {
        &self.dialogues[number]
    }

    /// Counts texts for something outside the split.
    pub(super) fn pass(&mut self, texts: usize) {
        self.extra += texts;
    }

    /// How well a key of a row matches the source: higher is better; `None` for another key.
    pub(super) fn suits(&self, key: &str) -> Option<usize> {
        match &self.section.field {
            Some(field) => (key == field).then_some(1),
            None if key == self.section.name => Some(2),
            None => (key == TEXT).then_some(1),
        }
    }

    /// Records whether a row had a key for the text, and its other keys.
    pub(super) fn row_had(&mut self, field: bool, others: Vec<String>) {
        self.has_field |= field;
        if !field && self.others.is_empty() {
            self.others = others;
        }
    }

    /// Stores a row's text.
    ///
    /// # Errors
    /// A second row for the same place.
    pub(super) fn put(
        &mut self,
        number: usize,
        place: usize,
        text: &str,
        line: usize,
    ) -> Result<(), DataProblem> {
        let first_line = self.places[number][place].line;
        if first_line > 0 {
            return Err(DataProblem::DuplicateKnowledge { first_line });
        }
        self.fill(number, place, text);
        self.places[number][place].line = line;
        Ok(())
    }

    /// Stores a text; an empty one counts as missing.
    pub(super) fn fill(&mut self, number: usize, place: usize, text: &str) {
        let (text, mended) = clean(text);
        self.mended += usize::from(mended == Mended::Yes);
        self.places[number][place].text = Some(text).filter(|text| !text.is_empty()).map(Into::into);
    }

    /// Stores the text of an utterance's speaker; a later, different one is ignored.
    pub(super) fn fill_speaker(&mut self, number: usize, position: usize, text: &str) {
        let Some(place) = place_of(KnowledgeLevel::Speaker, self.dialogue(number), position) else { return };
        match &self.places[number][place].text {
            None => self.fill(number, place, text),
            Some(first) => {
                let text = clean(text).0;
                self.differing += usize::from(!text.is_empty() && **first != *text);
            }
        }
    }

    /// The texts of the split, and their coverage.
    ///
    /// # Errors
    /// A file in which no row has a key for the text.
    pub(super) fn finish(self, path: &Path) -> Result<Gathered, DataError> {
        if !self.has_field && !self.others.is_empty() {
            let wanted = match &self.section.field {
                Some(field) => format!("\"{field}\""),
                None => format!("\"{}\" or \"{TEXT}\"", self.section.name),
            };
            let problem = DataProblem::NoKnowledgeField { wanted, found: self.others.join(", ") };
            return Err(DataError::new(Place::file(path), problem));
        }
        let mut coverage = Coverage { extra: self.extra, differing: self.differing, ..Coverage::default() };
        for (dialogue, fillings) in self.dialogues.iter().zip(&self.places) {
            let speakers = dialogue.speakers();
            coverage.wanted += fillings.len();
            for (place, _) in fillings.iter().enumerate().filter(|(_, filling)| filling.text.is_none()) {
                coverage.missing.push(match self.section.level {
                    KnowledgeLevel::Utterance => dialogue.utterance_id(place).to_string(),
                    KnowledgeLevel::Speaker => format!("{}/{}", dialogue.id, speakers[place]),
                    KnowledgeLevel::Dialogue => dialogue.id.clone(),
                });
            }
        }
        let texts = self.dialogues.iter().zip(self.places);
        let texts = texts.map(|(dialogue, fillings)| {
            (dialogue.id.clone(), fillings.into_iter().map(|filling| filling.text).collect())
        });
        Ok(Gathered { texts: texts.collect(), coverage, mended: self.mended })
    }
}
