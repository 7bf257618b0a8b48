#![expect(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]

use emotrain_data::{Demonstration, SplitKind};
use expect_test::expect;
use proptest::prelude::*;

use super::*;
use crate::fixture::{Place, WordSums, demonstration};

fn bank() -> Vec<Demonstration> {
    let a = ("own", SplitKind::Train, "a");
    let b = ("theirs", SplitKind::Train, "b");
    let lines = [
        (a, "The last ferry of the day leaves at nine.", "neutral"),
        (a, "The last ferry of the day leaves at ten.", "neutral"),
        (a, "Oh no!", "scared"),
        (b, "oh, no", "sad"),
        (b, "Oh no!", "fear"),
        (b, "Something else entirely.", "joy"),
    ];
    let mut all: Vec<Demonstration> = (0..)
        .zip(lines)
        .map(|(position, (dialogue, text, label))| demonstration(dialogue, position, text, label))
        .collect();
    all[0].domain = Some("travel".to_owned());
    all
}

#[test]
fn a_bank_is_counted() {
    let place = Place::new();
    let bank = place.build(&bank(), None);
    expect![[r#"
          own, train                      3   50.0 %
          theirs, train                   3   50.0 %
          neutral                         2   33.3 %
          fear                            2   33.3 %  as scared
          sadness                         1   16.7 %  as sad
          joy                             1   16.7 %
          travel                          1   16.7 %
          6 demonstrations from 2 dialogues
          words: 2 to 9, median 2, mean 4.5, 95 % up to 9
          characters: 6 to 41, median 6, mean 20.5, 95 % up to 41
          duplicates: 2 demonstrations repeat one of 1 texts, 1 of which have several emotions
          near-duplicates: 0 of 6 have a neighbour with 80 % of the words or more in common"#]]
    .assert_eq(stats(&bank).unwrap().to_string().replace("\n  ", "\n").trim_start());
}

#[test]
fn vectors_tell_near_duplicates() {
    let place = Place::new();
    let bank = place.build(&bank(), Some(&WordSums::new(512)));
    let near = stats(&bank).unwrap().near_duplicates;
    assert_eq!((near.method, near.compared), (NearMethod::Cosine, 6));
    let vector = |row| bank.vector(row).unwrap();
    let cosine: f32 = vector(0).iter().zip(vector(1)).map(|(one, other)| one * other).sum();
    assert_eq!(near.demonstrations > 0, cosine >= 0.95);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_index_finds_what_comparing_all_finds(
        texts in proptest::collection::vec("(a|b|c|d|e|f)( (a|b|c|d|e|f|g|h|i)){0,9}", 1..30),
    ) {
        let a = ("own", SplitKind::Train, "a");
        let all: Vec<Demonstration> =
            texts.iter().enumerate().map(|(at, text)| demonstration(a, at, text, "joy")).collect();
        let place = Place::new();
        let bank = place.build(&all, None);
        let near = stats(&bank).unwrap().near_duplicates;
        let sets: Vec<std::collections::BTreeSet<&str>> = texts.iter().map(|text| text.split(' ').collect()).collect();
        let mut rows = std::collections::BTreeSet::new();
        for (later, text) in texts.iter().enumerate() {
            for earlier in 0..later {
                // Duplicate texts are represented by the first.
                let is_first = |row: usize| !texts[..row].contains(&texts[row]);
                let both = sets[earlier].intersection(&sets[later]).count() as f64;
                let either = sets[earlier].union(&sets[later]).count() as f64;
                if texts[earlier] != *text && both / either >= 0.8 && is_first(earlier) && is_first(later) {
                    rows.extend([earlier, later]);
                }
            }
        }
        prop_assert_eq!(near.demonstrations, rows.len());
    }
}
