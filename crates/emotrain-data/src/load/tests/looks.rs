use std::io::Cursor;

use super::*;
use crate::load::{DataInput, DialogueReader};

/// A sound file of each format.
const FILES: [(DataFormat, &str); 8] = [
    (
        DataFormat::Jsonl,
        "{\"id\":\"a\",\"utterances\":[{\"speaker\":\"A\",\"text\":\"Hi.\",\"label\":\"joy\"}]}\n",
    ),
    (DataFormat::Csv, "conv,turn,who,utt,emotion\na,0,A,\"Hi, Bo.\",joy\na,1,B,Ho.,joy\n"),
    (DataFormat::Tsv, "dialogue\tspeaker\ttext\tlabel\na\tA\tHi, Bo.\tjoy\n"),
    (DataFormat::Chat, "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi.\",\"label\":\"joy\"}]}\n"),
    (DataFormat::MeldCsv, "Utterance,Speaker,Emotion,Dialogue_ID,Utterance_ID\nHi.,A,joy,0,0\n"),
    (DataFormat::PrcJson, "{\n\"a\": {\"labels\": [4], \"sentences\": [\"Hi.\"], \"speakers\": [\"A\"]}\n}"),
    (DataFormat::Emorynlp, "{\"episodes\": [{\"scenes\": []}]}"),
    (DataFormat::Dailydialog, "Hi, Bo. __eou__ Ho. __eou__\n"),
];

#[test]
fn a_file_given_for_another_format_is_recognised_whatever_the_pair() {
    let labels = LabelSet::builtin(LabelSetName::Meld);
    for (format, text) in FILES {
        let mut told = Vec::new();
        for (given, _) in FILES.into_iter().filter(|(given, _)| *given != format) {
            // EmoryNLP is published in this form, too.
            if (format, given) == (DataFormat::PrcJson, DataFormat::Emorynlp) {
                continue;
            }
            let folder = folder(&[("file", text.as_bytes())]);
            let path = folder.path().join("file");
            let shown =
                shown(load_split(&path, given, &labels, LabelPolicy::Context), &labels, folder.path());
            assert!(shown.starts_with("file: this looks like "), "{format} as {given}: {shown}");
            assert!(
                shown.ends_with(&format!("hint: write data.format = \"{format}\"\n")),
                "{given}: {shown}"
            );
            told.push(shown);
            // The first line of a document over several lines says nothing.
            if given.is_own() && format != DataFormat::PrcJson {
                let from = Box::new(Cursor::new(text.as_bytes().to_vec()));
                let input = DataInput::Stream { name: "file", from };
                let error = DialogueReader::open(input, given, &labels, LabelPolicy::Optional)
                    .and_then(|mut reader| reader.next().unwrap());
                let error = error.unwrap_err();
                assert_eq!(
                    format!("{error}\nhint: {}\n", error.hint().unwrap()),
                    told[0],
                    "{format} as {given}"
                );
            }
        }
    }
}

#[test]
fn what_a_file_looks_like_is_told_in_plain_words() {
    let told = |text: &str| {
        let labels = LabelSet::builtin(LabelSetName::Meld);
        let folder = folder(&[("file", text.as_bytes())]);
        let given = if text.starts_with("{\"id\"") { DataFormat::Csv } else { DataFormat::Jsonl };
        let result = load_split(&folder.path().join("file"), given, &labels, LabelPolicy::Context);
        shown(result, &labels, folder.path())
    };
    let all: String = FILES.iter().map(|(_, text)| told(text)).collect();
    expect![[r#"
        file: this looks like JSON lines of dialogues
        hint: write data.format = "jsonl"
        file: this looks like CSV
        hint: write data.format = "csv"
        file: this looks like TSV, separated by tabs
        hint: write data.format = "tsv"
        file: this looks like JSON lines of chats
        hint: write data.format = "chat"
        file: this looks like MELD's tables
        hint: write data.format = "meld_csv"
        file: this looks like the JSON of the PRC-Emo repository
        hint: write data.format = "prc_json"
        file: this looks like EmoryNLP's release
        hint: write data.format = "emorynlp"
        file: this looks like DailyDialog's release
        hint: write data.format = "dailydialog"
    "#]]
    .assert_eq(&all);
}

#[test]
fn lists_of_dialogues_are_told_from_documents() {
    let labels = LabelSet::builtin(LabelSetName::Meld);
    for (format, _) in FILES {
        let folder = folder(&[("file", &b"[{\"messages\": [{\"role\": \"user\"}]}]"[..])]);
        let result = load_split(&folder.path().join("file"), format, &labels, LabelPolicy::Context);
        let shown = shown(result, &labels, folder.path());
        assert!(
            shown.contains("is a JSON list, not JSON lines\nhint: write one dialogue"),
            "{format}: {shown}"
        );
    }
}

#[test]
fn a_fault_of_a_sound_file_is_told_and_not_its_format() {
    check_section(
        "format = \"csv\"\ncolumns = { dialogue = \"Dialogue_ID\", text = \"Utterence\", label = \"Emotion\" }",
        "Utterance,Speaker,Emotion,Dialogue_ID,Utterance_ID\nHi.,A,joy,0,0\n",
        &expect![[r#"
            file:1: no column "Utterence" for text: the columns are Utterance, Speaker, Emotion, Dialogue_ID, Utterance_ID
            hint: write columns = { dialogue = "Dialogue_ID", position = "Utterance_ID", text = "Utterance", label = "Emotion" } under [data]
        "#]],
    );
    check_section(
        "",
        "{\"id\":\"a\",\"utterances\":[{\"speaker\":\"A\"}]}",
        &expect![[r#"
            file:1: utterance 0: missing field `text`
            hint: columns = { text = "…" } under [data] names the key that has it
        "#]],
    );
    check_section(
        "",
        "Well, I never, not once\n",
        &expect![[r#"
            file:1: looks like a row of a table, not JSON
            hint: write its rows as JSON lines: python3 -c "import csv, json, sys; [print(json.dumps(row)) for row in csv.DictReader(sys.stdin)]" < FILE > lines.jsonl
        "#]],
    );
}
