use super::*;

const RELEASE: &str = r#"{
  "season_id": "s91",
  "episodes": [
    {"episode_id": "s91_e01", "scenes": [
      {"scene_id": "s91_e01_c01", "utterances": [
        {"utterance_id": "s91_e01_c01_u001", "speakers": ["Ann Lee"], "transcript": "Who ate it?",
         "tokens": [["Who", "ate", "it", "?"]], "emotion": "Mad"},
        {"utterance_id": "s91_e01_c01_u002", "speakers": ["Bo Kim", "Cy Roe"], "transcript": "Not us!",
         "tokens": [["Not", "us", "!"]], "emotion": "Scared"}
      ]},
      {"scene_id": "s91_e01_c02", "utterances": [
        {"utterance_id": "s91_e01_c02_u001", "speakers": ["Ann Lee", "Bo Kim", "Cy Roe"], "transcript": "Cake.",
         "emotion": "Peaceful"}
      ]}
    ]},
    {"episode_id": "s91_e02", "scenes": [
      {"scene_id": "s91_e02_c01", "utterances": [
        {"utterance_id": "s91_e02_c01_u001", "speakers": ["Ann Lee"], "transcript": "I win.", "emotion": "Powerful"}
      ]}
    ]}
  ]
}"#;

fn check_emory(text: &str, expected: &Expect) {
    check(DataFormat::Emorynlp, LabelSetName::Emorynlp, text, expected);
}

#[test]
fn a_scene_is_a_dialogue() {
    check_emory(
        RELEASE,
        &expect![[r#"
            s91_e01_c01
              Ann Lee: Who ate it? [mad]
              Bo Kim and Cy Roe: Not us! [scared]
            s91_e01_c02
              Ann Lee, Bo Kim and Cy Roe: Cake. [peaceful]
            s91_e02_c01
              Ann Lee: I win. [powerful]
            mended 0
        "#]],
    );
}

#[test]
fn the_one_hot_form_is_read_too() {
    let text = r#"{"12": {"labels": [0], "sentences": ["Yes!"], "genders": [[1, 0, 0, 0, 0, 0, 0, 0, 0]]}}"#;
    check_emory(
        text,
        &expect![[r#"
            12
              Speaker 1: Yes! [joyful]
            mended 0
        "#]],
    );
}

#[test]
fn emotions_may_be_absent_only_where_they_are_not_required() {
    let text = RELEASE.replace(r#", "emotion": "Powerful""#, "");
    check_emory(
        &text,
        &expect![[r#"
            file:18: utterance s91_e02_c01#0: has no label
            hint: with data.unlabelled = "context" such utterances are context and not labelled
        "#]],
    );
    let text = r#"{"episodes": [{"scenes": [{"scene_id": "c", "utterances":
        [{"utterance_id": "u", "speakers": ["Ann"], "transcript": "Hm."}]}]}]}"#;
    check_unlabelled(
        DataFormat::Emorynlp,
        LabelSetName::Emorynlp,
        text,
        &expect![[r#"
            c
              Ann: Hm. [-]
            mended 0
        "#]],
    );
}

/// The sample with one change.
fn check_with(old: &str, new: &str, expected: &Expect) {
    assert!(RELEASE.contains(old), "{old} is not in the sample");
    check_emory(&RELEASE.replace(old, new), expected);
}

#[test]
fn errors_name_the_line_of_the_utterance() {
    check_with(
        "Powerful",
        "Powerfull",
        &expect![[r#"
            file:18: utterance s91_e02_c01#0: unknown label "Powerfull"
            hint: did you mean "powerful"? data.label_aliases = { Powerfull = "powerful" } reads them so
            data.labels lists other labels; both keys are for data.label_set = "custom"
        "#]],
    );
    check_with(
        "I win.",
        " ",
        &expect![[r#"
            file:18: utterance s91_e02_c01#0: the utterance is empty
        "#]],
    );
    check_with(
        "s91_e01_c01_u002",
        "s91_e01_c01_u001",
        &expect![[r#"
            file:8: dialogue s91_e01_c01: utterance id s91_e01_c01_u001 is used twice, first on line 6
        "#]],
    );
    check_with(
        "s91_e02_c01\"",
        "s91_e01_c02\"",
        &expect![[r#"
            file:17: dialogue s91_e01_c02: the id is used twice, first on line 11
        "#]],
    );
    check_with(
        r#"["Bo Kim", "Cy Roe"]"#,
        "[]",
        &expect![[r#"
            file:8: utterance s91_e01_c01#1: the speaker's name is empty
        "#]],
    );
}

#[test]
fn other_forms_are_refused() {
    check_with(
        r#"["Bo Kim", "Cy Roe"]"#,
        r#""Bo""#,
        &expect![[r#"
            file:8: invalid type: string "Bo", expected a sequence
        "#]],
    );
    check_with(
        r#""transcript": "I win.", "#,
        "",
        &expect![[r#"
            file:18: missing field `transcript`
        "#]],
    );
    check_with(
        r#""scene_id": "s91_e02_c01", "#,
        "",
        &expect![[r#"
            file:19: missing field `scene_id`
        "#]],
    );
    check_with(
        r#""scenes": [
      {"scene_id": "s91_e02_c01""#,
        r#""scene": [
      {"scene_id": "s91_e02_c01""#,
        &expect![[r#"
            file:20: missing field `scenes`
        "#]],
    );
    check_with(
        "    ]}\n  ]\n}",
        "    ]}\n",
        &expect![[r#"
            file:21: invalid JSON: EOF while parsing a list
        "#]],
    );
}

#[test]
fn episodes_without_scenes_are_no_data() {
    check_emory(
        r#"{"episodes": [3]}"#,
        &expect![[r#"
            file:1: invalid type: integer `3`, expected an object with `scenes`
        "#]],
    );
    check_emory(
        r#"{"episodes": [{"scenes": [3]}]}"#,
        &expect![[r#"
            file:1: invalid type: integer `3`, expected an object with `scene_id` and `utterances`
        "#]],
    );
    check_emory(
        r#"{"episodes": [{"scenes": [{"scene_id": "c", "utterances": [3]}]}]}"#,
        &expect![[r#"
            file:1: invalid type: integer `3`, expected an object with `utterance_id`, `speakers`, `transcript` and `emotion`
        "#]],
    );
    check_emory(
        r#"{"episodes": [{"scenes": []}]}"#,
        &expect![[r#"
            file: has no dialogues
            hint: name a file with at least one; data.format says how it is read
        "#]],
    );
    check_emory(
        r#"{"episodes": [{"scenes": [{"scene_id": "c", "utterances": []}]}]}"#,
        &expect![[r#"
            file:1: dialogue c: the dialogue has no utterances
        "#]],
    );
    check_emory(
        r#"{"episodes": 3}"#,
        &expect![[r#"
            file:1: invalid type: integer `3`, expected a sequence
        "#]],
    );
}
