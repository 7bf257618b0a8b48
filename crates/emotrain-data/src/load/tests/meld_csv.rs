use super::*;

const HEADER: &str =
    "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime";

fn check_rows(rows: &str, expected: &Expect) {
    check(DataFormat::MeldCsv, LabelSetName::Meld, &format!("{HEADER}\n{rows}"), expected);
}

const ROWS: &str = concat!(
    "1,The oven\u{92}s on fire!,Maya,fear,negative,4,0,1,2,\"00:01:02,003\",\"00:01:03,004\"\r\n",
    "2,\"Not again, Tom said.\n\"\"Never\"\" again.\",Tom,anger,negative,4,2,1,2,\"00:01:05,003\",\"00:01:06,004\"\r\n",
    "3,Morning.,Ann,neutral,neutral,3,0,1,3,\"00:00:00,100\",\"00:00:01,004\"\r\n",
    "4, Out! ,All,Surprise,negative,4,1,1,2,\"00:01:04,003\",\"00:01:05,004\"\r\n",
);

#[test]
fn rows_become_dialogues_in_utterance_order() {
    check_rows(
        ROWS,
        &expect![[r#"
            4
              Maya: The oven’s on fire! [fear]
              All: Out! [surprise]
              Tom: Not again, Tom said.
            "Never" again. [anger]
            3
              Ann: Morning. [neutral]
            mended 1
        "#]],
    );
}

#[test]
fn columns_are_found_by_name() {
    let text = "Emotion,Utterance_ID,Dialogue_ID,Speaker,Utterance\njoy,10,a,Ann,Ten\nsadness,9,a,Bo,Nine";
    check(
        DataFormat::MeldCsv,
        LabelSetName::Meld,
        text,
        &expect![[r#"
            a
              Bo: Nine [sadness]
              Ann: Ten [joy]
            mended 0
        "#]],
    );
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_header() {
    let text = "\u{feff}Utterance,Speaker,Emotion,Dialogue_ID,Utterance_ID\nHi,Ann,joy,0,0\n";
    check(
        DataFormat::MeldCsv,
        LabelSetName::Meld,
        text,
        &expect![[r#"
            0
              Ann: Hi [joy]
            mended 0
        "#]],
    );
}

#[test]
fn emotions_may_be_absent_only_where_they_are_not_required() {
    let text = "Utterance,Speaker,Dialogue_ID,Utterance_ID\nHi,Ann,0,0\n";
    check_unlabelled(
        DataFormat::MeldCsv,
        LabelSetName::Meld,
        text,
        &expect![[r#"
            0
              Ann: Hi [-]
            mended 0
        "#]],
    );
    check(
        DataFormat::MeldCsv,
        LabelSetName::Meld,
        text,
        &expect![[r#"
            file:1: missing column "Emotion"
        "#]],
    );
    let empty_cell = "Utterance,Speaker,Emotion,Dialogue_ID,Utterance_ID\nHi,Ann,,0,0\n";
    check_unlabelled(
        DataFormat::MeldCsv,
        LabelSetName::Meld,
        empty_cell,
        &expect![[r#"
            0
              Ann: Hi [-]
            mended 0
        "#]],
    );
    check(
        DataFormat::MeldCsv,
        LabelSetName::Meld,
        empty_cell,
        &expect![[r#"
            file:2: utterance 0#0: has no label
            hint: with data.unlabelled = "context" such utterances are context and not labelled
        "#]],
    );
}

#[test]
fn a_missing_column_is_named_with_what_is_like_it() {
    for (name, other) in [("Dialogue_ID", "dialogue id"), ("Utterance", "Text"), ("Speaker", "speakers")] {
        let text = format!("{}\n{ROWS}", HEADER.replace(&format!("{name},"), &format!("{other},")));
        check(
            DataFormat::MeldCsv,
            LabelSetName::Meld,
            &text,
            match name {
                "Dialogue_ID" => &expect![[r#"
                    file:1: missing column "Dialogue_ID"
                    hint: did you mean "dialogue id"?
                "#]],
                "Utterance" => &expect![[r#"
                    file:1: missing column "Utterance"
                "#]],
                _ => &expect![[r#"
                    file:1: missing column "Speaker"
                    hint: did you mean "speakers"?
                "#]],
            },
        );
    }
}

#[test]
fn errors_name_the_row() {
    let check_last = |row: &str, expected: &Expect| check_rows(&format!("{ROWS}{row}\r\n"), expected);
    check_last(
        "5,Hello.,Ann,joyy,positive,9,0,1,3,a,b",
        &expect![[r#"
            file:7: utterance 9#0: unknown label "joyy"
            hint: did you mean "joy"? data.label_aliases = { joyy = "joy" } reads them so
            data.labels lists other labels; both keys are for data.label_set = "custom"
        "#]],
    );
    check_last(
        "5,Hello.,Ann,joy,positive,9,first,1,3,a,b",
        &expect![[r#"
            file:7: Utterance_ID should be a whole number, not "first"
        "#]],
    );
    check_last(
        "5,Hello.,Ann,joy,positive,4,1,1,3,a,b",
        &expect![[r#"
            file:7: dialogue 4: utterance id 1 is used twice, first on line 6
        "#]],
    );
    check_last(
        "5,,Ann,joy,positive,9,0,1,3,a,b",
        &expect![[r#"
            file:7: utterance 9#0: the utterance is empty
        "#]],
    );
    check_last(
        "5,Hello.,,joy,positive,9,0,1,3,a,b",
        &expect![[r#"
            file:7: utterance 9#0: the speaker's name is empty
        "#]],
    );
    check_last(
        "5,Hello.,Ann,joy,positive,,0,1,3,a,b",
        &expect![[r#"
            file:7: the dialogue's id is empty
        "#]],
    );
    check_last(
        "5,Hello.,Ann,joy,positive,9,0",
        &expect![[r#"
            file:7: invalid CSV: the row has 7 cells, the header 11
        "#]],
    );
    check_last(
        "5,Hello, there.,Ann,joy,positive,9,0,1,3,a,b",
        &expect![[r#"
            file:7: invalid CSV: the row has 12 cells, the header 11
        "#]],
    );
    check_last(
        "5,\"Hello.,Ann,joy,positive,9,0,1,3,a,b",
        &expect![[r#"
            file:7: a cell starts with a quotation mark, but it is never closed
            hint: put the whole cell in quotation marks and write those within it twice, or leave it out
        "#]],
    );
}

#[test]
fn a_header_alone_is_no_data() {
    check_rows(
        "",
        &expect![[r#"
            file: has no dialogues
            hint: name a file with at least one; data.format says how it is read
        "#]],
    );
}
