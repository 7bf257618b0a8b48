//! What predict reads, and what it refuses.

use expect_test::expect;
use serde_json::Value;

use super::{piped, predict, refuses, trained};
use crate::workbench::Said;

#[test]
fn what_is_refused_leaves_nothing_and_names_an_option() {
    let bench = trained();
    let words = ["--run", "run", "--output", "labels.csv"];
    refuses(
        &bench,
        &predict(&bench, &[&words[..], &["--top-k", "9"]].concat()),
        2,
        &expect![[r"
            error: --top-k 9: there are 3 labels
              hint: leave it out for all of them
        "]],
    );
    bench.write("input.jsonl", "");
    refuses(
        &bench,
        &predict(&bench, &words),
        3,
        &expect![[r"
            error: input.jsonl: there are no dialogues
        "]],
    );
    let input = |name: &str, more: &[&str]| {
        bench.run(&[&["predict", "--quiet", "--input", name], &words[..], more].concat())
    };
    bench.write("input.csv", "a,b,emotion\n1,Hm.,joy\n");
    refuses(
        &bench,
        &input("input.csv", &[]),
        3,
        &expect![[r#"
            error: input.csv:1: no column "dialogue" or "text": the columns are a, b, emotion
              hint: name them: --set data.format=csv --set 'data.columns={ dialogue = "…", text = "…", label = "emotion" }'
        "#]],
    );
    bench.write("chats.jsonl", CHATS);
    refuses(
        &bench,
        &input("chats.jsonl", &["--input-format", "jsonl"]),
        3,
        &expect![[r"
            error: chats.jsonl: this looks like JSON lines of chats
              hint: say --input-format chat
        "]],
    );
    refuses(
        &bench,
        &input("nothing.csv", &[]),
        3,
        &expect![[r"
            error: nothing.csv: no such file
        "]],
    );
    let left = fs_err::read_dir(bench.path("")).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(!left.into_iter().any(|name| name.to_string_lossy().starts_with("labels.csv")));
}

const CHATS: &str = "\
{\"id\":\"a\",\"messages\":[{\"role\":\"user\",\"name\":\"Ada\",\"content\":\"It works!\"},{\"role\":\"user\",\"name\":\"Bo\",\"content\":\"Good.\"}]}
{\"id\":\"b\",\"messages\":[{\"role\":\"user\",\"name\":\"Cleo\",\"content\":\"The train is late again.\"}]}
";

/// The answers without what only some formats of the input say.
fn scores(said: &Said) -> Vec<Value> {
    let row = |line: &str| serde_json::from_str::<Value>(line).unwrap()["scores"].clone();
    said.out.lines().map(row).collect()
}

#[test]
fn dialogues_are_read_as_they_look_and_as_the_training_was() {
    let bench = trained();
    let expected = scores(&predict(&bench, &["--run", "run"]).done());
    bench.write("new.jsonl", CHATS);
    let input = |name: &str, more: &[&str]| {
        bench.run(&[&["predict", "--run", "run", "--input", name], more].concat()).done()
    };
    assert_eq!(scores(&input("new.jsonl", &[])), expected);
    assert_eq!(scores(&piped(&bench, &[], "new.jsonl").done()), expected);
    // Rows that stand apart, as in training; and numbers that rows of the training had.
    bench.write(
        "new.csv",
        "dialogue,speaker,text\na,Ada,It works!\nb,Cleo,The train is late again.\na,Bo,Good.\n",
    );
    assert_eq!(scores(&input("new.csv", &[])), expected);
    let columns = "data.columns={ position = 'turn', label = 'emotion' }";
    assert_eq!(scores(&input("new.csv", &["--set", "data.format=csv", "--set", columns])), expected);
    refuses(
        &bench,
        &piped(&bench, &["--quiet"], "new.csv"),
        3,
        &expect![[r"
            error: standard input:4: dialogue a: rows of the dialogue stand apart; others are on line 2
              hint: sort the file by its dialogues
              hint: answers end before it; a file named with --input is checked to its end before the first answer, and --skip-errors passes over such dialogues
        "]],
    );
}

/// An exported adapter has no recipe that names columns.
#[test]
fn columns_are_recognised_where_no_recipe_names_them() {
    let bench = trained();
    let expected = scores(&predict(&bench, &["--run", "run"]).done());
    super::exported(&bench);
    bench.write(
        "t.csv",
        "ticket;who;utt;emotion\na;Ada;It works!;?\na;Bo;Good.;\nb;Cleo;The train is late again.;\n",
    );
    let said = bench.run(&["predict", "--adapter", "exported", "--input", "t.csv"]).done();
    assert_eq!(scores(&said), expected);
    let line = r#"read from the input: dialogue = "ticket", speaker = "who", text = "utt"; --set"#;
    assert!(said.err.contains(line), "{}", said.err);
    let chats = CHATS.replace("\"id\"", "\"ticket\"").replace("\"content\"", "\"said\"");
    bench.write("t.jsonl", &chats);
    assert_eq!(
        scores(&bench.run(&["predict", "--adapter", "exported", "--input", "t.jsonl"]).done()),
        expected
    );
}

#[test]
fn dialogues_with_something_wrong_are_passed_over_if_that_is_asked_for() {
    let bench = trained();
    let expected = predict(&bench, &["--run", "run"]).done().out;
    let rows: Vec<&str> = expected.lines().collect();
    let (first, last) = super::INPUT.split_at(super::INPUT.find('\n').unwrap() + 1);
    let broken = "\
{\"id\":\"x\",\"utterances\":[{\"speaker\":\"Ada\",\"text\":\" \"}]}
{\"id\":\"y\",\"utterances\":[{\"speaker\":\"Ada\",\"text\":\"Oh <|im_end|>\"},{\"speaker\":\"Bo\",\"text\":\"Hm.\"}]}
{\"id\":\"z\",
";
    bench.write("input.jsonl", &format!("{first}{broken}{last}"));
    let words = ["--run", "run", "--skip-errors", "--quiet"];
    let told = expect![[r#"
        warning: input.jsonl:2: utterance x#0: the utterance is empty
          hint: leave the utterance out, or write what was heard
        warning: input.jsonl:4: a JSON value spans several lines
          hint: write one dialogue or entry a line: jq -c . FILE
        warning: dialogue y: input.jsonl: utterance y#0: the prompt contains the text of the special token "<|im_end|>"
          hint: remove it from the data or the template
        input.jsonl: utterance y#1: the prompt contains the text of the special token "<|im_end|>"
          hint: remove it from the data or the template
        warning: 3 dialogues were passed over: they have no answers
    "#]];
    for said in [predict(&bench, &words).done(), piped(&bench, &words[2..], "input.jsonl").done()] {
        assert_eq!(said.out.lines().collect::<Vec<_>>(), rows);
        assert_eq!(said.err.matches("warning: ").count(), 4, "{}", said.err);
    }
    told.assert_eq(&predict(&bench, &words).done().err);
    assert_eq!(predict(&bench, &["--run", "run"]).code, 3);
    // A byte that is no text, behind a dialogue that is.
    let bytes = [first.as_bytes(), b"{\"id\":\"\xff\"}\n", last.as_bytes()].concat();
    fs_err::write(bench.path("bytes.jsonl"), &bytes).unwrap();
    let input = ["predict", "--input", "bytes.jsonl"];
    for said in
        [bench.run(&[&input[..], &words].concat()).done(), piped(&bench, &words[2..], "bytes.jsonl").done()]
    {
        assert_eq!(said.out.lines().collect::<Vec<_>>(), rows);
        assert!(
            said.err.contains("bytes.jsonl:2: ") || said.err.contains("standard input:2: "),
            "{}",
            said.err
        );
    }
    let said = piped(&bench, &["--quiet"], "bytes.jsonl");
    assert!(said.code == 3 && said.out.lines().count() == 2, "{}{}", said.out, said.err);
    // The table's head is there although the first dialogue has no answer, and a file comes out whole.
    bench.write("input.jsonl", &format!("{}{first}", broken.lines().nth(1).unwrap().to_owned() + "\n"));
    predict(&bench, &[&words[..], &["--output", "labels.csv"]].concat()).done();
    let table = bench.read("labels.csv");
    assert!(table.starts_with("dialogue,position,") && table.lines().count() == 3, "{table}");
    // What cannot be read on from is an error still.
    bench.write("open.csv", "dialogue,speaker,text\na,Ada,Hm.\nb,Bo,\"Oh\n");
    let said = bench.run(&[&["predict", "--input", "open.csv"], &words[..]].concat());
    refuses(
        &bench,
        &said,
        3,
        &expect![[r"
        error: open.csv:3: a cell starts with a quotation mark, but it is never closed
          hint: put the whole cell in quotation marks and write those within it twice, or leave it out
    "]],
    );
}
