use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, prop_assert, prop_assert_eq, proptest};

use super::*;
use crate::fixture::section;

fn buckets(keys: &str, difficulties: &[f64], utterances: &[usize]) -> Buckets {
    Buckets::new(&section(&format!("scheduler = \"baby_step\"\n{keys}")), difficulties, utterances).unwrap()
}

fn parts(buckets: &Buckets) -> Vec<&[usize]> {
    (0..buckets.len()).map(|bucket| buckets.bucket(bucket)).collect()
}

#[test]
fn equal_difficulties_keep_the_order_of_the_split() {
    let difficulties = [0.5, 0.1, 0.5, 0.1];
    assert_eq!(buckets("", &difficulties, &[1; 4]).order(), [1, 3, 0, 2]);
    let reverse = buckets("direction = \"hard_to_easy\"", &difficulties, &[1; 4]);
    assert_eq!(reverse.order(), [0, 2, 1, 3]);
}

#[test]
fn cuts_lie_where_the_utterances_are_halved() {
    let difficulties = [1.0, 2.0, 3.0, 4.0];
    assert_eq!(parts(&buckets("", &difficulties, &[9, 1, 1, 1])), [&[0][..], &[1, 2, 3]]);
    assert_eq!(parts(&buckets("", &difficulties, &[1, 1, 1, 9])), [&[0, 1, 2][..], &[3]]);
    assert_eq!(parts(&buckets("", &difficulties, &[2, 2, 2, 2])), [&[0, 1][..], &[2, 3]]);
    let dialogues = buckets("balance = \"dialogues\"", &difficulties, &[9, 1, 1, 1]);
    assert_eq!(parts(&dialogues), [&[0, 1][..], &[2, 3]]);
    // A long dialogue that spans two shares does not leave a bucket empty.
    let four = buckets("num_buckets = 4", &difficulties, &[1, 97, 1, 1]);
    assert_eq!(parts(&four), [[0], [1], [2], [3]]);
}

#[test]
fn dialogues_that_are_not_trained_on_are_left_out() {
    let buckets = buckets("", &[4.0, 3.0, 2.0, 1.0], &[1, 0, 2, 1]);
    assert_eq!(parts(&buckets), [&[3][..], &[2, 0]]);
    assert_eq!(buckets.of_each(4), [Some(1), None, Some(1), Some(0)]);
}

#[test]
fn what_cannot_be_cut_is_refused() {
    let section = section("scheduler = \"one_pass\"\nnum_buckets = 3");
    let error = Buckets::new(&section, &[1.0, 2.0], &[4, 4]).unwrap_err();
    assert_eq!(error.to_string(), "curriculum.num_buckets = 3, but there are only 2 dialogues");
    assert!(error.hint().is_some());
    let error = Buckets::new(&section, &[], &[]).unwrap_err();
    assert_eq!(error.to_string(), "there are no dialogues to order");
    let error = Buckets::new(&section, &[1.0, 2.0, 3.0], &[0, 4, 4]).unwrap_err();
    assert_eq!(error.to_string(), "curriculum.num_buckets = 3, but there are only 2 dialogues");
    let error = Buckets::new(&section, &[1.0], &[1, 1]).unwrap_err();
    assert_eq!(error.to_string(), "1 difficulties for 2 dialogues");
}

fn splits() -> impl Strategy<Value = (Vec<(u8, usize)>, usize, bool, bool)> {
    vec((0..9_u8, 1..40_usize), 1..120).prop_flat_map(|dialogues| {
        let most = dialogues.len().min(12);
        (Just(dialogues), 1..=most, proptest::bool::ANY, proptest::bool::ANY)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn buckets_part_a_permutation_by_difficulty((dialogues, count, reverse, by_dialogues) in splits()) {
        let difficulties: Vec<f64> = dialogues.iter().map(|(level, _)| f64::from(*level) / 8.0).collect();
        let utterances: Vec<usize> = dialogues.iter().map(|(_, utterances)| *utterances).collect();
        let keys = format!(
            "num_buckets = {count}\ndirection = {:?}\nbalance = {:?}",
            if reverse { "hard_to_easy" } else { "easy_to_hard" },
            if by_dialogues { "dialogues" } else { "utterances" },
        );
        let buckets = buckets(&keys, &difficulties, &utterances);
        // Every dialogue is in exactly one bucket.
        let mut seen = buckets.order().to_vec();
        prop_assert_eq!(parts(&buckets).concat(), buckets.order());
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..dialogues.len()).collect::<Vec<_>>());
        prop_assert_eq!(buckets.len(), count);
        let of_each = buckets.of_each(dialogues.len());
        for (number, part) in parts(&buckets).iter().enumerate() {
            prop_assert!(part.iter().all(|&index| of_each[index] == Some(number)));
        }
        prop_assert!(parts(&buckets).iter().all(|part| !part.is_empty()));
        // The hardest of a bucket is not harder than the easiest of the next one, or the reverse.
        let of = |part: &[usize]| part.iter().map(|&index| difficulties[index]).collect::<Vec<_>>();
        for pair in parts(&buckets).windows(2) {
            let [mut earlier, mut later] = [of(pair[0]), of(pair[1])];
            if reverse {
                std::mem::swap(&mut earlier, &mut later);
            }
            let most = earlier.iter().copied().fold(f64::MIN, f64::max);
            prop_assert!(later.iter().all(|difficulty| most <= *difficulty));
        }
        // Unless a boundary had to move to keep buckets non-empty, no other is nearer to its share.
        let weight = |index: &usize| if by_dialogues { 1 } else { utterances[*index] };
        let total: usize = buckets.order().iter().map(weight).sum();
        let longest = buckets.order().iter().map(weight).max().unwrap_or(0);
        if longest * count < total {
            for (number, part) in parts(&buckets).iter().enumerate() {
                let sum: usize = part.iter().map(weight).sum();
                prop_assert!((sum as f64 - total as f64 / count as f64).abs() <= longest as f64, "{number}: {sum}");
            }
        }
    }
}
