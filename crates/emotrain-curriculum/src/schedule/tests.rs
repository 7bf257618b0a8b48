use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, prop_assert, prop_assert_eq, proptest};

use super::*;
use crate::fixture::section;

/// A schedule of six one-utterance dialogues, the last the easiest.
fn schedule(keys: &str) -> Schedule {
    of(keys, &[6.0, 5.0, 4.0, 3.0, 2.0, 1.0], &[2; 6])
}

fn of(keys: &str, difficulties: &[f64], utterances: &[usize]) -> Schedule {
    let section = section(keys);
    let buckets = Buckets::new(&section, difficulties, utterances).unwrap();
    Schedule::new(&section, buckets, utterances)
}

/// Phase and dialogues of the first epochs.
fn epochs(schedule: &Schedule, count: usize) -> Vec<(usize, Vec<usize>)> {
    (0..count).map(|epoch| schedule.epoch(epoch)).map(|e| (e.phase, e.dialogues.to_vec())).collect()
}

const ALL: [usize; 6] = [5, 4, 3, 2, 1, 0];

#[test]
fn without_a_curriculum_every_epoch_has_everything() {
    let schedule = schedule("");
    assert_eq!(epochs(&schedule, 2), [(0, ALL.to_vec()), (0, ALL.to_vec())]);
    assert_eq!(schedule.epoch(7).share.to_bits(), 1.0_f64.to_bits());
}

#[test]
fn baby_steps_keep_what_came_before() {
    let three = schedule("scheduler = \"baby_step\"\nnum_buckets = 3");
    let all = ALL.to_vec();
    let expected =
        [(0, vec![5, 4]), (1, vec![5, 4, 3, 2]), (2, all.clone()), (2, all.clone()), (2, all.clone())];
    assert_eq!(epochs(&three, 5), expected);
    assert!((three.epoch(1).share - 2.0 / 3.0).abs() < 1e-15);
    let slow = schedule("scheduler = \"baby_step\"\nepochs_per_phase = 2");
    let expected = [(0, vec![5, 4, 3]), (0, vec![5, 4, 3]), (1, all.clone()), (1, all)];
    assert_eq!(epochs(&slow, 4), expected);
}

#[test]
fn one_pass_takes_buckets_one_at_a_time_and_then_all() {
    let passes = schedule("scheduler = \"one_pass\"");
    let expected = [(0, vec![5, 4, 3]), (1, vec![2, 1, 0]), (2, ALL.to_vec()), (2, ALL.to_vec())];
    assert_eq!(epochs(&passes, 4), expected);
    assert!((passes.epoch(1).share - 0.5).abs() < 1e-15);
    let one = schedule("scheduler = \"one_pass\"\nnum_buckets = 1");
    assert_eq!(epochs(&one, 3), [(0, ALL.to_vec()), (0, ALL.to_vec()), (0, ALL.to_vec())]);
}

#[test]
fn hard_to_easy_turns_the_order_round() {
    let reverse = schedule("scheduler = \"baby_step\"\ndirection = \"hard_to_easy\"");
    assert_eq!(epochs(&reverse, 2), [(0, vec![0, 1, 2]), (1, vec![0, 1, 2, 3, 4, 5])]);
}

#[test]
fn competence_grows_as_published() {
    let keys = "scheduler = \"competence\"\ncompetence_epochs = 4\ninitial_competence = 0.25";
    let shares = |pacing: &str| {
        let schedule = of(&format!("{keys}\npacing = {pacing:?}"), &[0.0; 1000], &[3; 1000]);
        (0..6).map(|epoch| schedule.epoch(epoch).share).collect::<Vec<_>>()
    };
    let linear: Vec<f64> = (0..6).map(|t| (f64::from(t) / 4.0 * 0.75 + 0.25).min(1.0)).collect();
    let root: Vec<f64> =
        (0..6).map(|t| (f64::from(t) / 4.0 * (1.0 - 0.0625) + 0.0625).sqrt().min(1.0)).collect();
    for (found, expected) in [(shares("linear"), linear), (shares("root"), root)] {
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() <= 0.001, "{found} is not {expected}");
        }
        assert_eq!(found[4..], [1.0, 1.0]);
    }
}

#[test]
fn competence_begins_with_one_dialogue_and_counts_what_changes() {
    let slow = schedule("scheduler = \"competence\"\ncompetence_epochs = 2\ninitial_competence = 1e-9");
    assert_eq!(epochs(&slow, 4), [(0, vec![5]), (1, vec![5, 4, 3, 2]), (2, ALL.to_vec()), (2, ALL.to_vec())]);
    let two = of("scheduler = \"competence\"\ncompetence_epochs = 6", &[1.0, 2.0], &[1, 9]);
    let phases: Vec<usize> = (0..8).map(|epoch| two.epoch(epoch).phase).collect();
    assert_eq!(phases, [0, 1, 1, 1, 1, 1, 1, 1]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn phases_change_exactly_with_the_dialogues_and_end_with_all(
        dialogues in vec((0..5_u8, 1..30_usize), 8..60),
        scheduler in 0..4_usize, buckets in 1..8_usize, epochs in 1..4_usize, balance in proptest::bool::ANY,
    ) {
        let name = ["none", "baby_step", "one_pass", "competence"][scheduler];
        let balance = if balance { "dialogues" } else { "utterances" };
        let keys = format!(
            "scheduler = {name:?}\nnum_buckets = {buckets}\nepochs_per_phase = {epochs}\nbalance = {balance:?}"
        );
        let difficulties: Vec<f64> = dialogues.iter().map(|(level, _)| f64::from(*level)).collect();
        let utterances: Vec<usize> = dialogues.iter().map(|(_, utterances)| *utterances).collect();
        let schedule = of(&keys, &difficulties, &utterances);
        for epoch in 0..30 {
            let (now, next) = (schedule.epoch(epoch), schedule.epoch(epoch + 1));
            prop_assert_eq!(now.phase == next.phase, now.dialogues == next.dialogues);
            prop_assert!(next.phase == now.phase || next.phase == now.phase + 1);
            let part: usize = now.dialogues.iter().map(|&index| utterances[index]).sum();
            let share = part as f64 / utterances.iter().sum::<usize>() as f64;
            prop_assert!((now.share - share).abs() < 1e-12 && !now.dialogues.is_empty());
        }
        let end = schedule.epoch(30);
        prop_assert_eq!(end.dialogues.len(), dialogues.len());
        prop_assert_eq!(schedule.epoch(usize::MAX), end);
    }
}
