use std::path::{Path, PathBuf};

use emotrain_recipe::{DataFormat, LabelSetName};
use expect_test::expect;

use super::*;
use crate::load::{LabelPolicy, load_split};

const ORIGIN: Origin<'static> = Origin { dataset: "own", split: SplitKind::Train, domain: None };

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bank.jsonl");
    fs_err::write(&path, text).unwrap();
    (folder, path)
}

fn refused(text: &str) -> String {
    let (folder, path) = file(text);
    let error = load_demonstrations(&path, ORIGIN).unwrap_err();
    error.to_string().replace(&folder.path().display().to_string(), "")
}

#[test]
fn a_file_may_mix_demonstrations_and_dialogues() {
    let (_folder, path) = file(concat!(
        r#"{"dialogue":"a","position":4,"text":" It\u0092s out! ","label":"Happy"}"#,
        "\n\n",
        r#"{"id":"b","domain":"family","topic":"a move","utterances":[{"speaker":"Ana","text":"Why now?","label":"angry"},{"text":"So be it.","label":"wistful"}]}"#,
    ));
    let read = load_demonstrations(&path, ORIGIN).unwrap();
    let lines: Vec<String> = read
        .demonstrations
        .iter()
        .map(|one| {
            let (speaker, domain) = (one.speaker.as_deref(), one.domain.as_deref());
            format!("{} {speaker:?} {domain:?} {} {} {}", one.id(), one.text, one.label, one.emotion)
        })
        .collect();
    expect![[r#"
        own/train/a#4 None None It’s out! Happy joy
        own/train/b#0 Some("Ana") Some("family") Why now? angry anger
        own/train/b#1 None Some("family") So be it. wistful wistful"#]]
    .assert_eq(&lines.join("\n"));
}

#[test]
fn demonstrations_are_read_as_they_are_written() {
    let (_folder, path) = file(r#"{"dialogue":"a","position":0,"text":"Oh.","label":"sad","domain":"work"}"#);
    let read = load_demonstrations(&path, ORIGIN).unwrap().demonstrations;
    let json = serde_json::to_string(&read[0]).unwrap();
    expect![[r#"{"dataset":"own","split":"train","dialogue":"a","position":0,"domain":"work","text":"Oh.","label":"sad","emotion":"sadness"}"#]]
        .assert_eq(&json);
    assert_eq!(serde_json::from_str::<Demonstration>(&json).unwrap(), read[0]);
}

#[test]
fn ids_positions_and_splits_of_a_bank_are_read_as_in_data() {
    let (_folder, path) = file(concat!(
        r#"{"dialogue":7,"position":"4","text":"Oh.","label":"joy","split":"dev","speaker":2}"#,
        "\n",
        r#"{"id":8,"split":"Test","topic":["any"],"utterances":[{"speaker":null,"text":"Oh.","label":1}]}"#,
    ));
    let read = load_demonstrations(&path, ORIGIN).unwrap().demonstrations;
    let ids: Vec<_> =
        read.iter().map(|one| format!("{} {:?} {}", one.id(), one.speaker, one.label)).collect();
    assert_eq!(ids, ["own/valid/7#4 Some(\"2\") joy", "own/test/8#0 None 1"]);
}

#[test]
fn bad_lines_are_named() {
    let errors = [
        refused("\n{\"dialogue\":\"a\",\"position\":0,\"label\":\"sad\"}"),
        refused(r#"{"dialogue":"a","position":0,"text":"  ","label":"sad"}"#),
        refused(r#"{"dialogue":"a","position":0,"text":"Oh.","label":""}"#),
        refused(r#"{"id":"a","utterances":[]}"#),
        refused(r#"{"utterances":[{"text":"Oh.","label":"sad"}]}"#),
        refused(r#"{"id":"a","position":1,"utterances":[{"text":"Oh.","label":"sad"}]}"#),
        refused(r#"{"dialogue":"a","position":0,"text":"Oh.","label":"sad","mood":1}"#),
        refused(r#"{"dialogue":"a","position":-1,"text":"Oh.","label":"sad"}"#),
        refused(r#"{"id":"a","utterances":[{"text":["Oh."],"label":"sad"}]}"#),
        refused(r#"{"dialogue":"a","position":0,"text":"Oh.","label":"sad","split":"held-out"}"#),
        refused("{"),
        refused("\n"),
    ];
    expect![[r#"
        /bank.jsonl:2: missing field `text`
        /bank.jsonl:1: the utterance is empty
        /bank.jsonl:1: has no label
        /bank.jsonl:1: the dialogue has no utterances
        /bank.jsonl:1: missing field `id`
        /bank.jsonl:1: a line is a dialogue with `utterances` or a demonstration with `text`, not both
        /bank.jsonl:1: unknown field `mood`; the keys are `dataset`, `split`, `domain`, `dialogue`, `position`, `speaker`, `text`, `label`, `emotion`, `id`, `topic`, `utterances`
        /bank.jsonl:1: `position` should be a whole number from 0, not the number -1
        /bank.jsonl:1: utterance 0: `text` should be text, not a list
        /bank.jsonl:1: `split` should be train, valid or test, not "held-out"
        /bank.jsonl:1: a JSON value spans several lines
        /bank.jsonl: has no demonstrations"#]]
    .assert_eq(&errors.join("\n"));
}

#[test]
fn entries_of_a_list_without_dialogues_are_identified_by_position() {
    let text = "[{\"sentence\": \"Good.\", \"label\": \"happy\"},\n {\"sentence\": \"Good.\", \"label\": \"happy\"}]";
    let (_folder, path) = file(text);
    let read = load_prc_demonstrations(&path, ORIGIN).unwrap().demonstrations;
    let ids: Vec<_> = read.iter().map(|one| one.id().to_string()).collect();
    assert_eq!(ids, ["own/train/list#0", "own/train/list#1"]);
    assert_eq!(read[1].emotion, "joy");
    let (_folder, path) =
        file("[{\"sentence\": \"Good.\", \"label\": \"happy\"},\n {\"sentence\": \"\", \"label\": \"sad\"}]");
    let error = load_prc_demonstrations(&path, ORIGIN).unwrap_err();
    assert_eq!(error.place().line, Some(2));
}

#[test]
fn the_target_s_own_word_is_shown() {
    let (_folder, path) = file(concat!(
        r#"{"dialogue":"a","position":0,"text":"Oh.","label":"happy"}"#,
        "\n",
        r#"{"dialogue":"a","position":1,"text":"Oh.","label":"powerful"}"#,
        "\n",
        r#"{"dialogue":"a","position":2,"text":"Oh.","label":"bliss","emotion":"joy"}"#,
    ));
    let read = load_demonstrations(&path, ORIGIN).unwrap().demonstrations;
    let shown = |name| {
        let labels = LabelSet::builtin(name);
        read.iter().map(|one| one.shown_label(&labels).to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(shown(LabelSetName::Meld), ["joy", "powerful", "joy"]);
    assert_eq!(shown(LabelSetName::Emorynlp), ["joyful", "powerful", "joyful"]);
    assert_eq!(shown(LabelSetName::Dailydialog), ["happiness", "powerful", "happiness"]);
}

#[test]
fn a_split_becomes_demonstrations() {
    let (_folder, path) = file(
        r#"{"id":"k","utterances":[{"speaker":"Noor","text":"Late again.","label":"mad"},{"speaker":"Eli","text":"Sorry."}]}"#,
    );
    let labels = LabelSet::builtin(LabelSetName::Meld);
    let split = load_split(&path, DataFormat::Jsonl, &labels, LabelPolicy::Optional).unwrap();
    let made = split.demonstrations(&labels, Origin { domain: Some("work"), ..ORIGIN });
    assert_eq!(made.len(), 1);
    assert_eq!((made[0].label.as_str(), made[0].domain.as_deref()), ("anger", Some("work")));
}

#[test]
fn file_names_tell_their_split() {
    let cases = [
        ("data/meld.train.json", Some(SplitKind::Train)),
        ("meld.valid.json", Some(SplitKind::Valid)),
        ("dev_sent_emo.csv", Some(SplitKind::Valid)),
        ("Test.jsonl", Some(SplitKind::Test)),
        ("test/contest.jsonl", None),
        ("latest.jsonl", None),
    ];
    for (name, kind) in cases {
        assert_eq!(SplitKind::of_file_name(Path::new(name)), kind, "{name}");
    }
}
