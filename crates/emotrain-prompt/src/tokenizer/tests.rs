#![expect(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]

use expect_test::expect;
use serde_json::json;

use super::*;
use crate::chat::Role;
use crate::fixture::{CHAT, chat, files};

fn with_config(config: &Value) -> Result<ChatTokenizer, PromptError> {
    ChatTokenizer::new(TokenizerFiles { tokenizer_config_json: Some(config.to_string()), ..files(None) })
}

fn written(tokenizer: &ChatTokenizer) -> String {
    let message = Message { role: Role::User, content: "Hi" };
    tokenizer.apply(&[message], Ending::GenerationPrompt, Thinking::Off).unwrap()
}

#[test]
fn the_chat_template_is_found_in_every_place() {
    let text = with_config(&json!({"chat_template": "text"})).unwrap();
    assert_eq!(written(&text), "text");
    let named =
        [json!({"name": "tool_use", "template": "tools"}), json!({"name": "default", "template": "list"})];
    assert_eq!(written(&with_config(&json!({"chat_template": named})).unwrap()), "list");
    let config = json!({"chat_template": "text"}).to_string();
    let both = TokenizerFiles { tokenizer_config_json: Some(config), ..files(Some("file")) };
    assert_eq!(written(&ChatTokenizer::new(both).unwrap()), "file");
    assert_eq!(text.chat_template(), Some("text"));
}

#[test]
fn special_tokens_are_texts_or_objects() {
    let tokenizer = chat("{{ bos_token }}{{ eos_token }}{{ pad_token }}").unwrap();
    assert_eq!(written(&tokenizer), "<s></s>");
    assert_eq!(tokenizer.eos_token(), Some(("</s>", 1003)));
    let tokenizer = with_config(&json!({"bos_token": null, "chat_template": "{{ bos_token }}."})).unwrap();
    assert_eq!(written(&tokenizer), ".");
    assert_eq!(tokenizer.eos_token(), None);
}

#[test]
fn special_tokens_in_a_text_are_recognised_and_none_are_added() {
    let tokenizer = chat(CHAT).unwrap();
    let ids = tokenizer.encode("a<|end|>é").unwrap();
    assert_eq!(ids, [97, 1001, 0xc3, 0xa9]);
    assert_eq!(tokenizer.decode(&ids).unwrap(), "a<|end|>é");
    assert_eq!(tokenizer.decode_each(&ids).unwrap(), ["a", "<|end|>", "", "é"]);
    assert_eq!(tokenizer.vocab_size(), 1004);
    assert_eq!(tokenizer.token_id("<|turn|>"), Some(1000));
    assert_eq!(tokenizer.control_tokens(), ["<|turn|>", "<|end|>", "<s>", "</s>"]);
}

#[test]
fn dropout_of_the_file_is_switched_off_and_said() {
    let mut json: Value = serde_json::from_str(&files(None).tokenizer_json).unwrap();
    let text = "the same words have the same tokens";
    let plain = ChatTokenizer::new(files(None)).unwrap();
    assert_eq!(plain.warnings().len(), 0);
    json["model"]["merges"] = json!([["t", "h"], ["th", "e"]]);
    for (at, token) in ["th", "the"].into_iter().enumerate() {
        json["model"]["vocab"][token] = json!(2000 + at);
    }
    let of = |json: &Value| {
        ChatTokenizer::new(TokenizerFiles { tokenizer_json: json.to_string(), ..files(None) }).unwrap()
    };
    let expected = of(&json).encode(text).unwrap();
    assert!(expected.contains(&2001));
    json["model"]["dropout"] = json!(0.9);
    let tokenizer = of(&json);
    assert!(tokenizer.warnings()[0].contains("BPE dropout of 0.9 is switched off"));
    assert_eq!(tokenizer.encode(text).unwrap(), expected);
}

#[test]
fn padding_and_truncation_of_the_file_are_switched_off() {
    let mut json: Value = serde_json::from_str(&files(None).tokenizer_json).unwrap();
    json["truncation"] =
        json!({"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0});
    json["padding"] = json!({"strategy": {"Fixed": 64}, "direction": "Right", "pad_to_multiple_of": null,
        "pad_id": 0, "pad_type_id": 0, "pad_token": "!"});
    let tokenizer =
        ChatTokenizer::new(TokenizerFiles { tokenizer_json: json.to_string(), ..files(None) }).unwrap();
    assert_eq!(tokenizer.encode("abcdefgh").unwrap().len(), 8);
}

#[test]
fn a_folder_is_read_as_transformers_saves_it() {
    let folder = tempfile::tempdir().unwrap();
    let error = TokenizerFiles::from_folder(folder.path()).unwrap_err();
    let text = format!("{error}\n{}", error.hint().unwrap());
    expect![[r#"
        FOLDER: no tokenizer.json
        load and save the tokenizer once with a current version of transformers, which writes it"#]]
    .assert_eq(&text.replace(&folder.path().display().to_string(), "FOLDER"));

    let expected = TokenizerFiles { origin: folder.path().display().to_string(), ..files(Some(CHAT)) };
    let write = |name: &str, text: &str| fs_err::write(folder.path().join(name), text).unwrap();
    write("tokenizer.json", &expected.tokenizer_json);
    let bare = TokenizerFiles::from_folder(folder.path()).unwrap();
    assert_eq!((bare.tokenizer_config_json, bare.chat_template), (None, None));
    write("tokenizer_config.json", expected.tokenizer_config_json.as_ref().unwrap());
    write("chat_template.jinja", CHAT);
    assert_eq!(TokenizerFiles::from_folder(folder.path()).unwrap(), expected);
}

#[test]
fn a_tokenizer_without_chat_template_still_encodes() {
    let tokenizer =
        ChatTokenizer::new(TokenizerFiles { tokenizer_config_json: None, ..files(None) }).unwrap();
    assert!(!tokenizer.has_chat_template());
    assert_eq!(tokenizer.encode("ab").unwrap(), [97, 98]);
    let error = tokenizer.apply(&[], Ending::Closed, Thinking::Off).unwrap_err();
    expect![[r#"
        models/tiny: the tokenizer has no chat template
        use an instruction-tuned model, or put its template next to the tokenizer as chat_template.jinja"#]]
    .assert_eq(&format!("{error}\n{}", error.hint().unwrap()));
}

#[test]
fn broken_files_are_named() {
    let error = |files| ChatTokenizer::new(files).unwrap_err().to_string();
    let broken = TokenizerFiles { tokenizer_json: "{}".to_owned(), ..files(None) };
    expect!["models/tiny: tokenizer.json: Model missing. at line 1 column 2"].assert_eq(&error(broken));
    let broken = TokenizerFiles { tokenizer_config_json: Some("{".to_owned()), ..files(None) };
    expect!["models/tiny: tokenizer_config.json: EOF while parsing an object at line 1 column 1"]
        .assert_eq(&error(broken));
    let named = ["rag", "tool_use"].map(|name| json!({"name": name, "template": "x"}));
    let named = json!({"chat_template": named});
    expect![[r#"models/tiny: tokenizer_config.json: none of the chat templates (rag, tool_use) is named "default": put the right one next to it as chat_template.jinja"#]]
        .assert_eq(&with_config(&named).unwrap_err().to_string());
    expect![[r#"models/tiny: tokenizer_config.json: "chat_template" is neither a text nor a list"#]]
        .assert_eq(&with_config(&json!({"chat_template": 3})).unwrap_err().to_string());
    expect!["models/tiny: chat template, line 1: syntax error: unexpected end of input, expected expression"]
        .assert_eq(&with_config(&json!({"chat_template": "{{"})).unwrap_err().to_string());
}

/// The tokens of `text` with these files next to `tokenizer.json`.
fn tokens(config: &Value, map: Option<&Value>, added: Option<&Value>, text: &str) -> Vec<u32> {
    let files = TokenizerFiles {
        tokenizer_config_json: Some(config.to_string()),
        special_tokens_map_json: map.map(Value::to_string),
        added_tokens_json: added.map(Value::to_string),
        ..files(None)
    };
    ChatTokenizer::new(files).unwrap().encode(text).unwrap()
}

#[test]
fn tokens_that_only_other_files_name_are_tokens() {
    let none = json!({});
    // "ab" is two bytes to the tokenizer; the last token of tokenizer.json is 1003.
    assert_eq!(tokens(&none, None, None, "ab"), [97, 98]);
    assert_eq!(tokens(&none, Some(&json!({"eos_token": "ab"})), None, "ab"), [1004]);
    assert_eq!(tokens(&none, Some(&json!({"eos_token": {"content": "ab"}})), None, "xab"), [120, 1004]);
    assert_eq!(tokens(&json!({"bos_token": "ab", "image_token": "cd"}), None, None, "abcd"), [1004, 1005]);
    let decoder = json!({"added_tokens_decoder": {"1005": {"content": "cd"}, "1004": {"content": "ab"}}});
    assert_eq!(tokens(&decoder, None, None, "abcd"), [1004, 1005]);
    assert_eq!(tokens(&none, None, Some(&json!({"cd": 1005, "ab": 1004})), "abcd"), [1004, 1005]);
    let more = json!({"additional_special_tokens": ["ab", {"content": "cd"}]});
    assert_eq!(tokens(&more, None, None, "abcd"), [1004, 1005]);
    assert_eq!(tokens(&none, Some(&more), None, "abcd"), [1004, 1005]);
    // A word of the vocabulary keeps its id, and is now found before the text is split.
    assert_eq!(tokens(&none, Some(&json!({"sep_token": "<s>"})), None, "<s>"), [1002]);
    assert_eq!(tokens(&json!({"pad_token": "ab"}), None, None, "ab"), [1004]);
    let strip = json!({"added_tokens_decoder": {"1004": {"content": "ab", "lstrip": true, "rstrip": true}}});
    assert_eq!(tokens(&strip, None, None, "x ab  y"), [120, 1004, 121]);
}

#[test]
fn the_newer_file_takes_precedence() {
    let printed = |config: Value, map: Value| {
        let files = TokenizerFiles {
            tokenizer_config_json: Some(config.to_string()),
            special_tokens_map_json: Some(map.to_string()),
            ..files(Some("{{ bos_token }}|{{ eos_token }}"))
        };
        let tokenizer = ChatTokenizer::new(files).unwrap();
        format!("{} {:?}", written(&tokenizer), tokenizer.warnings())
    };
    let map = || json!({"bos_token": "<s>", "eos_token": {"content": "</s>"}});
    assert_eq!(printed(json!({}), map()), "<s>|</s> []");
    assert_eq!(printed(json!({"bos_token": null, "eos_token": "</s>"}), map()), "<s>|</s> []");
    expect![[r#"<s>|<|end|> ["models/tiny: tokenizer_config.json has \"<|end|>\" as eos_token, special_tokens_map.json \"</s>\": the former is used"]"#]]
        .assert_eq(&printed(json!({"eos_token": "<|end|>"}), map()));
    // A complete added_tokens_decoder takes precedence.
    assert_eq!(printed(json!({"added_tokens_decoder": {}}), map()), "| []");
}

#[test]
fn invalid_files_about_tokens_are_named() {
    let error = |files| {
        let error = ChatTokenizer::new(files).unwrap_err();
        format!("{error}\n")
    };
    let config =
        |config: Value| TokenizerFiles { tokenizer_config_json: Some(config.to_string()), ..files(None) };
    let all = [
        error(TokenizerFiles { special_tokens_map_json: Some("[".to_owned()), ..files(None) }),
        error(TokenizerFiles { added_tokens_json: Some("{\"ab\": \"x\"}".to_owned()), ..files(None) }),
        error(config(json!({"added_tokens_decoder": ["ab"]}))),
        error(config(json!({"added_tokens_decoder": {"first": {"content": "ab"}}}))),
        error(config(json!({"added_tokens_decoder": {"7": {"text": "ab"}}}))),
    ];
    expect![[r#"
        models/tiny: special_tokens_map.json: invalid type: sequence, expected a map at line 1 column 0
        models/tiny: added_tokens.json: "ab" has no token id
        models/tiny: tokenizer_config.json: "added_tokens_decoder" is not an object
        models/tiny: tokenizer_config.json: "added_tokens_decoder" has "first" instead of a token id
        models/tiny: tokenizer_config.json: "added_tokens_decoder" has no text for token 7
    "#]]
    .assert_eq(&all.concat());
}

#[test]
fn git_lfs_pointers_are_recognised() {
    let folder = tempfile::tempdir().unwrap();
    let pointer =
        format!("version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 5\n", "a".repeat(64));
    fs_err::write(folder.path().join("tokenizer.json"), pointer).unwrap();
    let error = TokenizerFiles::from_folder(folder.path()).unwrap_err();
    assert!(
        error.to_string().ends_with("tokenizer.json: is a Git LFS pointer, not the file itself"),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("git lfs pull"));
}
