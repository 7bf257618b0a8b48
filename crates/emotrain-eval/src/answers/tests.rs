use emotrain_data::{Label, Metadata, Utterance};
use expect_test::{Expect, expect};

use super::*;

fn labels() -> LabelSet {
    LabelSet::custom(["neutral", "joy", "anger"], []).unwrap()
}

fn dialogue() -> Dialogue {
    let utterance = |text: &str| Utterance::new("Ada".into(), text.into(), None);
    Dialogue::new("lab".into(), ["Well,\n\"it works\"", "Good."].map(utterance).into())
}

fn written(format: AnswerFormat, terms: AnswerTerms, dialogue: &Dialogue) -> String {
    let (labels, mut writer) = (labels(), AnswerWriter::new(format, terms));
    writer.begin(dialogue);
    let mut text = writer.head().unwrap();
    for (position, scores) in [[-3.0, -1.0, -2.0], [-1.5, -1.5, -1.5]].into_iter().enumerate() {
        let truth = (position == 1).then(|| Label::from_index(2));
        let prediction =
            Prediction::likeliest(dialogue.utterance_id(position), truth, &scores, &labels).unwrap();
        text.extend(writer.row(&AnswerRow::new(&prediction, dialogue, terms)).unwrap());
    }
    String::from_utf8(text).unwrap() + &writer.lost().unwrap_or_default()
}

fn check(format: AnswerFormat, terms: AnswerTerms, expected: &Expect) {
    expected.assert_eq(&written(format, terms, &dialogue()));
}

#[test]
fn what_the_input_says_besides_comes_out_again() {
    let mut dialogue = dialogue();
    dialogue.metadata = serde_json::from_str(r#"{"channel":"phone","truth":["x"]}"#).unwrap();
    dialogue.utterances[0].metadata = serde_json::from_str(r#"{"second":1.5,"channel":null}"#).unwrap();
    dialogue.utterances[1].metadata = serde_json::from_str(r#"{"second":"2, or 3"}"#).unwrap();
    let terms = AnswerTerms { top_k: Some(1), threshold: None };
    let all = written(AnswerFormat::Jsonl, terms, &dialogue) + &written(AnswerFormat::Csv, terms, &dialogue);
    expect![[r""]].assert_eq(&all);
    let (mut writer, labels) = (AnswerWriter::new(AnswerFormat::Tsv, terms), labels());
    writer.begin(&self::dialogue());
    let prediction =
        Prediction::likeliest(dialogue.utterance_id(1), None, &[-1.0, -1.0, -1.0], &labels).unwrap();
    writer.row(&AnswerRow::new(&prediction, &dialogue, terms)).unwrap();
    expect![[r""]].assert_eq(&writer.lost().unwrap());
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
    let text = written(AnswerFormat::Csv, terms, &dialogue());
    assert!(text.starts_with("dialogue,") && text.contains("label_4,probability_4\n"), "{text}");
    assert!(text.ends_with(",,\n"), "{text}");
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
