//! Real tokenizers against transformers: `tests/golden/chat_template/make.py` made the expected values.
//!
//! `tests/fixtures/fetch-models.sh` brings the tokenizers to where the tests look for them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use emotrain_data::{Dialogue, Label, LabelSet, Utterance};
use emotrain_prompt::{
    Answers, ChatTokenizer, Encoder, Ending, Message, Role, Template, Thinking, TokenCounts, TokenizerFiles,
};
use emotrain_recipe::{LabelSetName, PromptSection};
use serde_json::Value;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The folder of a model, fetched if it is not there.
fn model(name: &str) -> PathBuf {
    let root = std::env::var_os("EMOTRAIN_TEST_MODELS").map_or_else(
        || Path::new(&std::env::var_os("HOME").expect("HOME is set")).join(".cache/emotrain-test-models"),
        PathBuf::from,
    );
    let folder = root.join(name);
    if !folder.join("tokenizer.json").is_file() {
        let script = format!("{ROOT}/tests/fixtures/fetch-models.sh");
        let status = Command::new("bash").args([&script, name]).status().expect("bash runs");
        assert!(status.success(), "{script} {name} could not fetch the tokenizer: see its message above");
    }
    folder
}

fn tokenizer(name: &str) -> ChatTokenizer {
    ChatTokenizer::new(TokenizerFiles::from_folder(&model(name)).unwrap()).unwrap()
}

fn golden(name: &str) -> Value {
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

/// Texts and ids equal transformers' for every conversation.
fn check(tokenizer: &ChatTokenizer, expected: &str) {
    let conversations = golden("conversations");
    for case in golden(expected)["cases"].as_array().unwrap() {
        let mut all = conversations.as_array().unwrap().iter();
        let conversation = all.find(|one| one["name"] == case["conversation"]).unwrap();
        let messages: Vec<_> = conversation["messages"].as_array().unwrap().iter().map(message).collect();
        let ending =
            if case["add_generation_prompt"] == true { Ending::GenerationPrompt } else { Ending::Closed };
        let thinking = if case["enable_thinking"] == true { Thinking::On } else { Thinking::Off };
        let text = tokenizer.apply(&messages, ending, thinking).unwrap();
        assert_eq!(text, case["text"].as_str().unwrap(), "{expected}, {}", case["conversation"]);
        let ids: Vec<u32> = serde_json::from_value(case["ids"].clone()).unwrap();
        assert_eq!(tokenizer.encode(&text).unwrap(), ids, "{expected}, {}", case["conversation"]);
    }
}

#[test]
fn qwen2_5() {
    let tokenizer = tokenizer("qwen2.5-tokenizer");
    check(&tokenizer, "qwen2.5");
    assert_eq!(tokenizer.vocab_size(), 151_665);
    assert_eq!(tokenizer.eos_token(), Some(("<|im_end|>", 151_645)));
}

#[test]
fn qwen3() {
    let tokenizer = tokenizer("qwen3-tokenizer");
    check(&tokenizer, "qwen3");
    check_encoder(&tokenizer);
}

/// With and without thinking the samples are what the chat template makes of the whole conversation.
fn check_encoder(tokenizer: &ChatTokenizer) {
    let labels = LabelSet::builtin(LabelSetName::Meld);
    for (enable_thinking, completion) in
        [(false, "neutral<|im_end|>"), (true, "<think>\n\n</think>\n\nneutral<|im_end|>")]
    {
        let section = PromptSection { template: None, history_window: 5, future_window: 0, enable_thinking };
        let encoder =
            Encoder::new(tokenizer.clone(), Template::builtin(), labels.clone(), &section, 2048).unwrap();
        let sample = encoder.encode(&long_talk(9), 7).unwrap();
        assert_eq!(tokenizer.decode(sample.completion()).unwrap(), completion);
        let contract = encoder.contract().unwrap();
        assert!(contract.clean_border);
        assert_eq!(tokenizer.encode(&contract.golden.text).unwrap(), contract.golden.ids);
    }
    check_speed(tokenizer, labels);
}

/// A validation split of MELD's size takes a moment, not seconds.
fn check_speed(tokenizer: &ChatTokenizer, labels: LabelSet) {
    let section =
        PromptSection { template: None, history_window: 5, future_window: 5, enable_thinking: false };
    let encoder = Encoder::new(tokenizer.clone(), Template::builtin(), labels, &section, 2048).unwrap();
    let dialogues: Vec<Dialogue> = (0..110).map(|_| long_talk(10)).collect();
    let start = Instant::now();
    let samples = encoder.encode_all(&dialogues, Answers::Given).unwrap();
    let elapsed = start.elapsed();
    println!("{}: {elapsed:?}", TokenCounts::of(&samples));
    assert_eq!(samples.len(), 1100);
    assert!(elapsed.as_secs() < 10, "{elapsed:?} for 1,100 prompts");
}

fn long_talk(utterances: usize) -> Dialogue {
    let lines = [
        ("Theo", "You won't believe whom I met at the bakery this morning, standing right behind me!"),
        ("Rosa", "Let me guess… the mayor? Or that actor with the 3 dogs?"),
        (
            "Theo",
            "My old maths teacher. She still remembers that I never did my homework, not once in 4 years.",
        ),
    ];
    let utterance = |at: usize| {
        let (speaker, text) = lines[at % lines.len()];
        let text = format!("{text} ({at})");
        Utterance { speaker: speaker.to_owned(), text, label: Some(Label::from_index(0)) }
    };
    Dialogue { id: "bakery".to_owned(), utterances: (0..utterances).map(utterance).collect() }
}
