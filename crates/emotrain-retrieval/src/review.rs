//! Human review of labels: the labels are hidden, two annotators label every utterance, and those that both confirm are
//! kept.

mod kappa;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use emotrain_data::{DataProblem, Demonstration, Label, LabelSet, TextFile, sha256_file};
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use serde::Serialize;

use crate::error::{BankProblem, RetrievalError};

pub use kappa::cohen_kappa;

/// Context utterances that an annotator sees.
const CONTEXT: usize = 3;

/// A line of an annotator's sheet, who fills in `label`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SheetRow {
    /// The demonstration's identity.
    pub id: String,
    /// The preceding utterances, as `speaker: text`.
    pub context: Vec<String>,
    /// The speaker.
    pub speaker: String,
    /// The text.
    pub text: String,
    /// Empty on a new sheet.
    pub label: String,
}

/// An annotator's labels, by demonstration identity.
pub type Annotations = BTreeMap<String, Label>;

/// A sheet without labels, in an order that depends only on the seed.
pub fn sheet(demonstrations: &[Demonstration], seed: u64) -> Vec<SheetRow> {
    let said = |one: &Demonstration| {
        let speaker = one.speaker.as_deref().unwrap_or("?");
        format!("{speaker}: {}", one.text)
    };
    let in_one = |one: &Demonstration, other: &Demonstration| {
        (&one.dataset, one.split, &one.dialogue) == (&other.dataset, other.split, &other.dialogue)
    };
    let rows = demonstrations.iter().enumerate().map(|(at, one)| {
        let before = demonstrations[..at].iter().rev().take(CONTEXT).take_while(|before| in_one(before, one));
        let mut context: Vec<String> = before.map(said).collect();
        context.reverse();
        SheetRow {
            id: one.id().to_string(),
            context,
            speaker: one.speaker.clone().unwrap_or_default(),
            text: one.text.clone(),
            label: String::new(),
        }
    });
    let mut rows: Vec<SheetRow> = rows.collect();
    rows.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    rows
}

/// Reads the files of two annotators.
///
/// # Errors
/// The errors of [`read_annotations`]; the same file twice, by its path or as a copy: what it says of agreement is
/// nothing.
pub fn read_both(first: &Path, second: &Path, labels: &LabelSet) -> Result<[Annotations; 2], RetrievalError> {
    let annotations = [read_annotations(first, labels)?, read_annotations(second, labels)?];
    // Sheets have orders of their own, so that no two annotators write the same bytes.
    if sha256_file(first)? == sha256_file(second)? {
        return Err(RetrievalError::bank(second, BankProblem::SameAnnotator(first.display().to_string())));
    }
    Ok(annotations)
}

/// Reads an annotator's file: JSONL with `id` and `label`, such as a filled-in sheet. Lines with an empty label are not
/// annotated yet.
///
/// # Errors
/// A file that cannot be read, a label that is not in `labels`, a repeated id.
pub fn read_annotations(path: &Path, labels: &LabelSet) -> Result<Annotations, RetrievalError> {
    let file = TextFile::read_rows(path)?;
    let mut annotations = Annotations::new();
    for row in file.rows("`id` and `label`") {
        let mut row = row?;
        let place = row.line() - 1;
        let at = |problem| RetrievalError::line(path, place, problem);
        let id = row.name("id")?;
        let label = row.label("label", labels).map_err(|error| {
            if let DataProblem::UnknownLabel { label, .. } = error.problem() {
                // The keys of a recipe that its own hint names are not for annotators.
                return at(BankProblem::unknown_label(label, labels));
            }
            error.into()
        })?;
        let Some(label) = label else { continue };
        if annotations.insert(id.clone(), label).is_some() {
            return Err(at(BankProblem::AnnotatedTwice(id)));
        }
    }
    Ok(annotations)
}

/// Reads a sheet to be filled in.
///
/// # Errors
/// A file that cannot be read, a line that is no [`SheetRow`].
pub fn read_sheet(path: &Path) -> Result<Vec<SheetRow>, RetrievalError> {
    const KEYS: [&str; 5] = ["id", "context", "speaker", "text", "label"];
    let file = TextFile::read_rows(path)?;
    let mut rows = Vec::new();
    for row in file.rows("`id`, `context`, `speaker`, `text` and `label`") {
        let mut row = row?;
        let (id, context) = (row.name("id")?, row.texts("context")?);
        let (speaker, text) = (row.name("speaker")?, row.text("text")?);
        let label = row.name_or_none("label")?;
        rows.push(SheetRow { id, context, speaker, text, label });
        row.finish(&KEYS)?;
    }
    Ok(rows)
}

/// The result of two annotators' review.
#[derive(Clone, Debug, PartialEq)]
pub struct Review {
    /// Rows of the demonstrations whose label both annotators confirm.
    pub kept: Vec<usize>,
    /// Demonstrations that both annotated.
    pub judged: usize,
    /// Demonstrations that one or both did not annotate.
    pub unjudged: usize,
    /// Cohen's kappa between the annotators; `None` if undefined.
    pub between: Option<f64>,
    /// Between the first annotator and the original labels.
    pub first: Option<f64>,
    /// Between the second annotator and the original labels.
    pub second: Option<f64>,
    /// Numbers of judged and kept demonstrations per label, in the label set's order.
    pub labels: Vec<LabelReview>,
}

/// One label's counts in a review.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelReview {
    /// The label's name.
    pub label: String,
    /// Judged demonstrations with this label.
    pub judged: usize,
    /// How many of them were kept.
    pub kept: usize,
}

/// Compares two annotators with each other and with the original labels. Demonstrations whose original label is not in
/// `labels` count as not judged.
pub fn review(
    demonstrations: &[Demonstration],
    first: &Annotations,
    second: &Annotations,
    labels: &LabelSet,
) -> Review {
    let (mut kept, mut judgements) = (Vec::new(), Vec::new());
    let names = labels.names().iter();
    let mut per_label: Vec<LabelReview> =
        names.map(|label| LabelReview { label: label.clone(), judged: 0, kept: 0 }).collect();
    for (place, one) in demonstrations.iter().enumerate() {
        let original = labels.resolve(&one.label).or_else(|| labels.resolve(&one.emotion));
        let id = one.id().to_string();
        let (Some(original), Some(&first), Some(&second)) = (original, first.get(&id), second.get(&id))
        else {
            continue;
        };
        judgements.push([original, first, second].map(Label::index));
        let counts = &mut per_label[original.index()];
        counts.judged += 1;
        if original == first && original == second {
            counts.kept += 1;
            kept.push(place);
        }
    }
    let kappa = |one: usize, other: usize| {
        let pairs: Vec<(usize, usize)> =
            judgements.iter().map(|judged| (judged[one], judged[other])).collect();
        cohen_kappa(&pairs, labels.len())
    };
    Review {
        kept,
        judged: judgements.len(),
        unjudged: demonstrations.len() - judgements.len(),
        between: kappa(1, 2),
        first: kappa(0, 1),
        second: kappa(0, 2),
        labels: per_label,
    }
}

impl Review {
    /// The missing numbers per label after this review, for the next round.
    pub fn short(&self, per_label: usize) -> Vec<(String, usize)> {
        let missing = self.labels.iter().map(|one| (one.label.clone(), per_label.saturating_sub(one.kept)));
        missing.filter(|(_, missing)| *missing > 0).collect()
    }
}

impl fmt::Display for Review {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kappa = |kappa: Option<f64>| kappa.map_or_else(|| "undefined".to_owned(), |k| format!("{k:.3}"));
        writeln!(
            f,
            "{} of {} judged demonstrations kept, {} not judged",
            self.kept.len(),
            self.judged,
            self.unjudged
        )?;
        writeln!(f, "  Cohen's kappa: annotators {}", kappa(self.between))?;
        write!(f, "  with the original labels {} and {}", kappa(self.first), kappa(self.second))?;
        for LabelReview { label, judged, kept } in &self.labels {
            write!(f, "\n  {label:<12} {kept:>6} of {judged}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
