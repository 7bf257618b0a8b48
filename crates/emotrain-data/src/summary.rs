//! Counts of a split's contents.

use std::collections::BTreeSet;
use std::fmt;

use crate::label::LabelSet;
use crate::split::Split;

/// Counts of a split; displayed as a small table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitSummary {
    /// The file's name, without its folder.
    pub name: String,
    /// Conversations.
    pub dialogues: usize,
    /// Turns in all conversations.
    pub utterances: usize,
    /// Distinct speaker names.
    pub speakers: usize,
    /// Utterances of the longest dialogue.
    pub longest_dialogue: usize,
    /// Characters of the longest utterance.
    pub longest_utterance: usize,
    /// Utterances whose text or speaker was repaired.
    pub mended: usize,
    /// Utterances with characters that were lost before.
    pub damaged: usize,
    /// Messages that are no turns.
    pub left_out: usize,
    /// Utterances per label, in the label set's order.
    pub labels: Vec<(String, usize)>,
    /// Utterances without a label.
    pub unlabelled: usize,
}

impl Split {
    /// Counts for display.
    pub fn summary(&self, labels: &LabelSet) -> SplitSummary {
        let utterances = || self.dialogues.iter().flat_map(|dialogue| &dialogue.utterances);
        let mut counts = vec![0; labels.len()];
        for label in utterances().filter_map(|utterance| utterance.label) {
            counts[label.index()] += 1;
        }
        let speakers: BTreeSet<&str> = utterances().map(|utterance| utterance.speaker.as_str()).collect();
        let name = self.path.file_name().unwrap_or(self.path.as_os_str());
        SplitSummary {
            name: match self.part {
                Some(part) => format!("{} ({part})", name.to_string_lossy()),
                None => name.to_string_lossy().into_owned(),
            },
            dialogues: self.dialogues.len(),
            utterances: self.utterance_count(),
            speakers: speakers.len(),
            longest_dialogue: self.dialogues.iter().map(|one| one.utterances.len()).max().unwrap_or(0),
            longest_utterance: utterances().map(|one| one.text.chars().count()).max().unwrap_or(0),
            mended: self.mended,
            damaged: self.damaged,
            left_out: self.left_out,
            labels: labels.names().iter().cloned().zip(counts).collect(),
            unlabelled: utterances().filter(|utterance| utterance.label.is_none()).count(),
        }
    }
}

impl SplitSummary {
    fn share(&self, count: usize) -> f64 {
        100.0 * count as f64 / self.utterances.max(1) as f64
    }
}

impl fmt::Display for SplitSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unlabelled = (self.unlabelled > 0).then(|| ("(no label)".to_owned(), self.unlabelled));
        let labels: Vec<_> = self.labels.iter().cloned().chain(unlabelled).collect();
        let width = labels.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0).max(10);
        writeln!(f, "{}", self.name)?;
        writeln!(
            f,
            "  {:width$} {:>8}  longest {} utterances",
            "dialogues", self.dialogues, self.longest_dialogue
        )?;
        writeln!(
            f,
            "  {:width$} {:>8}  longest {} characters",
            "utterances", self.utterances, self.longest_utterance
        )?;
        write!(f, "  {:width$} {:>8}", "speakers", self.speakers)?;
        if self.mended > 0 {
            write!(f, "\n  {:width$} {:>8}  utterances with repaired characters", "repaired", self.mended)?;
        }
        if self.damaged > 0 {
            write!(
                f,
                "\n  {:width$} {:>8}  utterances with lost characters (U+FFFD)",
                "damaged", self.damaged
            )?;
        }
        if self.left_out > 0 {
            let (name, count) = ("left out", self.left_out);
            write!(f, "\n  {name:width$} {count:>8}  system messages, which are no turns")?;
        }
        for (name, count) in &labels {
            write!(f, "\n  {name:width$} {count:>8}  {:>4.1} %", self.share(*count))?;
        }
        Ok(())
    }
}
