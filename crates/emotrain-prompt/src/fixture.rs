//! A tiny tokenizer, a chat template and conversations for tests.

use emotrain_data::{Dialogue, Label, LabelSet, Utterance};
use emotrain_recipe::{LabelSetName, PromptSection, Recipe};
use serde_json::{Map, Value, json};

use crate::chat::{Ending, Message, Role, Thinking};
use crate::encode::Encoder;
use crate::error::PromptError;
use crate::template::Template;
use crate::tokenizer::{ChatTokenizer, TokenizerFiles};

/// A chat template like the most common ones.
pub(crate) const CHAT: &str = "\
{%- for message in messages %}
    {{- '<|turn|>' + message.role + '\\n' + message.content + '<|end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|turn|>assistant\\n' }}
{%- endif %}
";

const SPECIAL: [&str; 4] = ["<|turn|>", "<|end|>", "<s>", "</s>"];

/// One token per byte, four special tokens, and the merges as pairs of byte-level characters.
pub(crate) fn tokenizer_json(merges: &[(&str, &str)]) -> String {
    let mut vocabulary = Map::new();
    let mut beyond = 0x100;
    for byte in 0..=255_u32 {
        let printable = matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
        let code = if printable { byte } else { beyond };
        beyond += u32::from(!printable);
        vocabulary.insert(char::from_u32(code).unwrap().to_string(), json!(byte));
    }
    for (left, right) in merges {
        vocabulary.insert(format!("{left}{right}"), json!(vocabulary.len()));
    }
    let added: Vec<Value> = SPECIAL
        .iter()
        .enumerate()
        .map(|(at, content)| {
            json!({"id": 1000 + at, "content": content, "special": true, "normalized": false,
                "single_word": false, "lstrip": false, "rstrip": false})
        })
        .collect();
    for (at, content) in SPECIAL.iter().enumerate() {
        vocabulary.insert((*content).to_owned(), json!(1000 + at));
    }
    let bytes =
        json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false});
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": null, "pre_tokenizer": bytes, "post_processor": null, "decoder": bytes,
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": vocabulary, "merges": merges.iter().map(|(left, right)| json!([left, right])).collect::<Vec<_>>()},
    })
    .to_string()
}

pub(crate) fn files(chat_template: Option<&str>) -> TokenizerFiles {
    let config = json!({"bos_token": "<s>", "eos_token": {"content": "</s>", "lstrip": false}});
    TokenizerFiles {
        tokenizer_json: tokenizer_json(&[]),
        tokenizer_config_json: Some(config.to_string()),
        special_tokens_map_json: None,
        added_tokens_json: None,
        chat_template: chat_template.map(str::to_owned),
        origin: "models/tiny".to_owned(),
    }
}

pub(crate) fn chat(chat_template: &str) -> Result<ChatTokenizer, PromptError> {
    ChatTokenizer::new(files(Some(chat_template)))
}

/// A chat template's output for one system message, one question and one answer.
pub(crate) fn rendered(chat_template: &str, ending: Ending) -> Result<String, PromptError> {
    let message = |role, content| Message { role, content };
    let mut messages = vec![message(Role::System, "Be brief."), message(Role::User, "How is she? ")];
    if ending == Ending::Closed {
        messages.push(message(Role::Assistant, "glad"));
    }
    chat(chat_template)?.apply(&messages, ending, Thinking::Off)
}

pub(crate) fn labels() -> LabelSet {
    LabelSet::builtin(LabelSetName::Meld)
}

pub(crate) fn section(history_window: usize, future_window: usize) -> PromptSection {
    recipe(&format!("[prompt]\nhistory_window = {history_window}\nfuture_window = {future_window}")).prompt
}

/// A recipe with these keys in addition to the required ones.
pub(crate) fn recipe(more: &str) -> Recipe {
    let least = "[model]\nmodel_name_or_path = \"m\"\n[data]\ntrain = \"t\"\nvalid = \"v\"\n";
    emotrain_recipe::parse(&format!("{least}{more}"), "a.toml".as_ref(), &[]).unwrap()
}

/// The built-in prompt with a chat template and a window.
pub(crate) fn encoder(
    chat_template: &str,
    section: &PromptSection,
    max_seq_length: usize,
) -> Result<Encoder, PromptError> {
    Encoder::new(chat(chat_template)?, Template::builtin(), labels(), section, max_seq_length)
}

pub(crate) fn dialogue(lines: &[(&str, &str, Option<usize>)]) -> Dialogue {
    let utterance = |&(speaker, text, label): &(&str, &str, Option<usize>)| {
        Utterance::new(speaker.to_owned(), text.to_owned(), label.map(Label::from_index))
    };
    Dialogue::new("harbour".to_owned(), lines.iter().map(utterance).collect())
}

/// Four utterances: neutral, joy, surprise, and one without a label.
pub(crate) fn harbour() -> Dialogue {
    dialogue(&[
        ("Nadia", "The ferry leaves at nine.", Some(0)),
        ("Bruno", "Then we still have time for breakfast!", Some(4)),
        ("Nadia", "It is five to nine, Bruno.", Some(1)),
        ("Bruno", "Run.", None),
    ])
}
