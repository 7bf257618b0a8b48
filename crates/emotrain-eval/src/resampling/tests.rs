//! Comparisons over dialogues against scipy's and scikit-learn's on the cases of `tests/golden/statistics`.

mod coverage;

use emotrain_data::Label;
use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Golden {
    resampling: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    labels: usize,
    /// By dialogue.
    truth: Vec<Vec<usize>>,
    /// By run and dialogue; -1 = unparsed.
    baseline: Vec<Vec<Vec<i64>>>,
    other: Vec<Vec<Vec<i64>>>,
    score: HeadlineScore,
    /// Of the baseline's runs and of the others, by scikit-learn.
    scores: [Vec<f64>; 2],
    difference: f64,
    /// Whether p is of all exchanges.
    exact: bool,
    p: f64,
    bootstrap: Resampled,
}

#[derive(Deserialize)]
struct Resampled {
    interval: [f64; 2],
    error: f64,
    at_most_zero: f64,
    at_least_zero: f64,
}

impl Case {
    fn run(&self, answers: &[Vec<i64>]) -> RunAnswers {
        let mut run = RunAnswers { right: Vec::new(), dialogues: Vec::new(), labels: self.labels };
        for (truth, answers) in self.truth.iter().zip(answers) {
            let mut tally = ScoreTally::empty(self.labels);
            for (truth, answer) in truth.iter().zip(answers) {
                let (truth, answer) =
                    (Label::from_index(*truth), usize::try_from(*answer).ok().map(Label::from_index));
                tally.count(truth, answer);
                run.right.push(answer == Some(truth));
            }
            run.dialogues.push(tally);
        }
        run
    }

    fn check(&self, number: usize) {
        let [baseline, other] = [&self.baseline, &self.other]
            .map(|runs| runs.iter().map(|run| self.run(run)).collect::<Vec<_>>());
        let pairs: Vec<RunPair> =
            baseline.iter().zip(&other).map(|(baseline, other)| RunPair { baseline, other }).collect();
        for (runs, scores) in [&baseline, &other].into_iter().zip(&self.scores) {
            for (run, expected) in runs.iter().zip(scores) {
                assert!((run.score(self.score) - expected).abs() < 1e-12, "case {number}");
            }
        }
        assert!((difference(&pairs, self.score) - self.difference).abs() < 1e-12, "case {number}");

        let bootstrap = Bootstrap { samples: 20_000, level: 0.95, seed: 3 };
        let found = Randomisation::of(&pairs, self.score, bootstrap);
        // scipy drew 4,000 exchanges, and this 20,000.
        let tolerance =
            if self.exact { 1e-12 } else { 4.5 * (self.p * (1.0 - self.p) / 3_333.0).sqrt() + 5e-4 };
        assert!((found.p - self.p).abs() <= tolerance, "case {number}: {found:?}, not {}", self.p);
        assert!(!self.exact || found.exact, "case {number}");

        let found = DialogueBootstrap::of(&pairs, self.score, bootstrap);
        let Resampled { interval, error, at_most_zero, at_least_zero } = &self.bootstrap;
        // scipy drew 3,000 sets. Those of few dialogues have few differences: an end may be the next one.
        let few = self.truth.len() < 8;
        let tolerance = if few { 0.6 * error } else { 0.25 * error };
        for (found, expected) in [found.interval.low, found.interval.high].into_iter().zip(interval) {
            assert!(
                (found - expected).abs() <= tolerance + 1e-12,
                "case {number}: {found} is not {expected}"
            );
        }
        assert!((found.standard_error - error).abs() <= 0.06 * error + 1e-12, "case {number}: {found:?}");
        let expected = (2.0 * at_most_zero.min(*at_least_zero)).min(1.0);
        let tolerance = 2.0 * (4.5 * (expected / 2.0 * (1.0 - expected / 2.0) / 2_600.0).sqrt() + 1e-3);
        assert!((found.p - expected).abs() <= tolerance, "case {number}: {found:?}, not {expected}");
    }
}

#[test]
fn differences_over_dialogues_are_scipys() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/statistics/cases.json");
    let golden: Golden = serde_json::from_str(&fs_err::read_to_string(path).unwrap()).unwrap();
    assert!(golden.resampling.iter().filter(|case| case.exact).count() >= 20);
    golden.resampling.iter().enumerate().for_each(|(number, case)| case.check(number));
}

/// A run that answers rightly where there is a plus; the truth of every utterance is the first of two labels.
fn run(dialogues: &[&str]) -> RunAnswers {
    let tally = |dialogue: &&str| {
        let mut tally = ScoreTally::empty(2);
        for mark in dialogue.bytes() {
            tally.count(Label::from_index(0), Some(Label::from_index(usize::from(mark != b'+'))));
        }
        tally
    };
    let right = dialogues.iter().flat_map(|dialogue| dialogue.bytes().map(|mark| mark == b'+')).collect();
    RunAnswers { right, dialogues: dialogues.iter().map(tally).collect(), labels: 2 }
}

#[test]
fn equal_answers_and_single_dialogues_have_no_difference_to_show() {
    let bootstrap = Bootstrap { samples: 500, level: 0.95, seed: 1 };
    let of = |one: &RunAnswers, other: &RunAnswers| {
        let pairs = [RunPair { baseline: one, other }];
        let resampled = DialogueBootstrap::of(&pairs, HeadlineScore::Accuracy, bootstrap);
        (Randomisation::of(&pairs, HeadlineScore::Accuracy, bootstrap), resampled)
    };
    let some = run(&["+-+", "--", "++"]);
    let (randomisation, resampled) = of(&some, &some);
    assert_eq!(randomisation, Randomisation { p: 1.0, exact: true, arrangements: 1 });
    assert!(resampled.p >= 1.0 && resampled.standard_error <= 0.0, "{resampled:?}");
    assert!(resampled.interval.low.abs() < 1e-12 && resampled.interval.high.abs() < 1e-12);
    // One dialogue can only be exchanged as a whole, which is as far on the other side.
    let (randomisation, resampled) = of(&run(&["+---"]), &run(&["++++"]));
    assert_eq!(randomisation, Randomisation { p: 1.0, exact: true, arrangements: 2 });
    assert!((resampled.interval.low - 0.75).abs() < 1e-12, "{resampled:?}");
    assert!(resampled.standard_error <= 0.0);
}

#[test]
fn a_difference_in_every_dialogue_has_the_smallest_p_there_is() {
    let worse = run(&["-+"; 10]);
    let better = run(&["++"; 10]);
    let pairs = [RunPair { baseline: &worse, other: &better }];
    let p = |samples| {
        let bootstrap = Bootstrap { samples, level: 0.95, seed: 1 };
        Randomisation::of(&pairs, HeadlineScore::Accuracy, bootstrap)
    };
    let all = p(1_024);
    assert!(all.exact && (all.p - 2.0 / 1_024.0).abs() < 1e-15, "{all:?}");
    let drawn = p(1_023);
    assert!(!drawn.exact && drawn.p >= 1.0 / 1_024.0 && drawn.p < 0.01, "{drawn:?}");
}

#[test]
fn the_seed_decides() {
    let (worse, better) = (run(&["-+", "+-", "--", "++", "-+"]), run(&["++", "+-", "+-", "+-", "-+"]));
    let pairs = [RunPair { baseline: &worse, other: &better }];
    let of = |seed| {
        let bootstrap = Bootstrap { samples: 7, level: 0.9, seed };
        (
            DialogueBootstrap::of(&pairs, HeadlineScore::WeightedF1, bootstrap),
            Randomisation::of(&pairs, HeadlineScore::WeightedF1, bootstrap),
        )
    };
    assert_eq!(of(5), of(5));
    assert_ne!(of(5), of(6));
}
