//! Counts of a bank's contents.

mod near;

use std::collections::BTreeMap;
use std::fmt;

use emotrain_data::SplitKind;
use indexmap::IndexMap;

use crate::bank::Bank;
use crate::error::RetrievalError;
use crate::text::{TextKey, words};

pub use near::{NearDuplicates, NearMethod};

/// Counts of a bank; displayed as a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Stats {
    /// All demonstrations.
    pub count: usize,
    /// Their dialogues.
    pub dialogues: usize,
    /// Demonstrations by data set and split, in the bank's order.
    pub sources: Vec<(String, SplitKind, usize)>,
    /// Emotions, the most frequent first.
    pub emotions: Vec<EmotionCount>,
    /// Demonstrations by domain, in the bank's order; those without one are not counted.
    pub domains: Vec<(String, usize)>,
    /// Words in a text.
    pub words: TextLengths,
    /// Characters in a text.
    pub characters: TextLengths,
    /// Duplicate texts.
    pub duplicates: Duplicates,
    /// Near-duplicate texts.
    pub near_duplicates: NearDuplicates,
}

/// The frequency of an emotion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmotionCount {
    /// The name shared by all data sets.
    pub emotion: String,
    /// Demonstrations.
    pub count: usize,
    /// The data sets' names for it, in the bank's order.
    pub labels: Vec<String>,
}

/// A distribution of lengths.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TextLengths {
    /// The shortest.
    pub least: usize,
    /// The median.
    pub median: usize,
    /// The arithmetic mean.
    pub mean: f64,
    /// The 95th percentile.
    pub most_but_5_percent: usize,
    /// The longest.
    pub most: usize,
}

/// Duplicate texts, by their normalised form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Duplicates {
    /// Distinct texts that occur more than once.
    pub texts: usize,
    /// Demonstrations beyond the first of each.
    pub surplus: usize,
    /// Those of the texts that have different emotions.
    pub contradictory: usize,
}

/// Counts a bank. Near-duplicates: see [`NearDuplicates`].
///
/// # Errors
/// The errors of [`Bank::demonstration`].
pub fn stats(bank: &Bank) -> Result<Stats, RetrievalError> {
    let mut sources: IndexMap<(String, SplitKind), usize> = IndexMap::new();
    let mut emotions: IndexMap<String, IndexMap<String, usize>> = IndexMap::new();
    let mut domains: IndexMap<String, usize> = IndexMap::new();
    let (mut texts, mut characters, mut word_counts) = (Vec::new(), Vec::new(), Vec::new());
    for one in bank.iter() {
        let one = one?;
        *sources.entry((one.dataset, one.split)).or_default() += 1;
        *emotions.entry(one.emotion).or_default().entry(one.label).or_default() += 1;
        if let Some(domain) = one.domain {
            *domains.entry(domain).or_default() += 1;
        }
        characters.push(one.text.chars().count());
        word_counts.push(words(&one.text).count());
        texts.push(one.text);
    }
    let mut emotions: Vec<EmotionCount> = emotions
        .into_iter()
        .map(|(emotion, labels)| {
            let count = labels.values().sum();
            EmotionCount { emotion, count, labels: labels.into_keys().collect() }
        })
        .collect();
    emotions.sort_by_key(|one| std::cmp::Reverse(one.count));
    Ok(Stats {
        count: bank.len(),
        dialogues: bank.dialogues().len(),
        sources: sources.into_iter().map(|((dataset, split), count)| (dataset, split, count)).collect(),
        emotions,
        domains: domains.into_iter().collect(),
        words: TextLengths::of(word_counts),
        characters: TextLengths::of(characters),
        duplicates: Duplicates::of(bank),
        near_duplicates: near::find(bank, &texts),
    })
}

impl TextLengths {
    fn of(mut lengths: Vec<usize>) -> Self {
        lengths.sort_unstable();
        let at = |share: usize| lengths[(lengths.len() * share).div_ceil(100).max(1) - 1];
        let sum: usize = lengths.iter().sum();
        Self {
            least: at(0),
            median: at(50),
            mean: sum as f64 / lengths.len() as f64,
            most_but_5_percent: at(95),
            most: at(100),
        }
    }
}

impl Duplicates {
    fn of(bank: &Bank) -> Self {
        let entries = bank.entries();
        let mut groups: BTreeMap<TextKey, Vec<u16>> = BTreeMap::new();
        for (text, emotion) in entries.texts.iter().zip(&entries.emotions) {
            groups.entry(*text).or_default().push(*emotion);
        }
        let mut duplicates = Self::default();
        for emotions in groups.values().filter(|emotions| emotions.len() > 1) {
            duplicates.texts += 1;
            duplicates.surplus += emotions.len() - 1;
            duplicates.contradictory += usize::from(emotions.iter().any(|one| *one != emotions[0]));
        }
        duplicates
    }
}

impl fmt::Display for TextLengths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { least, median, mean, most_but_5_percent, most } = self;
        write!(f, "{least} to {most}, median {median}, mean {mean:.1}, 95 % up to {most_but_5_percent}")
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = |count: usize| 100.0 * count as f64 / self.count.max(1) as f64;
        let mut row = |name: &str, count: usize, note: &str| {
            writeln!(f, "  {name:<24} {count:>8}  {:>5.1} %{note}", share(count))
        };
        for (dataset, split, count) in &self.sources {
            row(&format!("{dataset}, {split}"), *count, "")?;
        }
        for EmotionCount { emotion, count, labels } in &self.emotions {
            let others: Vec<&str> =
                labels.iter().map(String::as_str).filter(|label| label != emotion).collect();
            let note = if others.is_empty() { String::new() } else { format!("  as {}", others.join(", ")) };
            row(emotion, *count, &note)?;
        }
        for (domain, count) in &self.domains {
            row(domain, *count, "")?;
        }
        let Duplicates { texts, surplus, contradictory } = self.duplicates;
        writeln!(f, "  {} demonstrations from {} dialogues", self.count, self.dialogues)?;
        writeln!(f, "  words: {}", self.words)?;
        writeln!(f, "  characters: {}", self.characters)?;
        writeln!(
            f,
            "  duplicates: {surplus} demonstrations repeat one of {texts} texts, {contradictory} of which have \
             several emotions"
        )?;
        write!(f, "  {}", self.near_duplicates)
    }
}

#[cfg(test)]
mod tests;
