use emotrain_data::{Label, Utterance};
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
    expect![[r#"
        {"id":"lab#0","dialogue":"lab","position":0,"speaker":"Ada","text":"Well,\n\"it works\"","label":"joy","probability":0.6652409557748218,"log_likelihood":-1.0,"truth":null,"probabilities":{"joy":0.6652409557748218},"scores":{"joy":-1.0},"metadata":{"second":1.5,"channel":null},"dialogue_metadata":{"channel":"phone","truth":["x"]}}
        {"id":"lab#1","dialogue":"lab","position":1,"speaker":"Ada","text":"Good.","label":"neutral","probability":0.3333333333333333,"log_likelihood":-1.5,"truth":"anger","probabilities":{"neutral":0.3333333333333333},"scores":{"neutral":-1.5},"metadata":{"second":"2, or 3"},"dialogue_metadata":{"channel":"phone","truth":["x"]}}
        dialogue,position,speaker,text,label,probability,log_likelihood,truth,label_1,probability_1,channel,input_truth,second,input_channel
        lab,0,Ada,"Well,
        ""it works""",joy,0.6652409557748218,-1,,joy,0.6652409557748218,phone,"[""x""]",1.5,
        lab,1,Ada,Good.,neutral,0.3333333333333333,-1.5,anger,neutral,0.3333333333333333,phone,"[""x""]","2, or 3",
    "#]].assert_eq(&all);
    let (mut writer, labels) = (AnswerWriter::new(AnswerFormat::Tsv, terms), labels());
    writer.begin(&self::dialogue());
    let prediction =
        Prediction::likeliest(dialogue.utterance_id(1), None, &[-1.0, -1.0, -1.0], &labels).unwrap();
    writer.row(&AnswerRow::new(&prediction, &dialogue, terms)).unwrap();
    expect!["the table has no column for channel, second, truth, which the first dialogue has not; JSON lines keep all"].assert_eq(&writer.lost().unwrap());
}

#[test]
fn json_lines_have_every_label() {
    check(
        AnswerFormat::Jsonl,
        AnswerTerms::default(),
        &expect![[r#"
        {"id":"lab#0","dialogue":"lab","position":0,"speaker":"Ada","text":"Well,\n\"it works\"","label":"joy","probability":0.6652409557748218,"log_likelihood":-1.0,"truth":null,"probabilities":{"neutral":0.09003057317038046,"joy":0.6652409557748218,"anger":0.24472847105479764},"scores":{"neutral":-3.0,"joy":-1.0,"anger":-2.0}}
        {"id":"lab#1","dialogue":"lab","position":1,"speaker":"Ada","text":"Good.","label":"neutral","probability":0.3333333333333333,"log_likelihood":-1.5,"truth":"anger","probabilities":{"neutral":0.3333333333333333,"joy":0.3333333333333333,"anger":0.3333333333333333},"scores":{"neutral":-1.5,"joy":-1.5,"anger":-1.5}}
    "#]],
    );
}

#[test]
fn the_likeliest_labels_come_first() {
    let terms = AnswerTerms { top_k: Some(2), threshold: None };
    check(
        AnswerFormat::Jsonl,
        terms,
        &expect![[r#"
        {"id":"lab#0","dialogue":"lab","position":0,"speaker":"Ada","text":"Well,\n\"it works\"","label":"joy","probability":0.6652409557748218,"log_likelihood":-1.0,"truth":null,"probabilities":{"joy":0.6652409557748218,"anger":0.24472847105479764},"scores":{"joy":-1.0,"anger":-2.0}}
        {"id":"lab#1","dialogue":"lab","position":1,"speaker":"Ada","text":"Good.","label":"neutral","probability":0.3333333333333333,"log_likelihood":-1.5,"truth":"anger","probabilities":{"neutral":0.3333333333333333,"joy":0.3333333333333333},"scores":{"neutral":-1.5,"joy":-1.5}}
    "#]],
    );
    check(
        AnswerFormat::Csv,
        terms,
        &expect![[r#"
        dialogue,position,speaker,text,label,probability,log_likelihood,truth,label_1,probability_1,label_2,probability_2
        lab,0,Ada,"Well,
        ""it works""",joy,0.6652409557748218,-1,,joy,0.6652409557748218,anger,0.24472847105479764
        lab,1,Ada,Good.,neutral,0.3333333333333333,-1.5,anger,neutral,0.3333333333333333,joy,0.3333333333333333
    "#]],
    );
}

#[test]
fn what_is_not_likely_enough_is_uncertain() {
    let terms = AnswerTerms { top_k: None, threshold: Some(0.5) };
    check(
        AnswerFormat::Tsv,
        terms,
        &expect![[r#"
        dialogue	position	speaker	text	label	probability	log_likelihood	truth
        lab	0	Ada	"Well,
        ""it works"""	joy	0.6652409557748218	-1	
        lab	1	Ada	Good.	uncertain	0.3333333333333333	-1.5	anger
    "#]],
    );
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
    expect![[r#"
        --threshold answers "uncertain", which is one of the labels
          hint: leave it out, and compare the probabilities of the answers"#]]
    .assert_eq(&terms.check(&labels).unwrap_err().with_hint());
    assert!(AnswerTerms::default().check(&labels).is_ok());
}
