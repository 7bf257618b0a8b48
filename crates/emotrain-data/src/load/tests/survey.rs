//! What a file looks like before there is a recipe for it.

use std::collections::BTreeMap;
use std::path::Path;

use expect_test::expect;

use emotrain_recipe::ColumnRole::{self, Dialogue, Label, Position, Speaker, Text};
use emotrain_recipe::DataFormat;

use crate::error::{ColumnsOption, DataOptions};
use crate::load::{Survey, format_of, survey};

fn of(name: &str, text: &str) -> Survey {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(name);
    fs_err::write(&file, text).unwrap();
    survey(&file, &BTreeMap::new()).unwrap_or_else(|error| panic!("{error}"))
}

fn columns(found: &Survey) -> Vec<(ColumnRole, &str)> {
    found.columns.iter().map(|(role, name)| (*role, name.as_str())).collect()
}

fn labels(found: &Survey) -> Vec<(&str, usize)> {
    found.labels.iter().map(|(word, count)| (word.as_str(), *count)).collect()
}

#[test]
fn columns_of_other_names_are_guessed_and_labels_counted() {
    let text = "conv_id,turn,who,utt,emotion,note\n\
                a,1,Ada,Hello,Calm,x\na,2,Bo,Hi,calm,\nb,1,Ada,\"No, no\",tense,\nb,2,Bo,Yes,,\n";
    let found = of("chats.csv", text);
    assert_eq!(found.format, DataFormat::Csv);
    let expected =
        [(Dialogue, "conv_id"), (Position, "turn"), (Speaker, "who"), (Text, "utt"), (Label, "emotion")];
    assert_eq!(columns(&found), expected);
    assert_eq!(labels(&found), [("calm", 2), ("tense", 1)]);
    let tabs = of("chats.txt", &"dialogue\tspeaker\ttext\tlabel\nd,Ada,Hello,calm\n".replace(',', "\t"));
    assert_eq!((tabs.format, columns(&tabs), labels(&tabs)), (DataFormat::Tsv, vec![], vec![("calm", 1)]));
}

#[test]
fn columns_are_recognised_by_what_is_in_them() {
    let rows = "t1,1,Ada,\"Hello there, my friend\",joy,web\nt1,2,Bo,What do you want now?,anger,web\n\
                t2,1,Ada,This is the last one.,sadness,phone\nt2,2,Bo,Nobody told me about it.,Neutral,phone\n\
                t3,1,Ada,Where have you been?,fear,phone\nt3,2,Bo,At home all day.,bored,phone\n";
    let found = of("chats.csv", &format!("ticket,seq,author,message,verdict,channel\n{rows}"));
    let expected =
        [(Dialogue, "ticket"), (Position, "seq"), (Speaker, "author"), (Text, "message"), (Label, "verdict")];
    // The channel has stretches, too, but fewer.
    assert_eq!(columns(&found), expected);
}

#[test]
fn columns_are_recognised_by_a_word_of_their_names() {
    let columns_of = |header: &str| {
        let row = |number: usize| {
            let cells = ["g1", "2", "Ada", "Guten Tag.", ["froh", "traurig"][number % 2], "x"];
            cells.join(";") + "\n"
        };
        let found = of("chats.csv", &format!("{header}\n{}", (0..4).map(row).collect::<Vec<_>>().concat()));
        found.columns
    };
    let found = columns_of("Dialog;Zeile;Sprecher;Nachricht;Stimmung;Stimmung_Score");
    let expected = [(Dialogue, "Dialog"), (Speaker, "Sprecher"), (Text, "Nachricht"), (Label, "Stimmung")];
    assert_eq!(found, expected.map(|(role, name)| (role, name.to_owned())).into());
    let found = columns_of("conv_id;channel;Message Author;msg_body;gold_emotion;emotion_confidence");
    let expected =
        [(Dialogue, "conv_id"), (Speaker, "Message Author"), (Text, "msg_body"), (Label, "gold_emotion")];
    assert_eq!(found, expected.map(|(role, name)| (role, name.to_owned())).into());
}

#[test]
fn the_dialogue_is_recognised_where_its_rows_stand_apart() {
    let texts =
        ["Hello there my friend.", "What do you want?", "This is the last one.", "Nobody told me that."];
    let row = |at: usize| {
        let (dialogue, turn) = (at % 8, at / 8);
        let channel = ["web", "phone"][dialogue % 2];
        format!("{dialogue},{channel},{turn},a{},{},{}\n", turn % 2, texts[turn], ["joy", "fear"][at % 2])
    };
    let rows: String = (0..32).map(row).collect();
    let found = |header: &str, rows: &str| {
        let found = of("chats.csv", &format!("{header},who,said,mood\n{rows}"));
        found.columns.get(&Dialogue).cloned()
    };
    // By its name where there is another such column, else as the only one that so many rows share.
    assert_eq!(found("ticket,channel,turn", &rows).as_deref(), Some("ticket"));
    assert_eq!(found("foo,channel,turn", &rows).as_deref(), Some("foo"));
    let twice: Vec<String> = rows.lines().map(|row| format!("{},{row}\n", &row[..1])).collect();
    assert_eq!(found("customer,Call No,channel,turn", &twice.concat()).as_deref(), Some("Call No"));
    let semicolons = rows.replace(',', ";");
    let found = of("chats.csv", &format!("case_ref;channel;turn;who;said;mood\n{semicolons}"));
    assert_eq!(found.columns.get(&Dialogue).map(String::as_str), Some("case_ref"));
}

#[test]
fn json_lines_chats_and_published_tables_are_told_apart() {
    let lines =
        "{\"id\": 1, \"utterances\": [{\"speaker\": \"A\", \"text\": \"Hm\", \"label\": \"calm\"}]}\n";
    assert_eq!(of("a", lines).format, DataFormat::Jsonl);
    let chats = "{\"messages\": [{\"role\": \"user\", \"content\": \"Hm\", \"label\": \"calm\"}]}\n";
    assert_eq!(of("a.json", chats).format, DataFormat::Chat);
    let meld =
        "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID\n1,Hm,Ada,joy,positive,0,0\n";
    assert_eq!(
        (of("a.csv", meld).format, labels(&of("a.csv", meld))),
        (DataFormat::MeldCsv, vec![("joy", 1)])
    );
    let near = "Utterance,Emotion,Dialogue_ID\nHm,joy,0\n";
    assert_eq!(of("a.csv", near).format, DataFormat::Csv);
}

#[test]
fn what_is_wrong_besides_labels_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |text: &str| {
        let file = folder.path().join("file");
        fs_err::write(&file, text).unwrap();
        survey(&file, &BTreeMap::new()).unwrap_err().to_string().replace(&*file.to_string_lossy(), "file")
    };
    assert_eq!(refused("Dear diary\n"), "file: does not look like dialogues in any format that is read");
    let blank = refused("dialogue,speaker,text,label\na,Ada,,calm\na,Ada,Hm,tense\n");
    assert!(blank.starts_with("file:2: utterance a#0: "), "{blank}");
    assert!(survey(Path::new("/nowhere"), &BTreeMap::new()).is_err());
}

/// What a command without a recipe says of a file.
fn said(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs_err::write(&file, text).unwrap();
    let error = survey(&file, &BTreeMap::new()).unwrap_err();
    let options = DataOptions { format: None, columns: ColumnsOption::Columns };
    let hint = error.hint_without_recipe(options).unwrap_or_default();
    format!("{error}\nhint: {hint}\n").replace(&*file.to_string_lossy(), "file")
}

#[test]
fn what_is_called_otherwise_is_recognised() {
    let chat = "{\"messages\": [{\"role\": \"user\", \"content\": \"Hm\", \"gefuehl\": \"calm\"}]}\n";
    expect![[r#"
        file: no utterance has a label
        hint: name the key that has them: --columns label=…; there are gefuehl
    "#]]
    .assert_eq(&said(chat));
    expect![[r#"
        file: the columns seem to be separated by |
        hint: write it with commas: python3 -c "import csv, sys; csv.writer(sys.stdout).writerows(csv.reader(sys.stdin, delimiter='|'))" < FILE > commas.csv
    "#]]
    .assert_eq(&said("conv_id|utt|emotion\na|Hm, so.|calm\n"));
    expect![[r#"
        file: the first line, sep=…, is read by spreadsheets alone
        hint: remove that line
    "#]]
    .assert_eq(&said("sep=,\nconv_id,utt,emotion\na,Hm.,calm\n"));
    expect![[r#"
        file:1: the first line is a row and no header: a, Hm so., calm
        hint: write a line with the names of the columns above it, as in dialogue,speaker,text,label
    "#]]
    .assert_eq(&said("a,Hm so.,calm\na,Well.,tense\nb,No.,calm\nb,Yes.,tense\n"));
    expect![[r#"
        file:1: no column "dialogue" or "text": the columns are a, b, emotion
        hint: name them: --columns dialogue=…,text=…,label=emotion
    "#]]
    .assert_eq(&said("a,b,emotion\n1,Hm.,calm\n"));
}

#[test]
fn columns_that_are_given_are_not_guessed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file.csv");
    fs_err::write(&file, "a,b,emotion\n1,Hm.,calm\n1,No.,tense\n").unwrap();
    let given = BTreeMap::from([(Dialogue, "a".to_owned()), (Text, "b".to_owned())]);
    let found = survey(&file, &given).unwrap();
    assert_eq!(columns(&found), [(Dialogue, "a"), (Text, "b"), (Label, "emotion")]);
    assert_eq!(format_of(&file).unwrap(), Some(DataFormat::Csv));
}

#[test]
fn keys_of_json_lines_are_recognised() {
    let surveyed = |text: &str| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file.jsonl");
        fs_err::write(&file, text).unwrap();
        columns(&survey(&file, &BTreeMap::new()).unwrap())
            .iter()
            .map(|(role, key)| (*role, (*key).to_owned()))
            .collect::<Vec<_>>()
    };
    let own = |pairs: &[(ColumnRole, &str)]| {
        pairs.iter().map(|(role, key)| (*role, (*key).to_owned())).collect::<Vec<_>>()
    };
    let row = |id: &str| {
        format!(
            r#"{{"ticket":"{id}","queue":"web","messages":[{{"from":"Ada","text":"Hm.","mood":"calm"}}]}}"#
        )
    };
    // What is another one in each line is the id.
    let found = surveyed(&format!("{}\n{}\n", row("a"), row("b")));
    assert_eq!(found, own(&[(Dialogue, "ticket"), (Text, "text"), (Label, "mood")]));
    let row =
        |id: u8| format!(r#"{{"conv_id":{id},"utterances":[{{"who":"Ada","utt":"Hm.","emotion":"calm"}}]}}"#);
    let found = surveyed(&format!("{}\n{}\n", row(1), row(2)));
    assert_eq!(
        found,
        own(&[(Dialogue, "conv_id"), (ColumnRole::Speaker, "who"), (Text, "utt"), (Label, "emotion")])
    );
    // Nothing is guessed where keys are those of the format.
    let known =
        r#"{"id":"a","n":1,"messages":[{"role":"user","content":"Hm.","label":"calm","emotion":"joy"}]}"#;
    assert_eq!(surveyed(known), own(&[]));
}

#[test]
fn signs_and_marks_are_labels_where_they_are_meant() {
    let table = |words: &[&str]| {
        let rows = words.iter().enumerate().map(|(row, word)| format!("d{},Ada,Hm {row}.,{word}\n", row / 2));
        "dialogue,speaker,text,label\n".to_owned() + &rows.collect::<String>()
    };
    let found = |words: &[&str]| {
        let survey = of("a.csv", &table(words));
        let mut labels: Vec<String> = survey.labels.into_iter().map(|(word, _)| word).collect();
        labels.sort();
        labels
    };
    assert_eq!(found(&["-1", "0", "1", "-1"]), ["-1", "0", "1"]);
    assert_eq!(found(&["B", "B-", "C", "B-"]), ["B", "B-", "C"]);
    assert_eq!(found(&["+", "-", "+", "-"]), ["+", "-"]);
    assert_eq!(found(&["other", "calm", "none", "oth"]), ["calm", "none", "oth", "other"]);
    // Beside other labels they say that there is none.
    assert_eq!(found(&["-1", "0", "1", "2"]), ["0", "1", "2"]);
    assert_eq!(found(&["-", "calm", "tense", "xxx"]), ["calm", "tense"]);
    let lines = |labels: [&str; 3]| {
        let turns =
            labels.map(|label| format!(r#"{{"speaker":"A","text":"Hm.","label":{label}}}"#)).join(",");
        of("a.jsonl", &format!("{{\"id\":1,\"utterances\":[{turns}]}}\n"))
    };
    let numbers = lines(["3", "1", "2"]);
    let mut words: Vec<&str> = numbers.labels.iter().map(|(word, _)| word.as_str()).collect();
    words.sort_unstable();
    assert_eq!(words, ["1", "2", "3"]);
    assert_eq!(lines(["-1", "0", "1"]).labels.len(), 3);
}

#[test]
fn times_order_rows_unless_all_are_the_same() {
    let table = |times: [&str; 3]| {
        let rows = times
            .iter()
            .zip(["calm", "tense", "calm"])
            .map(|(time, label)| format!("a,{time},Hm.,{label}\n"));
        "dialogue,created_at,text,label\n".to_owned() + &rows.collect::<String>()
    };
    let position = |times| columns(&of("a.csv", &table(times))).iter().any(|(role, _)| *role == Position);
    assert!(position(["2024-05-01T10:05:00Z", "2024-05-01T10:01:00Z", "2024-05-01 10:03"]));
    // Two things may be said in one minute, and a time may be that of the whole dialogue.
    assert!(position(["2024-05-01 10:05", "2024-05-01 10:01", "2024-05-01 10:05"]));
    assert!(position(["1716902819", "1716902810", "1716902819"]));
    assert!(!position(["2024-05-01T10:05:00Z"; 3]));
    assert!(!position(["2024-05-01", "2024-05-02", "2024-05-03"]));
}
