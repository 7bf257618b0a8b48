use proptest::prelude::{Strategy, prop_assert, prop_assert_eq, proptest};

use super::*;

fn labels(indices: &[usize]) -> Vec<Label> {
    indices.iter().map(|&index| Label::from_index(index)).collect()
}

/// Predictions where `None` is unparsed.
fn answers(indices: &[Option<usize>]) -> Vec<Option<Label>> {
    indices.iter().map(|index| index.map(Label::from_index)).collect()
}

fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
}

#[test]
fn a_case_by_hand() {
    let truth = labels(&[0, 0, 0, 1, 1, 2]);
    let predicted = answers(&[Some(0), Some(0), Some(1), Some(1), None, Some(0)]);
    let scores = score(&truth, &predicted, 4).unwrap();
    assert_eq!(scores.confusion, [[2, 1, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]);
    assert_eq!((scores.unparsed, scores.utterances()), (1, 6));
    close(scores.accuracy, 0.5);
    close(scores.labels[0].precision, 2.0 / 3.0);
    close(scores.labels[0].recall, 2.0 / 3.0);
    close(scores.labels[1].f1, 0.5);
    close(scores.weighted_f1, (3.0 * (2.0 / 3.0) + 2.0 * 0.5) / 6.0);
    close(scores.macro_f1, (2.0 / 3.0 + 0.5) / 4.0);
    let nothing = LabelScores { precision: 0.0, recall: 0.0, f1: 0.0, support: 0 };
    assert_eq!(scores.labels[3], nothing);
}

#[test]
fn the_majority_is_the_most_frequent_label_the_first_of_equals() {
    let scores = majority(&labels(&[2, 1, 1, 2, 0]), 3).unwrap();
    close(scores.accuracy, 0.4);
    assert_eq!(scores.confusion, [[0, 1, 0], [0, 2, 0], [0, 2, 0]]);
    close(scores.weighted_f1, 0.4 * (4.0 / 7.0));
    close(scores.macro_f1, 4.0 / 21.0);
}

#[test]
fn what_cannot_be_scored_is_refused() {
    let message = |result: Result<Scores, EvalError>| result.unwrap_err().to_string();
    assert_eq!(message(score(&[], &[], 3)), "there are no utterances to score");
    assert_eq!(message(majority(&[], 3)), "there are no utterances to score");
    assert_eq!(message(score(&labels(&[0]), &[], 3)), "1 true labels, but 0 predictions");
    let out_of_range = "label 3 is out of range: there are 3 labels";
    assert_eq!(message(score(&labels(&[3]), &[None], 3)), out_of_range);
    assert_eq!(message(score(&labels(&[0]), &answers(&[Some(3)]), 3)), out_of_range);
    assert_eq!(message(majority(&labels(&[3]), 3)), out_of_range);
}

fn rows() -> impl Strategy<Value = Vec<(usize, Option<usize>)>> {
    proptest::collection::vec((0..5_usize, proptest::option::of(0..5_usize)), 1..40)
}

proptest! {
    #[test]
    fn scores_are_shares_and_the_order_does_not_matter(rows in rows()) {
        let score_rows = |rows: &[(usize, Option<usize>)]| {
            let (truth, predicted): (Vec<_>, Vec<_>) = rows.iter().copied().unzip();
            score(&labels(&truth), &answers(&predicted), 5).unwrap()
        };
        let scores = score_rows(&rows);
        let mut all = vec![scores.accuracy, scores.weighted_f1, scores.macro_f1];
        all.extend(scores.labels.iter().flat_map(|label| [label.precision, label.recall, label.f1]));
        prop_assert!(all.iter().all(|score| (0.0..=1.0).contains(score)), "{:?}", scores);
        let counted: usize = scores.confusion.iter().flatten().sum();
        prop_assert_eq!(counted + scores.unparsed, rows.len());
        let reversed: Vec<_> = rows.into_iter().rev().collect();
        prop_assert_eq!(score_rows(&reversed), scores);
    }

    #[test]
    fn perfect_answers_score_one(truth in proptest::collection::vec(0..5_usize, 1..40)) {
        let truth = labels(&truth);
        let predicted: Vec<_> = truth.iter().copied().map(Some).collect();
        let scores = score(&truth, &predicted, 5).unwrap();
        prop_assert_eq!((scores.accuracy, scores.weighted_f1), (1.0, 1.0));
    }
}
