//! Dialogues of two splits that are much the same: with a turn more, less or changed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::PathBuf;

use super::Split;
use super::shared::{key, words_of};
use crate::dialogue::Dialogue;

/// Dialogues with fewer utterances are told by no part of them.
const LEAST_UTTERANCES: usize = 4;

/// So many of 100 utterances of the shorter dialogue recur in the other one; all but one are enough, too.
const LEAST_PERCENT: usize = 80;

/// Utterances that recur have at least so many bytes together, or they are said in many conversations.
const TELLING_BYTES: usize = 48;

/// An utterance of more dialogues says nothing about which belong together.
const MOST_DIALOGUES: usize = 100;

/// Two dialogues of different splits of which one has most utterances of the other, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearCopy {
    /// The earlier split's file.
    pub earlier: PathBuf,
    /// The dialogue's id in it.
    pub earlier_id: String,
    /// The later split's file.
    pub later: PathBuf,
    /// The dialogue's id in it.
    pub later_id: String,
    /// Utterances that both have.
    pub common: usize,
    /// Utterances of the shorter one; those without a word are not counted.
    pub utterances: usize,
}

impl fmt::Display for NearCopy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { earlier, earlier_id, later_id, common, utterances, .. } = self;
        let name = earlier.file_name().unwrap_or_default().display();
        write!(f, "{later_id} and {earlier_id} of {name} ({common} of {utterances} utterances)")
    }
}

/// Finds dialogues that are nearly in two splits, for each of the later split that of an earlier one with most in common.
/// Case, spaces and punctuation do not count, nor do speakers. Dialogues that are equal otherwise are none of them.
pub fn near_copies(splits: &[&Split]) -> Vec<NearCopy> {
    let mut index = Index::default();
    let mut found = Vec::new();
    for split in splits {
        let own: Vec<Outline<'_>> =
            split.dialogues.iter().map(|dialogue| index.outline(split, dialogue)).collect();
        found.extend(own.iter().filter_map(|one| index.nearest(one)));
        for one in own {
            index.add(one);
        }
    }
    found
}

/// A dialogue as the numbers of its texts, without utterances that have no word.
struct Outline<'s> {
    split: &'s Split,
    dialogue: &'s Dialogue,
    texts: Vec<usize>,
}

/// The dialogues of the splits so far.
#[derive(Default)]
struct Index<'s> {
    /// The number of each text; never iterated.
    numbers: HashMap<String, usize>,
    /// By number: the bytes of the text.
    bytes: Vec<usize>,
    /// By number: the dialogues that have the text, each once.
    having: Vec<Vec<usize>>,
    outlines: Vec<Outline<'s>>,
}

impl<'s> Index<'s> {
    fn outline(&mut self, split: &'s Split, dialogue: &'s Dialogue) -> Outline<'s> {
        let mut texts = Vec::with_capacity(dialogue.utterances.len());
        for utterance in &dialogue.utterances {
            let text: String = words_of(&utterance.text).flat_map(|word| [word, " ".to_owned()]).collect();
            if text.is_empty() {
                continue;
            }
            let (bytes, next) = (text.len(), self.bytes.len());
            let number = *self.numbers.entry(text).or_insert(next);
            if number == next {
                self.bytes.push(bytes);
                self.having.push(Vec::new());
            }
            texts.push(number);
        }
        Outline { split, dialogue, texts }
    }

    fn add(&mut self, one: Outline<'s>) {
        let at = self.outlines.len();
        for &text in &one.texts {
            if self.having[text].last() != Some(&at) {
                self.having[text].push(at);
            }
        }
        self.outlines.push(one);
    }

    /// The dialogue of an earlier split that has most in common with this one, if that is enough.
    fn nearest(&self, one: &Outline<'s>) -> Option<NearCopy> {
        if one.texts.len() < LEAST_UTTERANCES {
            return None;
        }
        let mut shared: BTreeMap<usize, usize> = BTreeMap::new();
        for &text in &one.texts {
            let having = &self.having[text];
            for &other in having.iter().filter(|_| having.len() <= MOST_DIALOGUES) {
                *shared.entry(other).or_default() += 1;
            }
        }
        let near = shared.into_iter().filter_map(|(place, telling)| {
            let other = &self.outlines[place];
            let utterances = one.texts.len().min(other.texts.len());
            // Half of it tells whether a closer look is worth its time.
            let is_likely = utterances >= LEAST_UTTERANCES && telling * 2 >= needed(utterances);
            let common = if is_likely { self.common(&one.texts, &other.texts) } else { 0 };
            (is_likely && common >= needed(utterances)).then_some((common, utterances, place))
        });
        let (common, utterances, place) =
            near.max_by_key(|(common, utterances, place)| (*common, Reverse(*utterances), Reverse(*place)))?;
        let other = &self.outlines[place];
        (key(one.dialogue) != key(other.dialogue)).then(|| NearCopy {
            earlier: other.split.path.clone(),
            earlier_id: other.dialogue.id.clone(),
            later: one.split.path.clone(),
            later_id: one.dialogue.id.clone(),
            common,
            utterances,
        })
    }

    /// The most utterances that both have in the same order; 0 if they are too short to tell.
    fn common(&self, one: &[usize], other: &[usize]) -> usize {
        let mut places: HashMap<usize, Vec<usize>> = HashMap::new();
        for (place, &text) in other.iter().enumerate().rev() {
            places.entry(text).or_default().push(place);
        }
        // The longest ascending sequence of places; `ends` has the lowest end for each length.
        let (mut ends, mut bytes): (Vec<usize>, usize) = (Vec::new(), 0);
        for text in one {
            let Some(places) = places.get(text) else { continue };
            bytes += self.bytes[*text];
            for &place in places {
                let length = ends.partition_point(|&end| end < place);
                match ends.get_mut(length) {
                    Some(end) => *end = place,
                    None => ends.push(place),
                }
            }
        }
        if bytes < TELLING_BYTES { 0 } else { ends.len() }
    }
}

/// How many utterances of a dialogue have to recur.
fn needed(utterances: usize) -> usize {
    (utterances * LEAST_PERCENT).div_ceil(100).min(utterances - 1)
}

#[cfg(test)]
mod tests;
