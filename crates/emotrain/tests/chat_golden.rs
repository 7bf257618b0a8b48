//! The tokenizer and chat template inside a real GGUF file against transformers:
//! `tests/golden/chat_template/make.py` made the expected values.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[path = "../../emotrain-prompt/tests/golden/chats.rs"]
mod chats;

use emotrain_model::Checkpoint;
use emotrain_prompt::{ChatTokenizer, TokenizerFiles};

#[test]
fn smollm2() {
    let file = chats::model("smollm2-135m-instruct", "model.gguf").join("model.gguf");
    let source = Checkpoint::open(&file).unwrap().tokenizer_files().unwrap().unwrap();
    let tokenizer = ChatTokenizer::new(TokenizerFiles {
        tokenizer_json: source.tokenizer_json,
        tokenizer_config_json: Some(source.tokenizer_config_json),
        special_tokens_map_json: None,
        added_tokens_json: None,
        chat_template: source.chat_template,
        origin: file.display().to_string(),
    });
    let tokenizer = tokenizer.unwrap();
    chats::check(&tokenizer, "smollm2");
    assert_eq!(tokenizer.vocab_size(), 49_152);
    assert_eq!(tokenizer.eos_token(), Some(("<|im_end|>", 2)));
}
