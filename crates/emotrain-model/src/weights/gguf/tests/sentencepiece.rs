//! Vocabularies of `SentencePiece`, run by the tokenizers crate.

use std::path::Path;

use expect_test::expect;
use serde_json::json;

use super::super::metadata::Value;
use super::tokenizers::{convert, ids, patched_file, read_json, texts, tokenizer};
use crate::weights::TokenizerSource;
use crate::weights::gguf::Metadata;
use crate::weights::tests::{complaint, golden};

/// The golden vocabulary with some keys replaced, or removed.
fn patched(patches: &[(&str, Option<Value>)]) -> Metadata {
    patched_file("sentencepiece/vocabulary.gguf", patches)
}

fn converted(patches: &[(&str, Option<Value>)]) -> TokenizerSource {
    convert(&patched(patches)).unwrap().unwrap()
}

#[test]
fn ids_are_those_of_llama_cpp_and_of_sentencepiece() {
    let golden = read_json(&golden("sentencepiece/ids.json"));
    for (name, adds_space) in [("with_space", true), ("without_space", false)] {
        let source = converted(&[("ggml.add_space_prefix", Some(Value::Flag(adds_space)))]);
        let tokenizer = tokenizer(&source);
        for (number, text) in texts(&golden).iter().enumerate() {
            let found = json!(ids(&tokenizer, text));
            assert_eq!(found, golden[name][number], "{name}: {text:?}");
            let expected = &golden[format!("sentencepiece_{name}")][number];
            assert!(expected.is_null() || found == *expected, "{name}: {text:?}");
        }
    }
}

#[test]
fn text_comes_back_from_its_ids() {
    let golden = read_json(&golden("sentencepiece/ids.json"));
    for adds_space in [true, false] {
        let source = converted(&[("ggml.add_space_prefix", Some(Value::Flag(adds_space)))]);
        let tokenizer = tokenizer(&source);
        // Behind a special token the space in front of a text stays, and the sign for a space becomes one.
        let own = ["<", "\n\n", "\u{2581}"];
        for text in texts(&golden).iter().filter(|text| !own.iter().any(|own| text.contains(own))) {
            assert_eq!(tokenizer.decode(&ids(&tokenizer, text), false).unwrap(), *text);
        }
    }
}

#[test]
fn tokens_around_a_text() {
    let around = |patches: &[(&str, Option<Value>)]| {
        let tokenizer = tokenizer(&converted(patches));
        tokenizer.encode("was", true).unwrap().get_tokens().join(" ")
    };
    assert_eq!(around(&[]), "<s> \u{2581}was");
    assert_eq!(around(&[("ggml.add_bos_token", Some(Value::Flag(false)))]), "\u{2581}was");
    assert_eq!(around(&[("ggml.add_eos_token", Some(Value::Flag(true)))]), "<s> \u{2581}was </s>");
}

#[test]
fn phi3_has_tokens_that_swallow_white_space() {
    let text = "<|end|>\n was";
    let tokens = |name: &str| {
        let metadata = patched(&[]);
        let mut values: Vec<(String, Value)> =
            metadata.iter().map(|(key, value)| (key.to_owned(), value.clone())).collect();
        values.push(("general.name".to_owned(), Value::Text(name.to_owned())));
        let metadata = Metadata::new(Path::new("model.gguf"), values.into_iter().collect());
        let tokenizer = tokenizer(&convert(&metadata).unwrap().unwrap());
        let ids = ids(&tokenizer, text);
        ids.iter().map(|id| tokenizer.id_to_token(*id).unwrap()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(tokens("Phi-3-mini"), "<|end|> \u{2581}was");
    assert_eq!(tokens("Llama 2"), "<|end|> \u{2581} <0x0A> \u{2581}was");
}

#[test]
fn settings() {
    expect![[r#"
        {
          "add_bos_token": true,
          "add_eos_token": false,
          "add_prefix_space": true,
          "bos_token": "<s>",
          "eos_token": "</s>",
          "unk_token": "<unk>",
          "chat_template": "{% for m in messages %}<|turn|>{{ m.content }}<|end|>{% endfor %}",
          "clean_up_tokenization_spaces": false,
          "model_max_length": 2048,
          "tokenizer_class": "PreTrainedTokenizerFast"
        }
    "#]]
    .assert_eq(&converted(&[]).tokenizer_config_json);
}

#[test]
fn refusals() {
    let original = patched(&[]);
    let kinds = |id: usize, kind: i64| {
        let mut kinds = original.integers("tokenizer.ggml.token_type").unwrap().unwrap().to_vec();
        kinds[id] = kind;
        Some(Value::Integers(kinds))
    };
    let scores = |change: fn(&mut Vec<f64>)| {
        let mut scores = original.numbers("tokenizer.ggml.scores").unwrap().unwrap().to_vec();
        change(&mut scores);
        Some(Value::Numbers(scores))
    };
    let tokens = original.texts("tokenizer.ggml.tokens").unwrap().unwrap();
    let newline = tokens.iter().position(|token| token == "<0x0A>").unwrap();
    let messages: String = [
        ("ggml.model", Some(Value::Text("t5".to_owned()))),
        ("ggml.scores", None),
        ("ggml.scores", Some(Value::Integers(vec![1]))),
        ("ggml.scores", scores(|scores| scores.truncate(7))),
        ("ggml.scores", scores(|scores| scores[9] = f64::NAN)),
        ("ggml.token_type", kinds(newline, 1)),
        ("ggml.token_type", kinds(newline, 5)),
        ("ggml.token_type", kinds(newline, 7)),
        ("ggml.add_space_prefix", Some(Value::Integer(1))),
    ]
    .into_iter()
    .map(|patch| complaint(convert(&patched(&[patch])), Path::new("/nowhere")))
    .collect();
    expect![[r#"
        model.gguf: tokenizer.ggml.model: "t5" is not supported (only "gpt2": byte-level BPE, and "llama": SentencePiece's BPE)
          hint: use the model's Hugging Face folder instead
        model.gguf: tokenizer.ggml.scores: missing
        model.gguf: tokenizer.ggml.scores: expected a list of numbers, found a list of whole numbers
        model.gguf: tokenizer.ggml.scores: 7 entries for 520 tokens
        model.gguf: tokenizer.ggml.scores: that of token 9 is not a number
        model.gguf: tokenizer.ggml.tokens: "<0x0A>" is missing, or not of the type of bytes
        model.gguf: tokenizer.ggml.tokens: "<0x0A>" is missing, or not of the type of bytes
        model.gguf: tokenizer.ggml.token_type: token 17 is of unknown type 7
        model.gguf: tokenizer.ggml.add_space_prefix: expected true or false, found 1
    "#]]
    .assert_eq(&messages);
}
