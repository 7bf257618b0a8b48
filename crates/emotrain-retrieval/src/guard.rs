//! What may never be retrieved for whom.
//!
//! A demonstration is closed to an utterance
//!
//! - when it is of a validation or test split, in every bank that was not built by force; and in a bank
//!   that was, when it is of the held-out part of the utterance's own data set;
//! - when it is the utterance itself or, with `exclude = "dialogue"`, of its dialogue;
//! - when it says the same, with `exclude_same_text`.
//!
//! A dialogue is the utterance's own when it has the same data set, split and id. The data set's name in
//! the bank may be another than the run's, so that three things make it the same: the name, a file of the
//! same digest among the bank's sources, and a dialogue of the bank with the same texts in the same order,
//! whatever it is called and wherever it claims to be from.
//!
//! Closed demonstrations are passed over before the best are chosen, so that as many come back as the
//! bank has.

use emotrain_data::{Dialogue, SplitKind};
use emotrain_recipe::{Exclude, RetrievalSection};

use crate::bank::{Bank, DialogueKey};
use crate::text::{TextKey, fingerprint};

/// The data that demonstrations are wanted for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The bank's name for the data set, where it is known.
    pub dataset: Option<String>,
    /// Its part.
    pub split: SplitKind,
    /// Of the file it was read from, in hexadecimal, where there is one.
    pub sha256: Option<String>,
}

/// What of a bank is open to whom.
#[derive(Debug)]
pub(crate) struct Guard<'b> {
    bank: &'b Bank,
    exclude: Exclude,
    same_text: bool,
    /// Which dialogues of the bank may be shown at all.
    open: Vec<bool>,
    /// The names that the bank has for the asker's data set and split.
    names: Vec<(String, SplitKind)>,
    /// Dialogues of the bank by their fingerprints, sorted.
    fingerprints: Vec<(u64, u32)>,
}

/// What of a bank is closed to one utterance beside what is closed to all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Closed {
    /// Dialogues of the bank.
    own: Vec<u32>,
    /// Within them, this place and this text alone.
    turn: Option<(usize, TextKey)>,
    /// Demonstrations that say this.
    text: Option<TextKey>,
}

impl<'b> Guard<'b> {
    pub(crate) fn new(bank: &'b Bank, section: &RetrievalSection, asked: &Asked) -> Self {
        let mut names: Vec<(String, SplitKind)> =
            asked.dataset.iter().map(|dataset| (dataset.clone(), asked.split)).collect();
        let same_file = |sha256: &str| asked.sha256.as_deref() == Some(sha256);
        let sources = bank.manifest().sources.iter().filter(|source| same_file(&source.sha256));
        names.extend(sources.map(|source| (source.dataset.clone(), source.split)));
        let forced = bank.manifest().held_out_forced;
        let is_open = |key: &DialogueKey| {
            let is_own = names.iter().any(|(dataset, _)| *dataset == key.dataset);
            !key.split.is_held_out() || (forced && !is_own)
        };
        let open = bank.dialogues().iter().map(|dialogue| is_open(&dialogue.key)).collect();
        let mut fingerprints: Vec<(u64, u32)> =
            (0..).zip(bank.dialogues()).map(|(at, dialogue)| (dialogue.fingerprint, at)).collect();
        fingerprints.sort_unstable();
        let (exclude, same_text) = (section.exclude, section.exclude_same_text);
        Self { bank, exclude, same_text, open, names, fingerprints }
    }

    /// For a text that belongs to no dialogue.
    pub(crate) fn free(&self, text: &str) -> Closed {
        Closed { text: self.same_text.then(|| TextKey::same(text)), ..Closed::default() }
    }

    /// For every utterance of a dialogue, in order.
    pub(crate) fn dialogue(&self, dialogue: &Dialogue) -> Vec<Closed> {
        let texts: Vec<TextKey> = dialogue.utterances.iter().map(|turn| TextKey::same(&turn.text)).collect();
        let named = self.names.iter().filter_map(|(dataset, split)| {
            let dialogue = dialogue.id.clone();
            self.bank.dialogue(&DialogueKey { dataset: dataset.clone(), split: *split, dialogue })
        });
        let print = fingerprint(texts.iter().copied());
        let first = self.fingerprints.partition_point(|(other, _)| *other < print);
        let alike = self.fingerprints[first..].iter().take_while(|(other, _)| *other == print);
        let mut own: Vec<u32> = named.chain(alike.map(|(_, dialogue)| *dialogue)).collect();
        own.sort_unstable();
        own.dedup();
        let closed = texts.into_iter().enumerate().map(|(position, text)| Closed {
            own: own.clone(),
            turn: (self.exclude == Exclude::Utterance).then_some((position, text)),
            text: self.same_text.then_some(text),
        });
        closed.collect()
    }

    /// Whether a demonstration may be shown to an utterance.
    #[inline]
    pub(crate) fn admits(&self, closed: &Closed, row: usize) -> bool {
        let same = closed.text.is_some_and(|text| self.bank.entries().texts[row] == text);
        !same && self.admits_but_for_its_text(closed, row)
    }

    fn admits_but_for_its_text(&self, closed: &Closed, row: usize) -> bool {
        let entries = self.bank.entries();
        let dialogue = entries.dialogues[row];
        let is_turn =
            |(position, text)| entries.positions[row] as usize == position || entries.texts[row] == text;
        self.open[dialogue as usize] && !(closed.own.contains(&dialogue) && closed.turn.is_none_or(is_turn))
    }

    /// Whether a demonstration is passed over for its text alone.
    pub(crate) fn passes_over_same_text(&self, closed: &Closed) -> bool {
        let rows = closed.text.map_or(&[][..], |text| self.bank.with_text(text));
        rows.iter().any(|row| self.admits_but_for_its_text(closed, *row as usize))
    }
}

#[cfg(test)]
mod tests;
