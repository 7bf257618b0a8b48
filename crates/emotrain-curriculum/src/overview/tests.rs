use expect_test::expect_file;

use super::*;
use crate::fixture::{dialogue, meld, section};
use crate::wheel::Wheel;

fn overview(keys: &str, dialogues: &[Dialogue], epochs: usize) -> Overview {
    let (section, labels) = (section(keys), meld());
    let mut scorer = DifficultyScorer::new(&section, &labels, &Wheel::builtin(), 42).unwrap();
    let curriculum = Curriculum::new(&section, &mut scorer, dialogues).unwrap();
    Overview::new(&section, &curriculum, dialogues, &scorer, epochs)
}

fn split() -> Vec<Dialogue> {
    vec![
        dialogue("stormy", "Ada neutral, Ben joy, Ada anger, Ada sadness, Ben joy"),
        dialogue("calm", "Ada joy, Ben joy, Ada joy"),
        dialogue("fearful", "Ada anger, Ben fear"),
        dialogue("lone", "Ada neutral"),
    ]
}

#[test]
fn the_overview_of_four_dialogues() {
    let overview = overview("name = \"prc_emo\"", &split(), 3);
    expect_file!["./overview.txt"].assert_eq(&overview.to_string());
}

#[test]
fn long_lists_of_shifts_are_cut_short() {
    let turns = ["Ada joy, Ada fear"; 9].join(", ");
    let text = overview("", &[dialogue("long", &turns)], 1).to_string();
    assert_eq!(text.matches("    and 5 more\n").count(), 2, "{text}");
    assert_eq!(text.matches("Ada: joy → fear").count(), 12, "{text}");
}

#[test]
fn every_dialogue_is_in_the_histogram_once() {
    for keys in ["name = \"prc_emo\"", "name = \"speakers\"", "name = \"random_buckets\"\nnum_buckets = 4"] {
        let overview = overview(keys, &split(), 1);
        let sums: Vec<usize> = (0..overview.buckets.len())
            .map(|bucket| overview.histogram.bins.iter().map(|bin| bin[bucket]).sum())
            .collect();
        let sizes: Vec<usize> = overview.buckets.iter().map(|bucket| bucket.dialogues).collect();
        assert_eq!(sums, sizes);
        assert!(overview.histogram.bins[0].iter().sum::<usize>() > 0);
        assert!(overview.histogram.bins.last().unwrap().iter().sum::<usize>() > 0);
    }
    // Equal difficulties.
    let equal = overview("", &[dialogue("a", "A joy"), dialogue("b", "A fear")], 1);
    assert_eq!(equal.histogram.bins, [[2]]);
    assert!(!equal.to_string().contains("NaN") && !equal.svg().contains("NaN"));
}

#[test]
fn the_picture_holds_a_bar_for_each_part() {
    let mut overview = overview("name = \"prc_emo\"", &split(), 3);
    overview.name = "a<b&c".to_owned();
    let svg = overview.svg();
    let bars = overview.histogram.bins.iter().flatten().filter(|count| **count > 0).count();
    assert_eq!(svg.matches("<title>").count(), bars);
    assert!(svg.starts_with("<svg xmlns=") && svg.ends_with("</svg>\n"));
    assert!(svg.contains("a&lt;b&amp;c"));
}
