use super::*;
use crate::load::{DataInput, DialogueReader};

/// Reads a table with these keys under `[data]`.
fn table(keys: &str, text: &str, expected: &Expect) {
    check_section(keys, text, expected);
}

#[test]
fn columns_are_those_of_the_recipe_or_of_the_same_name() {
    table(
        "format = \"csv\"\ncolumns = { dialogue = \"conv_id\", text = \"utt\", label = \"emotion\" }",
        "conv_id,turn,Speaker,utt,emotion\n7,1,Ada,Hi.,joy\n8.0,1,Cy,\"Well, fine.\",\n7,2,Bo,Ho.,Sad\n",
        &expect![[r#"
            7
              Ada: Hi. [joy]
              Bo: Ho. [sadness]
            8
              Cy: Well, fine. [-]
            mended 0
        "#]],
    );
    table(
        "format = \"tsv\"\ncolumns = { speaker = \"who\" }",
        "\u{feff}Dialogue\tPOSITION\twho\ttext\tlabel\r\na\t1\tBo\tHo.\tjoy\r\na\t0.0\tAda\t\"A\ttab\"\tanger\r\n",
        &expect![[r#"
            a
              Ada: A	tab [anger]
              Bo: Ho. [joy]
            mended 0
        "#]],
    );
}

#[test]
fn without_speakers_all_are_one_and_without_positions_rows_keep_their_order() {
    table(
        "format = \"csv\"",
        "text,dialogue,label\nOne.,b,joy\nOther.,a,joy\nTwo.,b,fear\n",
        &expect![[r#"
        b
          Speaker: One. [joy]
          Speaker: Two. [fear]
        a
          Speaker: Other. [joy]
        mended 0
    "#]],
    );
}

#[test]
fn missing_columns_are_told_with_those_of_the_file_and_the_line_to_write() {
    table(
        "format = \"csv\"",
        "conv_id,turn,who,utt,emotion\n1,1,Ada,Hi.,joy\n",
        &expect![[r#"
            file:1: no column "dialogue", "text" or "label": the columns are conv_id, turn, who, utt, emotion
            hint: write columns = { dialogue = "conv_id", position = "turn", speaker = "who", text = "utt", label = "emotion" } under [data]
        "#]],
    );
    table(
        "format = \"csv\"\ncolumns = { dialogue = \"conv_id\", text = \"ut\", position = \"trn\" }",
        "conv_id,turn,who,utt,emotion\n1,1,Ada,Hi.,joy\n",
        &expect![[r#"
            file:1: no column "trn" for position, "ut" for text or "label": the columns are conv_id, turn, who, utt, emotion
            hint: write columns = { dialogue = "conv_id", position = "turn", speaker = "who", text = "utt", label = "emotion" } under [data]
        "#]],
    );
    table(
        "format = \"csv\"",
        "a,b,c\n1,1,Ada\n",
        &expect![[r#"
            file:1: no column "dialogue", "text" or "label": the columns are a, b, c
            hint: write columns = { dialogue = "…", text = "…", label = "…" } under [data]
        "#]],
    );
    table(
        "format = \"csv\"",
        "dialogue|text|label\n1|Hi.|joy\n",
        &expect![[r#"
            file:1: the columns seem to be separated by |
            hint: write it with commas: python3 -c "import csv, sys; csv.writer(sys.stdout).writerows(csv.reader(sys.stdin, delimiter='|'))" < FILE > commas.csv
        "#]],
    );
    table(
        "format = \"csv\"",
        "sep=;\ndialogue;text;label\n1;Hi.;joy\n",
        &expect![[r#"
        file:1: the first line, sep=…, is read by spreadsheets alone
        hint: remove that line
    "#]],
    );
    table(
        "format = \"csv\"",
        "dialogue,text,label,Text\n1,Hi.,joy,x\n",
        &expect![[r#"
        file:1: invalid CSV: the header has "text" 2 times
    "#]],
    );
}

#[test]
fn semicolons_separate_and_rows_of_nothing_are_passed_over() {
    let text = "dialogue;speaker;text;label\n1;Ada;Hi, you.;joy\n;;;\n1;Bo;\"Well; so.\";\n; ;;\n;\n";
    table(
        "format = \"csv\"",
        text,
        &expect![[r#"
        1
          Ada: Hi, you. [joy]
          Bo: Well; so. [-]
        mended 0
    "#]],
    );
    table(
        "format = \"csv\"",
        "dialogue;text;label\n1;\"Hi\" there.;joy\n",
        &expect![[r#"
        file:2: a cell starts with a quotation mark, but the next one is not followed by a semicolon
        hint: put the whole cell in quotation marks and write those within it twice, or leave it out
    "#]],
    );
    // A header may have some of the other in a name.
    let text = "dialogue,text,\"label; of joy\"\n1,Hi;ho;hu;,joy\n";
    table(
        "format = \"csv\"\ncolumns = { label = \"label; of joy\" }",
        text,
        &expect![[r#"
        1
          Speaker: Hi;ho;hu; [joy]
        mended 0
    "#]],
    );
}

#[test]
fn positions_are_whole_numbers_once_in_a_dialogue() {
    table(
        "format = \"csv\"",
        "dialogue,position,text,label\n1,0,Hi.,joy\n1,first,Ho.,joy\n1,0,He.,joy\n2,0,Ha.,joy\n",
        &expect![[r#"
            file:3: position should be a number or a time, not "first"
              hint: times are read as 2024-05-01 10:01, 2024-05-01T10:01:30Z or 01.05.2024 10:01; without a position rows keep their order
            file:4: dialogue 1: utterance id 0 is used twice, first on line 2
        "#]],
    );
}

/// At one time several things may be said: they keep their order.
#[test]
fn positions_are_times() {
    let times = ["05.03.2026 14:31", "05.03.2026 14:21", "05.03.2026 14:31", "28.02.2026 23:59"];
    let seconds = ["1772721.662001", "1772721.5", "1772721.662001", "1772720"];
    for cells in [times, seconds] {
        let row = |(number, cell): (usize, &&str)| format!("1,{cell},{number},joy\n");
        let rows: String = cells.iter().enumerate().map(row).collect::<Vec<_>>().concat();
        table(
            "format = \"csv\"\ncolumns = { position = \"at\" }",
            &format!("dialogue,at,text,label\n{rows}"),
            &expect![[r#"
                1
                  Speaker: 3 [joy]
                  Speaker: 1 [joy]
                  Speaker: 0 [joy]
                  Speaker: 2 [joy]
                mended 0
            "#]],
        );
    }
}

#[test]
fn quotation_marks_of_texts_are_told_from_those_of_cells() {
    // Lines within a cell that have as many commas as a row are still no rows.
    table(
        "format = \"csv\"",
        "dialogue,position,text,label\n1,0,\"Well, ok\nyes, no, maybe, so\",joy\n",
        &expect![[r#"
            1
              Speaker: Well, ok
            yes, no, maybe, so [joy]
            mended 0
        "#]],
    );
    table(
        "format = \"csv\"",
        "dialogue,text,label\n1,\"Hi.,joy\n1,\"Ho.\",joy\n1,\"He.\",joy\n",
        &expect![[r#"
        file:2: a cell starts with a quotation mark, but the text up to the next one looks like rows
        hint: put the whole cell in quotation marks and write those within it twice, or leave it out
    "#]],
    );
    table(
        "format = \"tsv\"",
        "dialogue\ttext\tlabel\n1\t\"Hi,\" she said.\tjoy\n",
        &expect![[r#"
        file:2: a cell starts with a quotation mark, but the next one is not followed by a tab
        hint: put the whole cell in quotation marks and write those within it twice, or leave it out
    "#]],
    );
    table(
        "format = \"tsv\"",
        "dialogue\ttext\tlabel\n1\t\"Hi.\tjoy\n1\tHo.\tjoy\n",
        &expect![[r#"
        file:2: a cell starts with a quotation mark, but it is never closed
        hint: put the whole cell in quotation marks and write those within it twice, or leave it out
    "#]],
    );
}

#[test]
fn times_are_positions() {
    check_section(
        "format = \"csv\"\nlabel_set = \"meld\"\ncolumns = { position = \"at\" }",
        "dialogue,at,text,label\na,2024-05-01T10:05:00Z,third,joy\na,2024-05-01T11:01:00+02:00,first,fear\na,2024-05-01T10:02Z,second,joy\n",
        &expect![[r#"
            a
              Speaker: first [fear]
              Speaker: second [joy]
              Speaker: third [joy]
            mended 0
        "#]],
    );
}

#[test]
fn positions_of_a_dialogue_are_written_in_one_way() {
    let at = |cells: [&str; 3]| {
        let row = |cell: &str| format!("a,{cell},Hi.,joy\n");
        format!("dialogue,position,text,label\nb,5,Ho.,joy\n{}", cells.map(row).concat())
    };
    for (cells, expected) in [
        (
            ["1", "2024-05-01 10:01", "2"],
            "file:4: dialogue a: the position is a time without a zone, and that on line 3 is a number",
        ),
        (
            ["2024-05-01 10:01", "2024-05-01 10:02", "7.5"],
            "file:5: dialogue a: the position is a number, and that on line 3 is a time without a zone",
        ),
        (
            ["2024-05-01 10:01", "2024-05-01T10:02Z", "2024-05-01 10:03"],
            "file:4: dialogue a: the position is a time with a zone, and that on line 3 is a time without a zone",
        ),
        (
            ["2024-05-01T10:01+02:00", "2024-05-01T10:02Z", "1714557780"],
            "file:5: dialogue a: the position is a number, and that on line 3 is a time with a zone",
        ),
    ] {
        let (section, folder) = (section("format = \"csv\""), folder(&[("file", at(cells).as_bytes())]));
        let labels = LabelSet::from_section(&section).unwrap();
        let path = folder.path().join("file");
        let whole =
            shown(load_split(&path, &section, &labels, LabelPolicy::Required), &labels, folder.path());
        assert_eq!(whole.lines().next(), Some(expected));
        let input = DataInput::File(&path);
        let mut stream = DialogueReader::open(input, &section, &labels, LabelPolicy::Required).unwrap();
        let error = stream.find_map(Result::err).unwrap().to_string();
        assert!(error.ends_with(expected), "{error}");
    }
    // Each dialogue may have its own way, and numbers their fractions.
    table(
        "format = \"csv\"",
        &at(["1.5", "1", "2.0"]),
        &expect![[r#"
            b
              Speaker: Ho. [joy]
            a
              Speaker: Hi. [joy]
              Speaker: Hi. [joy]
              Speaker: Hi. [joy]
            mended 0
        "#]],
    );
}
