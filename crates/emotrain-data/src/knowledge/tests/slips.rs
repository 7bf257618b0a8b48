use super::*;

#[test]
fn ids_positions_and_splits_are_read_as_in_data() {
    let row = |row: serde_json::Value| format!("{row}\n");
    let split = || {
        let turns = ["Noor", "2"].map(|speaker| utterance(speaker, "Well."));
        Split::of("valid.jsonl".into(), vec![Dialogue::new("7".to_owned(), turns.to_vec())])
    };
    let texts = |level, text: &str| {
        let case = Case::new(level, "k.jsonl", text);
        let split = split();
        let knowledge = load_knowledge(&case.section, &split, SplitKind::Valid).unwrap();
        [0, 1].map(|position| knowledge.text(&split.dialogues[0], position).to_owned())
    };
    for name in ["dev", "val", "validation", "VALID", "valid"] {
        let text = row(json!({"dialogue": 7, "position": "0", "split": name, "mood": "a"}))
            + &row(json!({"dialogue": "7", "position": 1.0, "split": name, "mood": "b"}))
            + &row(json!({"dialogue": 7, "position": 0, "split": "training", "mood": "t"}));
        assert_eq!(texts(OfUtterance, &text), ["a", "b"], "{name}");
    }
    let text = row(json!({"dialogue": 7.0, "speaker": "Noor", "mood": "n"}))
        + &row(json!({"dialogue": 7, "speaker": 2, "position": null, "mood": "m"}));
    assert_eq!(texts(OfSpeaker, &text), ["n", "m"]);
}

#[test]
fn values_of_the_wrong_type_are_named_with_their_keys() {
    let check = |row: &str, expected: Expect| Case::new(OfUtterance, "k.jsonl", row).refused(&expected);
    check(
        r#"{"dialogue": "k", "position": -1, "mood": "x"}"#,
        expect![[r#"
        HOME/k.jsonl:1: `position` should be a whole number from 0, not the number -1
          hint: count from 0, as in "position": 0"#]],
    );
    check(
        r#"{"dialogue": "k", "position": 0, "mood": ["x"]}"#,
        expect![[r#"
        HOME/k.jsonl:1: `mood` should be text, not a list
          hint: write one text: "mood": "…""#]],
    );
    check(
        r#"{"dialogue": [1], "position": 0, "mood": "x"}"#,
        expect![[r#"
        HOME/k.jsonl:1: `dialogue` should be text or a whole number, not a list
          hint: write one text: "dialogue": "…""#]],
    );
    check(
        r#"{"dialogue": "k", "position": 0, "split": "held-out", "mood": "x"}"#,
        expect![[r#"
        HOME/k.jsonl:1: `split` should be train, valid or test, not "held-out"
          hint: call it train, valid or test; rows without `split` are for every split"#]],
    );
    check(
        "dialogue,position,mood\nk,0,x\n",
        expect![[r#"
        HOME/k.jsonl:1: looks like a row of a table, not JSON
          hint: write its rows as JSON lines: python3 -c "import csv, json, sys; [print(json.dumps(row)) for row in csv.DictReader(sys.stdin)]" < FILE > lines.jsonl"#]],
    );
    check(
        "{\"dialogue\": \"k\", \"position\": 0, \"mood\": \"x\"},\n",
        expect![[r#"
        HOME/k.jsonl:1: a comma follows the value, as in a list; JSON lines have none
          hint: leave out the commas between lines: sed -E 's/,[[:space:]]*$//' FILE > lines.jsonl"#]],
    );
    let json = |text: &str, expected: Expect| Case::new(OfUtterance, "k.json", text).refused(&expected);
    json(
        r#"{"z": [{"mood": ["a"]}]}"#,
        expect!["HOME/k.json:1: invalid type: sequence, expected text or null for `mood`"],
    );
    json(
        "{\"z\": [\"a\",\n]}",
        expect![[r#"
        HOME/k.json:2: a comma follows the last entry, which JSON does not have
          hint: leave out the comma before the closing bracket"#]],
    );
    json(
        "dialogue,position,mood\nk,0,x\n",
        expect![[r#"
        HOME/k.json:1: looks like a row of a table, not JSON
          hint: write its rows as JSON lines: python3 -c "import csv, json, sys; [print(json.dumps(row)) for row in csv.DictReader(sys.stdin)]" < FILE > lines.jsonl"#]],
    );
}
