use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::dialogue::Utterance;

/// A dialogue with these labels; 7 is none.
fn dialogue(id: usize, labels: &[usize]) -> Dialogue {
    let utterance = |(at, label): (usize, &usize)| {
        let label = (*label < 7).then(|| Label::from_index(*label));
        Utterance::new("Ada".into(), format!("This is what was said as number {at} in dialogue {id}."), label)
    };
    Dialogue::new(format!("d{id}"), labels.iter().enumerate().map(utterance).collect())
}

fn dialogues() -> impl Strategy<Value = Vec<Dialogue>> {
    vec(vec(0..8_usize, 1..9), 3..60)
        .prop_map(|all| all.iter().enumerate().map(|(id, labels)| dialogue(id, labels)).collect())
}

const SHARES: [f64; 3] = [0.8, 0.1, 0.1];

proptest! {
    #[test]
    fn the_order_of_the_file_does_not_matter(dialogues in dialogues(), seed in any::<u64>()) {
        let parts = divide(&dialogues, 7, &SHARES, seed).unwrap();
        let mut other: Vec<_> = dialogues.iter().cloned().zip(parts.iter().copied()).collect();
        other.reverse();
        let reversed: Vec<Dialogue> = other.iter().map(|(dialogue, _)| dialogue.clone()).collect();
        let again = divide(&reversed, 7, &SHARES, seed).unwrap();
        prop_assert!(other.iter().zip(&again).all(|((_, part), again)| part == again));
        for part in 0..3 {
            prop_assert!(parts.contains(&part));
        }
    }
}

#[test]
fn labels_are_spread_by_their_shares() {
    // A common label, one in every fifth dialogue, one in every twentieth.
    let labels =
        |id: usize| vec![0, 0, usize::from(id.is_multiple_of(5)), 2 * usize::from(id.is_multiple_of(20))];
    let dialogues: Vec<Dialogue> = (0..200).map(|id| dialogue(id, &labels(id))).collect();
    let parts = divide(&dialogues, 7, &SHARES, 42).unwrap();
    let count = |part: usize, label: usize| {
        let of_part = dialogues.iter().zip(&parts).filter(|(_, of)| **of == part);
        let utterances = of_part.flat_map(|(dialogue, _)| &dialogue.utterances);
        utterances.filter(|utterance| utterance.label == Some(Label::from_index(label))).count()
    };
    assert_eq!([count(0, 2), count(1, 2), count(2, 2)], [8, 1, 1]);
    assert_eq!([count(0, 1), count(1, 1), count(2, 1)], [32, 4, 4]);
    let sizes: Vec<usize> = (0..3).map(|part| parts.iter().filter(|of| **of == part).count()).collect();
    assert_eq!(sizes, [160, 20, 20]);
    assert_ne!(parts, divide(&dialogues, 7, &SHARES, 43).unwrap());
}

#[test]
fn equal_dialogues_stay_together() {
    let mut dialogues: Vec<Dialogue> = (0..20).map(|id| dialogue(id, &[0, 1, 2])).collect();
    let copies =
        dialogues.iter().map(|one| Dialogue::new(format!("copy of {}", one.id), one.utterances.clone()));
    let copies: Vec<Dialogue> = copies.collect();
    dialogues.extend(copies);
    let parts = divide(&dialogues, 7, &SHARES, 1).unwrap();
    assert_eq!(parts[..20], parts[20..]);
}

#[test]
fn too_few_dialogues_are_refused() {
    let two = [dialogue(0, &[1]), dialogue(1, &[1])];
    let error = divide(&two, 7, &SHARES, 1).unwrap_err();
    assert_eq!(error.to_string(), "2 different dialogues are too few for 3 parts");
    assert_eq!(divide(&two, 7, &[0.5, 0.5], 1).unwrap().iter().sum::<usize>(), 1);
}
