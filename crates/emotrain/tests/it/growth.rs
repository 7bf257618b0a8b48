//! Banks that grow: dialogues from a language model, and two people who check their labels.

use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::server::{Act, Asked, ChatServer};
use crate::workbench::{Said, Workbench, refused};

const MELD: [&str; 7] = ["neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger"];

fn rows(bench: &Workbench, name: &str) -> Vec<Value> {
    bench.read(name).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Each label once, in words that no other question's dialogue has.
fn dialogue(asked: &Asked) -> String {
    let turn = |(at, label): (usize, &&str)| {
        let text = format!("Here somebody says line {at} of dialogue number {}.", asked.number);
        json!({ "speaker": (["Ana", "Ben"][at % 2]), "text": text, "label": label })
    };
    json!({ "utterances": MELD.iter().enumerate().map(turn).collect::<Vec<_>>() }).to_string()
}

fn good(asked: &Asked) -> Act {
    if asked.user.contains("List 2 situations") {
        Act::Say(json!({ "subtopics": ["a lost key", "a visit"] }).to_string())
    } else {
        Act::Say(format!("```json\n{}\n```", dialogue(asked)))
    }
}

fn args<'a>(url: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let common = [
        "bank",
        "generate",
        "bank",
        "--model",
        "m",
        "--base-url",
        url,
        "--domain",
        "family",
        "--domain",
        "work",
        "--subtopics",
        "2",
        "--set",
        "interpret.retry_backoff_s=0.001",
    ];
    [&common[..], more].concat()
}

fn generate(bench: &Workbench, server: &ChatServer, more: &[&str]) -> Said {
    bench.run(&args(&server.base_url, more))
}

#[test]
fn dialogues_are_written_until_nothing_is_short() {
    let bench = Workbench::new();
    let server = ChatServer::open(|asked| match asked.number {
        1 => Act::Status("503 Service Unavailable", "", String::new()),
        3 => Act::Say(format!("<think>Well.</think>{}", dialogue(asked))),
        4 => Act::SayUntil(dialogue(asked), "length"),
        5 => Act::Say(dialogue(asked).replace("\"joy\"", "\"bliss\"")),
        _ => good(asked),
    });
    let said = generate(&bench, &server, &["--per-label", "3", "--set", "interpret.concurrency=1"]).done();
    assert!(
        said.out.contains("3 dialogues accepted, 3 replies rejected; nothing is missing"),
        "{}",
        said.out
    );
    // Two domains' situations and six dialogues, one question being put twice.
    assert_eq!(server.count(), 9);
    let dialogues = rows(&bench, "bank.generated/dialogues.jsonl");
    assert_eq!(dialogues.len(), 3);
    let reasons: Vec<Value> =
        rows(&bench, "bank.generated/rejected.jsonl").iter().map(|row| row["reason"].clone()).collect();
    assert_eq!(
        reasons,
        ["it contains reasoning", "it was truncated", "utterance 5 has the unknown label \"bliss\""]
    );
    let manifest = bench.json("bank.generated/manifest.json");
    let session = &manifest["sessions"][0];
    assert_eq!((&session["model"]["model"], &session["questions"]), (&json!("m"), &json!(8)));
    assert_eq!((&session["max_tokens"], &session["temperature"]), (&json!(2048), &json!(1.0)));
    server.asked();

    let again = generate(&bench, &server, &["--per-label", "3"]).done();
    assert!(again.out.contains("0 questions asked") && server.count() == 0, "{}", again.out);
    bench.run(&["bank", "build", "bank", "bank.generated/dialogues.jsonl", "--dataset", "written"]).done();
    let stats = bench.run(&["bank", "stats", "bank"]).done();
    assert!(stats.out.contains("21 demonstrations"), "{}", stats.out);

    // What the bank holds counts; a further round counts what it writes alone.
    let said = generate(&bench, &server, &["--out", "more", "--per-label", "3"]).done();
    assert!(said.out.contains("0 questions asked"), "{}", said.out);
    let server = ChatServer::open(|asked| {
        let act = good(asked);
        if let Act::Say(text) = act { Act::Say(text.replace("somebody", "someone else")) } else { act }
    });
    let more = ["--out", "more", "--want", "fear=1", "--want", "Angry=2"];
    let said = generate(&bench, &server, &more).done();
    assert!(
        said.out.contains("2 dialogues accepted, 0 replies rejected; nothing is missing"),
        "{}",
        said.out
    );
    assert!(server.asked()[2].user.contains("labelled anger, fear"));
}

#[test]
fn writing_that_was_killed_goes_on() {
    let bench = Workbench::new();
    let server = ChatServer::open(|asked| if asked.number < 5 { good(asked) } else { Act::Silence });
    let more = ["--per-label", "10", "--set", "interpret.concurrency=2"];
    let mut child = bench.command(&args(&server.base_url, &more)).stderr(Stdio::null()).spawn().unwrap();
    let start = Instant::now();
    let written = bench.path("bank.generated/dialogues.jsonl");
    while fs_err::read_to_string(&written).map_or(0, |text| text.lines().count()) < 3 {
        assert!(start.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(5));
    }
    let said = generate(&bench, &server, &more);
    assert!(said.code == 3 && said.err.contains("in use by process"), "{}", said.err);
    child.kill().unwrap();
    child.wait().unwrap();
    let text = bench.read("bank.generated/dialogues.jsonl");
    fs_err::write(&written, text + "{\"id\":\"family-0").unwrap();
    let before = rows_of(&bench.read("bank.generated/dialogues.jsonl"));

    let server = ChatServer::open(|asked| {
        let act = good(asked);
        if let Act::Say(text) = act { Act::Say(text.replace("somebody", "someone else")) } else { act }
    });
    let said = generate(&bench, &server, &more).done();
    assert!(said.out.contains("dialogues accepted, 0 replies rejected; nothing is missing"), "{}", said.out);
    // Situations are known, and three dialogues are there; one more may be under way when the last one comes.
    assert!((7..=8).contains(&server.count()), "{}", server.count());
    assert_eq!(rows(&bench, "bank.generated/dialogues.jsonl")[..3], before);
}

/// The whole lines.
fn rows_of(text: &str) -> Vec<Value> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[test]
fn a_server_that_nobody_runs_is_an_error() {
    let bench = Workbench::new();
    let more = ["--most-questions", "1", "--set", "interpret.max_retries=0"];
    let said = bench.run(&args("http://127.0.0.1:9", &more));
    assert_eq!(said.code, 3, "{}", said.err);
    assert!(said.err.contains("got no reply") && said.err.contains("127.0.0.1:9"), "{}", said.err);
    assert!(!said.err.contains("bank build"), "{}", said.err);
}

#[test]
fn writing_that_cannot_begin() {
    let bench = Workbench::new();
    let server = ChatServer::open(|_| Act::Status("404 Not Found", "", "no such model".to_owned()));
    let said = generate(&bench, &server, &["--set", "interpret.concurrency=1"]);
    assert_eq!((said.code, server.count()), (3, 1));
    assert!(said.err.contains("no such model") && said.err.contains("interpret.base_url"), "{}", said.err);
    for (more, part) in [
        (&["--least-turns", "9", "--most-turns", "3"][..], "9 to 3 utterances"),
        (&["--want", "bliss=3"], "unknown label \"bliss\""),
        (&["--want", "joy"], "LABEL=N"),
        (&["--set", "train.seed=1"], "only keys of [interpret]"),
        (&["--provider", "elsewhere"], "interpret.provider must be"),
        (&["--api-key-env", "NOT_SET_ANYWHERE"], "NOT_SET_ANYWHERE is not set"),
    ] {
        let said = generate(&bench, &server, more);
        assert!(said.code == 2 && said.err.contains(part), "{}", said.err);
    }
    assert_eq!(server.count(), 1);
}

/// A file of 14 written utterances, two of each label.
fn written(bench: &Workbench) {
    let line = |number: usize| {
        let turn = |(at, label): (usize, &&str)| json!({ "speaker": (["Ana", "Ben"][at % 2]), "text": format!("This is {number} and {at}."), "label": label });
        let turns: Vec<Value> = MELD.iter().enumerate().map(turn).collect();
        format!("{}\n", json!({ "id": format!("d{number}"), "utterances": turns }))
    };
    bench.write("dialogues.jsonl", &(0..2).map(line).collect::<String>());
}

/// The true label of a row of a sheet.
fn truth(row: &Value) -> &'static str {
    let id = row["id"].as_str().unwrap();
    MELD[id.rsplit_once('#').unwrap().1.parse::<usize>().unwrap()]
}

#[test]
fn two_annotators_decide_what_is_kept() {
    let bench = Workbench::new();
    written(&bench);
    bench.run(&["bank", "review", "sheet", "dialogues.jsonl", "--out", "review"]).done();
    let [first, second] = ["review/first.jsonl", "review/second.jsonl"].map(|name| rows(&bench, name));
    assert_eq!((first.len(), second.len()), (14, 14));
    assert!(first.iter().chain(&second).all(|row| row["label"] == ""));
    let ids = |rows: &[Value]| rows.iter().map(|row| row["id"].clone()).collect::<Vec<_>>();
    assert_ne!(ids(&first), ids(&second));
    let said = bench.run(&["bank", "review", "sheet", "dialogues.jsonl", "--out", "review"]);
    assert!(said.code == 2 && said.err.contains("is there already"), "{}", said.err);

    // The first annotator calls both fears surprise, the second one of them; the second leaves one open.
    let fill = |rows: &[Value], own: &dyn Fn(&Value) -> &'static str| {
        let filled = rows.iter().map(|row| {
            let mut row = row.clone();
            row["label"] = own(&row).into();
            format!("{row}\n")
        });
        filled.collect::<String>()
    };
    bench.write(
        "review/first.jsonl",
        &fill(&first, &|row| if truth(row) == "fear" { "surprise" } else { truth(row) }),
    );
    let own = |row: &Value| match row["id"].as_str().unwrap() {
        "dialogues/train/d0#2" => "surprised",
        "dialogues/train/d1#0" => "",
        _ => truth(row),
    };
    bench.write("review/second.jsonl", &fill(&second, &own));
    let score = [
        "bank",
        "review",
        "score",
        "dialogues.jsonl",
        "--first",
        "review/first.jsonl",
        "--second",
        "review/second.jsonl",
        "--out",
        "review/kept.jsonl",
        "--per-label",
        "2",
    ];
    let said = bench.run(&score).done();
    assert!(said.out.contains("11 of 13 judged demonstrations kept, 1 not judged"), "{}", said.out);
    // 12 of 13 agree; by chance (1·1 + 4·3 + 0·1 + 4·(2·2)) of 13·13.
    let kappa: f64 = (12.0 / 13.0 - 29.0 / 169.0) / (1.0 - 29.0 / 169.0);
    assert!(said.out.contains(&format!("annotators {kappa:.3}")), "{}", said.out);
    assert!(said.out.contains("for the next round: --want neutral=1 --want fear=2"), "{}", said.out);
    assert_eq!(rows(&bench, "review/kept.jsonl").len(), 11);
    bench.run(&["bank", "build", "bank", "review/kept.jsonl"]).done();
    assert!(bench.run(&["bank", "stats", "bank"]).done().out.contains("11 demonstrations"));

    let again = bench.run(&score);
    refused(&again, 2, &["review/kept.jsonl: is there already"]);
    let elsewhere = |word: &&'static str| if *word == "review/kept.jsonl" { "other.jsonl" } else { *word };
    let mut other: Vec<&str> = score.iter().map(elsewhere).collect();
    other.extend(["--dataset", "other"]);
    let said = bench.run(&other);
    assert!(said.code == 3 && said.err.contains("is not in dialogues.jsonl"), "{}", said.err);
}

/// Annotates with these lines of input.
fn annotate(bench: &Workbench, keys: &str) -> Said {
    let mut command = bench.command(&["bank", "review", "annotate", "review/first.jsonl"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(keys.as_bytes()).unwrap();
    Said::of(&child.wait_with_output().unwrap())
}

#[test]
fn a_sheet_is_filled_in_key_by_key() {
    let bench = Workbench::new();
    written(&bench);
    bench.run(&["bank", "review", "sheet", "dialogues.jsonl", "--out", "review"]).done();
    let labels =
        || rows(&bench, "review/first.jsonl").iter().map(|row| row["label"].clone()).collect::<Vec<_>>();
    // One label, a key that is none, one that is skipped, one that is taken back and given anew.
    let said = annotate(&bench, "5\nx\ns\n7\nb\n1\nq\n").done();
    assert_eq!(labels()[..4], ["joy", "", "neutral", ""]);
    assert!(
        said.out.contains("1 neutral  2 surprise  3 fear") && said.err.contains("2 labelled, 12 open"),
        "{}",
        said.err
    );
    let asked = rows(&bench, "review/first.jsonl");
    assert!(said.out.contains(asked[0]["text"].as_str().unwrap()));
    assert!(!said.out.contains("label\":"));
    // The input ends; the next session begins with what is open.
    annotate(&bench, "2\n3\n").done();
    assert_eq!(labels()[..5], ["joy", "surprise", "neutral", "fear", ""]);
    annotate(&bench, &"4\n".repeat(20)).done();
    assert!(labels().iter().all(|label| label != ""));
}
