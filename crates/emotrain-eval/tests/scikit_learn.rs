//! The scores against scikit-learn's on the cases of `tests/golden/metrics` (made by its `make.py`).

#![expect(clippy::unwrap_used, reason = "a test")]

use emotrain_data::Label;
use emotrain_eval::score;
use serde::Deserialize;

const TOLERANCE: f64 = 1e-12;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    labels: usize,
    truth: Vec<usize>,
    /// -1 = unparsed.
    prediction: Vec<i64>,
    accuracy: f64,
    weighted_f1: f64,
    macro_f1: f64,
    precision: Vec<f64>,
    recall: Vec<f64>,
    f1: Vec<f64>,
    support: Vec<usize>,
    confusion: Vec<Vec<usize>>,
}

fn check(case: &Case) {
    let truth: Vec<Label> = case.truth.iter().map(|&index| Label::from_index(index)).collect();
    let predicted: Vec<Option<Label>> =
        case.prediction.iter().map(|&index| usize::try_from(index).ok().map(Label::from_index)).collect();
    let scores = score(&truth, &predicted, case.labels).unwrap();
    let close = |what: &str, found: f64, expected: f64| {
        assert!((found - expected).abs() <= TOLERANCE, "{}: {what} {found}, not {expected}", case.name);
    };
    close("accuracy", scores.accuracy, case.accuracy);
    close("weighted F1", scores.weighted_f1, case.weighted_f1);
    close("macro F1", scores.macro_f1, case.macro_f1);
    assert_eq!(scores.labels.len(), case.labels, "{}", case.name);
    for (index, label) in scores.labels.iter().enumerate() {
        close("precision", label.precision, case.precision[index]);
        close("recall", label.recall, case.recall[index]);
        close("F1", label.f1, case.f1[index]);
        assert_eq!(label.support, case.support[index], "{}", case.name);
    }
    assert_eq!(scores.confusion, case.confusion, "{}", case.name);
    let unparsed = case.prediction.iter().filter(|&&index| index == -1).count();
    assert_eq!(scores.unparsed, unparsed, "{}", case.name);
}

#[test]
fn every_case_agrees() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/metrics/cases.json");
    let golden: Golden = serde_json::from_str(&fs_err::read_to_string(path).unwrap()).unwrap();
    assert_eq!(golden.cases.len(), 60);
    golden.cases.iter().for_each(check);
}
