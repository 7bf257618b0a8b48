//! Whether a model is right as often as it is sure.

use emotrain_data::Label;
use serde::{Deserialize, Serialize};

use crate::error::EvalError;

/// An answer and how sure the model was of each label.
#[derive(Clone, Debug, PartialEq)]
pub struct SureAnswer {
    /// The true label.
    pub truth: Label,
    /// The answer.
    pub predicted: Label,
    /// By label; they add up to 1.
    pub probabilities: Vec<f64>,
}

/// The calibration of a model's answers. A model is calibrated if, of the answers that it gives with probability p, the
/// share p is right.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Answers.
    pub answers: usize,
    /// Answers by confidence: bins of equal width over 0 to 1, each with its upper end and without its lower one.
    pub bins: Vec<CalibrationBin>,
    /// The expected calibration error (Naeini 2015; Guo 2017): the mean over answers of the distance between a bin's
    /// accuracy and its mean confidence.
    pub ece: f64,
    /// The largest of these distances.
    pub mce: f64,
    /// The Brier score of all labels' probabilities, from 0 to 2: scikit-learn's `brier_score_loss` with
    /// `scale_by_half=False`.
    pub brier: f64,
    /// The mean of the negative logarithms of the true labels' probabilities, in nats: scikit-learn's `log_loss`.
    pub log_loss: f64,
}

/// The answers of some confidence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibrationBin {
    /// How many.
    pub answers: usize,
    /// Their mean confidence; 0 without answers.
    pub confidence: f64,
    /// The share that is right; 0 without answers.
    pub accuracy: f64,
}

impl SureAnswer {
    /// From the labels' log-probabilities, of which the exponentials need not add up to 1: they are divided by their sum.
    pub fn of(truth: Label, predicted: Label, log_probabilities: &[f64]) -> Self {
        let most = log_probabilities.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let odds: Vec<f64> = log_probabilities.iter().map(|one| (one - most).exp()).collect();
        let sum: f64 = odds.iter().sum();
        Self { truth, predicted, probabilities: odds.into_iter().map(|one| one / sum).collect() }
    }

    /// The probability of the answer.
    pub fn confidence(&self) -> f64 {
        self.probabilities[self.predicted.index()]
    }
}

impl Calibration {
    /// The calibration of these answers, with so many bins.
    ///
    /// # Errors
    /// [`EvalError::NoUtterances`] without answers or bins.
    pub fn of(answers: &[SureAnswer], bins: usize) -> Result<Self, EvalError> {
        if answers.is_empty() || bins == 0 {
            return Err(EvalError::NoUtterances);
        }
        let mut sums = vec![CalibrationBin::default(); bins];
        let (mut brier, mut log_loss) = (0.0, 0.0);
        for answer in answers {
            let confidence = answer.confidence();
            let edges = (1..bins).map(|edge| edge as f64 / bins as f64);
            let sum = &mut sums[edges.take_while(|edge| *edge < confidence).count()];
            sum.answers += 1;
            sum.confidence += confidence;
            sum.accuracy += f64::from(answer.predicted == answer.truth);
            for (label, probability) in answer.probabilities.iter().enumerate() {
                brier += (probability - f64::from(label == answer.truth.index())).powi(2);
            }
            log_loss -= answer.probabilities[answer.truth.index()].max(f64::EPSILON).ln();
        }
        let mean = |sum: CalibrationBin| {
            let count = sum.answers.max(1) as f64;
            CalibrationBin { confidence: sum.confidence / count, accuracy: sum.accuracy / count, ..sum }
        };
        let bins: Vec<CalibrationBin> = sums.into_iter().map(mean).collect();
        let count = answers.len() as f64;
        let apart = |bin: &CalibrationBin| (bin.accuracy - bin.confidence).abs();
        Ok(Self {
            answers: answers.len(),
            ece: bins.iter().map(|bin| bin.answers as f64 / count * apart(bin)).sum(),
            mce: bins.iter().map(apart).fold(0.0, f64::max),
            brier: brier / count,
            log_loss: log_loss / count,
            bins,
        })
    }
}
