use super::*;

#[test]
fn unknown_labels_are_summed_up_with_their_numbers() {
    let mut rows = "dialogue,text,label\n".to_owned();
    for number in 0..9 {
        let label = ["angr", "sadnes", "joy", "angr"][number % 4];
        writeln!(rows, "{},Text {number}.,{label}", number / 3).unwrap();
    }
    check_section(
        "format = \"csv\"",
        &rows,
        &expect![[r#"
            file:2: unknown labels: angr × 5 (from line 2), sadnes × 2 (from line 3)
            hint: did you mean anger, sadness? data.label_aliases = { angr = "anger", sadnes = "sadness" } reads them so
            data.labels lists other labels; both keys are for data.label_set = "custom"
        "#]],
    );
    check_section(
        "format = \"csv\"",
        &rows.replace("sadnes", "calm"),
        &expect![[r#"
            file:2: unknown labels: angr × 5 (from line 2), calm × 2 (from line 3)
            hint: did you mean anger for angr? data.label_aliases = { angr = "anger" } reads them so
            the labels are neutral, surprise, fear, sadness, joy, disgust, anger; data.context_labels = ["calm"] shows such utterances without labelling them
            data.labels lists others, and data.label_aliases = { calm = "…" } reads it as one of these; both with data.label_set = "custom"
        "#]],
    );
    check_section(
        "format = \"csv\"",
        &rows.replace("sadnes", "calm").replace("angr", "\"tense, bored\""),
        &expect![[r#"
            file:2: unknown labels: tense, bored × 5 (from line 2), calm × 2 (from line 3)
            hint: the labels are neutral, surprise, fear, sadness, joy, disgust, anger; data.context_labels = ["tense, bored", "calm"] shows such utterances without labelling them
            data.labels lists others, and data.label_aliases = { "tense, bored" = "…" } reads it as one of these; both with data.label_set = "custom"
        "#]],
    );
}

#[test]
fn all_faults_are_told_the_first_twenty_with_their_places() {
    let mut text = String::new();
    for number in 0..24 {
        let utterances =
            r#"{"speaker":"A","text":"","label":"joy"},{"speaker":"","text":"Hi.","label":"glee"}"#;
        writeln!(text, r#"{{"id":"d{}","utterances":[{utterances}]}}"#, number / 3 * 3 + number % 2).unwrap();
        text.push_str(if number == 1 { "{\"id\": \"x\"\n" } else { "\n" });
    }
    check(
        DataFormat::Jsonl,
        LabelSetName::Meld,
        &text,
        &expect![[r#"
            file:1: utterance d0#0: the utterance is empty
            file:1: utterance d0#1: the speaker's name is empty
            file:1: unknown labels: glee × 16
              hint: the labels are neutral, surprise, fear, sadness, joy, disgust, anger; data.context_labels = ["glee"] shows such utterances without labelling them
              hint: data.labels lists others, and data.label_aliases = { glee = "…" } reads it as one of these; both with data.label_set = "custom"
            file:3: utterance d1#0: the utterance is empty
            file:3: utterance d1#1: the speaker's name is empty
            file:4: invalid JSON: EOF while parsing an object
            file:5: dialogue d0: the id is used twice, first on line 1
            file:7: utterance d4#0: the utterance is empty
            file:7: utterance d4#1: the speaker's name is empty
            file:9: utterance d3#0: the utterance is empty
            file:9: utterance d3#1: the speaker's name is empty
            file:11: dialogue d4: the id is used twice, first on line 7
            file:13: utterance d6#0: the utterance is empty
            file:13: utterance d6#1: the speaker's name is empty
            file:15: utterance d7#0: the utterance is empty
            file:15: utterance d7#1: the speaker's name is empty
            file:17: dialogue d6: the id is used twice, first on line 13
            file:19: utterance d10#0: the utterance is empty
            file:19: utterance d10#1: the speaker's name is empty
            file:21: utterance d9#0: the utterance is empty
            file:21: utterance d9#1: the speaker's name is empty
            file: 21 more problems
        "#]],
    );
}

#[test]
fn faults_of_all_formats_are_told_in_one_go() {
    check(
        DataFormat::MeldCsv,
        LabelSetName::Meld,
        "Utterance,Speaker,Emotion,Dialogue_ID,Utterance_ID\nHi.,Ada,joyy,0,0\nHo.,Ada,joy,0\n,Bo,joyy,0,2\n",
        &expect![[r#"
            file:2: unknown labels: joyy × 2
              hint: did you mean joy? data.label_aliases = { joyy = "joy" } reads them so
              hint: data.labels lists other labels; both keys are for data.label_set = "custom"
            file:3: invalid CSV: the row has 4 cells, the header 5
            file:4: utterance 0#1: the utterance is empty
        "#]],
    );
    check(
        DataFormat::PrcJson,
        LabelSetName::Meld,
        "{\"a\": {\"labels\": [9], \"sentences\": [\"Hi.\"], \"speakers\": [\"Ada\"]},\n\"b\": {\"labels\": [], \"sentences\": [\"Hi.\"], \"speakers\": [\"Ada\"]},\n\"c\": {\"labels\": 1}}",
        &expect![[r#"
            file:1: utterance a#0: label 9 is out of range: the label set has the labels 0 to 6
            file:2: dialogue b: lists of different lengths: sentences 1, labels 0, speakers 1
            file:3: invalid type: integer `1`, expected a sequence
        "#]],
    );
}

#[test]
fn what_is_no_json_at_all_is_not_told_for_every_line() {
    check(
        DataFormat::Jsonl,
        LabelSetName::Meld,
        &"Dear diary.\n".repeat(40),
        &expect![[r#"
        file:1: invalid JSON: expected value
        file:2: invalid JSON: expected value
        file:3: invalid JSON: expected value
    "#]],
    );
}
