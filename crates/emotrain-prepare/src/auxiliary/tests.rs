use std::collections::BTreeSet;

use super::*;

#[test]
fn a_larger_share_holds_the_smaller_one() {
    let rank = |place: &usize| Key::new(7).with(*place as u64).bits();
    let drawn = |count| first((0..50).collect(), count, rank).into_iter().collect::<BTreeSet<_>>();
    for count in 0..50 {
        assert_eq!(drawn(count).len(), count);
        assert!(drawn(count).is_subset(&drawn(count + 1)));
    }
    assert_eq!(drawn(80), drawn(50));
}

#[test]
fn a_share_is_rounded() {
    assert_eq!([0.0, 0.01, 0.05, 0.5, 0.96, 1.0].map(|ratio| share(ratio, 10)), [0, 0, 1, 5, 10, 10]);
}

#[test]
fn a_draw_does_not_depend_on_the_order_of_the_file() {
    let dialogue = |number: usize| Dialogue::new(number.to_string(), Vec::new());
    let dialogues: Vec<Dialogue> = (0..20).map(dialogue).collect();
    let drawn = |order: &[usize], key: Key| {
        let turns: Vec<_> =
            order.iter().flat_map(|at| (0..5).map(|position| (&dialogues[*at], position))).collect();
        let places =
            first((0..turns.len()).collect(), 30, |&place| rank(key, turns[place].0, turns[place].1));
        places.into_iter().map(|place| turns[place].0.utterance_id(turns[place].1)).collect::<BTreeSet<_>>()
    };
    let (forward, backward): (Vec<usize>, Vec<usize>) = ((0..20).collect(), (0..20).rev().collect());
    assert_eq!(drawn(&forward, Key::new(1)), drawn(&backward, Key::new(1)));
    assert_ne!(drawn(&forward, Key::new(1)), drawn(&forward, Key::new(2)));
}
