use emotrain_data::Label;
use expect_test::expect;

use super::*;
use crate::tally::ScoreTally;

/// A run that answers rightly where a dialogue has a plus; true labels take turns.
fn run(seed: u64, dialogues: &str) -> GroupRun {
    let mut answers = RunAnswers { right: Vec::new(), dialogues: Vec::new(), labels: 2 };
    for dialogue in dialogues.split(' ') {
        let mut tally = ScoreTally::empty(2);
        for (at, mark) in dialogue.bytes().enumerate() {
            let truth = at % 2;
            let answer = if mark == b'+' { truth } else { 1 - truth };
            tally.count(Label::from_index(truth), Some(Label::from_index(answer)));
            answers.right.push(mark == b'+');
        }
        answers.dialogues.push(tally);
    }
    GroupRun { seed, answers }
}

fn group(name: &str, runs: &[GroupRun]) -> RunGroup {
    RunGroup { name: name.to_owned(), runs: runs.to_vec() }
}

fn compare(groups: &[RunGroup]) -> RunComparison {
    let bootstrap = Bootstrap { samples: 2_000, level: 0.95, seed: 0 };
    RunComparison::of(groups, ComparisonTerms { score: HeadlineScore::Accuracy, bootstrap }).unwrap()
}

fn baseline() -> RunGroup {
    group(
        "plain",
        &[
            run(1, "+--+ ---- +-+- -++- -+-+"),
            run(2, "+-++ --+- +-+- -++- -+--"),
            run(3, "+--- ---- +-+- ++++ -+-+"),
        ],
    )
}

fn better() -> RunGroup {
    // In another order of seeds.
    group(
        "better",
        &[
            run(3, "++++ -++- +-++ +++- -+-+"),
            run(1, "++++ -++- +-+- +++- ++-+"),
            run(2, "++++ +++- +-++ -+++ -+-+"),
        ],
    )
}

#[test]
fn groups_are_paired_by_seed_and_told_as_tables() {
    let found = compare(&[baseline(), better(), baseline()]);
    let [first, same] = &found.comparisons[..] else { panic!("{found:?}") };
    assert_eq!((first.matching, first.pairs), (Matching::Seed, 3));
    assert!(
        first.bootstrap.interval.low < first.difference && first.difference < first.bootstrap.interval.high
    );
    let t_test = first.seeds.unwrap().t_test;
    assert!((t_test.degrees_of_freedom - 2.0).abs() < 1e-12);
    assert!(first.p_holm >= first.randomisation.p);
    // Against itself nothing differs, and nothing can be said of seeds.
    assert!(same.difference.abs() < 1e-12 && same.p_holm >= 1.0 && same.p_mcnemar >= 1.0);
    assert_eq!(
        (same.seeds, same.smallest_detectable.by_seeds, same.smallest_detectable.by_dialogues),
        (None, None, None)
    );
    expect![[r"
        20 utterances in 5 dialogues, scores in percent

        group   runs  accuracy   std  t interval over seeds
        plain      3     43.33  2.89         36.16 to 50.50
        better     3     71.67  2.89         64.50 to 78.84
        plain      3     43.33  2.89         36.16 to 50.50

        over dialogues, against plain  pairs  difference          interval       p  p Holm  p McNemar  detectable
        better                             3      +28.33  +13.33 to +43.33  0.0625  0.1250     0.0469       22.70
        plain                              3       +0.00    +0.00 to +0.00  1.0000  1.0000     1.0000           –

        over seeds, against plain  difference        t interval       p  p Wilcoxon  detectable
        better                         +28.33  +21.16 to +35.50  0.0034      0.2500        9.42
        plain                               –                 –       –           –           –

        intervals are of 95 %; what is detectable is shown in 80 of 100 cases
        over dialogues, whether other dialogues would agree, of the runs given: paired bootstrap, p of
          an approximate randomisation of accuracy; McNemar's test is of accuracy;
          p Holm is p corrected for 2 comparisons
        over seeds, whether other seeds would agree: t tests"]].assert_eq(&found.to_string());
}

#[test]
fn a_comparison_is_stored_and_read_back() {
    let found = compare(&[baseline(), better()]);
    let text = serde_json::to_string(&found).unwrap();
    assert_eq!(serde_json::from_str::<RunComparison>(&text).unwrap(), found);
    assert!(!text.contains("null"), "{text}");
}

#[test]
fn without_a_seed_in_common_runs_are_paired_in_order_and_seeds_are_two_samples() {
    let other = group("other", &[run(7, "++++ -++- +-++ +++- -+-+"), run(8, "++++ -++- +-+- +++- ++-+")]);
    let found = compare(&[baseline(), other]);
    let [one] = &found.comparisons[..] else { panic!("{found:?}") };
    assert_eq!((one.matching, one.pairs, one.mcnemar.len()), (Matching::Order, 2, 2));
    let seeds = one.seeds.unwrap();
    assert!(seeds.signed_rank.is_none() && seeds.t_test.degrees_of_freedom < 3.0, "{seeds:?}");
    assert!(
        found.to_string().ends_with("other and plain have no seed in common: their runs are paired in order")
    );
}

#[test]
fn single_runs_are_compared_over_dialogues_alone() {
    let found = compare(&[group("a", &[run(1, "+--+ ---- +-+-")]), group("b", &[run(9, "++++ -++- +-+-")])]);
    let [one] = &found.comparisons[..] else { panic!("{found:?}") };
    assert_eq!((one.pairs, one.seeds), (1, None));
    assert_eq!(found.groups[0].summary.std, None);
    assert!((one.p_mcnemar - one.mcnemar[0].exact_p).abs() < 1e-15);
    assert!(one.randomisation.exact && one.smallest_detectable.by_dialogues.is_some());
}

#[test]
fn there_must_be_something_to_compare() {
    let bootstrap = Bootstrap { samples: 10, level: 0.95, seed: 0 };
    let terms = ComparisonTerms { score: HeadlineScore::Accuracy, bootstrap };
    for groups in
        [vec![], vec![baseline()], vec![baseline(), group("none", &[])], vec![group("none", &[]), baseline()]]
    {
        assert!(matches!(RunComparison::of(&groups, terms), Err(EvalError::NothingToCompare)));
    }
    let terms = ComparisonTerms { bootstrap: Bootstrap { samples: 0, ..bootstrap }, ..terms };
    assert!(matches!(RunComparison::of(&[baseline(), better()], terms), Err(EvalError::InvalidBootstrap)));
}
