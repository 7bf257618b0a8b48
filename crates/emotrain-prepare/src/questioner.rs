//! Questions about dialogues that come a few at a time.

use std::path::Path;

use emotrain_data::{Dialogue, ShownDemonstration, Split, SplitKind};
use emotrain_prompt::Sample;
use emotrain_retrieval::DialogueSearch;

use crate::content::Content;
use crate::demonstrations::asked;
use crate::error::PrepareError;
use crate::knowledge::KnowledgeTexts;
use crate::opened::Opened;
use crate::purpose::{Purpose, Selection};
use crate::sample_maker::Shown;

/// Asks for the emotions of dialogues, a few at a time, as of a test split.
pub struct Questioner<'o> {
    opened: &'o Opened<'o>,
    search: Option<DialogueSearch<'o>>,
    known: KnowledgeTexts,
}

impl Opened<'_> {
    /// Whether prompts show knowledge, which is read for all dialogues together.
    pub fn shows_knowledge(&self) -> bool {
        let slots = &self.recipe.prompt.slots;
        self.recipe.knowledge.iter().any(|source| slots.has(&source.name))
    }

    /// Whether prompts show demonstrations, which no dialogue that is asked about may be among.
    pub fn shows_demonstrations(&self) -> bool {
        self.library().is_some()
    }

    /// Asks about dialogues for which `known` has texts; `sha256` is that of their file, if they have one.
    ///
    /// # Errors
    /// A bank that cannot be searched.
    pub fn questioner(
        &self,
        known: KnowledgeTexts,
        sha256: Option<String>,
    ) -> Result<Questioner<'_>, PrepareError> {
        let retriever = self.library().map(|library| library.retriever(self.recipe)).transpose()?;
        let origin = asked(self.recipe, SplitKind::Test, sha256);
        let search = retriever.map(|retriever| retriever.one_by_one(&origin));
        Ok(Questioner { opened: self, search, known })
    }
}

impl Questioner<'_> {
    /// What is known about the dialogues.
    pub fn known(&self) -> &KnowledgeTexts {
        &self.known
    }

    /// Takes notice of a dialogue that is asked about later: it is no demonstration for any.
    pub fn announce(&mut self, dialogue: &Dialogue) {
        self.search.iter_mut().for_each(|search| search.announce(dialogue));
    }

    /// As [`Questioner::ask`], dialogue by dialogue: what cannot be asked about is given to `skipped` and back, and has no
    /// questions.
    ///
    /// # Errors
    /// A search that fails.
    pub fn ask_each(
        &mut self,
        path: &Path,
        dialogues: Vec<Dialogue>,
        mut skipped: impl FnMut(&Dialogue, PrepareError),
    ) -> Result<(Vec<Dialogue>, Vec<Sample>), PrepareError> {
        let (mut given, mut samples) = (Vec::new(), Vec::new());
        for dialogue in dialogues {
            let found = self.found(std::slice::from_ref(&dialogue))?;
            let content = Content::Dialogues(Split::of(path.to_owned(), vec![dialogue]));
            let asked = self.samples(&content, &found);
            let dialogue = dialogues_of(content).remove(0);
            match asked {
                Ok(asked) => samples.extend(asked),
                Err(error) => skipped(&dialogue, error),
            }
            given.push(dialogue);
        }
        Ok((given, samples))
    }

    /// The questions about the next dialogues, which are given back.
    ///
    /// # Errors
    /// A search that fails; every utterance that cannot be encoded.
    pub fn ask(
        &mut self,
        path: &Path,
        dialogues: Vec<Dialogue>,
    ) -> Result<(Vec<Dialogue>, Vec<Sample>), PrepareError> {
        let found = self.found(&dialogues)?;
        let content = Content::Dialogues(Split::of(path.to_owned(), dialogues));
        let samples = self.samples(&content, &found)?;
        Ok((dialogues_of(content), samples))
    }

    /// What prompts show of the bank, by utterance.
    fn found(&mut self, dialogues: &[Dialogue]) -> Result<Vec<Vec<ShownDemonstration>>, PrepareError> {
        let mut found = Vec::new();
        if let Some(search) = &mut self.search {
            for dialogue in dialogues {
                found.extend(search.find(dialogue, &self.opened.labels)?);
            }
        }
        Ok(found)
    }

    /// The questions about all utterances.
    fn samples(
        &self,
        content: &Content,
        found: &[Vec<ShownDemonstration>],
    ) -> Result<Vec<Sample>, PrepareError> {
        let opened = self.opened;
        let answering = Selection::new(opened.recipe, SplitKind::Test, Purpose::Answering, &[]);
        let all = Selection { labelled_only: false, limit: None, ..answering };
        let shown = Shown { found: self.search.is_some().then_some(found), known: &self.known };
        opened.sample_maker.encode(content, shown, all)
    }
}

fn dialogues_of(content: Content) -> Vec<Dialogue> {
    let Content::Dialogues(split) = content else { unreachable!("these are dialogues") };
    split.dialogues
}
