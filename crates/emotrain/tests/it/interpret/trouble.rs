//! Servers that refuse, stumble and stall, and replies that cannot be used.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{UTTERANCES, args, assert_whole, at, bench, good, interpret, interpretation, rows};
use crate::server::{Act, ChatServer};
use crate::workbench::{Said, Workbench};

const KEY: &str = "sk-very-secret-0123456789";

#[test]
fn what_passes_is_tried_again() {
    let bench = bench();
    let troubles = 10;
    let server = ChatServer::open(move |asked| match asked.number {
        0 => Act::Status("429 Too Many Requests", "Retry-After: 0\r\n", "slow down".to_owned()),
        1 => Act::Status("500 Internal Server Error", "", String::new()),
        2 => Act::Status("503 Service Unavailable", "", "{\"error\": {\"message\": \"loading\"}}".to_owned()),
        3 => Act::Status("408 Request Timeout", "", String::new()),
        4 => Act::Bytes(500, "{\"choices\": [{\"message\": {\"content\": \"half".to_owned()),
        5 => Act::Bytes(20, "{\"choices\": [{\"message\": {\"content\": \"too short a length".to_owned()),
        6 => Act::Bytes(12, "<html></html".to_owned()),
        7 => Act::HangUp,
        8 => Act::Silence,
        9 => Act::Bytes(15, "{\"choices\": []}".to_owned()),
        _ => good(asked),
    });
    let said = interpret(
        &bench,
        &server,
        &["--set", "interpret.timeout_s=0.7", "--set", "interpret.max_retries=11"],
    )
    .done();
    assert!(said.err.contains("got no reply"), "{}", said.err);
    assert_whole(&bench, "made");
    assert_eq!(server.count(), UTTERANCES + troubles);
}

#[test]
fn a_server_says_how_long_to_wait() {
    let bench = bench();
    let server = ChatServer::open(|asked| match asked.number {
        0 => Act::Status("429 Too Many Requests", "Retry-After: 1\r\n", String::new()),
        _ => good(asked),
    });
    let start = Instant::now();
    interpret(&bench, &server, &["--set", "interpret.concurrency=1"]).done();
    assert!(start.elapsed() >= Duration::from_secs(1));

    let server =
        ChatServer::open(|_| Act::Status("429 Too Many Requests", "Retry-After: 7200\r\n", String::new()));
    let said = interpret(&bench, &server, &["--fresh"]);
    assert_eq!(said.code, 3);
    assert!(said.err.contains("asks to wait for 7200 s"), "{}", said.err);
}

#[test]
fn an_error_behind_a_good_status_is_told() {
    let asked = |error: Value, calls: usize, parts: &[&str]| {
        let bench = bench();
        let body = json!({ "error": error, "choices": [] }).to_string();
        let server = ChatServer::open(move |_| Act::Status("200 OK", "", body.clone()));
        let more = ["--set", "interpret.concurrency=1", "--set", "interpret.max_retries=0"];
        let said = interpret(&bench, &server, &more);
        assert_eq!((said.code, server.count()), (3, calls), "{}", said.err);
        for part in parts {
            assert!(said.err.contains(part), "{part}: {}", said.err);
        }
    };
    let gone = "gives no replies: status 200: the model is not loaded";
    asked(json!({ "message": "the model is not loaded" }), 3, &[gone]);
    asked(json!("the model is not loaded"), 3, &[gone]);
    let refused = json!({ "message": "no credit", "code": 402 });
    asked(refused, 1, &["the server refuses (status 402: no credit)"]);
}

#[test]
fn what_does_not_pass_ends_the_work_at_once() {
    for (status, hint) in [
        ("401 Unauthorized", "interpret.api_key_env"),
        ("403 Forbidden", "interpret.api_key_env"),
        ("404 Not Found", "interpret.base_url"),
        ("400 Bad Request", "extra_body"),
    ] {
        let bench = bench();
        let server = ChatServer::open(move |_| {
            let body = json!({ "error": { "message": format!("wrong: {KEY} of some/model") } });
            Act::Status(status, "", body.to_string())
        });
        let more = ["--set", "interpret.concurrency=1", "--set", "interpret.api_key_env=TEST_KEY"];
        let said = run_with_key(&bench, &server, &[&more[..], &["-v"]].concat());
        assert_eq!((said.code, server.count()), (3, 1), "{}", said.err);
        for part in [&status[..3], "wrong: [key] of some/model", hint] {
            assert!(said.err.contains(part), "{}", said.err);
        }
        assert!(!said.err.contains(KEY) && !said.out.contains(KEY), "{}", said.err);
        assert_eq!(server.asked()[0].key.as_deref(), Some(&*format!("Bearer {KEY}")));
    }
}

fn run_with_key(bench: &Workbench, server: &ChatServer, more: &[&str]) -> Said {
    let mut command = bench.command(&args(&at(server), more));
    Said::of(&command.env("TEST_KEY", KEY).output().unwrap())
}

#[test]
fn a_key_is_nowhere_to_be_found() {
    let bench = bench();
    let server = ChatServer::open(|asked| match asked.number {
        0 => Act::Status("500 Internal Server Error", "", format!("oops {KEY}")),
        1 => Act::Say(format!("I was given {KEY}")),
        2 => Act::Say(json!({ "explicit": format!("key {KEY} on top"), "implicit": "none" }).to_string()),
        _ => good(asked),
    });
    let more = ["-v", "--set", "interpret.concurrency=1", "--set", "interpret.api_key_env=TEST_KEY"];
    let said =
        run_with_key(&bench, &server, &[&more[..], &["--set", "interpret.max_attempts=1"]].concat()).done();
    assert!(!said.err.contains(KEY) && !said.out.contains(KEY), "{}", said.err);
    let mut files = 0;
    for entry in fs_err::read_dir(bench.path("made")).unwrap() {
        let text = fs_err::read_to_string(entry.unwrap().path()).unwrap();
        assert!(!text.contains(KEY), "{text}");
        files += 1;
    }
    assert!(files >= 3);
    assert!(bench.read("made/valid.jsonl").contains("key [key] on top"));
    assert!(bench.read("made/valid.failed.jsonl").contains("I was given [key]"));

    let unset = ["--retry-failed", "--set", "interpret.api_key_env=NOT_SET_ANYWHERE"];
    let said = interpret(&bench, &server, &unset);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("NOT_SET_ANYWHERE is not set"), "{}", said.err);
}

#[test]
fn replies_that_cannot_be_used_are_asked_for_again_and_then_recorded() {
    let bench = bench();
    let server = ChatServer::open(|asked| match (asked.earlier, asked.user.lines().count()) {
        // One line of conversation: the first utterance of each dialogue, which never gets a good reply.
        (_, 3) => Act::Say(format!("<think>Hm.</think>{}", interpretation(asked))),
        (0, _) => Act::SayUntil(interpretation(asked), "length"),
        (1, _) => Act::Say("{\"explicit\": \"only\"}".to_owned()),
        _ => good(asked),
    });
    let said = interpret(&bench, &server, &["--set", "interpret.concurrency=1"]).done();
    assert!(said.out.contains("8 answered, 4 failed, 0 open; 36 replies"), "{}", said.out);
    assert!(said.err.contains("--retry-failed"), "{}", said.err);
    let failed = rows(&bench, "made/valid.failed.jsonl");
    assert_eq!(failed.len(), 4);
    assert_eq!(failed[0]["of"], json!({ "dialogue": "valid-0", "position": 0 }));
    assert_eq!((&failed[0]["attempts"], &failed[0]["reason"]), (&json!(3), &json!("it contains reasoning")));
    assert!(failed[0]["reply"].as_str().unwrap().starts_with("<think>Hm.</think>{"));
    let asked = server.asked();
    let seeds: Vec<&Value> = asked
        .iter()
        .filter(|other| other.user == asked[0].user)
        .map(|other| &other.body["seed"])
        .take(3)
        .collect();
    assert_eq!(seeds, [42, 43, 44]);

    // Nothing more is asked unless one says so, and then only what failed.
    interpret(&bench, &server, &[]).done();
    assert_eq!(server.count(), 0);
    let server = ChatServer::open(good);
    interpret(&bench, &server, &["--retry-failed"]).done();
    assert_eq!(server.asked().iter().map(|asked| &asked.body["seed"]).collect::<Vec<_>>(), [45; 4]);
    assert_whole(&bench, "made");
    assert_eq!(bench.read("made/valid.failed.jsonl"), "");
    assert_eq!(bench.json("made/manifest.json")["splits"]["valid"]["replies"], 40);
}

#[test]
fn a_question_that_is_too_long_fails_alone() {
    let bench = bench();
    let server = ChatServer::open(|asked| {
        if asked.user.lines().count() == 3 {
            let message = "This model's maximum context length is 8 tokens.";
            return Act::Status(
                "400 Bad Request",
                "",
                json!({ "object": "error", "message": message }).to_string(),
            );
        }
        good(asked)
    });
    let said = interpret(&bench, &server, &[]).done();
    assert!(said.out.contains("8 answered, 4 failed, 0 open; 12 replies"), "{}", said.out);
    assert!(
        rows(&bench, "made/valid.failed.jsonl")[0]["reason"]
            .as_str()
            .unwrap()
            .contains("maximum context length")
    );
}

#[test]
fn requests_keep_to_their_rate() {
    let bench = bench();
    let server = ChatServer::open(good);
    let start = Instant::now();
    interpret(&bench, &server, &["--set", "interpret.requests_per_minute=1200"]).done();
    assert!(start.elapsed() >= Duration::from_millis(50 * (UTTERANCES as u64 - 1)), "{:?}", start.elapsed());
}

/// Every reply came, and none was one.
#[test]
fn a_command_to_which_nothing_usable_was_answered_fails() {
    let bench = bench();
    let server = ChatServer::open(|_| Act::Say("I would rather not.".to_owned()));
    let said = interpret(&bench, &server, &[]);
    assert_eq!(said.code, 3, "{}", said.err);
    assert!(said.err.contains("none of 12 questions has a usable reply"), "{}", said.err);
    // Nor is it better when nothing is left to ask.
    let said = interpret(&bench, &server, &[]);
    assert_eq!(said.code, 3, "{}", said.err);
    assert!(said.err.contains("--retry-failed"), "{}", said.err);
}
