//! Whether intervals hold what they claim to: the true value, in 95 of 100 cases.

use emotrain_base::random::{Key, normal};
use emotrain_data::Label;

use super::*;
use crate::statistics::SeedSummary;

const DRAWS: u64 = 2_000;
const LABELS: usize = 3;
/// How often each label is the true one, of 10.
const PRIOR: [usize; LABELS] = [5, 3, 2];
/// How many of 10 answers in an easy and in a hard dialogue are right; the others are drawn from all labels.
const BASELINE: [usize; 2] = [7, 2];
const OTHER: [usize; 2] = [8, 3];

/// Seeds of a recipe.
fn share_of_seeds(seeds: usize, is_held: impl Fn(SeedSummary) -> bool) -> f64 {
    let bootstrap = Bootstrap { samples: 400, level: 0.95, seed: 9 };
    let held = (0..DRAWS).filter(|draw| {
        let scores = normal(Key::new(17).with(seeds as u64).with(*draw), seeds, 1.0);
        let scores: Vec<f64> = scores.into_iter().map(|score| 0.6 + 0.01 * f64::from(score)).collect();
        is_held(SeedSummary::of(&scores, Bootstrap { seed: *draw, ..bootstrap }).unwrap())
    });
    held.count() as f64 / DRAWS as f64
}

fn holds(interval: Option<Interval>, value: f64) -> bool {
    interval.is_some_and(|interval| interval.low <= value && value <= interval.high)
}

#[test]
fn t_intervals_over_seeds_hold_the_mean_as_often_as_they_claim() {
    for seeds in [2, 3, 5, 10] {
        let share = share_of_seeds(seeds, |summary| holds(summary.t_interval, 0.6));
        assert!((0.93..=0.97).contains(&share), "{seeds} seeds: {share}");
    }
}

/// Which is why they are not the ones that are shown.
#[test]
fn percentile_intervals_over_few_seeds_are_too_short() {
    for (seeds, expected) in [(3, 0.75), (5, 0.83), (20, 0.93)] {
        let share = share_of_seeds(seeds, |summary| holds(summary.bootstrap_interval, 0.6));
        assert!((share - expected).abs() < 0.03, "{seeds} seeds: {share}");
    }
}

/// Answers to dialogues of 4 to 12 utterances, of which every other is hard: utterances of one depend on each other.
fn drawn(random: &mut SplitMix64, dialogues: usize) -> [RunAnswers; 2] {
    let mut runs = [(); 2].map(|()| RunAnswers { right: Vec::new(), dialogues: Vec::new(), labels: LABELS });
    for _ in 0..dialogues {
        let hard = random.below(2);
        let mut tallies = [ScoreTally::empty(LABELS), ScoreTally::empty(LABELS)];
        for _ in 0..4 + random.below(9) {
            let at = random.below(10);
            let truth = usize::from(at >= PRIOR[0]) + usize::from(at >= PRIOR[0] + PRIOR[1]);
            // The same draw for both runs, whose answers to an utterance depend on each other, too.
            let luck = random.below(10);
            for (tally, right) in tallies.iter_mut().zip([BASELINE, OTHER]) {
                let answer = if luck < right[hard] { truth } else { random.below(LABELS) };
                tally.count(Label::from_index(truth), Some(Label::from_index(answer)));
            }
        }
        for (run, tally) in runs.iter_mut().zip(tallies) {
            run.dialogues.push(tally);
        }
    }
    runs
}

/// Weighted F1 of a run on all dialogues that there could be, from the expected counts.
fn true_f1(right: [usize; 2]) -> f64 {
    let right = (right[0] + right[1]) as f64 / 20.0;
    let guessed = (1.0 - right) / LABELS as f64;
    let f1 = |prior: f64| 2.0 * prior * (right + guessed) / (prior + prior * right + guessed);
    PRIOR.iter().map(|&prior| prior as f64 / 10.0).map(|prior| prior * f1(prior)).sum()
}

#[test]
fn intervals_over_dialogues_hold_the_difference_as_often_as_they_claim() {
    let truth = true_f1(OTHER) - true_f1(BASELINE);
    // As many dialogues as IEMOCAP's test set has, and about as many as EmoryNLP's.
    for dialogues in [31, 80] {
        let mut random = SplitMix64::new(dialogues as u64);
        let mut held = 0_u64;
        for draw in 0..DRAWS {
            let [baseline, other] = drawn(&mut random, dialogues);
            let pairs = [RunPair { baseline: &baseline, other: &other }];
            let bootstrap = Bootstrap { samples: 400, level: 0.95, seed: draw };
            let found = DialogueBootstrap::of(&pairs, HeadlineScore::WeightedF1, bootstrap);
            held += u64::from(holds(Some(found.interval), truth));
        }
        let share = held as f64 / DRAWS as f64;
        assert!((0.93..=0.97).contains(&share), "{dialogues} dialogues: {share}");
    }
}

/// With equal recipes, p is below 0.05 in at most 5 of 100 cases: the level of the tests.
#[test]
fn equal_recipes_seldom_differ_by_exchanged_answers() {
    let mut random = SplitMix64::new(23);
    let mut found = 0_u64;
    for draw in 0..DRAWS {
        let [one, other] = drawn(&mut random, 31);
        // Which of two is the baseline is drawn in each dialogue: recipes that do not differ.
        let mut runs = [one, other];
        for dialogue in 0..31 {
            if random.below(2) == 1 {
                let [one, other] = &mut runs;
                std::mem::swap(&mut one.dialogues[dialogue], &mut other.dialogues[dialogue]);
            }
        }
        let pairs = [RunPair { baseline: &runs[0], other: &runs[1] }];
        let bootstrap = Bootstrap { samples: 199, level: 0.95, seed: draw };
        found += u64::from(Randomisation::of(&pairs, HeadlineScore::WeightedF1, bootstrap).p <= 0.05);
    }
    let share = found as f64 / DRAWS as f64;
    assert!((0.03..=0.07).contains(&share), "{share}");
}
