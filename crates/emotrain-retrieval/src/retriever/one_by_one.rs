//! Demonstrations for dialogues that come one after the other.

use emotrain_data::{Dialogue, LabelSet, ShownDemonstration};

use super::Retriever;
use crate::error::RetrievalError;
use crate::guard::{Asked, Guard};

/// A search for dialogues that come one after the other. What a held-out dialogue excludes is excluded for those behind
/// it, and for all if it was announced: then the results are those of [`Retriever::for_split`].
pub struct DialogueSearch<'a> {
    retriever: Retriever<'a>,
    guard: Guard<'a>,
}

impl<'a> Retriever<'a> {
    /// Searches for dialogues of this origin, one at a time.
    pub fn one_by_one(self, asked: &Asked) -> DialogueSearch<'a> {
        let guard = Guard::new(self.bank, self.section, asked);
        DialogueSearch { retriever: self, guard }
    }
}

impl DialogueSearch<'_> {
    /// Excludes for all dialogues what this one, which is still to come, excludes.
    pub fn announce(&mut self, dialogue: &Dialogue) {
        self.guard.dialogues(std::slice::from_ref(dialogue));
    }

    /// Demonstrations for every utterance of a dialogue.
    ///
    /// # Errors
    /// An error of the encoder; a demonstration that cannot be read.
    pub fn find(
        &mut self,
        dialogue: &Dialogue,
        labels: &LabelSet,
    ) -> Result<Vec<Vec<ShownDemonstration>>, RetrievalError> {
        let closed = self.guard.dialogues(std::slice::from_ref(dialogue));
        let texts: Vec<&str> = dialogue.utterances.iter().map(|turn| turn.text.as_str()).collect();
        let found = self.retriever.search_guarded(&texts, &self.guard, &closed)?;
        found.iter().map(|hits| self.retriever.shown(hits, labels)).collect()
    }
}
