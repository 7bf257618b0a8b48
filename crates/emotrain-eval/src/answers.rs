//! Answers for people and programs: rows with the utterance, its label and how sure the model is.

use std::collections::BTreeSet;

use emotrain_base::Complaint;
use emotrain_data::{Dialogue, LabelSet, Metadata, UtteranceId};
use indexmap::IndexMap;
use serde::Serialize;

use crate::predictions::Prediction;

/// The answer in the place of a label that is not likely enough.
pub const UNCERTAIN: &str = "uncertain";

/// How much rows say.
#[derive(Clone, Copy, Debug, Default)]
pub struct AnswerTerms {
    /// Only this many labels, the likeliest first; all in the order of the label set if there is no number.
    pub top_k: Option<usize>,
    /// An answer that is less probable is [`UNCERTAIN`].
    pub threshold: Option<f64>,
}

impl AnswerTerms {
    /// Refuses terms that do not suit the labels.
    ///
    /// # Errors
    /// A threshold where a label has the name of its answer; more labels than there are.
    pub fn check(&self, labels: &LabelSet) -> Result<(), Complaint> {
        if let Some(count) = self.top_k.filter(|count| *count > labels.len()) {
            let message = format!("--top-k {count}: there are {} labels", labels.len());
            return Err(Complaint::usage(message).hint("leave it out for all of them"));
        }
        if self.threshold.is_none() || labels.resolve(UNCERTAIN).is_none() {
            return Ok(());
        }
        let message = format!("--threshold answers \"{UNCERTAIN}\", which is one of the labels");
        Err(Complaint::usage(message).hint("leave it out, and compare the probabilities of the answers"))
    }
}

/// The answer for one utterance.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AnswerRow<'a> {
    /// The utterance.
    pub id: &'a UtteranceId,
    /// Its dialogue.
    pub dialogue: &'a str,
    /// Its position, counted from 0.
    pub position: usize,
    /// Who said it.
    pub speaker: &'a str,
    /// What was said.
    pub text: &'a str,
    /// The predicted label; [`UNCERTAIN`]; or `None` if the model's own words named no label.
    pub label: Option<&'a str>,
    /// The probability of the predicted label among all labels.
    pub probability: Option<f64>,
    /// Its log-probability in nats given the prompt, among all that the model can say.
    pub log_likelihood: Option<f64>,
    /// The true label, if known.
    pub truth: Option<&'a str>,
    /// Probabilities of labels among all labels, whose sum is 1.
    pub probabilities: IndexMap<&'a str, f64>,
    /// Log-probabilities of the same labels in nats given the prompt.
    pub scores: IndexMap<&'a str, f64>,
    /// What the input says of the utterance besides.
    #[serde(skip_serializing_if = "is_nothing")]
    pub metadata: &'a Metadata,
    /// What the input says of the dialogue besides.
    #[serde(skip_serializing_if = "is_nothing")]
    pub dialogue_metadata: &'a Metadata,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference to the field")]
fn is_nothing(metadata: &&Metadata) -> bool {
    metadata.is_empty()
}

impl<'a> AnswerRow<'a> {
    /// The row of a prediction for an utterance of the dialogue.
    ///
    /// # Panics
    /// If the dialogue has no such utterance.
    pub fn new(prediction: &'a Prediction, dialogue: &'a Dialogue, terms: AnswerTerms) -> Self {
        let Prediction { id, label, truth, scores } = prediction;
        let utterance = &dialogue.utterances[id.position];
        let shares = probabilities(&scores.values().copied().collect::<Vec<_>>());
        let mut all: Vec<(&str, f64, f64)> =
            scores.iter().zip(shares).map(|((name, &score), share)| (name.as_str(), score, share)).collect();
        let chosen = label.as_deref().and_then(|label| all.iter().find(|(name, ..)| *name == label).copied());
        if let Some(count) = terms.top_k {
            all.sort_by(|one, other| other.1.total_cmp(&one.1)); // stable: the first one in a tie
            all.truncate(count);
        }
        let is_sure = |share: f64| terms.threshold.is_none_or(|least| share >= least);
        Self {
            id,
            dialogue: &dialogue.id,
            position: id.position,
            speaker: &utterance.speaker,
            text: &utterance.text,
            label: chosen.map(|(name, _, share)| if is_sure(share) { name } else { UNCERTAIN }),
            probability: chosen.map(|(_, _, share)| share),
            log_likelihood: chosen.map(|(_, score, _)| score),
            truth: truth.as_deref(),
            probabilities: all.iter().map(|(name, _, share)| (*name, *share)).collect(),
            scores: all.iter().map(|(name, score, _)| (*name, *score)).collect(),
            metadata: &utterance.metadata,
            dialogue_metadata: &dialogue.metadata,
        }
    }
}

/// The probabilities of labels whose log-likelihoods these are, if one of them is said: softmax.
fn probabilities(scores: &[f64]) -> Vec<f64> {
    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = scores.iter().map(|score| (score - most).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / sum).collect()
}

/// The form of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerFormat {
    /// JSON lines.
    Jsonl,
    /// A table, values separated by commas.
    Csv,
    /// A table, values separated by tabs.
    Tsv,
}

impl AnswerFormat {
    /// Every format, in the order of its documentation.
    pub const ALL: [Self; 3] = [Self::Jsonl, Self::Csv, Self::Tsv];

    /// Its name, which files end in.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
            Self::Tsv => "tsv",
        }
    }
}

/// The columns of a table that are always there.
const COLUMNS: [&str; 8] =
    ["dialogue", "position", "speaker", "text", "label", "probability", "log_likelihood", "truth"];

/// A column of a table for something that the input says besides.
#[derive(Clone, Debug)]
struct KeptColumn {
    name: String,
    key: String,
    is_of_dialogue: bool,
}

/// Writes rows in one form.
#[derive(Clone, Debug)]
pub struct AnswerWriter {
    format: AnswerFormat,
    terms: AnswerTerms,
    kept: Option<Vec<KeptColumn>>,
    /// Keys of the input for which a table has no column.
    lost: BTreeSet<String>,
}

impl AnswerWriter {
    /// Rows of this form.
    pub fn new(format: AnswerFormat, terms: AnswerTerms) -> Self {
        Self { format, terms, kept: None, lost: BTreeSet::new() }
    }

    /// Sees the first dialogue of the input, whose metadata make the further columns of a table; later ones are ignored.
    pub fn begin(&mut self, dialogue: &Dialogue) {
        if self.kept.is_some() {
            return;
        }
        let of_dialogue = dialogue.metadata.iter().map(|(key, _)| (key, true));
        let of_utterances =
            dialogue.utterances.iter().flat_map(|one| one.metadata.iter()).map(|(key, _)| (key, false));
        let mut taken: BTreeSet<String> = self.own().into_iter().collect();
        let mut kept: Vec<KeptColumn> = Vec::new();
        for (key, is_of_dialogue) in of_dialogue.chain(of_utterances) {
            if kept.iter().any(|column| column.key == key && column.is_of_dialogue == is_of_dialogue) {
                continue;
            }
            let mut name = key.to_owned();
            while taken.contains(&name) {
                name = format!("input_{name}");
            }
            taken.insert(name.clone());
            kept.push(KeptColumn { name, key: key.to_owned(), is_of_dialogue });
        }
        self.kept = Some(kept);
    }

    /// The first line of a table; nothing for JSON lines.
    ///
    /// # Errors
    /// None in memory.
    pub fn head(&self) -> Result<Vec<u8>, csv::Error> {
        let kept = self.kept.iter().flatten().map(|column| column.name.clone());
        self.record(&self.own().into_iter().chain(kept).collect::<Vec<_>>())
    }

    /// A row, with its line break. A table has pairs of columns for the likeliest labels if their number is set.
    ///
    /// # Errors
    /// A number that JSON cannot represent.
    pub fn row(&mut self, row: &AnswerRow<'_>) -> Result<Vec<u8>, csv::Error> {
        if self.format == AnswerFormat::Jsonl {
            let mut line = serde_json::to_vec(row).map_err(std::io::Error::from)?;
            line.push(b'\n');
            return Ok(line);
        }
        let number = |number: Option<f64>| number.map(|number| number.to_string()).unwrap_or_default();
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let mut values = vec![
            row.dialogue.to_owned(),
            row.position.to_string(),
            row.speaker.to_owned(),
            row.text.to_owned(),
            text(row.label),
            number(row.probability),
            number(row.log_likelihood),
            text(row.truth),
        ];
        let mut likeliest = row.probabilities.iter();
        for _ in 0..self.terms.top_k.unwrap_or(0) {
            let (name, share) = likeliest.next().map(|(name, share)| (*name, *share)).unzip();
            values.extend([text(name), number(share)]);
        }
        let sources = [(row.dialogue_metadata, true), (row.metadata, false)];
        for column in self.kept.iter().flatten() {
            let of = sources.iter().find(|(_, is_of_dialogue)| *is_of_dialogue == column.is_of_dialogue);
            let value = of.and_then(|(metadata, _)| metadata.iter().find(|(key, _)| *key == column.key));
            values.push(value.map_or(String::new(), |(_, value)| cell(value)));
        }
        for (metadata, is_of_dialogue) in sources {
            let has = |key: &str| {
                let mut kept = self.kept.iter().flatten();
                kept.any(|column| column.key == key && column.is_of_dialogue == is_of_dialogue)
            };
            let lost: Vec<String> =
                metadata.iter().filter(|(key, _)| !has(key)).map(|(key, _)| key.to_owned()).collect();
            self.lost.extend(lost);
        }
        self.record(&values)
    }

    /// What a table has no column for, in words.
    pub fn lost(&self) -> Option<String> {
        let keys: Vec<&str> = self.lost.iter().map(String::as_str).collect();
        (!keys.is_empty()).then(|| {
            let keys = keys.join(", ");
            format!(
                "the table has no column for {keys}, which the first dialogue has not; JSON lines keep all"
            )
        })
    }

    /// The names of the columns that do not depend on the input.
    fn own(&self) -> Vec<String> {
        let further = (1..=self.terms.top_k.unwrap_or(0))
            .flat_map(|place| [format!("label_{place}"), format!("probability_{place}")]);
        COLUMNS.iter().map(|name| (*name).to_owned()).chain(further).collect()
    }

    fn record(&self, values: &[String]) -> Result<Vec<u8>, csv::Error> {
        let delimiter = match self.format {
            AnswerFormat::Jsonl => return Ok(Vec::new()),
            AnswerFormat::Csv => b',',
            AnswerFormat::Tsv => b'\t',
        };
        let mut writer = csv::WriterBuilder::new().delimiter(delimiter).from_writer(Vec::new());
        writer.write_record(values)?;
        writer.into_inner().map_err(|error| error.into_error().into())
    }
}

/// The JSON of a value in a table: text without its quotation marks, nothing for null, anything else as it is written.
fn cell(json: &str) -> String {
    match json {
        "null" => String::new(),
        json => serde_json::from_str(json).unwrap_or_else(|_| json.to_owned()),
    }
}

#[cfg(test)]
mod tests;
