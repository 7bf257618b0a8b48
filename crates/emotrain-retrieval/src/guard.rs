//! The leakage guard: which demonstrations may never be shown for an utterance.
//!
//! A demonstration is excluded for an utterance
//!
//! - if it is of a validation or test split, in every bank that was not built by force; and in a bank that was, if it is
//!   of the held-out part of the utterance's own data set;
//! - if it is the utterance itself or, with `exclude = "dialogue"`, of its dialogue;
//! - if it has the same text, with `exclude_same_text`.
//!
//! A dialogue is the utterance's own if it has the same data set, split and id. The data set may have another name in
//! the bank than in the run, so four things identify it: the name, a file with the same digest among the bank's
//! sources, the same texts in the same order, and, for a dialogue that was cut, merged, split or edited, more texts in
//! common than by chance: half of those of the shorter one, with eight words together. Texts are compared in their
//! [`normalised`](crate::normalised) form.
//!
//! A held-out split that was added to the bank as a training split is identified in the same ways: dialogues of the
//! bank that are in the validation or test split being searched for are excluded for all its utterances.
//!
//! So are, for every utterance, the dialogues of the other held-out parts of a file that `data.split` divides, since a bank
//! may have been built from the whole file.
//!
//! Demonstrations are excluded before the best are chosen, so that k are returned if the bank has them.

use std::collections::BTreeMap;

use emotrain_data::{Dialogue, Split, SplitKind};
use emotrain_recipe::{Exclude, RetrievalSection};

use crate::bank::{Bank, DialogueKey};
use crate::text::{TextKey, fingerprint, words};

/// Two dialogues do not share this many words by chance, if they are half of the texts of one.
const TELLING_WORDS: usize = 8;

/// The data for which demonstrations are retrieved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The bank's name for the data set, if known.
    pub dataset: Option<String>,
    /// Its split.
    pub split: SplitKind,
    /// SHA-256 of its file, in hexadecimal, if there is one.
    pub sha256: Option<String>,
}

/// What of a bank may be shown.
#[derive(Debug)]
pub(crate) struct Guard<'b> {
    bank: &'b Bank,
    exclude: Exclude,
    same_text: bool,
    /// Whether demonstrations are for a validation or test split.
    is_held_out: bool,
    /// Which dialogues of the bank may be shown at all.
    open: Vec<bool>,
    /// The bank's names for the data set and split of the utterances.
    names: Vec<(String, SplitKind)>,
    /// Dialogues of the bank by their fingerprints, sorted.
    fingerprints: Vec<(u64, u32)>,
}

/// What is excluded for one utterance, in addition to the general exclusions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Closed {
    /// Dialogues of the bank.
    own: Vec<u32>,
    /// Only this position and this text within them.
    turn: Option<(usize, TextKey)>,
    /// Demonstrations with this text.
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
        let is_held_out = asked.split.is_held_out();
        Self { bank, exclude, same_text, is_held_out, open, names, fingerprints }
    }

    /// For a text without a dialogue.
    pub(crate) fn free(&self, text: &str) -> Closed {
        Closed { text: self.same_text.then(|| TextKey::same(text)), ..Closed::default() }
    }

    /// For every utterance of a split, in order; dialogues of a held-out split are excluded for all of it.
    pub(crate) fn split(&mut self, split: &Split) -> Vec<Closed> {
        self.dialogues(&split.dialogues)
    }

    /// For every utterance of some dialogues of a split; those of a held-out split are excluded for what follows, too.
    pub(crate) fn dialogues(&mut self, dialogues: &[Dialogue]) -> Vec<Closed> {
        let closed: Vec<Closed> = dialogues.iter().flat_map(|dialogue| self.dialogue(dialogue)).collect();
        if self.is_held_out {
            for dialogue in closed.iter().flat_map(|closed| &closed.own) {
                self.open[*dialogue as usize] = false;
            }
        }
        closed
    }

    /// Excludes dialogues of the bank that are these, for all utterances.
    pub(crate) fn close(&mut self, dialogues: &[Dialogue]) {
        let closed: Vec<u32> = dialogues.iter().flat_map(|dialogue| self.own(dialogue)).collect();
        for dialogue in closed {
            self.open[dialogue as usize] = false;
        }
    }

    /// For every utterance of a dialogue, in order.
    fn dialogue(&self, dialogue: &Dialogue) -> Vec<Closed> {
        let own = self.own(dialogue);
        let closed = dialogue.utterances.iter().enumerate().map(|(position, turn)| {
            let text = TextKey::same(&turn.text);
            Closed {
                own: own.clone(),
                turn: (self.exclude == Exclude::Utterance).then_some((position, text)),
                text: self.same_text.then_some(text),
            }
        });
        closed.collect()
    }

    /// The dialogues of the bank that are this one.
    fn own(&self, dialogue: &Dialogue) -> Vec<u32> {
        let texts = dialogue.utterances.iter().map(|turn| TextKey::same(&turn.text));
        let named = self.names.iter().filter_map(|(dataset, split)| {
            let dialogue = dialogue.id.clone();
            self.bank.dialogue(&DialogueKey { dataset: dataset.clone(), split: *split, dialogue })
        });
        let print = fingerprint(texts);
        let first = self.fingerprints.partition_point(|(other, _)| *other < print);
        let alike = self.fingerprints[first..].iter().take_while(|(other, _)| *other == print);
        let mut own: Vec<u32> = named.chain(alike.map(|(_, dialogue)| *dialogue)).collect();
        own.extend(self.retouched(dialogue));
        own.sort_unstable();
        own.dedup();
        own
    }

    /// The bank's dialogues that share too much with a dialogue to be different.
    fn retouched(&self, dialogue: &Dialogue) -> Vec<u32> {
        let texts: BTreeMap<TextKey, usize> = dialogue
            .utterances
            .iter()
            .map(|turn| (TextKey::same(&turn.text), words(&turn.text).count()))
            .collect();
        let mut shared: BTreeMap<u32, (usize, usize)> = BTreeMap::new();
        for (text, words) in &texts {
            let rows = self.bank.with_text(*text).iter();
            let mut dialogues: Vec<u32> =
                rows.map(|row| self.bank.entries().dialogues[*row as usize]).collect();
            dialogues.sort_unstable();
            dialogues.dedup();
            for dialogue in dialogues {
                let (count, length) = shared.entry(dialogue).or_default();
                (*count, *length) = (*count + 1, *length + words);
            }
        }
        let is_own = |(at, (count, length)): (u32, (usize, usize))| {
            let least = self.bank.dialogues()[at as usize].texts.min(texts.len());
            (2 * count >= least && length >= TELLING_WORDS).then_some(at)
        };
        shared.into_iter().filter_map(is_own).collect()
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

    /// Whether a demonstration is excluded only because of its text.
    pub(crate) fn passes_over_same_text(&self, closed: &Closed) -> bool {
        let rows = closed.text.map_or(&[][..], |text| self.bank.with_text(text));
        rows.iter().any(|row| self.admits_but_for_its_text(closed, *row as usize))
    }
}

#[cfg(test)]
mod tests;
