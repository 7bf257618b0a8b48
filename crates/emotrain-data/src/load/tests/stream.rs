use std::io::Cursor;

use super::*;
use crate::load::{DataInput, DialogueReader};

/// What comes out of a stream with these keys under `[data]`.
fn stream(keys: &str, text: &str) -> String {
    let section = section(keys);
    let labels = LabelSet::from_section(&section).unwrap();
    let from = Box::new(Cursor::new(text.as_bytes().to_vec()));
    let input = DataInput::Stream { name: "standard input", from };
    let mut shown = String::new();
    match DialogueReader::open(input, &section, &labels, LabelPolicy::Optional) {
        Ok(reader) => {
            for dialogue in reader {
                match dialogue {
                    Ok(dialogue) => writeln!(shown, "{dialogue:?}").unwrap(),
                    Err(error) => writeln!(shown, "{error}\nhint: {:?}", error.hint()).unwrap(),
                }
            }
        }
        Err(error) => writeln!(shown, "{error}\nhint: {:?}", error.hint()).unwrap(),
    }
    shown
}

#[test]
fn a_stream_gives_what_the_file_gives() {
    let table = "dialogue,position,text,label\na,1,\"Hi,\n\nAda.\",joy\na,0,Ho.,\n\nb,0,\"\"\"He\"\"\",fear\nc,0,So.,joy\n";
    let lines = "{\"id\":1,\"utterances\":[{\"speaker\":\"A\",\"text\":\"Hi.\",\"label\":\"joy\"}]}\n\n{\"id\":\"b\",\"utterances\":[{\"speaker\":\"B\",\"text\":\"Ho \\ud83d.\"}]}";
    for (format, text) in [
        ("csv", table.to_owned()),
        ("csv", table.replace('\n', "\r\n")),
        ("csv", format!("\u{feff}{table}")),
        ("csv", table.replace(',', ";")),
        ("csv", format!("{table},,,\n,,\n")),
        ("tsv", table.replace(',', "\t")),
        ("jsonl", lines.to_owned()),
    ] {
        let section = section(&format!("format = {format:?}"));
        let labels = LabelSet::from_section(&section).unwrap();
        let folder = folder(&[("file", text.as_bytes())]);
        let path = folder.path().join("file");
        let split = load_split(&path, &section, &labels, LabelPolicy::Optional).unwrap();
        let reader = DialogueReader::open(DataInput::File(&path), &section, &labels, LabelPolicy::Optional);
        let dialogues: Vec<_> = reader.unwrap().map(Result::unwrap).collect();
        assert_eq!(dialogues, split.dialogues, "{format}");
    }
}

#[test]
fn dialogues_come_before_the_stream_ends() {
    use std::io::Read;

    /// Fails where it should not be read yet.
    struct Trap;
    impl Read for Trap {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("read too far"))
        }
    }

    let labels = LabelSet::builtin(LabelSetName::Meld);
    let from = Cursor::new("dialogue,text\na,Hi.\nb,Ho.\n").chain(Trap);
    let input = DataInput::Stream { name: "pipe", from: Box::new(from) };
    let mut reader = DialogueReader::open(input, DataFormat::Csv, &labels, LabelPolicy::Optional).unwrap();
    assert_eq!(reader.next().unwrap().unwrap().id, "a");
    assert_eq!(reader.next().unwrap().unwrap_err().to_string(), "pipe: cannot be read: read too far");
    assert!(reader.next().is_none());
}

#[test]
fn rows_of_a_dialogue_stand_together() {
    expect![[r#"
        Dialogue { id: "a", utterances: [Utterance { speaker: "Speaker", text: "Hi.", label: None, metadata: Metadata([]) }], metadata: Metadata([]) }
        Dialogue { id: "b", utterances: [Utterance { speaker: "Speaker", text: "Ho.", label: None, metadata: Metadata([]) }], metadata: Metadata([]) }
        standard input:4: dialogue a: rows of the dialogue stand apart; others are on line 2
        hint: Some("sort the file by its dialogues")
    "#]]
    .assert_eq(&stream("format = \"csv\"", "dialogue,text\na,Hi.\nb,Ho.\na,He.\n"));
    let line = "{\"id\":1,\"utterances\":[{\"speaker\":\"A\",\"text\":\"Hi.\"}]}\n";
    expect![[r#"
        Dialogue { id: "1", utterances: [Utterance { speaker: "A", text: "Hi.", label: None, metadata: Metadata([]) }], metadata: Metadata([]) }
        standard input:2: dialogue 1: the id is used twice, first on line 1
        hint: None
    "#]]
    .assert_eq(&stream("format = \"jsonl\"", &line.repeat(2)));
}

#[test]
fn faults_of_a_stream_have_their_lines() {
    expect![].assert_eq(&stream("format = \"csv\"", ""));
    expect![[r#"
        standard input:1: no column "dialogue" or "text": the columns are conv, utt
        hint: Some("write columns = { dialogue = \"conv\", text = \"utt\" } under [data]")
    "#]]
    .assert_eq(&stream("format = \"csv\"", "conv,utt\na,Hi.\n"));
    expect![[r#"
        standard input:5: position should be a number or a time, not "one"
        hint: Some("times are read as 2024-05-01 10:01, 2024-05-01T10:01:30Z or 01.05.2024 10:01; without a position rows keep their order")
        standard input:6: unknown labels: joyy × 2
          hint: did you mean joy? data.label_aliases = { joyy = "joy" } reads them so
          hint: data.labels lists other labels; both keys are for data.label_set = "custom"
        standard input:7: invalid CSV: the row has 2 cells, the header 4
        standard input:8: dialogue b: utterance id 1 is used twice, first on line 6
        standard input:8: utterance b#1: the utterance is empty
        hint: None
        Dialogue { id: "c", utterances: [Utterance { speaker: "Speaker", text: "So.", label: Some(Label(4)), metadata: Metadata([]) }], metadata: Metadata([]) }
    "#]].assert_eq(&stream(
        "format = \"csv\"",
        "dialogue,position,text,label\na,0,\"Hi,\nAda.\",joy\n\nb,one,Ho.,joy\nb,1,Ho.,joyy\nb,1\nb,1,,joyy\nc,0,So.,joy\n",
    ));
    expect![[r#"
        standard input:2: a cell starts with a quotation mark, but it is never closed
        hint: Some("put the whole cell in quotation marks and write those within it twice, or leave it out")
    "#]]
    .assert_eq(&stream("format = \"csv\"", "dialogue,text\na,\"Hi.\na,Ho.\n"));
    expect![[r#"
        standard input: files of data.format = "meld_csv" are not read one dialogue at a time
        hint: Some("give it as \"jsonl\", \"csv\" or \"tsv\"")
    "#]]
    .assert_eq(&stream("format = \"meld_csv\"", "Utterance\n"));
}

#[test]
fn numbers_that_rows_lack_are_not_missed_where_nothing_is_trained() {
    let keys = "format = \"csv\"\ncolumns = { position = \"turn\", label = \"mood\", text = \"utt\" }";
    expect![[r#"
        Dialogue { id: "a", utterances: [Utterance { speaker: "Speaker", text: "Hi.", label: None, metadata: Metadata([]) }], metadata: Metadata([]) }
    "#]]
    .assert_eq(&stream(keys, "dialogue,utt\na,Hi.\n"));
}
