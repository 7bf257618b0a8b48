//! Work that is cut off and goes on, and work that is not for the same folder.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{UTTERANCES, args, assert_whole, at, bench, good, interpret, interpretation, rows};
use crate::server::{Act, ChatServer};

#[test]
fn a_server_that_dies_midway_loses_nothing() {
    let bench = bench();
    let server = ChatServer::open(|asked| if asked.number < 5 { good(asked) } else { Act::HangUp });
    let more = ["--set", "interpret.concurrency=2", "--set", "interpret.max_retries=1"];
    let said = interpret(&bench, &server, &more);
    assert_eq!(said.code, 3);
    assert!(said.err.contains("gives no replies") && said.err.contains("answers are kept"), "{}", said.err);
    assert!(said.out.contains("5 answered, 0 failed, 7 open"), "{}", said.out);
    assert!(!bench.path("made/manifest.json").exists() && !bench.path("made/valid.jsonl").exists());
    server.close();
    let said = interpret(&bench, &server, &more);
    assert_eq!(said.code, 3, "{}", said.err);

    let server = ChatServer::open(good);
    interpret(&bench, &server, &more).done();
    assert_eq!(server.count(), UTTERANCES - 5);
    assert_whole(&bench, "made");
}

/// Waits until the journal holds so many replies.
fn wait_for(journal: &Path, replies: usize) {
    let start = Instant::now();
    loop {
        let lines = fs_err::read_to_string(journal).map_or(0, |text| text.lines().count());
        if lines > replies {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{lines} lines");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_process_that_is_killed_goes_on_where_it_was() {
    let bench = bench();
    let journal = bench.path("made/valid.journal.jsonl");
    let server = ChatServer::open(|asked| if asked.number < 7 { good(asked) } else { Act::Silence });
    let mut child = bench.command(&args(&at(&server), &[])).spawn().unwrap();
    wait_for(&journal, 7);
    // Only one process at a time may work there.
    let said = interpret(&bench, &server, &[]);
    assert_eq!(said.code, 3);
    assert!(said.err.contains("in use by process"), "{}", said.err);
    child.kill().unwrap();
    child.wait().unwrap();
    // As if it had been in the middle of a line.
    let text = bench.read("made/valid.journal.jsonl");
    fs_err::write(&journal, format!("{text}{{\"of\":{{\"dialogue\":\"valid-3\",\"posi")).unwrap();

    let server = ChatServer::open(|asked| if asked.number < 2 { good(asked) } else { Act::Silence });
    let mut child = bench.command(&args(&at(&server), &[])).spawn().unwrap();
    wait_for(&journal, 9);
    child.kill().unwrap();
    child.wait().unwrap();

    let server = ChatServer::open(good);
    interpret(&bench, &server, &[]).done();
    assert_eq!(server.count(), UTTERANCES - 9);
    assert_whole(&bench, "made");
    assert_eq!(bench.json("made/manifest.json")["splits"]["valid"]["replies"], 12);
}

#[test]
fn a_journal_that_was_all_but_filed_is_filed() {
    let bench = bench();
    let server = ChatServer::open(good);
    interpret(&bench, &server, &["--limit", "11"]).done();
    let eleven = bench.read("made/valid.journal.jsonl");
    interpret(&bench, &server, &[]).done();
    let (manifest, texts) = (bench.read("made/manifest.json"), bench.read("made/valid.jsonl"));
    // Killed between the manifest and the removal of the journal, and between the files and the manifest.
    let last: Value = serde_json::from_str(texts.lines().last().unwrap()).unwrap();
    let entry = json!({
        "of": { "dialogue": last["dialogue"], "position": last["position"] },
        "attempt": 1, "outcome": { "taken": [last["explicit"], last["implicit"]] },
    });
    server.asked();
    for has_manifest in [true, false] {
        bench.write("made/valid.journal.jsonl", &format!("{eleven}{entry}\n"));
        if !has_manifest {
            fs_err::remove_file(bench.path("made/manifest.json")).unwrap();
        }
        interpret(&bench, &server, &[]).done();
        assert_eq!((server.count(), bench.read("made/manifest.json")), (0, manifest.clone()));
        assert_whole(&bench, "made");
    }
}

#[test]
fn texts_of_another_origin_are_not_mixed() {
    let bench = bench();
    let server = ChatServer::open(good);
    interpret(&bench, &server, &["--limit", "3"]).done();
    server.asked();
    let refused = |more: &[&str], parts: &[&str]| {
        let said = interpret(&bench, &server, more);
        assert_eq!((said.code, server.count()), (2, 0), "{}", said.err);
        for part in parts.iter().chain(&["--fresh"]) {
            assert!(said.err.contains(part), "{}", said.err);
        }
    };
    refused(&["--set", "interpret.model=other"], &["model was some/model (openai) and is other (openai)"]);
    interpret(&bench, &server, &[]).done();
    server.asked();
    refused(&["--set", "interpret.temperature=0.0"], &["temperature was 0.7 and is 0"]);
    let query = fs_err::read_to_string("../../recipes/queries/interpretation.toml").unwrap();
    bench.write("own.toml", &query.replace("history_window = 4", "history_window = 3"));
    let own = ["--set", "knowledge.explicit.query=own.toml", "--set", "knowledge.implicit.query=own.toml"];
    refused(&own, &["the query's texts, keys or limits differ"]);
    let data = fs_err::read_to_string(crate::workbench::material().join("valid.jsonl")).unwrap();
    bench.write("changed.valid.jsonl", &data.replacen("late", "early", 1));
    refused(&["--set", "data.valid=changed.valid.jsonl"], &["other dialogues"]);

    interpret(&bench, &server, &[&own[..], &["--fresh"]].concat()).done();
    assert_eq!(server.count(), UTTERANCES);
    assert_eq!(bench.json("made/manifest.json")["query"], "own");
}

#[cfg(unix)]
#[test]
fn an_interrupt_lets_what_is_under_way_come_in() {
    let bench = bench();
    let server = ChatServer::open(|asked| match asked.number {
        0 => good(asked),
        _ => Act::Late(Duration::from_millis(600), interpretation(asked)),
    });
    let mut command = bench.command(&args(&at(&server), &["--set", "interpret.concurrency=2"]));
    let mut child =
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    wait_for(&bench.path("made/valid.journal.jsonl"), 1);
    let id = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(130));
    let before = server.asked().len();
    assert!(before <= 4, "{before}");
    assert_eq!(rows(&bench, "made/valid.journal.jsonl").len(), 1 + before);
    let server = ChatServer::open(good);
    interpret(&bench, &server, &[]).done();
    assert_eq!(server.count(), UTTERANCES - before);
    assert_whole(&bench, "made");
}
