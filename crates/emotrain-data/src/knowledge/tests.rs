#![expect(clippy::needless_raw_string_hashes, reason = "expect-test writes snapshots with them")]

mod slips;

use expect_test::{Expect, expect};
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::dialogue::Utterance;

fn utterance(speaker: &str, text: &str) -> Utterance {
    Utterance::new(speaker.to_owned(), text.to_owned(), None)
}

/// Two dialogues: Noor, Eli, Noor; and Ada alone.
fn split() -> Split {
    let first = ["Noor", "Eli", "Noor"].map(|speaker| utterance(speaker, "Well.")).to_vec();
    let dialogues = vec![
        Dialogue::new("k".to_owned(), first),
        Dialogue::new("z".to_owned(), vec![utterance("Ada", "So.")]),
    ];
    Split {
        path: "valid.jsonl".into(),
        sha256: String::new(),
        dialogues,
        mended: 0,
        damaged: 0,
        left_out: 0,
        other_order: None,
        part: None,
    }
}

fn section(name: &str, level: KnowledgeLevel) -> KnowledgeSection {
    KnowledgeSection {
        name: name.to_owned(),
        path: "k.jsonl".into(),
        level,
        required: true,
        field: None,
        availability: Availability::Auto,
        query: None,
    }
}

struct Case {
    folder: TempDir,
    section: KnowledgeSection,
}

impl Case {
    /// A source of this level in a file of this name.
    fn new(level: KnowledgeLevel, file: &str, text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join(file), text).unwrap();
        let section = KnowledgeSection { path: folder.path().join(file), ..section("mood", level) };
        Self { folder, section }
    }

    fn optional(mut self) -> Self {
        self.section.required = false;
        self
    }

    fn load(&self) -> Result<Knowledge, DataError> {
        load_knowledge(&self.section, &split(), SplitKind::Valid)
    }

    /// The texts of the four utterances.
    fn texts(&self) -> Vec<String> {
        let (knowledge, split) = (self.load().unwrap(), split());
        let places = [(0, 0), (0, 1), (0, 2), (1, 0)];
        places.map(|(d, position)| knowledge.text(&split.dialogues[d], position).to_owned()).to_vec()
    }

    #[track_caller]
    fn refused(&self, expected: &Expect) {
        let error = self.load().unwrap_err();
        let hint = error.hint().map_or(String::new(), |hint| format!("\n  hint: {hint}"));
        let folder = self.folder.path().display().to_string();
        expected.assert_eq(&format!("{error}{hint}").replace(&folder, "HOME"));
    }
}

use KnowledgeLevel::{Dialogue as OfDialogue, Speaker as OfSpeaker, Utterance as OfUtterance};

fn rows(rows: &[serde_json::Value]) -> String {
    rows.iter().flat_map(|row| [row.to_string(), "\n".to_owned()]).collect()
}

#[test]
fn rows_of_every_level() {
    let text = rows(&[
        json!({"dialogue": "z", "position": 0, "mood": "d", "other": 3}),
        json!({"dialogue": "k", "position": 2, "text": "passed over", "mood": "c"}),
        json!({"dialogue": "k", "position": 0, "speaker": "Noor", "mood": " a\u{85} "}),
        json!({"dialogue": "k", "position": 1, "text": "b"}),
    ]);
    assert_eq!(Case::new(OfUtterance, "k.jsonl", &text).texts(), ["a…", "b", "c", "d"]);
    let text = rows(&[
        json!({"dialogue": "k", "speaker": "Eli", "text": "e"}),
        json!({"dialogue": "k", "speaker": "Noor", "text": "n"}),
        json!({"dialogue": "z", "speaker": "Ada", "text": "a"}),
    ]);
    assert_eq!(Case::new(OfSpeaker, "k.jsonl", &text).texts(), ["n", "e", "n", "a"]);
    let text =
        rows(&[json!({"dialogue": "k", "mood": "quarrel"}), json!({"dialogue": "z", "mood": "musing"})]);
    assert_eq!(Case::new(OfDialogue, "k.jsonl", &text).texts(), ["quarrel", "quarrel", "quarrel", "musing"]);
}

#[test]
fn json_by_dialogue() {
    let text = json!({"k": [{"mood": "a", "x": "1"}, {"mood": "b"}, {"mood": "c"}], "z": [{"mood": "d"}]})
        .to_string();
    let mut case = Case::new(OfUtterance, "k.json", &format!("\u{feff}{text}"));
    assert_eq!(case.texts(), ["a", "b", "c", "d"]);
    case.section.field = Some("x".to_owned());
    case.section.required = false;
    assert_eq!(case.texts(), ["1", "", "", ""]);
    let text = json!({"k": ["n", "e", "n"], "z": ["a"]}).to_string();
    assert_eq!(Case::new(OfUtterance, "k.json", &text).texts(), ["n", "e", "n", "a"]);
    assert_eq!(Case::new(OfSpeaker, "k.json", &text).texts(), ["n", "e", "n", "a"]);
    let text = json!({"k": "quarrel", "z": "musing"}).to_string();
    assert_eq!(Case::new(OfDialogue, "k.json", &text).texts()[3], "musing");
}

#[test]
fn the_first_text_of_a_speaker_counts_and_the_others_are_reported() {
    let text = json!({"k": [null, "e", "n"], "z": ["a"]}).to_string();
    let case = Case::new(OfSpeaker, "k.json", &text);
    assert_eq!((case.texts()[0].as_str(), case.load().unwrap().coverage.differing), ("n", 0));
    let text = json!({"k": ["n", "e", "other"], "z": ["a"]}).to_string();
    let case = Case::new(OfSpeaker, "k.json", &text);
    assert_eq!((case.texts()[2].as_str(), case.load().unwrap().coverage.differing), ("n", 1));
}

#[test]
fn what_is_missing_is_listed_and_what_is_extra_counted() {
    let text = rows(&[
        json!({"dialogue": "k", "position": 1, "mood": "b"}),
        json!({"dialogue": "k", "position": 2, "mood": "  "}),
        json!({"dialogue": "k", "position": 0, "mood": null}),
        json!({"dialogue": "elsewhere", "position": 9, "mood": "x"}),
    ]);
    let case = Case::new(OfUtterance, "k.jsonl", &text);
    case.refused(&expect![[r#"
        HOME/k.jsonl: knowledge.mood has no text for 3 of the 4 utterances of valid.jsonl: k#0, k#2, z#0
          hint: add them, fill them in with emotrain interpret, or write required = false to leave the slot empty"#]]);
    let case = case.optional();
    let knowledge = case.load().unwrap();
    assert_eq!(knowledge.coverage.missing, ["k#0", "k#2", "z#0"]);
    assert_eq!((knowledge.coverage.wanted, knowledge.coverage.extra), (4, 1));
    expect!["mood (offline): 1 of 4 utterances; 3 have none, so their slot is empty: k#0, k#2, z#0; 1 texts are for other data"]
        .assert_eq(&knowledge.to_string());
    let text = rows(&[json!({"dialogue": "k", "speaker": "Noor", "text": "n"})]);
    Case::new(OfSpeaker, "k.jsonl", &text).refused(&expect![[r#"
        HOME/k.jsonl: knowledge.mood has no text for 2 of the 3 speakers of dialogues of valid.jsonl: k/Eli, z/Ada
          hint: add them, fill them in with emotrain interpret, or write required = false to leave the slot empty"#]]);
    Case::new(OfDialogue, "k.json", "{\"q\": \"x\"}").refused(&expect![[r#"
        HOME/k.json: knowledge.mood has no text for 2 of the 2 dialogues of valid.jsonl: k, z
          hint: the texts are for other data: with {split} in the path each split has its own file"#]]);
}

#[test]
fn rows_of_other_splits_are_passed_over() {
    let row = |split: &str, text: &str| json!({"split": split, "dialogue": "z", "mood": text});
    let text = rows(&[row("train", "t"), row("valid", "v"), json!({"dialogue": "k", "mood": "k"})]);
    let case = Case::new(OfDialogue, "k.jsonl", &text);
    assert_eq!((case.texts().concat().as_str(), case.load().unwrap().is_by_split), ("kkkv", false));
    let text = rows(&[row("train", "t"), row("valid", "v")]);
    assert!(Case::new(OfDialogue, "k.jsonl", &text).optional().load().unwrap().is_by_split);
}

#[test]
fn bad_rows_are_refused_with_their_lines() {
    let row = |row: serde_json::Value| {
        format!("{}\n\n{row}\n", json!({"dialogue": "z", "position": 0, "mood": "d"}))
    };
    let check = |text: String, expected: Expect| Case::new(OfUtterance, "k.jsonl", &text).refused(&expected);
    check(
        row(json!({"dialogue": "z", "position": 0, "mood": "e"})),
        expect![[r#"
            HOME/k.jsonl:3: utterance z#0: already has a text, on line 1
              hint: keep one of the two"#]],
    );
    check(
        row(json!({"dialogue": "k", "position": 1, "mood": 7})),
        expect![[r#"
            HOME/k.jsonl:3: `mood` should be text, not the number 7
              hint: put it in quotation marks: "mood": "7""#]],
    );
    check(row(json!({"position": 1, "mood": "x"})), expect!["HOME/k.jsonl:3: missing field `dialogue`"]);
    check(
        row(json!({"dialogue": "k", "position": 3, "mood": "x"})),
        expect![
            "HOME/k.jsonl:3: utterance k#3: position 3, but the dialogue has 3 utterances, counted from 0"
        ],
    );
    check(
        row(json!({"dialogue": "k", "speaker": "Noor", "mood": "x"})),
        expect![[r#"
            HOME/k.jsonl:3: speaker k/Noor: the texts belong to each speaker, but knowledge.mood.level is "utterance"
              hint: write level = "speaker" under that [[knowledge]]"#]],
    );
    check(
        "{\"dialogue\": \"k\",".to_owned(),
        expect![[r#"
            HOME/k.jsonl:1: a JSON value spans several lines
              hint: write one dialogue or entry a line: jq -c . FILE"#]],
    );
    check(
        "{\"dialogue\": \"k\", \"dialogue\": \"z\"}".to_owned(),
        expect!["HOME/k.jsonl:1: duplicate field `dialogue`"],
    );
    check(
        rows(&[json!({"dialogue": "k", "position": 1, "moood": "x", "tone": "y"})]),
        expect![[r#"
            HOME/k.jsonl: no row has a text "mood" or "text"; the rows have moood, tone
              hint: name the key in the source's field"#]],
    );
    check(
        "\n".to_owned(),
        expect![[r#"
            HOME/k.jsonl: has no texts
              hint: name a file with at least one; data.format says how it is read"#]],
    );
}

#[test]
fn bad_json_is_refused_with_its_place() {
    let check = |level, text: &str, expected: Expect| Case::new(level, "k.json", text).refused(&expected);
    check(
        OfUtterance,
        "{\"k\": [\"a\",\n\"b\"]}",
        expect!["HOME/k.json:2: dialogue k: 2 texts for 3 utterances"],
    );
    check(
        OfSpeaker,
        "{\"z\": [\"a\", \"b\"]}",
        expect!["HOME/k.json:1: dialogue z: 2 texts for 1 utterances"],
    );
    check(
        OfUtterance,
        "{\"z\": [\"a\"],\n\n\"z\": [\"b\"]}",
        expect!["HOME/k.json:3: dialogue z: the id is used twice"],
    );
    check(
        OfUtterance,
        "{\n\"z\": [4]}",
        expect!["HOME/k.json:2: invalid type: integer `4`, expected a text, or an object with the text"],
    );
    check(
        OfUtterance,
        "{\"z\": \"a\"}",
        expect![[
            r#"HOME/k.json:1: invalid type: string "a", expected a list for dialogue z, with a text for every utterance"#
        ]],
    );
    check(
        OfDialogue,
        "{\"z\": [\"a\"]}",
        expect!["HOME/k.json:1: invalid type: sequence, expected a text for dialogue z"],
    );
    check(
        OfUtterance,
        "[]",
        expect!["HOME/k.json:1: invalid type: sequence, expected an object of texts by dialogue"],
    );
    check(OfUtterance, "{\"z\": [\"a\"", expect!["HOME/k.json:1: invalid JSON: EOF while parsing a list"]);
    check(
        OfUtterance,
        "{\"z\": [{\"tone\": \"a\"}]}",
        expect![[r#"
            HOME/k.json: no row has a text "mood" or "text"; the rows have tone
              hint: name the key in the source's field"#]],
    );
    let case = Case::new(OfUtterance, "other", "");
    let missing = KnowledgeSection { path: case.folder.path().join("{split}.json"), ..case.section.clone() };
    Case { section: missing, ..case }.refused(&expect![[r#"
        HOME/valid.json: no such file
          hint: paths in a recipe are relative to the recipe's own folder"#]]);
}

fn manifest(level: &str, availability: &str) -> String {
    json!({"format_version": 1, "level": level, "availability": availability, "query": "mood"}).to_string()
}

#[test]
fn a_folder_needs_its_manifest_which_says_when_the_texts_were_written() {
    let text = rows(&[json!({"dialogue": "k", "mood": "k"}), json!({"dialogue": "z", "mood": "z"})]);
    let mut case = Case::new(OfDialogue, "valid.jsonl", &text);
    assert_eq!(case.load().unwrap().availability, Availability::Offline);
    case.section.path = case.folder.path().to_path_buf();
    case.refused(&expect![[r#"
        HOME: has no manifest.json, so its texts are incomplete
          hint: let emotrain interpret come to its end, or name the file itself"#]]);
    let write = |text: &str| fs_err::write(case.folder.path().join("manifest.json"), text).unwrap();
    write(&manifest("dialogue", "online"));
    assert_eq!(case.load().unwrap().availability, Availability::Online);
    assert_eq!(case.load().unwrap().path, case.folder.path().join("valid.jsonl"));
    write(&manifest("speaker", "online"));
    case.refused(&expect![[r#"
        HOME/manifest.json: the texts belong to each speaker, but knowledge.mood.level is "dialogue"
          hint: write level = "speaker" under that [[knowledge]]"#]]);
    write("{\"format_version\": 2, \"level\": \"dialogue\", \"availability\": \"online\"}");
    case.refused(&expect!["HOME/manifest.json: format_version 2, this version reads 1"]);
    // Next to a file a manifest is used, too, unless it is about something else; the recipe takes precedence.
    write(&manifest("dialogue", "online"));
    case.section.path = case.folder.path().join("{split}.jsonl");
    assert_eq!(case.load().unwrap().availability, Availability::Online);
    case.section.availability = Availability::Offline;
    assert_eq!(case.load().unwrap().availability, Availability::Offline);
    case.section.availability = Availability::Auto;
    write("{\"format_version\": 7}");
    assert_eq!(case.load().unwrap().availability, Availability::Offline);
}

#[test]
fn an_utterance_that_is_not_there_has_no_text() {
    let knowledge =
        Case::new(OfSpeaker, "k.json", "{\"k\": [\"n\", \"e\", \"n\"], \"z\": [\"a\"]}").load().unwrap();
    let split = split();
    assert_eq!(knowledge.text(&split.dialogues[0], 3), "");
    let stranger = Dialogue { id: "q".to_owned(), ..split.dialogues[0].clone() };
    assert_eq!(knowledge.text(&stranger, 0), "");
}
