//! Predictions with their labels as numbers.

use std::collections::BTreeMap;

use emotrain_data::{Label, UtteranceId};
use emotrain_eval::{
    Bootstrap, DialogueAnswer, EvalError, Prediction, ScoreInterval, ScoreIntervals, SureAnswer,
};

/// Resampled sets of dialogues behind every interval.
const SAMPLES: usize = 1000;
const LEVEL: f64 = 0.95;

/// The answers to utterances with a true label.
pub(crate) struct Answers<'a> {
    pub(crate) labels: &'a [String],
    pub(crate) all: Vec<Answer<'a>>,
}

/// An answer.
pub(crate) struct Answer<'a> {
    pub(crate) id: &'a UtteranceId,
    pub(crate) truth: Label,
    pub(crate) predicted: Option<Label>,
    /// `None` if the answer names no label, or no label was scored.
    pub(crate) sure: Option<SureAnswer>,
}

impl<'a> Answers<'a> {
    pub(crate) fn of(predictions: &'a [Prediction], labels: &'a [String]) -> Result<Self, EvalError> {
        let places: BTreeMap<&str, usize> =
            labels.iter().enumerate().map(|(at, name)| (name.as_str(), at)).collect();
        let find = |prediction: &Prediction, name: &String| {
            let unknown = || EvalError::UnknownLabel { id: prediction.id.clone(), label: name.clone() };
            places.get(name.as_str()).copied().map(Label::from_index).ok_or_else(unknown)
        };
        let mut all = Vec::with_capacity(predictions.len());
        for prediction in predictions {
            let Some(truth) = &prediction.truth else { continue };
            let truth = find(prediction, truth)?;
            let predicted = prediction.label.as_ref().map(|label| find(prediction, label)).transpose()?;
            let scores: Option<Vec<f64>> =
                labels.iter().map(|label| prediction.scores.get(label).copied()).collect();
            let sure =
                predicted.zip(scores).map(|(predicted, scores)| SureAnswer::of(truth, predicted, &scores));
            all.push(Answer { id: &prediction.id, truth, predicted, sure });
        }
        if all.is_empty() { Err(EvalError::NoUtterances) } else { Ok(Self { labels, all }) }
    }

    pub(crate) fn name(&self, label: Label) -> &str {
        &self.labels[label.index()]
    }

    /// The scores of all answers.
    pub(crate) fn scores(&self) -> Result<ScoreIntervals, EvalError> {
        self.scores_of(&(0..self.all.len()).collect::<Vec<usize>>())
    }

    /// The scores of some answers.
    pub(crate) fn scores_of(&self, members: &[usize]) -> Result<ScoreIntervals, EvalError> {
        let answer = |&at: &usize| {
            let Answer { id, truth, predicted, .. } = &self.all[at];
            DialogueAnswer { dialogue: &id.dialogue, truth: *truth, predicted: *predicted }
        };
        let answers: Vec<DialogueAnswer<'_>> = members.iter().map(answer).collect();
        let bootstrap = Bootstrap { samples: SAMPLES, level: LEVEL, seed: 0 };
        ScoreIntervals::of(&answers, self.labels.len(), bootstrap)
    }
}

/// The ends of an interval in percent, for a table.
pub(crate) fn ends(score: ScoreInterval) -> String {
    let text = |interval: emotrain_eval::Interval| {
        format!("{:.2} to {:.2}", 100.0 * interval.low, 100.0 * interval.high)
    };
    score.interval.map_or_else(|| "–".to_owned(), text)
}

/// The `most` wrong answers that the model was surest of, the surest first; answers that name no label come last.
///
/// # Errors
/// A label that is not among `labels`; no utterance with a true label.
pub fn confident_errors(
    predictions: &[Prediction],
    labels: &[String],
    most: usize,
) -> Result<Vec<UtteranceId>, EvalError> {
    let answers = Answers::of(predictions, labels)?;
    let mut wrong: Vec<&Answer<'_>> =
        answers.all.iter().filter(|answer| answer.predicted != Some(answer.truth)).collect();
    let confidence = |answer: &Answer<'_>| answer.sure.as_ref().map_or(-1.0, SureAnswer::confidence);
    wrong.sort_by(|one, other| confidence(other).total_cmp(&confidence(one)).then(one.id.cmp(other.id)));
    Ok(wrong.into_iter().take(most).map(|answer| answer.id.clone()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prediction(id: &str, truth: &str, answer: Option<&str>, scores: [f64; 2]) -> Prediction {
        let names = ["calm", "angry"].map(str::to_owned);
        Prediction {
            id: id.parse().unwrap(),
            label: answer.map(str::to_owned),
            truth: (!truth.is_empty()).then(|| truth.to_owned()),
            scores: names.into_iter().zip(scores).collect(),
        }
    }

    #[test]
    fn the_surest_errors_come_first_and_right_answers_never() {
        let labels = ["calm", "angry"].map(str::to_owned);
        let predictions = [
            prediction("a#0", "calm", Some("calm"), [-0.1, -9.0]),
            prediction("a#1", "calm", Some("angry"), [-2.0, -1.0]),
            prediction("a#2", "calm", None, [-2.0, -1.0]),
            prediction("b#0", "angry", Some("calm"), [-1.0, -6.0]),
            prediction("b#1", "", Some("calm"), [-0.1, -60.0]),
            prediction("c#0", "angry", Some("calm"), [-1.0, -6.0]),
        ];
        let ids = |most| -> Vec<String> {
            confident_errors(&predictions, &labels, most).unwrap().iter().map(ToString::to_string).collect()
        };
        assert_eq!(ids(10), ["b#0", "c#0", "a#1", "a#2"]);
        assert_eq!(ids(1), ["b#0"]);
        let unknown = confident_errors(&predictions, &labels[..1], 3).unwrap_err();
        assert_eq!(
            unknown.to_string(),
            EvalError::UnknownLabel { id: "a#1".parse().unwrap(), label: "angry".into() }.to_string()
        );
    }
}
