#![expect(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]

use std::collections::BTreeSet;

use emotrain_data::SplitKind;
use expect_test::expect;
use serde_json::Value;

use super::*;
use crate::fixture::{Place, demonstration, labels};

fn six() -> Vec<Demonstration> {
    let dialogue = |name| ("own", SplitKind::Train, name);
    let lines = [("a", "sad"), ("a", "happy"), ("a", "joy"), ("b", "joy"), ("b", "anger"), ("b", "wistful")];
    let mut position = 0;
    let mut last = "";
    lines
        .into_iter()
        .map(|(name, label)| {
            position = if name == last { position + 1 } else { 0 };
            last = name;
            let text = format!("This is line {position} of {name}.");
            let mut one = demonstration(dialogue(name), position, &text, label);
            one.speaker = Some(["Ana", "Ben"][position % 2].to_owned());
            one
        })
        .collect()
}

#[test]
fn sheets_hide_labels_and_show_the_context() {
    let rows = sheet(&six(), 7);
    assert_eq!(rows, sheet(&six(), 7));
    assert_ne!(rows, sheet(&six(), 8));
    let ids: BTreeSet<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    assert_eq!(ids.len(), 6);
    assert!(rows.iter().all(|row| row.label.is_empty()));
    let row = rows.iter().find(|row| row.id == "own/train/b#2").unwrap();
    expect![[r#"{"id":"own/train/b#2","context":["Ana: This is line 0 of b.","Ben: This is line 1 of b."],"speaker":"Ana","text":"This is line 2 of b.","label":""}"#]]
        .assert_eq(&serde_json::to_string(row).unwrap());
    let first = rows.iter().find(|row| row.id == "own/train/b#0").unwrap();
    assert!(first.context.is_empty(), "the dialogue before is another one");
}

fn annotations(place: &Place, name: &str, given: &[(&str, &str)]) -> Annotations {
    let line =
        |(id, label): &(&str, &str)| format!(r#"{{"id":"own/train/{id}","label":"{label}","note":1}}"#);
    let lines: Vec<String> = given.iter().map(line).collect();
    read_annotations(&place.file(name, &lines.join("\n")), &labels()).unwrap()
}

#[test]
fn annotations_and_sheets_are_read_as_data_are() {
    let place = Place::new();
    let text = "{\"id\":7,\"label\":4}\n{\"id\":\"b\",\"label\":null}\n";
    let read = read_annotations(&place.file("first.jsonl", text), &labels()).unwrap();
    assert_eq!(read.keys().collect::<Vec<_>>(), ["7"]);
    let mistake = |text: &str| {
        let path = place.file("second.jsonl", text);
        let error = read_annotations(&path, &labels()).unwrap_err().to_string();
        error.replace(&path.display().to_string(), "second.jsonl")
    };
    let list = mistake("{\"id\":\"a\",\"label\":[\"joy\"]}");
    expect!["second.jsonl:1: `label` should be the name or the number of a label, not a list"]
        .assert_eq(&list);
    expect!["second.jsonl:1: looks like a row of a table, not JSON"].assert_eq(&mistake("id,label\na,joy\n"));
    let row = "{\"id\":7,\"context\":[\"A: Hm.\"],\"speaker\":2,\"text\":\"Ho.\",\"label\":null}";
    let rows = read_sheet(&place.file("sheet.jsonl", row)).unwrap();
    assert_eq!((rows[0].id.as_str(), rows[0].speaker.as_str(), rows[0].label.as_str()), ("7", "2", ""));
    let other = read_sheet(&place.file("sheet.jsonl", &row.replace("\"text\"", "\"said\"")));
    assert!(other.unwrap_err().to_string().ends_with("sheet.jsonl:1: missing field `text`"));
}

#[test]
fn one_annotator_s_file_is_not_two() {
    let place = Place::new();
    let rows = "{\"id\":\"a\",\"label\":\"joy\"}\n{\"id\":\"b\",\"label\":\"joy\"}\n";
    let turned = "{\"id\":\"b\",\"label\":\"joy\"}\n{\"id\":\"a\",\"label\":\"joy\"}\n";
    let [first, copy] = ["first.jsonl", "copy.jsonl"].map(|name| place.file(name, rows));
    let second = place.file("second.jsonl", turned);
    for other in [&first, &copy] {
        let error = read_both(&first, other, &labels()).unwrap_err().to_string();
        assert!(error.ends_with("first.jsonl: two annotators are needed to tell agreement"), "{error}");
        assert!(error.starts_with(&format!("{}: has the same contents", other.display())), "{error}");
    }
    let [one, other] = read_both(&first, &second, &labels()).unwrap();
    assert_eq!(one, other);
}

#[test]
fn labels_confirmed_by_both_are_kept() {
    let place = Place::new();
    let first = annotations(
        &place,
        "first.jsonl",
        &[
            ("a#0", "Sadness"),
            ("a#1", "joy"),
            ("a#2", "surprise"),
            ("b#0", "happy"),
            ("b#1", ""),
            ("b#2", "joy"),
        ],
    );
    let second = annotations(
        &place,
        "second.jsonl",
        &[
            ("a#0", "sad"),
            ("a#1", "joy"),
            ("a#2", "surprise"),
            ("b#0", "anger"),
            ("b#1", "anger"),
            ("b#2", "joy"),
        ],
    );
    let review = review(&six(), &first, &second, &labels());
    assert_eq!(review.kept, [0, 1]);
    expect![[r#"
        2 of 4 judged demonstrations kept, 2 not judged
          Cohen's kappa: annotators 0.667
          with the original labels 0.556 and 0.333
          neutral           0 of 0
          surprise          0 of 0
          fear              0 of 0
          sadness           1 of 1
          joy               1 of 3
          disgust           0 of 0
          anger             0 of 0"#]]
    .assert_eq(&review.to_string());
    assert_eq!(review.short(1).len(), 5);
    assert_eq!(
        review.short(2)[3..],
        [
            ("sadness".to_owned(), 1),
            ("joy".to_owned(), 1),
            ("disgust".to_owned(), 2),
            ("anger".to_owned(), 2)
        ]
    );
}

#[test]
fn bad_annotations_are_named() {
    let place = Place::new();
    let refused = |text: &str| {
        let error = read_annotations(&place.file("third.jsonl", text), &labels()).unwrap_err();
        place.shown(&error)
    };
    let found = [
        refused("{\"id\":\"a\",\"label\":\"joy\"}\n{\"id\":\"b\",\"label\":\"joyy\"}"),
        refused("{\"id\":\"a\",\"label\":\"xyzzy\"}"),
        refused("{\"id\":\"a\",\"label\":\"joy\"}\n\n{\"id\":\"a\",\"label\":\"joy\"}"),
        refused("{\"id\":\"a\"}"),
    ];
    expect![[r#"
        third.jsonl:2: unknown label "joyy"
          hint: did you mean "joy"?
        third.jsonl:1: unknown label "xyzzy"
          hint: the labels are neutral, surprise, fear, sadness, joy, disgust, anger
        third.jsonl:3: a is annotated twice
          hint: -
        third.jsonl:1: missing field `label`
          hint: -"#]]
    .assert_eq(&found.join("\n"));
}

/// The cases of `tests/golden/kappa` (made by its `make.py`).
#[test]
fn kappa_agrees_with_scikit_learn() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/kappa/cases.json");
    let golden: Value = serde_json::from_str(&fs_err::read_to_string(path).unwrap()).unwrap();
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 45);
    for case in cases {
        let list = |name: &str| -> Vec<usize> { serde_json::from_value(case[name].clone()).unwrap() };
        let pairs: Vec<_> = list("first").into_iter().zip(list("second")).collect();
        let labels = serde_json::from_value(case["labels"].clone()).unwrap();
        match (cohen_kappa(&pairs, labels), case["kappa"].as_f64()) {
            (Some(ours), Some(theirs)) => assert!((ours - theirs).abs() < 1e-12, "{ours}, not {theirs}"),
            (ours, theirs) => assert_eq!(ours, theirs, "{case}"),
        }
    }
    assert_eq!(cohen_kappa(&[], 3), None);
}
