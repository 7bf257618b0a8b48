use emotrain_data::{Label, Metadata, Utterance};
use expect_test::{Expect, expect};

use super::*;

fn labels() -> LabelSet {
    LabelSet::custom(["neutral", "joy", "anger"], []).unwrap()
}

fn dialogue() -> Dialogue {
    let utterance = |text: &str| Utterance {
        speaker: "Ada".into(),
        text: text.into(),
        label: None,
        metadata: Metadata::default(),
    };
    Dialogue {
        id: "lab".into(),
        utterances: ["Well,\n\"it works\"", "Good."].map(utterance).into(),
        metadata: Metadata::default(),
    }
}

fn check(format: AnswerFormat, terms: AnswerTerms, expected: &Expect) {
    let (dialogue, labels) = (dialogue(), labels());
    let mut text = format.head(terms).unwrap();
    for (position, scores) in [[-3.0, -1.0, -2.0], [-1.5, -1.5, -1.5]].into_iter().enumerate() {
        let truth = (position == 1).then(|| Label::from_index(2));
        let prediction =
            Prediction::likeliest(dialogue.utterance_id(position), truth, &scores, &labels).unwrap();
        text.extend(format.row(&AnswerRow::new(&prediction, &dialogue, terms), terms).unwrap());
    }
    expected.assert_eq(&String::from_utf8(text).unwrap());
}

#[test]
fn json_lines_have_every_label() {
    check(AnswerFormat::Jsonl, AnswerTerms::default(), &expect![[r""]]);
}

#[test]
fn the_likeliest_labels_come_first() {
    let terms = AnswerTerms { top_k: Some(2), threshold: None };
    check(AnswerFormat::Jsonl, terms, &expect![[r""]]);
    check(AnswerFormat::Csv, terms, &expect![[r""]]);
}

#[test]
fn what_is_not_likely_enough_is_uncertain() {
    let terms = AnswerTerms { top_k: None, threshold: Some(0.5) };
    check(AnswerFormat::Tsv, terms, &expect![[r""]]);
}

#[test]
fn more_labels_than_there_are_leave_columns_empty() {
    let terms = AnswerTerms { top_k: Some(4), threshold: None };
    let text = String::from_utf8(AnswerFormat::Csv.head(terms).unwrap()).unwrap();
    assert!(text.trim_end().ends_with("label_4,probability_4"), "{text}");
    let (dialogue, labels) = (dialogue(), labels());
    let prediction =
        Prediction::likeliest(dialogue.utterance_id(1), None, &[-1.0, -1.0, -1.0], &labels).unwrap();
    let row = AnswerFormat::Csv.row(&AnswerRow::new(&prediction, &dialogue, terms), terms).unwrap();
    assert!(row.ends_with(b",,\n"));
}

#[test]
fn probabilities_sum_to_one_however_unlikely_the_labels_are() {
    for scores in [[-1e4, -1e4 - 2.0, -3e4], [0.0, -700.0, -800.0], [-0.1, -5.0, -6.0]] {
        let shares = probabilities(&scores);
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{shares:?}");
    }
}

#[test]
fn an_answer_that_names_no_label_has_no_probability() {
    let (dialogue, labels) = (dialogue(), labels());
    let mut prediction =
        Prediction::likeliest(dialogue.utterance_id(0), None, &[-3.0, -1.0, -2.0], &labels).unwrap();
    prediction.label = None;
    let terms = AnswerTerms { top_k: None, threshold: Some(0.9) };
    let row = AnswerRow::new(&prediction, &dialogue, terms);
    assert_eq!((row.label, row.probability, row.log_likelihood), (None, None, None));
}

#[test]
fn a_label_that_is_called_uncertain_has_no_threshold() {
    let labels = LabelSet::custom(["Uncertain", "joy"], []).unwrap();
    let terms = AnswerTerms { top_k: None, threshold: Some(0.5) };
    expect![[r""]].assert_eq(&terms.check(&labels).unwrap_err().with_hint());
    assert!(AnswerTerms::default().check(&labels).is_ok());
}
