//! Knowledge that a language model is asked for, by the binary, from a server of the test's own.

mod resume;
mod trouble;

use std::time::Duration;

use serde_json::{Value, json};

use crate::server::{Act, Asked, ChatServer};
use crate::workbench::{Said, Workbench};

/// Utterances of the validation split.
const UTTERANCES: usize = 12;
/// Its speakers, dialogue by dialogue.
const SPEAKERS: usize = 8;

/// Sources for [`good`] answers, and a server that is not waited for long.
const SOURCES: &str = r#"
[interpret]
model = "some/model"
timeout_s = 5
retry_backoff_s = 0.001
[[knowledge]]
name = "explicit"
path = "made"
query = "interpretation"
[[knowledge]]
name = "implicit"
path = "made"
query = "interpretation"
"#;

fn bench() -> Workbench {
    let bench = Workbench::new();
    bench.write("recipe.toml", &format!("{}{SOURCES}", bench.read("recipe.toml")));
    bench
}

fn args<'a>(server: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["interpret", "recipe.toml", "--split", "valid", "--set", server][..], more].concat()
}

fn at(server: &ChatServer) -> String {
    format!("interpret.base_url={}", server.base_url)
}

fn interpret(bench: &Workbench, server: &ChatServer, more: &[&str]) -> Said {
    bench.run(&args(&at(server), more))
}

/// The line that a question is about.
fn line(asked: &Asked) -> &str {
    asked.user.split("\n\nDescribe").next().unwrap().lines().last().unwrap()
}

fn interpretation(asked: &Asked) -> String {
    json!({ "implicit": format!("beneath <{}>", line(asked)), "explicit": format!("on top <{}>", line(asked)) })
        .to_string()
}

fn good(asked: &Asked) -> Act {
    Act::Say(interpretation(asked))
}

fn rows(bench: &Workbench, name: &str) -> Vec<Value> {
    bench.read(name).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Every utterance of the validation split has the texts that belong to it, in the order of the data.
#[track_caller]
fn assert_whole(bench: &Workbench, folder: &str) {
    let data = fs_err::read_to_string(crate::workbench::material().join("valid.jsonl")).unwrap();
    let mut expected = Vec::new();
    for dialogue in data.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        for (position, said) in dialogue["utterances"].as_array().unwrap().iter().enumerate() {
            let line = format!("{}: {}", said["speaker"].as_str().unwrap(), said["text"].as_str().unwrap());
            expected.push(json!({
                "dialogue": dialogue["id"], "position": position,
                "explicit": format!("on top <{line}>"), "implicit": format!("beneath <{line}>"),
            }));
        }
    }
    assert_eq!(expected.len(), UTTERANCES);
    assert_eq!(rows(bench, &format!("{folder}/valid.jsonl")), expected);
    assert!(!bench.path(&format!("{folder}/valid.journal.jsonl")).exists());
}

#[test]
fn texts_are_filled_in_whatever_order_answers_come_and_nothing_is_asked_twice() {
    let bench = bench();
    let server = ChatServer::open(|asked| {
        let pause = [7, 1, 5, 3, 0][asked.number % 5];
        Act::Late(Duration::from_millis(8 * pause), interpretation(asked))
    });
    let said = interpret(&bench, &server, &["--set", "interpret.concurrency=5"]).done();
    assert!(said.out.contains("of 12 questions 12 answered, 0 failed, 0 open; 12 replies"), "{}", said.out);
    assert_whole(&bench, "made");
    let asked = server.asked();
    assert_eq!(asked.len(), UTTERANCES);
    assert!(asked.iter().all(|asked| asked.key.is_none() && asked.earlier == 0), "{asked:?}");
    let body = &asked[0].body;
    assert_eq!(
        (&body["model"], &body["seed"], &body["max_tokens"]),
        (&json!("some/model"), &json!(42), &json!(512))
    );
    assert_eq!(body["messages"][0]["role"], "system");

    let manifest = bench.json("made/manifest.json");
    assert_eq!((&manifest["format_version"], &manifest["level"]), (&json!(1), &json!("utterance")));
    assert_eq!((&manifest["availability"], &manifest["query"]), (&json!("online"), &json!("interpretation")));
    assert_eq!(manifest["model"]["model"], "some/model");
    assert_eq!(manifest["parameters"]["temperature"], 0.7);
    let split = &manifest["splits"]["valid"];
    assert_eq!((&split["questions"], &split["done"], &split["failed"]), (&json!(12), &json!(12), &json!(0)));
    // Every text is shorter than asked for.
    assert_eq!((&split["length_outside"], &split["replies"]), (&json!(24), &json!(12)));

    // What is all there takes no server and no key.
    let before = bench.read("made/manifest.json");
    let said = interpret(&bench, &server, &["--set", "interpret.api_key_env=NOT_SET_ANYWHERE"]).done();
    assert!(said.out.contains("nothing to ask"), "{}", said.out);
    assert_eq!((server.count(), bench.read("made/manifest.json")), (0, before));

    // One at a time, with other pauses: the same file to the byte.
    let other = ["--set", "knowledge.explicit.path=other", "--set", "knowledge.implicit.path=other"];
    interpret(&bench, &server, &[&other[..], &["--set", "interpret.concurrency=1"]].concat()).done();
    assert_eq!(bench.read("other/valid.jsonl"), bench.read("made/valid.jsonl"));
}

#[test]
fn a_server_gets_the_schema_of_the_reply() {
    let bench = bench();
    let server = ChatServer::open(good);
    interpret(&bench, &server, &["--set", "interpret.response_format=json_schema"]).done();
    assert_whole(&bench, "made");
    let format = &server.asked()[0].body["response_format"];
    assert_eq!((&format["type"], &format["json_schema"]["strict"]), (&json!("json_schema"), &json!(true)));
    let schema = &format["json_schema"]["schema"];
    let text = json!({ "type": "string" });
    assert_eq!(schema["properties"], json!({ "explicit": text, "implicit": text }));
    assert_eq!(
        (&schema["required"], &schema["additionalProperties"]),
        (&json!(["explicit", "implicit"]), &json!(false))
    );
    assert_eq!(bench.json("made/manifest.json")["parameters"]["response_format"], "json_schema");
    let said = interpret(&bench, &server, &["--dry-run"]);
    let differs = "response_format was json_schema and is text";
    assert!(said.code == 2 && said.err.contains(differs), "{}", said.err);
}

#[test]
fn speakers_are_asked_about_once_in_each_dialogue() {
    let bench = bench();
    let more = "[[knowledge]]\nname = \"who\"\npath = \"who\"\nlevel = \"speaker\"\nquery = \"characteristic\"\nfield = \"characteristic\"\n";
    bench.write("recipe.toml", &format!("{}{more}", bench.read("recipe.toml")));
    let server = ChatServer::open(|asked| {
        let about = asked.user.rsplit_once("personality of ").map(|(_, name)| name.trim_end_matches('.'));
        about.map_or_else(
            || good(asked),
            |name| Act::Say(json!({ "characteristic": format!("{name} is loud.") }).to_string()),
        )
    });
    interpret(&bench, &server, &[]).done();
    let rows = rows(&bench, "who/valid.jsonl");
    assert_eq!(rows.len(), SPEAKERS);
    assert_eq!(
        rows[1],
        json!({ "dialogue": "valid-0", "speaker": "Jonas", "characteristic": "Jonas is loud." })
    );
    assert_eq!(server.count(), UTTERANCES + SPEAKERS);
    assert_eq!(bench.json("who/manifest.json")["availability"], "offline");
}

#[test]
fn a_dry_run_counts_and_asks_nothing() {
    let bench = bench();
    let server = ChatServer::open(good);
    let said = interpret(&bench, &server, &["--dry-run"]).done();
    assert!(
        said.out.contains("interpretation of valid: 12 questions, 0 answered, 0 failed, 12 to ask"),
        "{}",
        said.out
    );
    assert!(said.out.contains("at most 6144"), "{}", said.out);
    assert!(server.count() == 0 && !bench.path("made").exists());
    interpret(&bench, &server, &["--limit", "5"]).done();
    let said = interpret(&bench, &server, &["--dry-run"]).done();
    assert!(said.out.contains("12 questions, 5 answered, 0 failed, 7 to ask"), "{}", said.out);
}

#[test]
fn sources_that_no_query_can_fill() {
    let bench = Workbench::new();
    let said = bench.run(&["interpret", "recipe.toml"]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("no knowledge source of the recipe has a query"), "{}", said.err);
    let sources = [
        "name = \"a\"\npath = \"a.jsonl\"\nquery = \"interpretation\"",
        "name = \"b\"\npath = \"b\"\nlevel = \"speaker\"\nquery = \"interpretation\"",
        "name = \"c\"\npath = \"c\"\nquery = \"interpretation\"",
        "name = \"d\"\npath = \"d\"\nlevel = \"speaker\"\navailability = \"online\"\nfield = \"biography\"\nquery = \"biography\"",
        "name = \"rationale\"\npath = \"e\"\nquery = \"rationale\"",
        "name = \"implicit\"\npath = \"e\"\nquery = \"interpretation\"",
    ];
    let tables = sources.map(|source| format!("[[knowledge]]\n{source}\n")).concat();
    bench.write("recipe.toml", &format!("{}{tables}", bench.read("recipe.toml")));
    let said = bench.run(&["interpret", "recipe.toml"]);
    assert_eq!(said.code, 2);
    for part in [
        "\"a\": a source with a query has a folder as its path",
        "\"b\": the query \"interpretation\" asks about each utterance",
        "\"c\": the query \"interpretation\" has no key \"c\"",
        "field = \"explicit\" or field = \"implicit\"",
        "\"d\": the query \"biography\" sees the whole dialogue",
        "\"implicit\": another source has the same path and another query",
    ] {
        assert!(said.err.contains(part), "{}", said.err);
    }
    let said = bench.run(&["interpret", "recipe.toml", "--set", "knowledge.a.query=interpretations"]);
    assert!(said.code == 2 && said.err.contains("did you mean \"interpretation\"?"), "{}", said.err);
}
