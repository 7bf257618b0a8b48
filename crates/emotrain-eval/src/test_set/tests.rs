use expect_test::{Expect, expect};

use super::*;
use emotrain_base::Advice;

/// Predictions from words such as `tea#1:joy/anger`: the true label, then the answer; a dash is none.
fn predictions(text: &str) -> Vec<Prediction> {
    let label = |name: &str| (name != "-").then(|| name.to_owned());
    let one = |word: &str| {
        let (id, labels) = word.split_once(':').unwrap();
        let (truth, answer) = labels.split_once('/').unwrap();
        Prediction {
            id: id.parse().unwrap(),
            label: label(answer),
            truth: label(truth),
            scores: IndexMap::new(),
        }
    };
    text.split_whitespace().map(one).collect()
}

fn set(text: &str) -> Result<TestSet, EvalError> {
    TestSet::new(&predictions(text), &["joy", "anger"].map(str::to_owned))
}

const TEST: &str = "tea#0:joy/joy tea#1:anger/joy bus#0:-/joy bus#1:joy/- tea#2:anger/anger";

#[test]
fn answers_are_counted_by_dialogue_in_any_order() {
    let set = set(TEST).unwrap();
    let answers = set.answers(&predictions(TEST)).unwrap();
    assert_eq!(answers.right, [true, false, false, true]);
    let scores = HeadlineScore::ALL.map(|score| answers.score(score));
    assert!((scores[2] - 0.5).abs() < 1e-12, "{scores:?}");
    assert_eq!(answers.dialogues.len(), 2);
    assert!((answers.dialogues[0].score(HeadlineScore::Accuracy) - 2.0 / 3.0).abs() < 1e-12);
    let mut backwards = predictions(TEST);
    backwards.reverse();
    let again = set.answers(&backwards).unwrap();
    assert_eq!((&again.right, &again.dialogues), (&answers.right, &answers.dialogues));
}

#[test]
fn other_test_sets_are_refused() {
    let check = |text: &str, expected: Expect| {
        let error = set(TEST).unwrap().answers(&predictions(text)).unwrap_err();
        expected.assert_eq(&error.to_string());
        error.hint()
    };
    let hint = check("tea#0:joy/joy tea#3:joy/joy", expect!["utterance tea#3 is not in the other test set"]);
    assert!(hint.unwrap().contains("same file"));
    check("tea#0:joy/joy tea#1:anger/joy", expect!["utterance bus#1 of the other test set is missing"]);
    check(
        "tea#0:anger/joy",
        expect![[r#"utterance tea#0: the true label is "anger", in the other test set "joy""#]],
    );
    check("tea#0:joy/joy tea#0:joy/joy", expect!["utterance tea#0 is there twice"]);
    check("tea#0:joy/fear", expect![[r#"utterance tea#0: the label "fear" is not in the label set"#]]);
}

#[test]
fn a_test_set_has_labels_and_no_utterance_twice() {
    assert!(matches!(set("tea#0:-/joy"), Err(EvalError::NoUtterances)));
    assert!(matches!(set("tea#0:joy/joy tea#0:joy/joy"), Err(EvalError::RepeatedUtterance { .. })));
    assert!(matches!(set("tea#0:fear/joy"), Err(EvalError::UnknownLabel { .. })));
}
