//! Compares a tokenizer with transformers' results for the conversations in `tests/golden/chat_template`.

use std::path::{Path, PathBuf};
use std::process::Command;

use emotrain_prompt::{ChatTokenizer, Ending, Message, Role, Thinking};
use serde_json::Value;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The folder of a real model with this file, fetched if it is missing.
pub(crate) fn model(name: &str, file: &str) -> PathBuf {
    let models = std::env::var_os("EMOTRAIN_TEST_MODELS").map_or_else(
        || Path::new(&std::env::var_os("HOME").expect("HOME is set")).join(".cache/emotrain-test-models"),
        PathBuf::from,
    );
    let folder = models.join(name);
    if !folder.join(file).is_file() {
        let script = format!("{ROOT}/tests/fixtures/fetch-models.sh");
        let status = Command::new("bash").args([&script, name]).status().expect("bash runs");
        assert!(status.success(), "{script} {name} failed: its messages above tell why");
    }
    folder
}

/// Texts and ids equal transformers' for every conversation.
pub(crate) fn check(tokenizer: &ChatTokenizer, expected: &str) {
    let conversations = read("conversations");
    for case in read(expected)["cases"].as_array().unwrap() {
        let mut all = conversations.as_array().unwrap().iter();
        let conversation = all.find(|one| one["name"] == case["conversation"]).unwrap();
        let messages: Vec<_> = conversation["messages"].as_array().unwrap().iter().map(message).collect();
        let open = case["add_generation_prompt"] == true;
        let ending = if open { Ending::GenerationPrompt } else { Ending::Closed };
        let thinking = if case["enable_thinking"] == true { Thinking::On } else { Thinking::Off };
        let text = tokenizer.apply(&messages, ending, thinking).unwrap();
        assert_eq!(text, case["text"].as_str().unwrap(), "{expected}, {}", case["conversation"]);
        let ids: Vec<u32> = serde_json::from_value(case["ids"].clone()).unwrap();
        assert_eq!(tokenizer.encode(&text).unwrap(), ids, "{expected}, {}", case["conversation"]);
    }
}

fn read(name: &str) -> Value {
    let path = format!("{ROOT}/tests/golden/chat_template/{name}.json");
    serde_json::from_str(&fs_err::read_to_string(path).unwrap()).unwrap()
}

fn message(json: &Value) -> Message<'_> {
    let role = match json["role"].as_str() {
        Some("system") => Role::System,
        Some("user") => Role::User,
        _ => Role::Assistant,
    };
    Message { role, content: json["content"].as_str().unwrap() }
}
