//! Calibration and intervals against scikit-learn's and scipy's on the cases of `tests/golden/calibration`.

#![expect(clippy::unwrap_used, reason = "a test")]

use emotrain_data::Label;
use emotrain_eval::{
    Bootstrap, Calibration, CalibrationBin, DialogueAnswer, EvalError, ScoreInterval, ScoreIntervals,
    SureAnswer,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    calibration: Vec<Answered>,
    intervals: Vec<Resampled>,
}

#[derive(Deserialize)]
struct Answered {
    bins: usize,
    scores: Vec<Vec<f64>>,
    truth: Vec<usize>,
    predicted: Vec<usize>,
    /// Of all bins.
    sizes: Vec<usize>,
    /// Of those that have answers.
    confidence: Vec<f64>,
    accuracy: Vec<f64>,
    ece: f64,
    mce: f64,
    brier: f64,
    log_loss: f64,
}

#[derive(Deserialize)]
struct Resampled {
    labels: usize,
    level: f64,
    /// By dialogue.
    truth: Vec<Vec<usize>>,
    /// -1 = unparsed.
    predicted: Vec<Vec<i64>>,
    /// Weighted F1, macro F1, accuracy, F1 by label.
    scores: Vec<f64>,
    low: Vec<f64>,
    high: Vec<f64>,
    error: Vec<f64>,
}

fn golden() -> Golden {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/calibration/cases.json");
    serde_json::from_str(&fs_err::read_to_string(path).unwrap()).unwrap()
}

fn close(what: &str, found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9, "{what}: {found}, not {expected}");
}

#[test]
fn calibration_is_scikit_learns() {
    let cases = golden().calibration;
    assert_eq!(cases.len(), 24);
    for (number, case) in cases.iter().enumerate() {
        let labelled = case.truth.iter().zip(&case.predicted).zip(&case.scores);
        let answers: Vec<SureAnswer> = labelled
            .map(|((&truth, &predicted), scores)| {
                SureAnswer::of(Label::from_index(truth), Label::from_index(predicted), scores)
            })
            .collect();
        let found = Calibration::of(&answers, case.bins).unwrap();
        assert_eq!(found.bins.iter().map(|bin| bin.answers).collect::<Vec<_>>(), case.sizes, "{number}");
        let filled: Vec<&CalibrationBin> = found.bins.iter().filter(|bin| bin.answers > 0).collect();
        assert_eq!(filled.len(), case.confidence.len(), "{number}");
        for (bin, (confidence, accuracy)) in filled.iter().zip(case.confidence.iter().zip(&case.accuracy)) {
            close("confidence", bin.confidence, *confidence);
            close("accuracy", bin.accuracy, *accuracy);
        }
        close("ECE", found.ece, case.ece);
        close("MCE", found.mce, case.mce);
        close("Brier score", found.brier, case.brier);
        close("log loss", found.log_loss, case.log_loss);
    }
    assert!(matches!(Calibration::of(&[], 10), Err(EvalError::NoUtterances)));
}

#[test]
fn intervals_over_dialogues_are_scipys() {
    let cases = golden().intervals;
    assert_eq!(cases.len(), 5);
    for (number, case) in cases.iter().enumerate() {
        let names: Vec<String> = (0..case.truth.len()).map(|at| format!("d{at}")).collect();
        let mut answers = Vec::new();
        for ((dialogue, truth), predicted) in names.iter().zip(&case.truth).zip(&case.predicted) {
            for (&truth, &predicted) in truth.iter().zip(predicted) {
                let predicted = usize::try_from(predicted).ok().map(Label::from_index);
                answers.push(DialogueAnswer { dialogue, truth: Label::from_index(truth), predicted });
            }
        }
        let bootstrap = Bootstrap { samples: 20_000, level: case.level, seed: 5 };
        let found = ScoreIntervals::of(&answers, case.labels, bootstrap).unwrap();
        assert_eq!((found.utterances, found.dialogues), (answers.len(), names.len()));
        let ScoreIntervals { accuracy, weighted_f1, macro_f1, labels, .. } = found;
        let all: Vec<ScoreInterval> = [weighted_f1, macro_f1, accuracy].into_iter().chain(labels).collect();
        assert_eq!(all.len(), case.scores.len());
        for (at, one) in all.iter().enumerate() {
            close("score", one.score, case.scores[at]);
            let interval = one.interval.unwrap();
            // scipy drew 3,000 sets of dialogues: 4.5 standard errors of its normal quantiles.
            let tolerance = if case.level > 0.95 { 0.4 } else { 0.22 } * case.error[at] + 1e-9;
            for (found, expected) in [(interval.low, case.low[at]), (interval.high, case.high[at])] {
                assert!((found - expected).abs() <= tolerance, "{number}, {at}: {found}, not {expected}");
            }
        }
    }
}

#[test]
fn a_single_dialogue_has_no_interval() {
    let [first, second] = [0, 1].map(Label::from_index);
    let answer = |truth, predicted| DialogueAnswer { dialogue: "a", truth, predicted };
    let answers = [answer(first, Some(first)), answer(second, None)];
    let bootstrap = Bootstrap { samples: 100, level: 0.95, seed: 0 };
    let found = ScoreIntervals::of(&answers, 2, bootstrap).unwrap();
    assert_eq!(found.accuracy, ScoreInterval { score: 0.5, interval: None });
    assert!(matches!(
        ScoreIntervals::of(&answers, 1, bootstrap),
        Err(EvalError::LabelOutOfRange { label: 1, labels: 1 })
    ));
    assert!(matches!(ScoreIntervals::of(&[], 2, bootstrap), Err(EvalError::NoUtterances)));
}
