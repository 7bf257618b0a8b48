//! Converted tokenizers, run by the tokenizers crate.

use std::collections::BTreeMap;
use std::path::Path;

use expect_test::expect;
use serde_json::json;
use tokenizers::Tokenizer;

use super::super::metadata::{Metadata, Value};
use super::super::{header, tokenizer};
use super::{is_there, smollm2, test_models};
use crate::config::{Architecture, ModelConfig};
use crate::error::ModelError;
use crate::weights::opened::OpenedFile;
use crate::weights::tests::{complaint, golden};
use crate::weights::{Checkpoint, TokenizerSource};

pub(in crate::weights::gguf) fn read(path: &Path) -> Result<Metadata, ModelError> {
    let file = OpenedFile::open(path)?;
    header::read(&file).map(|(metadata, _)| metadata)
}

/// Converts the tokenizer of a file that need not hold a model.
pub(in crate::weights::gguf) fn convert(metadata: &Metadata) -> Result<Option<TokenizerSource>, ModelError> {
    let config = ModelConfig {
        architecture: Architecture::Llama,
        vocab_size: 160_000,
        hidden_size: 8,
        intermediate_size: 8,
        num_hidden_layers: 1,
        num_attention_heads: 1,
        num_key_value_heads: 1,
        head_dim: 8,
        rms_norm_eps: 1e-5,
        rope_theta: 1e4,
        rotary_dim: 8,
        rope_scaling: None,
        sliding_window: None,
        query_pre_attn_scalar: None,
        max_position_embeddings: 2048,
        tie_word_embeddings: true,
        attention_bias: false,
        initializer_range: 0.02,
    };
    tokenizer::convert(metadata, &config)
}

/// `tokenizer.gguf` with some keys replaced, or removed.
fn patched(patches: &[(&str, Option<Value>)]) -> Metadata {
    patched_file("gguf/tokenizer.gguf", patches)
}

/// The same of another golden file.
pub(super) fn patched_file(name: &str, patches: &[(&str, Option<Value>)]) -> Metadata {
    let original = read(&golden(name)).unwrap();
    let mut values: BTreeMap<String, Value> =
        original.iter().map(|(key, value)| (key.to_owned(), value.clone())).collect();
    for (key, value) in patches {
        let key = format!("tokenizer.{key}");
        match value {
            Some(value) => values.insert(key, value.clone()),
            None => values.remove(&key),
        };
    }
    Metadata::new(Path::new("model.gguf"), values)
}

pub(in crate::weights::gguf) fn tokenizer(source: &TokenizerSource) -> Tokenizer {
    source.tokenizer_json.parse().unwrap()
}

pub(in crate::weights::gguf) fn ids(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
    tokenizer.encode(text, false).unwrap().get_ids().to_vec()
}

pub(in crate::weights::gguf) fn read_json(path: &Path) -> serde_json::Value {
    serde_json::from_str(&fs_err::read_to_string(path).unwrap()).unwrap()
}

pub(in crate::weights::gguf) fn texts(golden: &serde_json::Value) -> Vec<String> {
    serde_json::from_value(golden["texts"].clone()).unwrap()
}

#[test]
fn ids_are_those_of_the_tokenizers_package() {
    let golden = read_json(&golden("gguf/tokenizer.json"));
    let texts = texts(&golden);
    for (pre, expected) in golden["ids"].as_object().unwrap() {
        let metadata = patched(&[("ggml.pre", Some(Value::Text(pre.clone())))]);
        let tokenizer = tokenizer(&convert(&metadata).unwrap().unwrap());
        for (text, expected) in texts.iter().zip(expected.as_array().unwrap()) {
            assert_eq!(json!(ids(&tokenizer, text)), *expected, "{pre}: {text:?}");
        }
    }
}

#[test]
fn other_names_of_a_split_are_that_split() {
    let named = |name: &str| {
        let metadata = patched(&[("ggml.pre", Some(Value::Text(name.to_owned())))]);
        convert(&metadata).unwrap().unwrap()
    };
    for (name, others) in [
        ("qwen2", &["deepseek-r1-qwen", "megrez"][..]),
        ("llama-bpe", &["llama3", "llama-v3", "falcon3", "pixtral"]),
        ("gpt-2", &["default", "phi-2", "olmo"]),
        ("smollm", &["starcoder", "exaone"]),
    ] {
        for other in others {
            assert_eq!(named(other), named(name), "{other}");
        }
    }
    // Llama 3 puts a token before a text, where the file has one.
    let pre = ("ggml.pre", Some(Value::Text("llama-v3".to_owned())));
    let none = convert(&patched(&[pre, ("ggml.bos_token_id", None)])).unwrap().unwrap();
    assert!(!none.tokenizer_json.contains("TemplateProcessing"));
    // One that splits as Llama 3 does leaves whole words to the merges.
    let json =
        |name: &str| -> serde_json::Value { serde_json::from_str(&named(name).tokenizer_json).unwrap() };
    assert_eq!(json("smaug-bpe")["pre_tokenizer"], json("llama-bpe")["pre_tokenizer"]);
    assert_eq!(
        (&json("smaug-bpe")["model"]["ignore_merges"], &json("smaug-bpe")["post_processor"]),
        (&json!(false), &json!(null))
    );
}

#[test]
fn text_comes_back_from_its_ids() {
    let golden = read_json(&golden("gguf/tokenizer.json"));
    let tokenizer = tokenizer(&convert(&patched(&[])).unwrap().unwrap());
    for text in texts(&golden) {
        assert_eq!(tokenizer.decode(&ids(&tokenizer, &text), false).unwrap(), text);
    }
    assert_eq!(tokenizer.decode(&ids(&tokenizer, "<|turn|>hi<|end|>"), true).unwrap(), "hi");
    // The padding row of the embedding table is no token.
    assert_eq!(tokenizer.token_to_id("[PAD0]"), None);
}

#[test]
fn tokens_around_a_text() {
    let patches =
        [("ggml.add_bos_token", Some(Value::Flag(true))), ("ggml.add_eos_token", Some(Value::Flag(true)))];
    let source = convert(&patched(&patches)).unwrap().unwrap();
    let tokenizer = tokenizer(&source);
    let around = tokenizer.encode("7", true).unwrap();
    assert_eq!(around.get_tokens(), ["<|turn|>", "7", "<|end|>"]);
    assert_eq!(tokenizer.encode("7", false).unwrap().get_tokens(), ["7"]);
}

#[test]
fn llama3_starts_with_its_first_token_unless_told_otherwise() {
    let llama3 = ("ggml.pre", Some(Value::Text("llama-bpe".to_owned())));
    let source = convert(&patched(std::slice::from_ref(&llama3))).unwrap().unwrap();
    assert_eq!(tokenizer(&source).encode("7", true).unwrap().get_tokens(), ["<|turn|>", "7"]);
    let off = ("ggml.add_bos_token", Some(Value::Flag(false)));
    let source = convert(&patched(&[llama3, off])).unwrap().unwrap();
    assert_eq!(tokenizer(&source).encode("7", true).unwrap().get_tokens(), ["7"]);
}

#[test]
fn settings() {
    let source = convert(&patched(&[])).unwrap().unwrap();
    expect![[r#"
        {
          "add_bos_token": false,
          "add_eos_token": false,
          "add_prefix_space": false,
          "bos_token": "<|turn|>",
          "eos_token": "<|end|>",
          "chat_template": "{% for m in messages %}<|turn|>{{ m.content }}<|end|>{% endfor %}",
          "clean_up_tokenization_spaces": false,
          "model_max_length": 2048,
          "tokenizer_class": "PreTrainedTokenizerFast"
        }
    "#]]
    .assert_eq(&source.tokenizer_config_json);
    let template = "{% for m in messages %}<|turn|>{{ m.content }}<|end|>{% endfor %}";
    assert_eq!(source.chat_template.as_deref(), Some(template));
    assert_eq!(convert(&patched(&[("ggml.model", None)])).unwrap(), None);
}

#[test]
fn refusals() {
    let text = |text: &str| Some(Value::Text(text.to_owned()));
    let texts = |texts: &[&str]| Some(Value::Texts(texts.iter().map(|text| (*text).to_owned()).collect()));
    let three = ("ggml.tokens", texts(&["a", "b", "ab"]));
    let kinds = ("ggml.token_type", Some(Value::Integers(vec![1, 1, 1])));
    let cases: Vec<Vec<(&str, Option<Value>)>> = vec![
        vec![("ggml.model", text("bert"))],
        vec![("ggml.pre", text("deepseek-llm"))],
        vec![("ggml.pre", None)],
        vec![("ggml.pre", Some(Value::Integer(1)))],
        vec![("ggml.add_space_prefix", Some(Value::Flag(true)))],
        vec![("ggml.tokens", None)],
        vec![("ggml.token_type", None)],
        vec![("ggml.merges", None)],
        vec![three.clone()],
        vec![("ggml.tokens", texts(&["a", "b", "a"])), kinds.clone()],
        vec![three.clone(), ("ggml.token_type", Some(Value::Integers(vec![1, 6, 1])))],
        vec![
            three.clone(),
            kinds.clone(),
            ("ggml.eos_token_id", None),
            ("ggml.bos_token_id", Some(Value::Integer(3))),
        ],
        vec![three.clone(), kinds.clone(), ("ggml.merges", texts(&["a b", "ab a"]))],
        vec![three.clone(), kinds.clone(), ("ggml.merges", texts(&["a b b"]))],
        vec![("ggml.bos_token_id", None), ("ggml.add_bos_token", Some(Value::Flag(true)))],
    ];
    let messages: String = cases
        .iter()
        .map(|patches| {
            // The three-token cases are about something else than the ids of the original.
            let mut patches = patches.clone();
            if patches.iter().any(|(key, _)| *key == "ggml.merges") {
                patches.extend([("ggml.eos_token_id", None), ("ggml.bos_token_id", None)]);
            }
            complaint(convert(&patched(&patches)), Path::new("/nowhere"))
        })
        .collect();
    expect![[r#"
        model.gguf: tokenizer.ggml.model: "bert" is not supported (only "gpt2": byte-level BPE, and "llama": SentencePiece's BPE)
          hint: use the model's Hugging Face folder instead
        model.gguf: tokenizer.ggml.pre: "deepseek-llm" is not supported
          hint: supported: gpt-2, default, phi-2, jina-es, jina-de, jina-v2-es, jina-v2-de, gigachat, a.x-4.0, mellum, modern-bert, exaone4, mpt, olmo, jais, trillion, granite-docling, smollm, starcoder, refact, command-r, codeshell, exaone, minerva-7b, mellum2, qwen2, deepseek-r1-qwen, kormo, f2llmv2, megrez, stablelm2, hunyuan, solar-open, grok-2, llama-bpe, llama3, llama-v3, falcon3, falcon-h1, pixtral, midm-2.0, lfm2, jina-v5-nano, smaug-bpe, dbrx, chatglm-bpe, glm4; use the model's Hugging Face folder, whose tokenizer.json says how text is split
        model.gguf: tokenizer.ggml.pre: missing
          hint: the file was made by an old converter: without the key, text would be split wrongly; make it again, or use the model's Hugging Face folder
        model.gguf: tokenizer.ggml.pre: expected a string, found 1
        model.gguf: tokenizer.ggml.add_space_prefix: true is not supported for byte-level BPE
        model.gguf: tokenizer.ggml.tokens: missing
        model.gguf: tokenizer.ggml.token_type: missing
        model.gguf: tokenizer.ggml.merges: missing
        model.gguf: tokenizer.ggml.token_type: 381 entries for 3 tokens
        model.gguf: tokenizer.ggml.tokens: "a" is both token 0 and 2
        model.gguf: tokenizer.ggml.merges: merge 0, "t h", does not join two tokens to a third
        model.gguf: tokenizer.ggml.bos_token_id: 3, but there are 3 tokens
        model.gguf: tokenizer.ggml.merges: merge 1, "ab a", does not join two tokens to a third
        model.gguf: tokenizer.ggml.merges: merge 0, "a b b", does not join two tokens to a third
        model.gguf: tokenizer.ggml.add_bos_token: true, but the file names no such token
    "#]]
    .assert_eq(&messages);
}

#[test]
fn smollm2_ids_are_those_of_the_tokenizers_package() {
    let Some(folder) = smollm2() else { return };
    let golden = read_json(&golden("gguf/smollm2.json"));
    let source = Checkpoint::open(&folder).unwrap().tokenizer_files().unwrap().unwrap();
    assert!(source.chat_template.as_deref().unwrap().contains("<|im_start|>"));
    let tokenizer = tokenizer(&source);
    for (text, expected) in texts(&golden).iter().zip(golden["ids"].as_array().unwrap()) {
        assert_eq!(json!(ids(&tokenizer, text)), *expected, "{text:?}");
    }
}

/// The metadata that llama.cpp's converter makes of a `tokenizer.json` of Qwen.
fn qwen_metadata(original: &serde_json::Value) -> Metadata {
    const ROWS: usize = 151_936;
    let mut tokens: Vec<String> = (0..ROWS).map(|id| format!("[PAD{id}]")).collect();
    let mut kinds = vec![5; ROWS];
    let mut set = |id: &serde_json::Value, token: &str, kind: i64| {
        let id = usize::try_from(id.as_u64().unwrap()).unwrap();
        token.clone_into(&mut tokens[id]);
        kinds[id] = kind;
    };
    for (token, id) in original["model"]["vocab"].as_object().unwrap() {
        set(id, token, 1);
    }
    for token in original["added_tokens"].as_array().unwrap() {
        let kind = if token["special"] == true { 3 } else { 4 };
        set(&token["id"], token["content"].as_str().unwrap(), kind);
    }
    let merges = original["model"]["merges"].as_array().unwrap();
    let merges = merges.iter().map(|merge| match merge.as_array() {
        Some(pair) => format!("{} {}", pair[0].as_str().unwrap(), pair[1].as_str().unwrap()),
        None => merge.as_str().unwrap().to_owned(),
    });
    let values = [
        ("model", Value::Text("gpt2".to_owned())),
        ("pre", Value::Text("qwen2".to_owned())),
        ("token_type", Value::Integers(kinds)),
        ("merges", Value::Texts(merges.collect())),
        ("tokens", Value::Texts(tokens)),
    ];
    let values = values.into_iter().map(|(key, value)| (format!("tokenizer.ggml.{key}"), value));
    Metadata::new(Path::new("qwen.gguf"), values.collect())
}

#[test]
fn qwen_ids_are_those_of_its_own_tokenizer() {
    for name in ["qwen2.5-tokenizer", "qwen3-tokenizer"] {
        let Some(folder) = test_models().map(|models| models.join(name)).filter(|folder| is_there(folder))
        else {
            continue;
        };
        let path = folder.join("tokenizer.json");
        let original = Tokenizer::from_file(&path).unwrap();
        let converted = tokenizer(&convert(&qwen_metadata(&read_json(&path))).unwrap().unwrap());
        for text in texts(&read_json(&golden("gguf/tokenizer.json"))) {
            let text = text.replace("<|turn|>", "<|im_start|>").replace("<|end|>", "<think><|im_end|>");
            assert_eq!(ids(&converted, &text), ids(&original, &text), "{name}: {text:?}");
        }
    }
}
