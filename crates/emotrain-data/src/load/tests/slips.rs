use super::*;

fn lines(text: &str, expected: &Expect) {
    check(DataFormat::Jsonl, LabelSetName::Meld, text, expected);
}

#[test]
fn numbers_are_accepted_as_names() {
    lines(
        r#"{"id": 12, "utterances": [{"speaker": 1, "text": "Hi.", "label": 4}, {"speaker": 2.0, "text": "Ho.", "label": "joy"}]}"#,
        &expect![[r#"
            12
              1: Hi. [joy]
              2: Ho. [joy]
            mended 0
        "#]],
    );
}

#[test]
fn a_value_of_the_wrong_type_is_reported_with_its_key() {
    lines(
        r#"{"id": null, "utterances": []}"#,
        &expect![[r#"
            file:1: `id` should be text or a whole number, not null
            hint: write "id": "…", or leave it out with what it belongs to
        "#]],
    );
    lines(
        r#"{"id": 1.5, "utterances": []}"#,
        &expect![[r#"
            file:1: `id` should be text or a whole number, not the number 1.5
            hint: put it in quotation marks: "id": "1.5"
        "#]],
    );
    lines(
        r#"{"id": "a", "utterances": "Hi."}"#,
        &expect![[r#"
            file:1: `utterances` should be a list, not text
            hint: write "utterances": […]
        "#]],
    );
    lines(
        r#"{"id": "a", "utterances": ["Hi."]}"#,
        &expect![[r#"
            file:1: utterance 0: expected an object with `speaker`, `text` and `label`, not text
        "#]],
    );
    lines(
        r#"{"id": "a", "utterances": [{"speaker": "A", "text": "Hi.", "label": "joy"}, {"speaker": "A", "text": 3, "label": "joy"}]}"#,
        &expect![[r#"
            file:1: utterance 1: `text` should be text, not the number 3
            hint: put it in quotation marks: "text": "3"
        "#]],
    );
    lines(
        r#"{"id": "a", "utterances": [{"speaker": "A", "text": "Hi.", "label": ["joy"]}]}"#,
        &expect![[r#"
            file:1: utterance 0: `label` should be the name or the number of a label, not a list
            hint: write one label, as in "label": "joy"
        "#]],
    );
    lines(
        r#"{"id": "a", "utterances": [{"speaker": null, "text": "Hi.", "label": "joy"}]}"#,
        &expect![[r#"
            file:1: utterance 0: `speaker` should be text or a whole number, not null
            hint: write "speaker": "…", or leave it out with what it belongs to
        "#]],
    );
}

#[test]
fn what_is_no_json_line_is_named() {
    lines(
        "[\n {\"id\": \"a\"}\n]",
        &expect![[r#"
            file:1: is a JSON list, not JSON lines
            hint: write one dialogue or entry a line: jq -c '.[]' FILE
        "#]],
    );
    lines(
        "[{\"id\": \"a\", \"utterances\": []}]",
        &expect![[r#"
            file:1: is a JSON list, not JSON lines
            hint: write one dialogue or entry a line: jq -c '.[]' FILE
        "#]],
    );
    lines(
        "{\n \"id\": \"a\",\n \"utterances\": []\n}",
        &expect![[r#"
            file:1: a JSON value spans several lines
            hint: write one dialogue or entry a line: jq -c . FILE
        "#]],
    );
    lines(
        "{'id': 'a', 'utterances': []}",
        &expect![[r#"
            file:1: is a printed Python dictionary, not JSON
            hint: write lines with Python's json.dumps
        "#]],
    );
    lines(
        r#"{"id": "a", "utterances": [{"speaker": "A", "text": "Hi.", "label": NaN}]}"#,
        &expect![[r#"
        file:1: JSON has no NaN
        hint: write null where there is no value
    "#]],
    );
}

#[test]
fn why_a_line_is_no_json_is_told_by_readers_and_surveys() {
    let row =
        |id: &str| format!(r#"{{"id":"{id}","utterances":[{{"speaker":"A","text":"Hi.","label":"joy"}}]}}"#);
    let (a, b) = (row("a"), row("b"));
    for (text, expected) in [
        (format!("{a}\r{b}\r"), "file:1: lines end with carriage returns alone, which JSON lines do not"),
        (format!("{a} // first\n{b}\n"), "file:1: a comment, which JSON does not have"),
        (format!("# mine\n{a}\n{b}\n"), "file:1: a comment, which JSON does not have"),
        (format!("{a},\n{b}\n"), "file:1: a comma follows the value, as in a list; JSON lines have none"),
        (format!("{a}{b}\n"), "file:1: several JSON values on one line"),
        (
            a.replace("\"joy\"", "\"joy\","),
            "file:1: a comma follows the last entry, which JSON does not have",
        ),
    ] {
        let folder = folder(&[("file", text.as_bytes())]);
        let labels = LabelSet::builtin(LabelSetName::Meld);
        let path = folder.path().join("file");
        let read = load_split(&path, DataFormat::Jsonl, &labels, LabelPolicy::Required);
        let told = super::shown(read, &labels, folder.path());
        assert_eq!(told.lines().next(), Some(expected), "{told}");
        assert!(told.contains("hint: "), "{told}");
        let surveyed = crate::load::survey(&path, &std::collections::BTreeMap::new()).unwrap_err();
        let problem = expected.trim_start_matches("file:1: ");
        assert!(surveyed.to_string().ends_with(problem), "{surveyed}");
    }
}

#[test]
fn half_an_emoji_is_replaced_and_counted() {
    let text = r#"{"id": "a", "utterances": [{"speaker": "A", "text": "so happy \ud83d", "label": "joy"}, {"speaker": "A", "text": "\ud83d\ude00", "label": "joy"}]}"#;
    lines(
        text,
        &expect![[r#"
        a
          A: so happy � [joy]
          A: 😀 [joy]
        mended 0
    "#]],
    );
    let folder = folder(&[("file", text.as_bytes())]);
    let labels = LabelSet::builtin(LabelSetName::Meld);
    let split =
        load_split(&folder.path().join("file"), DataFormat::Jsonl, &labels, LabelPolicy::Required).unwrap();
    assert_eq!(split.damaged, 1);
    assert!(
        split.summary(&labels).to_string().contains("damaged           1  utterances with lost characters")
    );
}

#[test]
fn text_that_cannot_be_seen_is_no_text() {
    lines(
        r#"{"id": "a", "utterances": [{"speaker": "A", "text": "\u200b\ufeff", "label": "joy"}]}"#,
        &expect![[r#"
            file:1: utterance a#0: the utterance is empty
        "#]],
    );
    lines(
        r#"{"id": "a", "utterances": [{"speaker": "\u2060", "text": "Hi.", "label": "joy"}]}"#,
        &expect![[r#"
            file:1: utterance a#0: the speaker's name is empty
        "#]],
    );
    lines(
        r#"{"id": "a", "utterances": [{"speaker": "A\u200b", "text": "It\u0000 works\u001b[31m!", "label": "joy"}, {"speaker": "A", "text": "CafÃ©", "label": "joy"}]}"#,
        &expect![[r#"
            a
              A: It works! [joy]
              A: Café [joy]
            mended 2
        "#]],
    );
}

#[test]
fn other_encodings_are_named_in_every_format() {
    let text = "{\"id\": \"a\", \"utterances\": [{\"speaker\": \"A\", \"text\": \"Hi.\"}]}\n";
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let labels = LabelSet::builtin(LabelSetName::Meld);
    for format in FILE_FORMATS {
        for bytes in [utf16.clone(), [b"\xff\xfe", &utf16[..]].concat()] {
            let folder = folder(&[("file", &bytes)]);
            let error =
                load_split(&folder.path().join("file"), format, &labels, LabelPolicy::Optional).unwrap_err();
            assert!(error.to_string().contains("is UTF-16"), "{format}: {error}");
            assert!(error.hint().unwrap().contains("iconv -f UTF-16"), "{format}");
        }
    }
    let folder = folder(&[("file", b"{\"id\": \"a\"}\n{\"id\": \"caf\xe9\"}\n")]);
    let error = load_split(&folder.path().join("file"), DataFormat::Jsonl, &labels, LabelPolicy::Optional)
        .unwrap_err();
    assert!(error.to_string().ends_with("file:2: is not valid UTF-8 (byte 0xE9)"), "{error}");
}

#[test]
fn a_label_is_one_line() {
    let told = |label: &str| {
        format!(
            "file:1: utterance a#0: the label {label} has a line break or another control character\nhint: write the label on one line; of several labels write one\n"
        )
    };
    for (label, shown) in [
        (r"no\nemotion", r#""no\nemotion""#),
        (r"no\temotion", r#""no\temotion""#),
        (r"jo\u0000y", r#""jo\0y""#),
        (r"no\u2028emotion", r#""no\u{2028}emotion""#),
    ] {
        let text = format!(r#"{{"id":"a","utterances":[{{"speaker":"A","text":"Hi.","label":"{label}"}}]}}"#);
        let folder = folder(&[("file", text.as_bytes())]);
        let labels = LabelSet::builtin(LabelSetName::Meld);
        let path = folder.path().join("file");
        let read = load_split(&path, DataFormat::Jsonl, &labels, LabelPolicy::Required);
        assert_eq!(super::shown(read, &labels, folder.path()), told(shown));
    }
    check_section(
        "format = \"csv\"",
        "dialogue,text,label\na,Hi.,\"joy\nanger\"\n",
        &expect![[r#"
            file:2: utterance a#0: the label "joy\nanger" has a line break or another control character
            hint: write the label on one line; of several labels write one
        "#]],
    );
    // Around the label they mean nothing.
    lines(
        r#"{"id":"a","utterances":[{"speaker":"A","text":"Hi.","label":" joy\r\n"}]}"#,
        &expect![[r#"
            a
              A: Hi. [joy]
            mended 0
        "#]],
    );
}
