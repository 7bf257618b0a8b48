use super::*;

/// The metadata of dialogues and utterances as JSON.
fn kept(keys: &str, text: &str) -> String {
    let section = section(keys);
    let labels = LabelSet::from_section(&section).unwrap();
    let folder = folder(&[("file", text.as_bytes())]);
    let split = load_split(&folder.path().join("file"), &section, &labels, LabelPolicy::Optional).unwrap();
    let mut shown = String::new();
    for dialogue in &split.dialogues {
        writeln!(shown, "{} {}", dialogue.id, serde_json::to_string(&dialogue.metadata).unwrap()).unwrap();
        for utterance in &dialogue.utterances {
            writeln!(shown, "  {}", serde_json::to_string(&utterance.metadata).unwrap()).unwrap();
        }
    }
    shown
}

#[test]
fn unknown_keys_are_kept_as_metadata() {
    expect![[r#"
        3 {"topic":"tea","raters":["x",{"y":2}]}
          {"start":1.5,"gender":null}
          {}
    "#]].assert_eq(&kept(
        "",
        r#"{"topic":"tea","id":3,"utterances":[{"start":1.5,"speaker":"A","text":"Hi.","gender":null},{"speaker":"A","text":"Ho."}],"raters":["x",{"y":2}]}"#,
    ));
    expect![[r#"
        1 {"source":"forum"}
          {"weight":1,"role":"user"}
    "#]]
    .assert_eq(&kept(
        "format = \"chat\"",
        r#"{"source":"forum","messages":[{"role":"user","name":"Ada","content":"Hi.","weight":1}]}"#,
    ));
}

#[test]
fn numbers_are_kept_digit_by_digit() {
    let row = r#"{"id":12345678901234567890123,"turn":98765432109876543210,"utterances":[{"speaker":"A","text":"Hi.","score":1.10,"most":1e999}]}"#;
    let expected = expect![[r#"
        12345678901234567890123 {"turn":98765432109876543210}
          {"score":1.10,"most":1e999}
    "#]];
    expected.assert_eq(&kept("", row));
    // Keys that are named are read from the same line.
    expected.assert_eq(&kept("columns = { text = \"said\" }", &row.replace("\"text\"", "\"said\"")));
}

#[test]
fn other_columns_are_kept_as_metadata() {
    expect![[r#"
        a {}
          {"start":"1","turn":"1","note":"a, b","Position":"y"}
          {"start":"0.5","turn":"2","note":"","Position":"x"}
    "#]]
    .assert_eq(&kept(
        "format = \"csv\"\ncolumns = { position = \"turn\" }",
        "start,dialogue,turn,text,note,Position\n0.5,a,2,Hi.,,x\n1,a,1,\"Ho, ho.\",\"a, b\",y\n",
    ));
    expect![[r#"
        a {}
          {}
    "#]]
    .assert_eq(&kept("format = \"csv\"", "dialogue,position,text\na,2,Hi.\n"));
    // MELD's other columns are ignored.
    expect![[r#"
        0 {}
          {}
    "#]]
    .assert_eq(&kept(
        "format = \"meld_csv\"",
        "Utterance,Speaker,Emotion,Dialogue_ID,Utterance_ID,Season\nHi.,Ada,joy,0,0,1\n",
    ));
}

#[test]
fn keys_near_to_one_that_is_missing_are_refused() {
    for (line, expected) in [
        (
            r#"{"id":"a","utterances":[{"speaker":"A","text":"Hi.","lable":"joy"}]}"#,
            expect![[r#"
            file:1: utterance 0: unknown field `lable`
            hint: did you mean `label`?
        "#]],
        ),
        (
            r#"{"id":"a","utterances":[{"speaker":"A","txt":"Hi.","label":"joy"}]}"#,
            expect![[r#"
            file:1: utterance 0: unknown field `txt`
            hint: did you mean `text`?
        "#]],
        ),
        (
            r#"{"ID":"a","utterances":[{"speaker":"A","text":"Hi.","label":"joy"}]}"#,
            expect![[r#"
            file:1: unknown field `ID`
            hint: did you mean `id`?
        "#]],
        ),
        (
            r#"{"id":"a","turns":[{"speaker":"A","text":"Hi.","label":"joy"}]}"#,
            expect![[r#"
                file: each row seems to be a dialogue, and has neither `utterances` nor `messages`
                hint: call that list `utterances`; data.columns names the keys of a dialogue and of its utterances
            "#]],
        ),
        (
            r#"{"id":"a","utterances":[{"speaker":"A","text":"Hi.","emotion":"joy"}]}"#,
            expect![[r#"
                file: no utterance has a label
                hint: write columns = { label = "emotion" } under [data]
            "#]],
        ),
    ] {
        check_section("", line, &expected);
    }
}
