//! Evaluation reports: their stored form, and their display in a terminal.

use std::fmt;

use emotrain_data::LabelSet;
use serde::{Deserialize, Serialize};

use crate::bootstrap::Interval;
use crate::error::EvalError;
use crate::metrics::{LabelScores, Scores};
use crate::table::Table;

/// The version of the stored format.
const FORMAT: u32 = 1;

/// A stored evaluation, scores as fractions of 1. Displayed as a table in percent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvalReport {
    /// Version of this format, 1.
    pub format: u32,
    /// The evaluated split, such as `valid`.
    pub split: String,
    /// Utterances scored.
    pub utterances: usize,
    /// Answers that name no label; they count as wrong.
    pub unparsed: usize,
    /// The scores reported.
    pub scores: Headline,
    /// The scores of always predicting the most frequent label.
    pub majority: Headline,
    /// The labels that macro F1 averages over; missing in reports of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub macro_f1: Option<MacroF1>,
    /// The confidence interval of weighted F1, if requested.
    pub weighted_f1_interval: Option<Interval>,
    /// Mean negative log-likelihood of the supervised tokens in nats, if measured.
    pub loss: Option<f64>,
    /// Per label, in the label set's order.
    pub labels: Vec<LabelRow>,
    /// Counts, row = truth, column = prediction, in the label set's order.
    pub confusion: Vec<Vec<usize>>,
}

/// The three scores of a whole evaluation, as fractions of 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Headline {
    /// Proportion of correct predictions.
    pub accuracy: f64,
    /// Mean of the labels' F1, weighted by support.
    pub weighted_f1: f64,
    /// Mean of the labels' F1.
    pub macro_f1: f64,
}

/// Macro F1 over all labels of the set, as in [`Headline`], and over those that occur, as fractions of 1:
/// scikit-learn's `f1_score(average="macro", zero_division=0)` with `labels` set to either.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MacroF1 {
    /// Labels of the set.
    pub labels: usize,
    /// Mean F1 of all of them, 0 for one that neither occurs nor is predicted.
    pub over_all_labels: f64,
    /// Labels that occur among the true labels.
    pub labels_with_support: usize,
    /// Mean F1 of those labels.
    pub over_labels_with_support: f64,
}

/// One label's scores under its name, as fractions of 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelRow {
    /// The label's name.
    pub label: String,
    /// See [`LabelScores::precision`].
    pub precision: f64,
    /// See [`LabelScores::recall`].
    pub recall: f64,
    /// See [`LabelScores::f1`].
    pub f1: f64,
    /// See [`LabelScores::support`].
    pub support: usize,
}

impl From<&Scores> for Headline {
    fn from(scores: &Scores) -> Self {
        let Scores { accuracy, weighted_f1, macro_f1, .. } = *scores;
        Self { accuracy, weighted_f1, macro_f1 }
    }
}

impl From<&Scores> for MacroF1 {
    fn from(scores: &Scores) -> Self {
        let supported = scores.labels.iter().filter(|label| label.support > 0).map(|label| label.f1);
        let labels_with_support = supported.clone().count();
        Self {
            labels: scores.labels.len(),
            over_all_labels: scores.macro_f1,
            labels_with_support,
            over_labels_with_support: supported.sum::<f64>() / labels_with_support as f64,
        }
    }
}

impl fmt::Display for MacroF1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { labels, labels_with_support: supported, over_labels_with_support, .. } = *self;
        write!(f, "macro F1 is the mean over all {labels} labels")?;
        if supported < labels {
            let score = percent(over_labels_with_support);
            write!(f, "; over the {supported} that have support it is {score}")?;
        }
        Ok(())
    }
}

impl EvalReport {
    /// The report of `scores` together with the [`majority`](crate::majority) scores of the same truth, without
    /// interval and loss.
    ///
    /// # Panics
    /// If the scores are not of this label set.
    pub fn new(split: &str, labels: &LabelSet, scores: &Scores, majority: &Scores) -> Self {
        assert_eq!(labels.len(), scores.labels.len(), "scores of another label set");
        let row = |(label, scores): (&String, &LabelScores)| LabelRow {
            label: label.clone(),
            precision: scores.precision,
            recall: scores.recall,
            f1: scores.f1,
            support: scores.support,
        };
        Self {
            format: FORMAT,
            split: split.to_owned(),
            utterances: scores.utterances(),
            unparsed: scores.unparsed,
            scores: scores.into(),
            majority: majority.into(),
            macro_f1: Some(scores.into()),
            weighted_f1_interval: None,
            loss: None,
            labels: labels.names().iter().zip(&scores.labels).map(row).collect(),
            confusion: scores.confusion.clone(),
        }
    }
}

impl fmt::Display for EvalReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new([self.split.as_str(), "precision", "recall", "F1", "support"]);
        for row in &self.labels {
            let scores = [row.precision, row.recall, row.f1].map(percent);
            table.row([row.label.clone()].into_iter().chain(scores).chain([row.support.to_string()]));
        }
        table.gap();
        let total = self.utterances.to_string();
        for (name, score) in self.scores.named() {
            let blanks = [String::new(), String::new()];
            table.row([name.to_owned()].into_iter().chain(blanks).chain([percent(score), total.clone()]));
        }
        f.write_str(&table.render())?;
        if let Some(interval) = self.weighted_f1_interval {
            let (low, high) = (percent(interval.low), percent(interval.high));
            let level = 100.0 * interval.level;
            write!(f, "\n{level:.0} % bootstrap interval of weighted F1, over utterances: {low} to {high}")?;
        }
        if let Some(macro_f1) = self.macro_f1 {
            write!(f, "\n{macro_f1}")?;
        }
        let [accuracy, macro_f1, weighted_f1] = self.majority.named().map(|(_, score)| percent(score));
        f.write_str("\nalways the most frequent label: ")?;
        write!(f, "accuracy {accuracy}, macro F1 {macro_f1}, weighted F1 {weighted_f1}")?;
        if self.unparsed > 0 {
            write!(f, "\nunparsed answers, counted as wrong: {} of {}", self.unparsed, self.utterances)?;
        }
        if let Some(loss) = self.loss {
            write!(f, "\nloss {loss:.4}")?;
        }
        Ok(())
    }
}

impl Headline {
    /// In display order, the headline score last.
    fn named(self) -> [(&'static str, f64); 3] {
        [("accuracy", self.accuracy), ("macro F1", self.macro_f1), ("weighted F1", self.weighted_f1)]
    }
}

/// Compares two evaluations of the same utterances, in percent: F1 per label, then the three scores.
///
/// # Errors
/// [`EvalError::NotComparable`] if labels or their supports differ.
pub fn comparison_table(before: &EvalReport, after: &EvalReport) -> Result<String, EvalError> {
    let key = |report: &EvalReport| -> Vec<(String, usize)> {
        report.labels.iter().map(|row| (row.label.clone(), row.support)).collect()
    };
    if key(before) != key(after) {
        return Err(EvalError::NotComparable);
    }
    let mut table = Table::new([after.split.as_str(), "support", "F1 before", "F1 after", "change"]);
    let row = |table: &mut Table, name: &str, support: usize, scores: [f64; 2]| {
        let change = format!("{:+.2}", 100.0 * (scores[1] - scores[0]));
        table.row([name.to_owned(), support.to_string(), percent(scores[0]), percent(scores[1]), change]);
    };
    for (old, new) in before.labels.iter().zip(&after.labels) {
        row(&mut table, &new.label, new.support, [old.f1, new.f1]);
    }
    table.gap();
    for ((name, old), (_, new)) in before.scores.named().into_iter().zip(after.scores.named()) {
        row(&mut table, name, after.utterances, [old, new]);
    }
    Ok(table.render())
}

fn percent(fraction: f64) -> String {
    format!("{:.2}", 100.0 * fraction)
}

#[cfg(test)]
mod tests;
