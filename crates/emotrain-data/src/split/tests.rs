#![expect(clippy::needless_raw_string_hashes, reason = "expect-test writes snapshots with them")]

use emotrain_recipe::{DataFormat, LabelSetName, SharedDialogues};
use expect_test::{Expect, expect};

use super::*;
use crate::dialogue::Utterance;
use crate::label::{Label, LabelSet};

/// A split of dialogues, each an id and its texts; labels count up from 0.
fn split(path: &str, dialogues: &[(&str, &[&str])]) -> Split {
    let utterance = |(position, text): (usize, &&str)| {
        Utterance::new(
            if position % 2 == 0 { "Ann" } else { "Bo" }.into(),
            (*text).into(),
            (position < 7).then(|| Label::from_index(position)),
        )
    };
    let dialogue = |(id, texts): &(&str, &[&str])| {
        Dialogue::new((*id).into(), texts.iter().enumerate().map(utterance).collect())
    };
    let sha256 = format!("hash of {path} {dialogues:?}");
    Split {
        path: path.into(),
        sha256,
        dialogues: dialogues.iter().map(dialogue).collect(),
        mended: 0,
        damaged: 0,
        left_out: 0,
        other_order: None,
        part: None,
    }
}

/// The overlap of splits, refused as for jsonl files.
fn refused(splits: &[&Split]) -> Result<Vec<SharedDialogue>, crate::DataError> {
    check_disjoint(splits, DataFormat::Jsonl, SharedDialogues::Auto)
}

fn check(splits: &[&Split], expected: &Expect) {
    expected.assert_eq(
        &refused(splits).map_or_else(|error| error.to_string(), |shared| format!("{} shared", shared.len())),
    );
}

#[test]
fn equal_ids_alone_are_fine() {
    let train = split("train", &[("0", &["Hello.", "Hi."]), ("1", &["Bye."])]);
    let valid = split("valid", &[("0", &["Hello.", "You!"]), ("1", &["Bye.", "Bye."])]);
    check(&[&train, &valid], &expect!["0 shared"]);
    check(&[&train], &expect!["0 shared"]);
    check(&[], &expect!["0 shared"]);
}

#[test]
fn a_word_or_two_are_said_in_many_conversations() {
    let train = split("train", &[("0", &["Hello."])]);
    let valid = split("valid", &[("1", &["Hello."])]);
    check(&[&train, &valid], &expect!["0 shared"]);
}

#[test]
fn a_dialogue_in_two_splits_is_refused() {
    let train = split("train", &[("0", &["Hello.", "Hi."])]);
    let valid = split("valid", &[("0", &["Hello."])]);
    let test = split("test", &[("5", &["Well."]), ("0", &["Hello.", "Hi."])]);
    check(
        &[&train, &valid, &test],
        &expect!["test: dialogue 0: is also in train: splits must not share data"],
    );
}

#[test]
fn a_conversation_in_two_splits_is_found_whatever_its_id() {
    let texts: &[&str] = &["Did you call the plumber?", "Twice, and nobody came."];
    let retouched: &[&str] = &["Did you call the PLUMBER", "twice - and nobody came"];
    let train = split("train", &[("a", texts), ("b", &["Good night then, Bo."])]);
    let valid = split("valid", &[("z", retouched), ("y", &["Off we go."]), ("x", &["One more line."])]);
    check(
        &[&train, &valid],
        &expect!["valid: dialogue z: is also in train, as a: splits must not share data"],
    );
    // For published data sets it is counted, unless most of a split is another one's.
    let reported = |splits: &[&Split], rule| {
        let shared = check_disjoint(splits, DataFormat::MeldCsv, rule);
        shared
            .map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>())
            .map_err(|error| error.to_string())
    };
    let expected = vec!["z is a of train".to_owned()];
    assert_eq!(reported(&[&train, &valid], SharedDialogues::Auto), Ok(expected.clone()));
    assert_eq!(reported(&[&train, &valid], SharedDialogues::Report), Ok(expected));
    reported(&[&train, &valid], SharedDialogues::Refuse).unwrap_err();
    let most = split("most", &[("1", texts), ("2", &["Good night then, Bo."])]);
    assert_eq!(
        reported(&[&train, &most], SharedDialogues::Auto),
        Err("most: dialogue 1: is also in train, as a: splits must not share data (1 more)".to_owned())
    );
    // Few words by other speakers are another conversation; many words are not.
    let mut others = valid.clone();
    for one in others.dialogues.iter_mut().flat_map(|dialogue| &mut dialogue.utterances) {
        one.speaker = "Cleo".to_owned();
    }
    assert_eq!(refused(&[&train, &others]).unwrap(), []);
    let long: &[&str] =
        &["Did you call the plumber about the kitchen sink?", "Twice, and nobody ever came to us."];
    let (train, mut test) = (split("train", &[("a", long)]), split("test", &[("q", long)]));
    test.dialogues[0].utterances[0].speaker = "Cleo".to_owned();
    refused(&[&train, &test]).unwrap_err();
}

#[test]
fn a_file_given_twice_is_refused() {
    let train = split("train", &[("0", &["Hello."])]);
    check(&[&train, &train], &expect!["train: has the same contents as train: splits must not share data"]);
    let copy = Split { path: "copy".into(), ..train.clone() };
    check(&[&train, &copy], &expect!["copy: has the same contents as train: splits must not share data"]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("train");
    fs_err::write(&path, b"").unwrap();
    let one = Split { path: path.clone(), ..train };
    let other = Split {
        path: folder.path().join(".").join("train"),
        sha256: "changed meanwhile".into(),
        ..one.clone()
    };
    let shown = refused(&[&one, &other]).unwrap_err().to_string();
    expect!["(folder)/./train: has the same contents as (folder)/train: splits must not share data"]
        .assert_eq(&shown.replace(&folder.path().display().to_string(), "(folder)"));
}

#[test]
fn utterances_are_counted_and_named_in_order() {
    let split = split("train", &[("a", &["1", "2"]), ("b", &["3"])]);
    assert_eq!(split.utterance_count(), 3);
    let ids: Vec<String> = split.utterance_ids().map(|id| id.to_string()).collect();
    assert_eq!(ids, ["a#0", "a#1", "b#0"]);
}

#[test]
fn the_summary_is_a_table() {
    let mut split = split("data/train.jsonl", &[("a", &["One.", "Two.", "…"]), ("b", &["Three."])]);
    expect![[r#"
        train.jsonl
          dialogues         2  longest 3 utterances
          utterances        4  longest 6 characters
          speakers          2
          neutral           2  50.0 %
          surprise          1  25.0 %
          fear              1  25.0 %
          sadness           0   0.0 %
          joy               0   0.0 %
          disgust           0   0.0 %
          anger             0   0.0 %"#]]
    .assert_eq(&split.summary(&LabelSet::builtin(LabelSetName::Meld)).to_string());
    split.mended = 2;
    split.dialogues[1].utterances[0].label = None;
    expect![[r#"
        train.jsonl
          dialogues         2  longest 3 utterances
          utterances        4  longest 6 characters
          speakers          2
          repaired          2  utterances with repaired characters
          neutral           1  25.0 %
          surprise          1  25.0 %
          fear              1  25.0 %
          sadness           0   0.0 %
          joy               0   0.0 %
          disgust           0   0.0 %
          anger             0   0.0 %
          (no label)        1  25.0 %"#]]
    .assert_eq(&split.summary(&LabelSet::builtin(LabelSetName::Meld)).to_string());
}
