//! A running server compared with the run that it should serve. A real one: `tests/real/llama_cpp.py`.

use serde_json::{Value, json};

use crate::server::{Act, Asked, ChatServer};
use crate::workbench::{Said, Workbench, refused};

/// A workbench with a run of some steps.
fn trained() -> Workbench {
    let bench = Workbench::new();
    bench.train("run", &["--set", "eval.baseline=false"]).done();
    bench
}

fn verify(bench: &Workbench, endpoint: &str, more: &[&str]) -> Said {
    let words = ["verify", "--endpoint", endpoint, "--model", "emotion", "--run", "run", "--samples", "3"];
    bench.run(&[&words[..], more].concat())
}

fn refuse(reason: &str) -> Act {
    Act::Status("400 Bad Request", "", json!({ "error": { "message": reason } }).to_string())
}

fn say(body: &Value) -> Act {
    Act::Status("200 OK", "", body.to_string())
}

#[test]
fn a_server_without_log_probabilities_is_compared_by_its_answers() {
    let bench = trained();
    let server = ChatServer::open(|asked: &Asked| match asked.path.as_str() {
        "completions" => Act::Status("404 Not Found", "", "{}".to_owned()),
        _ if asked.body["logprobs"].is_boolean() => refuse("logprobs is not supported"),
        _ => Act::Say("I cannot say.".to_owned()),
    });
    let said = verify(&bench, &server.base_url, &["--json"]);
    refused(&said, 3, &["\"emotion\" answers otherwise than the run: 0 of 3", "hint:"]);
    let result: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(result["passed"], false);
    let route = &result["routes"][0];
    assert_eq!((&route["route"], &route["prompt"]), (&"chat/completions".into(), &"messages".into()));
    assert_eq!(route["answers"]["to_run"], json!({ "same_labels": 0 }), "no distance of log-probabilities");
    let asked = server.asked();
    let tops: Vec<&Value> = asked.iter().map(|one| &one.body["top_logprobs"]).collect();
    let null = Value::Null;
    assert_eq!(tops[1..5], [&1000.into(), &20.into(), &5.into(), &null], "fewer, then none");
    let body = &asked[5].body;
    assert_eq!((&body["model"], &body["temperature"]), (&"emotion".into(), &0.into()));
    assert_eq!(body["chat_template_kwargs"]["enable_thinking"], false);
    assert!(asked[5].user.contains("Mara: "), "the run's own prompt: {}", asked[5].user);
}

#[test]
fn a_server_that_takes_text_is_given_text() {
    let bench = trained();
    let server = ChatServer::open(|asked: &Asked| {
        if asked.path != "completions" {
            return Act::Status("404 Not Found", "", "{}".to_owned());
        }
        if !asked.body["prompt"].is_string() || asked.body["logprobs"].as_u64() > Some(5) {
            return refuse("a prompt is a text, logprobs at most 5");
        }
        say(&json!({
            "choices": [{ "text": "?", "logprobs": { "top_logprobs": [{ "?": -0.1, "!": -60.0 }] } }],
            "usage": { "prompt_tokens": 7 },
        }))
    });
    let said = verify(&bench, &server.base_url, &[]);
    refused(&said, 3, &["\"emotion\" answers otherwise", "a prompt has 7 tokens there and"]);
    for part in ["/completions: prompts as text", "largest difference", "3 of 3 differ from the training's"] {
        assert!(said.out.contains(part), "{part} is not in\n{}", said.out);
    }
}

#[test]
fn candidates_that_name_no_label_prove_nothing() {
    let bench = trained();
    let top = json!({ "top_logprobs": [{ "?": -0.1, "!": -0.2 }] });
    let choice = json!({ "text": "?", "logprobs": top, "message": { "content": "?" } });
    let server = ChatServer::open(move |_| say(&json!({ "choices": [choice] })));
    let said = verify(&bench, &server.base_url, &[]);
    refused(&said, 3, &["answers otherwise than the run: 0 of 3 labels"]);
    assert!(!said.out.contains("log-probability"), "{}", said.out);
}

#[test]
fn a_server_that_is_busy_is_asked_again() {
    let bench = trained();
    let server = ChatServer::open(|asked: &Asked| match (asked.path.as_str(), asked.number) {
        (_, 0) => Act::Status("503 Service Unavailable", "", "loading".to_owned()),
        _ => refuse("the prompt is longer than the context size"),
    });
    refused(&verify(&bench, &server.base_url, &[]), 3, &["longer than the context size", "max_seq_length"]);
}

#[test]
fn what_cannot_be_asked_is_named() {
    let bench = trained();
    let server = ChatServer::open(|_| Act::Status("401 Unauthorized", "", "who are you?".to_owned()));
    refused(
        &verify(&bench, &server.base_url, &[]),
        3,
        &["/v1/completions: status 401: who are you?", "hint:"],
    );
    refused(&verify(&bench, "localhost:8000", &[]), 2, &["--endpoint", "http://", "hint:"]);
    let keyed = ["--api-key-env", "EMOTRAIN_NO_SUCH_KEY"];
    refused(&verify(&bench, &server.base_url, &keyed), 2, &["--api-key-env", "EMOTRAIN_NO_SUCH_KEY"]);
    let none = ChatServer::open(|_| Act::Status("404 Not Found", "", "{}".to_owned()));
    refused(
        &verify(&bench, &none.base_url, &[]),
        3,
        &["neither /completions nor /chat/completions", "\"emotion\""],
    );
    none.close();
    for words in [
        &["verify", "--run", "run"][..],
        &["verify", "--run", "run", "--endpoint", "http://localhost/v1"],
        &["verify", "exported", "--run", "run", "--endpoint", "http://localhost/v1", "--model", "a"],
    ] {
        assert_eq!(bench.run(words).code, 2, "{words:?}");
    }
}
