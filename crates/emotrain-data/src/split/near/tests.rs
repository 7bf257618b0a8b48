use expect_test::expect;

use super::*;
use crate::dialogue::Utterance;

const TALK: [&str; 6] = [
    "Did you call the plumber?",
    "Twice, and nobody came.",
    "So what do we do now?",
    "I will fix it myself.",
    "Like the last time?",
    "That was not my fault.",
];

fn dialogue(id: &str, texts: &[&str]) -> Dialogue {
    let utterance = |text: &&str| Utterance::new("Ann".to_owned(), (*text).to_owned(), None);
    Dialogue::new(id.to_owned(), texts.iter().map(utterance).collect())
}

fn split(path: &str, dialogues: &[(&str, &[&str])]) -> Split {
    Split::of(path.into(), dialogues.iter().map(|(id, texts)| dialogue(id, texts)).collect())
}

/// What is near to `TALK` in the training data.
fn near(texts: &[&str]) -> Vec<String> {
    let train = split("data/train", &[("other", &["Hi.", "Hello.", "Well.", "Yes."]), ("t", &TALK)]);
    let valid = split("data/valid", &[("v", texts)]);
    near_copies(&[&train, &valid]).iter().map(ToString::to_string).collect()
}

#[test]
fn a_dialogue_with_a_turn_less_more_or_changed_is_near() {
    let one = |common: usize, of: usize| vec![format!("v and t of train ({common} of {of} utterances)")];
    assert_eq!(near(&TALK[..5]), one(5, 5));
    assert_eq!(near(&TALK[2..]), one(4, 4));
    let more = [&TALK[..], &["As you say."]].concat();
    assert_eq!(near(&more), one(6, 6));
    let mut changed = TALK;
    changed[2] = "And what now?";
    assert_eq!(near(&changed), one(5, 6));
    let retouched = TALK.map(|text| text.to_uppercase().replace(['.', ',', '?'], " !"));
    let retouched: Vec<&str> = retouched.iter().map(String::as_str).collect();
    assert_eq!(near(&[&retouched[..], &["…", "As you say."]].concat()), one(6, 6));
    // A part of a longer one, whichever split has it.
    let (train, test) = (split("train", &[("t", &TALK[1..])]), split("test", &[("v", &TALK)]));
    let shown: Vec<String> = near_copies(&[&train, &test]).iter().map(ToString::to_string).collect();
    assert_eq!(shown, one(5, 5));
}

#[test]
fn equal_dialogues_are_told_elsewhere_and_others_are_not_near() {
    assert_eq!(near(&TALK), [""; 0]);
    // Half of it, too little of it, and another order.
    assert_eq!(near(&[TALK[0], TALK[1], TALK[2], "Wait.", "For what?", "For me."]), [""; 0]);
    assert_eq!(near(&TALK[..3]), [""; 0]);
    let mut turned = TALK;
    turned.reverse();
    assert_eq!(near(&turned), [""; 0]);
    // What everybody says.
    assert_eq!(near(&["Hi.", "Hello.", "Well.", "Yes.", "No."]), [""; 0]);
    // Within a split nothing leaks.
    let train = split("train", &[("a", &TALK), ("b", &TALK[..5])]);
    assert_eq!(near_copies(&[&train]), []);
}

#[test]
fn of_several_the_nearest_is_told() {
    let train = split("train", &[("five", &TALK[..5]), ("six", &TALK)]);
    let more = [&TALK[..], &["As you say."]].concat();
    let valid = split("valid", &[("v", &more)]);
    let test = split("test", &[("w", &TALK[..4])]);
    let shown: Vec<String> =
        near_copies(&[&train, &valid, &test]).iter().map(|one| format!("{one}\n")).collect();
    expect![[r"
        v and six of train (6 of 6 utterances)
        w and five of train (4 of 4 utterances)
    "]]
    .assert_eq(&shown.concat());
}
