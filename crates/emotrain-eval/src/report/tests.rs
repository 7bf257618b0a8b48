#![expect(clippy::needless_raw_string_hashes, reason = "expect-test writes snapshots with them")]

use emotrain_data::Label;
use expect_test::expect;

use super::*;
use crate::metrics::{majority, score};

fn pets() -> LabelSet {
    LabelSet::custom(["calm", "very upset", "curious"], []).unwrap()
}

/// A report where -1 is an unparsed answer.
fn report(predicted: [i64; 8]) -> EvalReport {
    let truth = [0, 0, 0, 0, 1, 1, 2, 2].map(Label::from_index);
    let predicted = predicted.map(|index| usize::try_from(index).ok().map(Label::from_index));
    let scores = score(&truth, &predicted, 3).unwrap();
    EvalReport::new("valid", &pets(), &scores, &majority(&truth, 3).unwrap())
}

fn before() -> EvalReport {
    report([0, 0, 2, 0, 0, 1, 0, -1])
}

fn after() -> EvalReport {
    let interval = Interval { low: 0.61, high: 0.934_56, level: 0.95 };
    EvalReport {
        weighted_f1_interval: Some(interval),
        loss: Some(0.123_456),
        ..report([0, 0, 0, 0, 1, 1, 2, 1])
    }
}

#[test]
fn a_report_is_a_table_in_percent() {
    expect![[r#"
        valid        precision  recall     F1  support
        calm             60.00   75.00  66.67        4
        very upset      100.00   50.00  66.67        2
        curious           0.00    0.00   0.00        2

        accuracy                        50.00        8
        macro F1                        44.44        8
        weighted F1                     50.00        8
        macro F1 is the mean over all 3 labels
        always the most frequent label: accuracy 50.00, macro F1 22.22, weighted F1 33.33
        unparsed answers, counted as wrong: 1 of 8"#]]
    .assert_eq(&before().to_string());
    expect![[r#"
        valid        precision  recall      F1  support
        calm            100.00  100.00  100.00        4
        very upset       66.67  100.00   80.00        2
        curious         100.00   50.00   66.67        2

        accuracy                         87.50        8
        macro F1                         82.22        8
        weighted F1                      86.67        8
        95 % bootstrap interval of weighted F1, over utterances: 61.00 to 93.46
        macro F1 is the mean over all 3 labels
        always the most frequent label: accuracy 50.00, macro F1 22.22, weighted F1 33.33
        loss 0.1235"#]]
    .assert_eq(&after().to_string());
}

#[test]
fn two_reports_are_compared() {
    expect![[r#"
        valid        support  F1 before  F1 after  change
        calm               4      66.67    100.00  +33.33
        very upset         2      66.67     80.00  +13.33
        curious            2       0.00     66.67  +66.67

        accuracy           8      50.00     87.50  +37.50
        macro F1           8      44.44     82.22  +37.78
        weighted F1        8      50.00     86.67  +36.67"#]]
    .assert_eq(&comparison_table(&before(), &after()).unwrap());
}

#[test]
fn reports_of_other_utterances_do_not() {
    let mut other = before();
    other.labels[0].support += 1;
    let message = comparison_table(&before(), &other).unwrap_err().to_string();
    assert_eq!(message, "the reports have different labels or utterances");
}

#[test]
fn the_stored_form_is_read_back() {
    let json = serde_json::to_string(&after()).unwrap();
    assert_eq!(serde_json::from_str::<EvalReport>(&json).unwrap(), after());
    expect![[r#"{"format":1,"split":"valid","utterances":8,"unparsed":0,"scores":{"accuracy":0.875,"weighted_f1":0.8666666666666666,"macro_f1":0.8222222222222223},"majority":{"accuracy":0.5,"weighted_f1":0.3333333333333333,"macro_f1":0.2222222222222222},"macro_f1":{"labels":3,"over_all_labels":0.8222222222222223,"labels_with_support":3,"over_labels_with_support":0.8222222222222223},"weighted_f1_interval":{"low":0.61,"high":0.93456,"level":0.95},"loss":0.123456,"labels":[{"label":"calm","precision":1.0,"recall":1.0,"f1":1.0,"support":4},{"label":"very upset","precision":0.6666666666666666,"recall":1.0,"f1":0.8,"support":2},{"label":"curious","precision":1.0,"recall":0.5,"f1":0.6666666666666666,"support":2}],"confusion":[[4,0,0],[0,2,0],[0,1,1]]}"#]].assert_eq(&json);
}

#[test]
fn macro_f1_says_which_labels_it_is_the_mean_of() {
    // scikit-learn's f1_score(average="macro", zero_division=0), with labels=[0, 1, 2] and with labels=[0, 1].
    let truth = [0, 0, 0, 1].map(Label::from_index);
    let predicted = [0, 0, 1, 1].map(|index| Some(Label::from_index(index)));
    let scores = score(&truth, &predicted, 3).unwrap();
    let report = EvalReport::new("valid", &pets(), &scores, &majority(&truth, 3).unwrap());
    let over = report.macro_f1.unwrap();
    assert_eq!((over.labels, over.labels_with_support), (3, 2));
    assert!((over.over_all_labels - (0.8 + 2.0 / 3.0) / 3.0).abs() < 1e-12);
    assert!((over.over_labels_with_support - f64::midpoint(0.8, 2.0 / 3.0)).abs() < 1e-12);
    assert_eq!(
        over.to_string(),
        "macro F1 is the mean over all 3 labels; over the 2 that have support it is 73.33"
    );
    assert!(report.to_string().contains(&over.to_string()));
    // Reports stored before this field existed can still be read.
    let mut stored = serde_json::to_value(&report).unwrap();
    stored.as_object_mut().unwrap().remove("macro_f1");
    let read: EvalReport = serde_json::from_value(stored).unwrap();
    assert_eq!(read.macro_f1, None);
    assert!(!read.to_string().contains("is the mean over"));
}
