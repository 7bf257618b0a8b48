use emotrain_recipe::LabelSetName;
use expect_test::expect;

use super::*;

fn iemocap() -> LabelSet {
    LabelSet::builtin(LabelSetName::Iemocap)
}

fn id(text: &str) -> UtteranceId {
    text.parse().unwrap()
}

fn likeliest(scores: [f64; 6]) -> Result<Prediction, EvalError> {
    Prediction::likeliest(id("tea#1"), iemocap().resolve("sad"), &scores, &iemocap())
}

fn unparsed() -> Prediction {
    let truth = Some("angry".to_owned());
    Prediction { id: id("tea#2"), label: None, truth, scores: IndexMap::new() }
}

#[test]
fn the_greatest_score_is_the_prediction_the_first_of_equals() {
    let label = |scores| likeliest(scores).unwrap().label.unwrap();
    assert_eq!(label([-3.0, -2.0, -0.5, -4.0, -0.25, -9.0]), "excited");
    assert_eq!(label([-3.0, -0.5, -0.5, -4.0, -0.5, -9.0]), "sad");
}

#[test]
fn scores_must_be_numbers() {
    let message = likeliest([-3.0, f64::NAN, 0.0, 0.0, 0.0, 0.0]).unwrap_err().to_string();
    assert_eq!(message, "tea#1: the score of \"sad\" is NaN");
    let message = likeliest([f64::NEG_INFINITY; 6]).unwrap_err().to_string();
    assert_eq!(message, "tea#1: the score of \"happy\" is -inf");
    let mut prediction = unparsed();
    prediction.scores.insert("sad".into(), f64::INFINITY);
    let message = write_predictions("never.jsonl".as_ref(), &[prediction]).unwrap_err().to_string();
    assert_eq!(message, "tea#2: the score of \"sad\" is inf");
}

#[test]
fn what_is_written_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("predictions.jsonl");
    let predictions = [likeliest([-3.5, -2.0, -0.5, -4.0, -0.25, -9.0]).unwrap(), unparsed()];
    write_predictions(&path, &predictions).unwrap();
    assert_eq!(read_predictions(&path).unwrap(), predictions);
    expect![[r#"
        {"id":"tea#1","label":"excited","truth":"sad","scores":{"happy":-3.5,"sad":-2.0,"neutral":-0.5,"angry":-4.0,"excited":-0.25,"frustrated":-9.0}}
        {"id":"tea#2","label":null,"truth":"angry"}
    "#]].assert_eq(&fs_err::read_to_string(&path).unwrap());
}

#[test]
fn a_broken_line_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("predictions.jsonl");
    fs_err::write(&path, "{\"id\":\"tea#2\",\"label\":null,\"truth\":null}\n{\"id\":\"tea\"}\n").unwrap();
    let message = read_predictions(&path).unwrap_err().to_string();
    expect![
        "(folder)/predictions.jsonl:2: `tea` is not an utterance id: expected dialogue#position, for example 12#3"
    ]
    .assert_eq(&message.replace(&folder.path().display().to_string(), "(folder)"));
}

#[test]
fn predictions_are_scored_by_name() {
    let happy = Prediction { label: Some("glad".into()), ..unparsed() };
    let right = Prediction { label: Some("Anger".into()), ..unparsed() };
    let scores = score_predictions(&[unparsed(), happy, right], &iemocap()).unwrap();
    assert_eq!((scores.unparsed, scores.labels[3].support), (2, 3));
    assert_eq!(scores.confusion[3], [0, 0, 0, 1, 0, 0]);
}

#[test]
fn predictions_without_a_truth_cannot_be_scored() {
    let message = |prediction| score_predictions(&[prediction], &iemocap()).unwrap_err().to_string();
    assert_eq!(message(Prediction { truth: None, ..unparsed() }), "tea#2: has no true label");
    let other = Prediction { truth: Some("fear".into()), ..unparsed() };
    assert_eq!(message(other), "tea#2: the true label \"fear\" is not in the label set");
}
