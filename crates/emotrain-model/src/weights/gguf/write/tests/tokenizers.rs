//! Tokenizers that are written and read again.

use std::path::Path;

use expect_test::expect;
use serde_json::{Value, json};

use super::{tiny, write};
use crate::error::ModelError;
use crate::weights::gguf::tests::tokenizers::{convert, ids, read, read_json, texts, tokenizer};
use crate::weights::gguf::{GgufContents, GgufType};
use crate::weights::tests::{complaint, golden};
use crate::weights::{Checkpoint, TokenizerSource};

/// The tokenizer of a golden file.
fn source(name: &str) -> TokenizerSource {
    convert(&read(&golden(name)).unwrap()).unwrap().unwrap()
}

/// Written into a model of so many tokens and read again.
fn again(source: &TokenizerSource, rows: usize) -> Result<TokenizerSource, ModelError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    let (_, mut config) = tiny("qwen2_tiny");
    config.vocab_size = rows;
    let contents = GgufContents { config: &config, name: "tiny", tokenizer: Some(source) };
    let shapes: std::collections::BTreeMap<_, _> =
        crate::weights::tensor_shapes(&config).into_iter().collect();
    crate::weights::write_gguf(&path, &contents, GgufType::F16, &mut |name, visit| {
        visit(&vec![0.5; shapes[name].iter().product()]);
        Ok(())
    })
    .map_err(|error| named(error, folder.path()))?;
    Ok(Checkpoint::open(&path).unwrap().tokenizer_files().unwrap().unwrap())
}

/// The error without a folder that is gone.
fn named(error: ModelError, folder: &Path) -> ModelError {
    let message = complaint(Err::<(), _>(error), folder);
    ModelError::file(Path::new("written"), message.trim_end())
}

#[test]
fn tokenizers_come_back() {
    for (file, texts_file, rows) in [
        ("gguf/tokenizer.gguf", "gguf/tokenizer.json", 390),
        ("sentencepiece/vocabulary.gguf", "sentencepiece/ids.json", 520),
        ("sentencepiece/vocabulary.gguf", "sentencepiece/ids.json", 544),
    ] {
        let source = source(file);
        let written = again(&source, rows).unwrap();
        let [before, after] = [&source, &written].map(tokenizer);
        for text in texts(&read_json(&golden(texts_file))) {
            assert_eq!(ids(&after, &text), ids(&before, &text), "{file}: {text:?}");
            let around =
                [&before, &after].map(|one| one.encode(text.as_str(), true).unwrap().get_ids().to_vec());
            assert_eq!(around[0], around[1]);
        }
        let settings = [&source, &written].map(|source| -> Value {
            let mut settings: Value = serde_json::from_str(&source.tokenizer_config_json).unwrap();
            settings["model_max_length"] = json!(null);
            settings
        });
        assert_eq!(settings[0], settings[1], "{file}");
        assert_eq!(written.chat_template, source.chat_template);
    }
}

/// The real tokenizers, where they are.
#[test]
fn tokenizers_of_released_models_come_back() {
    for name in ["qwen2.5-tokenizer", "qwen3-tokenizer"] {
        let Some(folder) = crate::weights::gguf::tests::test_models().map(|models| models.join(name)) else {
            continue;
        };
        if !crate::weights::gguf::tests::is_there(&folder) {
            continue;
        }
        let read = |file: &str| fs_err::read_to_string(folder.join(file)).unwrap();
        let source = TokenizerSource {
            tokenizer_json: read("tokenizer.json"),
            tokenizer_config_json: read("tokenizer_config.json"),
            chat_template: None,
        };
        let written = again(&source, 151_936).unwrap();
        let [before, after] = [&source, &written].map(tokenizer);
        for text in texts(&read_json(&golden("gguf/tokenizer.json"))) {
            let text = text.replace("<|turn|>", "<|im_start|>").replace("<|end|>", "<think><|im_end|>");
            assert_eq!(ids(&after, &text), ids(&before, &text), "{name}: {text:?}");
        }
    }
}

#[test]
fn refusals() {
    let said = |file: &str, change: fn(&mut Value)| {
        let mut source = source(file);
        let mut json: Value = serde_json::from_str(&source.tokenizer_json).unwrap();
        change(&mut json);
        source.tokenizer_json = json.to_string();
        complaint(again(&source, 520), Path::new("/nowhere"))
    };
    let (bytes, pieces) = ("gguf/tokenizer.gguf", "sentencepiece/vocabulary.gguf");
    let messages = [
        said(bytes, |json| json["model"] = json!({"type": "Unigram", "vocab": []})),
        said(bytes, |json| json["pre_tokenizer"] = json!({"type": "Whitespace"})),
        said(bytes, |json| json["model"]["vocab"]["more"] = json!(520)),
        said(bytes, |json| json["added_tokens"][0]["lstrip"] = json!(true)),
        said(bytes, |json| json["added_tokens"][0]["rstrip"] = json!(true)),
        said(bytes, |json| json["post_processor"] = json!({"type": "BertProcessing"})),
        said(bytes, |json| json["model"]["merges"][0] = json!("one")),
        said(pieces, |json| {
            json["normalizer"] = Value::Null;
            json["pre_tokenizer"] = json!({"type": "Metaspace", "replacement": "\u{2581}",
                "prepend_scheme": "first", "split": false});
        }),
        said(pieces, |json| {
            json["model"]["vocab"].as_object_mut().unwrap().shift_remove("<0x0A>");
        }),
        said(pieces, |json| {
            json["model"]["merges"].as_array_mut().unwrap().pop();
        }),
    ];
    expect![[r#"
        written: model.gguf: tokenizer.json: model: only BPE is written to GGUF files
        written: model.gguf: tokenizer.json: pre_tokenizer: llama.cpp's name for this split of text is not known
          hint: supported are the splits of gpt-2, smollm, qwen2, stablelm2, llama-bpe, smaug-bpe
        written: model.gguf: tokenizer.json: model.vocab: "more" is token 520, but the embedding table has 520 rows
        written: model.gguf: tokenizer.json: added_tokens: lstrip of "<|end|>": llama.cpp has no word for it
        written: model.gguf: tokenizer.json: added_tokens: rstrip of "<|end|>": llama.cpp knows it of Phi-3 alone
        written: model.gguf: tokenizer.json: post_processor: "BertProcessing" is not supported
        written: model.gguf: tokenizer.json: model.merges: "one"
        written: model.gguf: tokenizer.json: normalizer: llama.cpp does not write spaces this way: it puts one in front of every part of a text between special tokens, or of none
          hint: supported: a normalizer of Prepend and Replace or of Replace alone, or the pre_tokenizer Metaspace with prepend_scheme "never"
        written: model.gguf: tokenizer.json: model.vocab: "<0x0A>" is missing
        written: model.gguf: tokenizer.json: model.merges: llama.cpp would join "cau" and "se", which the list lacks: this vocabulary is not SentencePiece's
    "#]]
    .assert_eq(&messages.concat());
    let mut damaged = source(bytes);
    damaged.tokenizer_json.truncate(50);
    expect![[r#"
        written: tokenizer.json: not valid JSON: EOF while parsing a value at line 1 column 50
          hint: the file is damaged or was cut short: download it again
    "#]]
    .assert_eq(&complaint(again(&damaged, 520), Path::new("/nowhere")));
    let mut unknown = source(bytes);
    unknown.tokenizer_config_json = json!({"pad_token": {"content": "<pad>"}}).to_string();
    expect![[r#"
        written: model.gguf: tokenizer_config.json: pad_token: "<pad>" is no token
    "#]]
    .assert_eq(&complaint(again(&unknown, 520), Path::new("/nowhere")));
}

#[test]
fn phi3_keeps_tokens_that_swallow_white_space() {
    let mut source = source("sentencepiece/vocabulary.gguf");
    source.tokenizer_json = source.tokenizer_json.replace("\"rstrip\":false", "\"rstrip\":true");
    // One of Phi-3's tokens, which llama.cpp looks up.
    source.tokenizer_json = source.tokenizer_json.replace("<table>", "<|endoftext|>");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    let (checkpoint, config) = tiny("phi3_tiny");
    let mut source_rows = config.clone();
    source_rows.vocab_size = 520;
    let contents = GgufContents { config: &source_rows, name: "Tiny", tokenizer: Some(&source) };
    let shapes: std::collections::BTreeMap<_, _> =
        crate::weights::tensor_shapes(&source_rows).into_iter().collect();
    crate::weights::write_gguf(&path, &contents, GgufType::F32, &mut |name, visit| {
        visit(&vec![0.5; shapes[name].iter().product()]);
        Ok(())
    })
    .unwrap();
    assert_eq!(read(&path).unwrap().text("general.name").unwrap(), Some("Tiny (Phi-3)"));
    let written = Checkpoint::open(&path).unwrap().tokenizer_files().unwrap().unwrap();
    let tokenizer = tokenizer(&written);
    let given = ids(&tokenizer, "<|end|>\n was");
    assert_eq!(given.len(), 2);
    // Without a tokenizer there is none.
    write(&path, &checkpoint, &GgufContents { config: &config, name: "a", tokenizer: None }, GgufType::F16)
        .unwrap();
    assert_eq!(Checkpoint::open(&path).unwrap().tokenizer_files().unwrap(), None);
}
