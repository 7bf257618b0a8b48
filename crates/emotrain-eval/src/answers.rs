//! Answers for people and programs: rows with the utterance, its label and how sure the model is.

use emotrain_base::Complaint;
use emotrain_data::{Dialogue, LabelSet, UtteranceId};
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
    /// A threshold where a label has the name of its answer.
    pub fn check(&self, labels: &LabelSet) -> Result<(), Complaint> {
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

    /// The first line of a table.
    ///
    /// # Errors
    /// None in memory.
    pub fn head(self, terms: AnswerTerms) -> Result<Vec<u8>, csv::Error> {
        let own =
            ["dialogue", "position", "speaker", "text", "label", "probability", "log_likelihood", "truth"];
        let further = (1..=terms.top_k.unwrap_or(0))
            .flat_map(|place| [format!("label_{place}"), format!("probability_{place}")]);
        let names: Vec<String> = own.iter().map(|name| (*name).to_owned()).chain(further).collect();
        self.record(&names)
    }

    /// A row, with its line break. A table has `top_k` pairs of columns for the likeliest labels.
    ///
    /// # Errors
    /// A number that JSON cannot represent.
    pub fn row(self, row: &AnswerRow<'_>, terms: AnswerTerms) -> Result<Vec<u8>, csv::Error> {
        if self == Self::Jsonl {
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
        for _ in 0..terms.top_k.unwrap_or(0) {
            let (name, share) = likeliest.next().map(|(name, share)| (*name, *share)).unzip();
            values.extend([text(name), number(share)]);
        }
        self.record(&values)
    }

    fn record(self, values: &[String]) -> Result<Vec<u8>, csv::Error> {
        let delimiter = match self {
            Self::Jsonl => return Ok(Vec::new()),
            Self::Csv => b',',
            Self::Tsv => b'\t',
        };
        let mut writer = csv::WriterBuilder::new().delimiter(delimiter).from_writer(Vec::new());
        writer.write_record(values)?;
        writer.into_inner().map_err(|error| error.into_error().into())
    }
}

#[cfg(test)]
mod tests;
