use super::*;

const MELD: &str = r#"{
  "0": {
    "labels": [0, 4],
    "sentences": ["Is that\u0092s the bus\u0085 ", "Run!"],
    "genders": [[1, 0], [0, 1]],
    "speakers": ["Maya", "Tom"]
  },
  "7": {
    "labels": [6],
    "sentences": ["Gone."],
    "genders": [[0, 1]],
    "speakers": ["Maya"]
  }
}"#;

fn check_meld(text: &str, expected: &Expect) {
    check(DataFormat::PrcJson, LabelSetName::Meld, text, expected);
}

#[test]
fn the_speaker_is_the_name_not_the_code() {
    check_meld(
        MELD,
        &expect![[r#"
            0
              Maya: Is that’s the bus… [neutral]
              Tom: Run! [joy]
            7
              Maya: Gone. [anger]
            mended 1
        "#]],
    );
}

#[test]
fn an_iemocap_speaker_is_the_session_and_the_gender() {
    let text = r#"{"Ses05M_impro03": {"labels": [4, 5, 0], "sentences": ["We won.", "They lost.", "Oh."],
        "genders": ["F", "M", "F"]}}"#;
    check(
        DataFormat::PrcJson,
        LabelSetName::Iemocap,
        text,
        &expect![[r#"
            Ses05M_impro03
              Ses05_F: We won. [excited]
              Ses05_M: They lost. [frustrated]
              Ses05_F: Oh. [happy]
            mended 0
        "#]],
    );
    let nameless = text.replace("Ses05M_impro03", "impro03");
    check(
        DataFormat::PrcJson,
        LabelSetName::Iemocap,
        &nameless,
        &expect![[r#"
            file:1: dialogue impro03: the speaker cannot be determined: the dialogue's id has no IEMOCAP session (such as Ses05M_impro03)
            hint: add a list `speakers` with one name per sentence
        "#]],
    );
    let wrong = text.replace(r#""M""#, r#""X""#);
    check(
        DataFormat::PrcJson,
        LabelSetName::Iemocap,
        &wrong,
        &expect![[r#"
            file:2: invalid value: string "X", expected "M", "F" or a list of zeros with a single 1
        "#]],
    );
}

#[test]
fn a_one_hot_code_alone_is_a_numbered_speaker() {
    let text = r#"{"3": {"labels": [1, 2], "sentences": ["Give it back.", "Fine."],
        "genders": [[0, 0, 1], [1, 0, 0]]}}"#;
    check(
        DataFormat::PrcJson,
        LabelSetName::Emorynlp,
        text,
        &expect![[r#"
            3
              Speaker 3: Give it back. [mad]
              Speaker 1: Fine. [peaceful]
            mended 0
        "#]],
    );
    check(
        DataFormat::PrcJson,
        LabelSetName::Emorynlp,
        &text.replace("0, 0, 1", "0, 1, 1"),
        &expect![[r#"
            file:2: invalid value: another list, expected "M", "F" or a list of zeros with a single 1
        "#]],
    );
    check(
        DataFormat::PrcJson,
        LabelSetName::Emorynlp,
        &text.replace("0, 0, 1", "0, 0, 0"),
        &expect![[r#"
            file:2: invalid value: another list, expected "M", "F" or a list of zeros with a single 1
        "#]],
    );
    check(
        DataFormat::PrcJson,
        LabelSetName::Emorynlp,
        &text.replace("0, 0, 1", "0, 2, 1"),
        &expect![[r#"
            file:2: invalid value: another list, expected "M", "F" or a list of zeros with a single 1
        "#]],
    );
}

#[test]
fn labels_may_be_absent_only_where_they_are_not_required() {
    let text = r#"{"3": {"sentences": ["Fine."], "speakers": ["Ann"]}}"#;
    check_unlabelled(
        DataFormat::PrcJson,
        LabelSetName::Meld,
        text,
        &expect![[r#"
            3
              Ann: Fine. [-]
            mended 0
        "#]],
    );
    check_meld(
        text,
        &expect![[r#"
            file:1: utterance 3#0: has no label
            hint: with data.unlabelled = "context" such utterances are context and not labelled
        "#]],
    );
}

/// The sample with one change.
fn check_with(old: &str, new: &str, expected: &Expect) {
    assert!(MELD.contains(old), "{old} is not in the sample");
    check_meld(&MELD.replace(old, new), expected);
}

#[test]
fn lists_must_be_equally_long() {
    check_with(
        r#"["Gone."]"#,
        r#"["Gone.", "Yes."]"#,
        &expect![[r#"
            file:8: dialogue 7: lists of different lengths: sentences 2, labels 1, genders 1, speakers 1
        "#]],
    );
    check_with(
        "[6]",
        "[]",
        &expect![[r#"
            file:8: dialogue 7: lists of different lengths: sentences 1, labels 0, genders 1, speakers 1
        "#]],
    );
    check_with(
        "[[0, 1]]",
        "[[0, 1], [1, 0]]",
        &expect![[r#"
            file:8: dialogue 7: lists of different lengths: sentences 1, labels 1, genders 2, speakers 1
        "#]],
    );
    check_with(
        r#"["Maya"]"#,
        "[]",
        &expect![[r#"
            file:8: dialogue 7: lists of different lengths: sentences 1, labels 1, genders 1, speakers 0
        "#]],
    );
}

#[test]
fn labels_must_be_of_the_set() {
    check_with(
        "[6]",
        "[7]",
        &expect![[r#"
            file:8: utterance 7#0: label 7 is out of range: the label set has the labels 0 to 6
        "#]],
    );
    check_with(
        "[6]",
        "[-1]",
        &expect![[r#"
            file:8: utterance 7#0: has no label
            hint: with data.unlabelled = "context" such utterances are context and not labelled
        "#]],
    );
    check_with(
        "[6]",
        r#"["angr"]"#,
        &expect![[r#"
            file:8: utterance 7#0: unknown label "angr"
            hint: did you mean "anger"? data.label_aliases = { angr = "anger" } reads them so
            data.labels lists other labels; both keys are for data.label_set = "custom"
        "#]],
    );
    check_with(
        "[6]",
        "[1.5]",
        &expect![[r#"
            file:9: invalid value: floating point `1.5`, expected a label's number or name
        "#]],
    );
}

#[test]
fn texts_and_ids_must_be_there() {
    check_with(
        "Gone.",
        "\\u0090",
        &expect![[r#"
            file:8: utterance 7#0: the utterance is empty
        "#]],
    );
    check_with(
        r#""7""#,
        r#""0""#,
        &expect![[r#"
            file:8: dialogue 0: the id is used twice, first on line 2
        "#]],
    );
    check_with(
        r#""7""#,
        r#""""#,
        &expect![[r#"
            file:8: the dialogue's id is empty
        "#]],
    );
}

#[test]
fn other_forms_are_refused() {
    check_with(
        "Maya\"]\n",
        "Maya\"],\n    \"speaker\": 1\n",
        &expect![[r#"
            file:13: unknown field `speaker`, expected one of `labels`, `sentences`, `genders`, `speakers`
        "#]],
    );
    check_with(
        r#""Gone.""#,
        "Gone.",
        &expect![[r#"
            file:10: invalid JSON: expected value
        "#]],
    );
    check_with(
        "  }\n}",
        "  }",
        &expect![[r#"
            file:13: invalid JSON: EOF while parsing an object
        "#]],
    );
}

#[test]
fn every_dialogue_needs_speakers_and_sentences() {
    check_meld(
        r#"{"episodes": 3}"#,
        &expect![[r#"
            file:1: invalid type: integer `3`, expected an object of lists: labels, sentences, genders, speakers
        "#]],
    );
    check_meld(
        r#"{"3": {"labels": [0], "sentences": ["Fine."]}}"#,
        &expect![[r#"
            file:1: dialogue 3: the speaker cannot be determined: neither `speakers` nor `genders` is given
            hint: add a list `speakers` with one name per sentence
        "#]],
    );
    check_meld(
        r#"{"3": {"labels": [0], "speakers": ["Ann"]}}"#,
        &expect![[r#"
            file:1: missing field `sentences`
        "#]],
    );
    check_meld(
        r#"{"3": {"labels": [], "sentences": [], "speakers": []}}"#,
        &expect![[r#"
            file:1: dialogue 3: the dialogue has no utterances
        "#]],
    );
    check_meld(
        "{}",
        &expect![[r#"
            file: has no dialogues
            hint: name a file with at least one; data.format says how it is read
        "#]],
    );
    check_meld(
        "[]",
        &expect![[r#"
            file:1: invalid type: sequence, expected an object of dialogues by id
        "#]],
    );
}
