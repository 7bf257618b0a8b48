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
    let text = fs_err::read_to_string(&path).unwrap();
    let read = text.lines().map(|line| serde_json::from_str(line).unwrap());
    assert_eq!(read.collect::<Vec<Prediction>>(), predictions);
    expect![[r#"
        {"id":"tea#1","label":"excited","truth":"sad","scores":{"happy":-3.5,"sad":-2.0,"neutral":-0.5,"angry":-4.0,"excited":-0.25,"frustrated":-9.0}}
        {"id":"tea#2","label":null,"truth":"angry"}
    "#]].assert_eq(&text);
}
