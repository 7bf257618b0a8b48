use super::*;

const MELD: &str = "No,Utterance,Speaker,Emotion,Dialogue_ID,Utterance_ID,Season";

fn meld(rows: &str, expected: &Expect) {
    check(DataFormat::MeldCsv, LabelSetName::Meld, &format!("{MELD}\n{rows}"), expected);
}

fn emory(text: &str, expected: &Expect) {
    check(DataFormat::Emorynlp, LabelSetName::Emorynlp, text, expected);
}

#[test]
fn emorynlp_is_read_from_its_tables() {
    emory(
        "Utterance,Speaker,Emotion,Scene_ID,Utterance_ID,Season,Episode\n\
         Two.,['Ada Finn'],Joyful,3,2,1,4\n\
         One.,\"[\"\"Bo O'Dell\"\"]\",Peaceful,3,1,1,4\n\
         Other scene.,\"['Ada Finn', 'Bo O\\'Dell', 'Cy']\",Mad,3,1,1,5\n\
         Plain name.,All,neutral,12,7.0,2.0,11\n",
        &expect![[r#"
            s01_e04_c03
              Bo O'Dell: One. [peaceful]
              Ada Finn: Two. [joyful]
            s01_e05_c03
              Ada Finn, Bo O'Dell and Cy: Other scene. [mad]
            s02_e11_c12
              All: Plain name. [neutral]
            mended 0
        "#]],
    );
}

#[test]
fn a_table_of_another_data_set_is_named() {
    let emorynlp = "Utterance,Speaker,Emotion,Scene_ID,Utterance_ID,Season,Episode\nHi.,['A'],Mad,1,1,1,1\n";
    check(
        DataFormat::MeldCsv,
        LabelSetName::Emorynlp,
        emorynlp,
        &expect![[r#"
            file: this looks like EmoryNLP's release
            hint: write data.format = "emorynlp"
        "#]],
    );
    emory(
        &format!("{MELD}\n1,Hi.,Ada,joy,0,0,1\n"),
        &expect![[r#"
            file: this looks like MELD's tables
            hint: write data.format = "meld_csv"
        "#]],
    );
    emory(
        "utterance;speaker\n",
        &expect![[r#"
            file: this looks like CSV
            hint: write data.format = "csv"
        "#]],
    );
}

#[test]
fn other_separators_are_named() {
    for separator in [";", "\t", "|"] {
        let text = format!("{MELD}\n1,Hi.,Ada,joy,0,0,1\n").replace(',', separator);
        let folder = folder(&[("file", text.as_bytes())]);
        let labels = LabelSet::builtin(LabelSetName::Meld);
        let result =
            load_split(&folder.path().join("file"), DataFormat::MeldCsv, &labels, LabelPolicy::Required);
        let name = if separator == "\t" { "a tab" } else { separator };
        let message = format!("the columns seem to be separated by {name}");
        assert!(result.unwrap_err().to_string().ends_with(&message), "{separator:?}");
    }
}

#[test]
fn whole_numbers_may_have_a_fraction_of_zero() {
    meld(
        "1.0,Come in.,Nora,neutral,0.0,0.0,1.0\n2.0,Cold?,Theo,fear,0.0,1.0,1.0\n3,No.,Nora,neutral,1,0,1\n",
        &expect![[r#"
            0
              Nora: Come in. [neutral]
              Theo: Cold? [fear]
            1
              Nora: No. [neutral]
            mended 0
        "#]],
    );
    meld(
        "1,Come in.,Nora,neutral,0,0.5,1\n",
        &expect![[r#"
        file:2: Utterance_ID should be a whole number, not "0.5"
    "#]],
    );
}

#[test]
fn a_quotation_mark_that_swallows_rows_is_found() {
    // Closed by the next row's mark.
    meld(
        "1,Hi.,Ada,joy,0,0,1\n2,\"So I said,Bo,joy,0,1,1\n3,\"Fine.\",Ada,joy,0,2,1\n",
        &expect![[r#"
            file:3: a cell starts with a quotation mark, but the text up to the next one looks like rows
            hint: put the whole cell in quotation marks and write those within it twice, or leave it out
        "#]],
    );
    // Never closed.
    meld(
        "1,\"Hi.,Ada,joy,0,0,1\n2,Ho.,Bo,joy,0,1,1\n",
        &expect![[r#"
            file:2: a cell starts with a quotation mark, but it is never closed
            hint: put the whole cell in quotation marks and write those within it twice, or leave it out
        "#]],
    );
    // Closed by a mark at the end of a later text, so that rows of the right length remain.
    meld(
        "1,\"Hi.,Ada,joy,0,0,1\n2,he said no\",Bo,joy,0,1,1\n3,Ho.,Ada,joy,0,2,1\n",
        &expect![[r#"
            file:2: a cell starts with a quotation mark, but the text up to the next one looks like rows
            hint: put the whole cell in quotation marks and write those within it twice, or leave it out
        "#]],
    );
    meld(
        "1,\"Hi\n2,Ho.,Bo,joy,0,1,1\n3,Ho\",Ada,joy,0,2,1\n",
        &expect![[r#"
            file:2: a cell starts with a quotation mark, but the text up to the next one looks like rows
            hint: put the whole cell in quotation marks and write those within it twice, or leave it out
        "#]],
    );
    // In another cell than the text.
    meld(
        "1,Hi.,\"Ada,joy,0,0,1\n2,Ho.,Bo\",joy,0,1,1\n",
        &expect![[r#"
            file:2: a cell starts with a quotation mark, but the text up to the next one looks like rows
            hint: put the whole cell in quotation marks and write those within it twice, or leave it out
        "#]],
    );
}

#[test]
fn quotation_marks_that_are_meant_stay() {
    meld(
        "1,\"Well, \"\"fine\"\", he said.\nTwice, or so,\nno?\",Ada,joy,0,0,1\r\n2,the \"end\",Bo,joy,0,1,1\r\n3,\"\"\"Go\"\"\",\"Cy\",joy,0,2,\"1\"\r\n",
        &expect![[r#"
            0
              Ada: Well, "fine", he said.
            Twice, or so,
            no? [joy]
              Bo: the "end" [joy]
              Cy: "Go" [joy]
            mended 0
        "#]],
    );
    // The text in the last column ends a line without ending its row.
    check(
        DataFormat::MeldCsv,
        LabelSetName::Meld,
        "Speaker,Emotion,Dialogue_ID,Utterance_ID,Utterance\nAda,joy,0,0,\"One\ntwo\"\nBo,joy,0,1,Three\n",
        &expect![[r#"
            0
              Ada: One
            two [joy]
              Bo: Three [joy]
            mended 0
        "#]],
    );
}
