//! What somebody does who comes to the program for the first time, and what it says.

#![expect(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]

use std::fmt::Write as _;

use expect_test::expect;

use crate::workbench::{Said, Workbench, material, refused};

mod files;
mod rows;
mod start;

fn base() -> String {
    material().join("base").display().to_string()
}

/// What went wrong, without the folder.
fn error(bench: &Workbench, args: &[&str]) -> String {
    let said = bench.run(args);
    assert_ne!(said.code, 0, "{}{}", said.out, said.err);
    told(bench, &said)
}

fn told(bench: &Workbench, said: &Said) -> String {
    said.err.replace(&bench.path("").display().to_string(), "").replace(&base(), "BASE")
}

/// A table whose rows are in no order, with a column that numbers them.
fn shuffled(column: &str, number: impl Fn(usize) -> usize) -> String {
    let mut table = format!("conv,author,said,mood,{column}\n");
    for turn in [2, 0, 1] {
        for dialogue in 0..6 {
            let (author, mood) = (["ada", "bo"][turn % 2], ["tense", "calm"][(turn + dialogue) % 2]);
            writeln!(table, "c{dialogue},{author},Turn {turn} of {dialogue}.,{mood},{}", number(turn))
                .unwrap();
        }
    }
    table
}

#[test]
fn a_column_that_numbers_rows_is_the_position() {
    for (column, number) in [
        ("seq", (|turn| turn) as fn(usize) -> usize),
        ("turn_idx", |turn| 10 * turn),
        ("zug", |turn| turn + 1),
        ("start_ms", |turn| 700 * turn + 5),
    ] {
        let bench = Workbench::new();
        bench.write("chats.csv", &shuffled(column, number));
        let said = bench.run(&["init", "chats.csv", "--base", &base()]).done();
        let line = format!("the rows of a dialogue are in the order of {column:?}");
        assert!(said.err.contains(&line), "{column}: {}", said.err);
        assert!(bench.read("chats.toml").contains(&format!("position = {column:?}")), "{column}");
        // Without it rows keep their order, which is told.
        let columns = "data.columns={ dialogue = 'conv', speaker = 'author', text = 'said', label = 'mood' }";
        let said = bench.run(&["check", "chats.toml", "--set", columns]).done();
        let part = format!("\"{column}\" looks like their position and gives another");
        assert!(said.err.contains(&part), "{column}: {}", said.err);
    }
}

#[test]
fn columns_of_any_name_are_recognised_by_what_is_in_them() {
    let bench = Workbench::new();
    let mut table = "ticket_no,seq,author,message,verdict,channel\n".to_owned();
    for ticket in 0..12 {
        for turn in 0..4 {
            let (author, verdict) =
                (["Ada", "Bo"][turn % 2], ["joy", "anger", "neutral"][(ticket + turn) % 3]);
            let channel = ["web", "phone"][turn / 2];
            writeln!(table, "t{ticket},{turn},{author},This is turn {turn} of {ticket}.,{verdict},{channel}")
                .unwrap();
        }
    }
    bench.write("chats.csv", &table);
    let said = bench.run(&["init", "chats.csv", "--base", &base()]).done();
    let read = "columns read: dialogue = \"ticket_no\", position = \"seq\", speaker = \"author\", text = \"message\", label = \"verdict\"; --columns names others";
    assert!(said.err.contains(read), "{}", said.err);
    bench.run(&["check", "chats.toml"]).done();
}

#[test]
fn speakers_that_are_not_found_and_columns_of_chats_are_told() {
    let bench = Workbench::new();
    bench.write("chats.csv", &shuffled("seq", |turn| turn).replace(",author,", ",von,"));
    let said = bench.run(&["init", "chats.csv", "--base", &base()]).done();
    let warning = "warning: no column of speakers was found: prompts say \"Speaker\" of everyone\n  hint: --columns speaker=… names it";
    assert!(said.err.contains(warning), "{}", said.err);
}

/// Chats of a help desk, whose keys have other names.
fn tickets(rows: usize) -> String {
    let row = |row: usize| {
        format!(
            r#"{{"ticket":"t{row}","queue":"web","messages":[{{"from":"Ada","said":"It broke again, {row}.","gefuehl":"angry","text":"raw"}},{{"from":"Bo","said":"It works!","gefuehl":"happy","text":"raw"}}]}}"#
        ) + "\n"
    };
    (0..rows).map(row).collect()
}

#[test]
fn keys_of_chats_may_have_other_names() {
    let bench = Workbench::new();
    bench.write("desk.jsonl", &tickets(8));
    let init = |columns: &'static [&'static str]| [&["init", "desk.jsonl"], columns].concat();
    expect![[r#"
        error: desk.jsonl: no utterance has a label
          hint: name the key that has them: --columns label=…; there are said, gefuehl
    "#]]
    .assert_eq(&error(&bench, &init(&[])));
    expect![[r#"
        error: desk.jsonl: no utterance has a label
          hint: name the key that has them: --columns label=…; there are gefuehl, text
    "#]]
    .assert_eq(&error(&bench, &init(&["--columns", "text=said"])));
    let base = base();
    let columns = ["--columns", "text=said,label=gefuehl", "--base", &base];
    let said = bench.run(&[&["init", "desk.jsonl"], &columns[..]].concat()).done();
    assert!(said.err.contains("keys read: "), "{}", said.err);
    let recipe = bench.read("desk.toml");
    let wanted = r#"columns = { dialogue = "ticket", text = "said", label = "gefuehl" }"#;
    assert!(recipe.contains(wanted), "{recipe}");
    let steps = ["--set", "train.max_steps=2", "--set", "eval.eval_steps=2"];
    bench.run(&[&["desk.toml"], &steps[..]].concat()).done();
    // Answered as they came, whatever names the keys of another file have.
    bench
        .run(&["predict", "--run", "checkpoints/desk", "--input", "desk.jsonl", "--output", "answers.jsonl"])
        .done();
    let answers = bench.read("answers.jsonl");
    let first: serde_json::Value = serde_json::from_str(answers.lines().next().unwrap()).unwrap();
    let read = [&first["dialogue"], &first["text"], &first["truth"], &first["dialogue_metadata"]["queue"]];
    assert_eq!(read, ["t0", "It broke again, 0.", "angry", "web"], "{first}");
    bench.write("table.csv", "dialogue,text\na,It works!\n");
    bench
        .run(&["predict", "--run", "checkpoints/desk", "--input", "table.csv", "--output", "table.jsonl"])
        .done();
    bench.write("broken.jsonl", &tickets(2).replacen("ticket", "tikket", 1));
    let broken =
        ["predict", "--run", "checkpoints/desk", "--input", "broken.jsonl", "--output", "none.jsonl"];
    expect![[r#"
        error: broken.jsonl:1: no key `ticket`, which data.columns names as the dialogue
    "#]]
    .assert_eq(&error(&bench, &broken));
    expect![[r#"
        error: --columns position=…: the utterances of JSON are in the order of their list
          hint: leave it out
    "#]]
    .assert_eq(&error(&bench, &["init", "desk.jsonl", "--columns", "position=said", "--out", "a.toml"]));
    bench.write("turns.jsonl", &tickets(2).replace("messages", "turns"));
    expect![[r#"
        error: turns.jsonl: each row seems to be a dialogue, and has neither `utterances` nor `messages`
          hint: call that list `utterances`; data.columns names the keys of a dialogue and of its utterances
    "#]]
    .assert_eq(&error(&bench, &["init", "turns.jsonl"]));
}

#[test]
fn numbers_that_are_no_positions_are_left_alone() {
    for (column, number) in
        [("age", (|turn| [31, 40, 31][turn]) as fn(usize) -> usize), ("likes", |turn| [9, 4, 70][turn])]
    {
        let bench = Workbench::new();
        bench.write("chats.csv", &shuffled(column, number));
        bench.run(&["init", "chats.csv", "--base", &base()]).done();
        assert!(!bench.read("chats.toml").contains("position"), "{column}: {}", bench.read("chats.toml"));
    }
}

#[test]
fn the_columns_that_are_proposed_have_speaker_and_position() {
    let bench = Workbench::new();
    let table = shuffled("seq", |turn| turn).replace("conv,", "k,").replace(",said,", ",x,");
    // Two columns that could be the dialogue's.
    let twice = |row: &str| format!("{row},{}\n", row.split(',').next().unwrap());
    bench.write("chats.csv", &table.lines().map(twice).collect::<String>().replacen(",k\n", ",z\n", 1));
    expect![[r#"
        error: chats.csv:1: no column "dialogue": the columns are k, author, x, mood, seq, z
          hint: name them: --columns dialogue=…,position=seq,speaker=author,text=x,label=mood
    "#]]
    .assert_eq(&error(&bench, &["init", "chats.csv"]));
}

#[test]
fn labels_have_one_order_whatever_their_numbers() {
    let labels = |often: &str| {
        let bench = Workbench::new();
        let more = (3..23).map(|turn| format!("c0,ada,Turn {turn}.,{often},{turn}\n"));
        let rare = "c0,ada,Once more.,Wry,23\n";
        bench.write("chats.csv", &(shuffled("seq", |turn| turn) + &more.collect::<String>() + rare));
        bench.run(&["init", "chats.csv", "--base", &base()]).done();
        bench.read("chats.toml").lines().find(|line| line.starts_with("labels")).unwrap().to_owned()
    };
    assert_eq!(labels("tense"), "labels = [\"calm\", \"tense\", \"Wry\"]");
    assert_eq!(labels("calm"), labels("tense"));
}

#[test]
fn unknown_labels_come_with_the_line_to_write() {
    let bench = Workbench::new();
    let train = fs_err::read_to_string(material().join("train.jsonl")).unwrap();
    bench.write("one.jsonl", &train.replacen("\"anger\"", "\"angry\"", 1));
    bench.write("two.jsonl", &train.replace("\"anger\"", "\"angry\"").replace("\"joy\"", "\"relief\""));
    expect![[r#"
        error: recipe.toml: one.jsonl:1: utterance train-0#2: unknown label "angry"
          hint: did you mean "anger"? data.label_aliases = { angry = "anger" } reads them so
          hint: data.labels lists other labels; both keys are for data.label_set = "custom"
    "#]]
    .assert_eq(&error(&bench, &["check", "recipe.toml", "--set", "data.train=one.jsonl"]));
    expect![[r#"
        error: recipe.toml: two.jsonl:1: unknown labels: relief × 12 (from line 1), angry × 12 (from line 1)
          hint: did you mean anger for angry? data.label_aliases = { angry = "anger" } reads them so
          hint: the labels are neutral, joy, anger; data.context_labels = ["relief"] shows such utterances without labelling them
          hint: data.labels lists others, and data.label_aliases = { relief = "…" } reads it as one of these; both with data.label_set = "custom"
    "#]].assert_eq(&error(&bench, &["check", "recipe.toml", "--set", "data.train=two.jsonl"]));
    bench.write("train.csv", &shuffled("seq", |turn| turn));
    bench.write("valid.csv", &shuffled("seq", |turn| turn).replace("calm", "calmm"));
    expect![[r#"
        error: valid.csv:14: unknown labels: calmm × 9
          hint: did you mean calm? data.label_aliases = { calmm = "calm" } reads them so
          hint: data.labels lists other labels; both keys are for data.label_set = "custom"
          hint: write that in the recipe that is made without --valid and --test
    "#]]
    .assert_eq(&error(&bench, &["init", "train.csv", "--valid", "valid.csv", "--base", &base()]));
}

#[test]
fn a_label_that_a_split_lacks_is_told() {
    let bench = Workbench::new();
    let valid = fs_err::read_to_string(material().join("valid.jsonl")).unwrap();
    bench.write("valid.jsonl", &valid.replace("\"anger\"", "\"joy\""));
    let said = bench.run(&["check", "recipe.toml", "--set", "data.valid=valid.jsonl"]).done();
    expect![[r#"
        warning: recipe.toml: valid: no utterance is labelled anger: what that is is not measured
    "#]]
    .assert_eq(&said.err);
}

#[test]
fn columns_that_are_misspelt_are_those_of_the_option() {
    let bench = Workbench::new();
    bench.write("chats.csv", &shuffled("seq", |turn| turn));
    expect![[r#"
        error: --columns dialog=conv: there is no key "dialog"
          hint: did you mean "dialogue"?
    "#]]
    .assert_eq(&error(&bench, &["init", "chats.csv", "--columns", "dialog=conv"]));
    refused(&bench.run(&["init", "chats.csv", "--columns", "who=author"]), 2, &["the keys are dialogue"]);
}

#[test]
fn times_that_are_not_read_are_told() {
    let bench = Workbench::new();
    let times = |form: &dyn Fn(usize) -> String| {
        let plain = shuffled("sent_at", |turn| turn);
        let row = |row: &str| match row.rsplit_once(',') {
            Some((rest, turn)) if turn != "sent_at" => format!("{rest},{}\n", form(turn.parse().unwrap())),
            _ => format!("{row}\n"),
        };
        plain.lines().map(row).collect::<Vec<_>>().concat()
    };
    bench.write("us.csv", &times(&|turn: usize| format!("03/05/2026 14:{:02}", 20 + turn)));
    let said = bench.run(&["init", "us.csv", "--base", &base()]).done();
    let part = "warning: \"sent_at\" looks like a time that is not read: the rows of a dialogue keep their order in the file";
    assert!(said.err.contains(part), "{}", said.err);
    for (name, form) in [
        ("dotted", (&|turn: usize| format!("05.03.2026 14:{:02}", 20 + turn)) as &dyn Fn(usize) -> String),
        ("slack", &|turn: usize| format!("1772721{}.662001", 100 + turn)),
    ] {
        bench.write(&format!("{name}.csv"), &times(form));
        let said = bench.run(&["init", &format!("{name}.csv"), "--base", &base()]).done();
        assert!(said.err.contains("the rows of a dialogue are in the order of \"sent_at\""), "{}", said.err);
    }
}

#[test]
fn labels_that_stand_for_none_or_several_are_pointed_out() {
    let bench = Workbench::new();
    let table = shuffled("seq", |turn| turn);
    let table = table
        .replacen(",calm,", ",N/A,", 3)
        .replacen(",tense,", ",calm|tense,", 2)
        .replacen(",tense,", ",?,", 1);
    bench.write("my chats.csv", &table);
    let said = bench.run(&["init", "my chats.csv", "--base", &base()]).done();
    for line in [
        "warning: N/A × 3, ? × 1: if that stands for no label, take it out of labels and write context_labels = [\"N/A\", \"?\"] under [data]\n",
        "warning: calm|tense × 2: several labels at once are one of their own; an utterance has one\n",
        "next: emotrain check 'my chats.toml'\n",
    ] {
        assert!(said.err.contains(line), "{line} is not in {}", said.err);
    }
}
