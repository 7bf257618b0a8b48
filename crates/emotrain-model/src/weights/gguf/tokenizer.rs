//! The tokenizer in a GGUF file → the text of Hugging Face's `tokenizer.json` and `tokenizer_config.json`.

mod sentencepiece;

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};

use super::metadata::{self, Metadata};
use super::pre_tokenizer::{PreTokenizer, byte_level};
use crate::config::ModelConfig;
use crate::error::{ConfigProblem, ModelError};

pub(super) use self::sentencepiece::{NAME as SENTENCEPIECE, SCORES, byte_token};

const NAME: &str = "general.name";
pub(super) const MODEL: &str = "tokenizer.ggml.model";
pub(super) const PRE: &str = "tokenizer.ggml.pre";
pub(super) const TOKENS: &str = "tokenizer.ggml.tokens";
pub(super) const KINDS: &str = "tokenizer.ggml.token_type";
pub(super) const MERGES: &str = "tokenizer.ggml.merges";
pub(super) const ADD_BOS: &str = "tokenizer.ggml.add_bos_token";
pub(super) const ADD_EOS: &str = "tokenizer.ggml.add_eos_token";
pub(super) const ADD_SPACE: &str = "tokenizer.ggml.add_space_prefix";
pub(super) const CHAT_TEMPLATE: &str = "tokenizer.chat_template";

/// `tokenizer.ggml.model` of a file without a tokenizer.
pub(super) const NO_VOCABULARY: &str = "no_vocab";

/// `tokenizer.ggml.model` of byte-level BPE.
pub(super) const BYTE_LEVEL: &str = "gpt2";

/// Special tokens: key in the metadata, key in `tokenizer_config.json`, id in a `SentencePiece` vocabulary that does not
/// say (`llama_vocab::impl::load`).
pub(super) const SPECIAL: &[(&str, &str, Option<usize>)] = &[
    ("tokenizer.ggml.bos_token_id", "bos_token", Some(1)),
    ("tokenizer.ggml.eos_token_id", "eos_token", Some(2)),
    ("tokenizer.ggml.unknown_token_id", "unk_token", Some(0)),
    ("tokenizer.ggml.padding_token_id", "pad_token", None),
];

/// A tokenizer as the text of the files that Hugging Face keeps it in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenizerSource {
    /// The text of `tokenizer.json`.
    pub tokenizer_json: String,
    /// The text of `tokenizer_config.json`; it holds the chat template too.
    pub tokenizer_config_json: String,
    /// The chat template (Jinja), when the file has one.
    pub chat_template: Option<String>,
}

/// What `tokenizer.ggml.token_type` says of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Normal,
    /// What stands for text that is no token: an ordinary special token where bytes are tokens.
    Unknown,
    /// Recognised in text before it is split, and left out when text is made from ids.
    Control,
    /// Recognised in text before it is split.
    UserDefined,
    /// A row of the embedding table that no text reaches.
    Unused,
    /// A byte of text that is no token, written `<0x0A>`.
    Byte,
}

impl Kind {
    fn from_number(number: i64) -> Option<Self> {
        match number {
            1 => Some(Self::Normal),
            2 => Some(Self::Unknown),
            3 => Some(Self::Control),
            4 => Some(Self::UserDefined),
            5 => Some(Self::Unused),
            6 => Some(Self::Byte),
            _ => None,
        }
    }
}

/// The tokens of a file, checked.
struct Vocabulary<'a> {
    tokens: &'a [String],
    kinds: Vec<Kind>,
    /// Every reachable token; only looked up in, never walked.
    ids: HashMap<&'a str, usize>,
}

/// See [`crate::weights::Checkpoint::tokenizer_files`].
pub(super) fn convert(
    metadata: &Metadata,
    config: &ModelConfig,
) -> Result<Option<TokenizerSource>, ModelError> {
    let is_none =
        |value: &_| matches!(value, metadata::Value::Text(name) if name == NO_VOCABULARY || name == "none");
    if metadata.get(MODEL).is_none_or(is_none) {
        return Ok(None);
    }
    source(metadata, config).map(Some).map_err(|problem| metadata.error(vec![problem]))
}

/// `bos_token_id` and its like, as a `config.json` has them.
pub(super) fn special_ids(metadata: &Metadata) -> Result<Map<String, Value>, ModelError> {
    let mut ids = Map::new();
    for (key, name, default) in SPECIAL.iter().filter(|(_, name, _)| *name != "unk_token") {
        let id = special_id(metadata, key, *default).map_err(|problem| metadata.error(vec![problem]))?;
        if let Some(id) = id {
            ids.insert(format!("{name}_id"), json!(id));
        }
    }
    Ok(ids)
}

fn special_id(
    metadata: &Metadata,
    key: &str,
    default: Option<usize>,
) -> Result<Option<usize>, ConfigProblem> {
    let stated = metadata.size(key)?;
    Ok(if metadata.text(MODEL)? == Some(sentencepiece::NAME) { stated.or(default) } else { stated })
}

/// What distinguishes the kinds of tokenizers: parts of a `tokenizer.json`.
struct Form {
    normalizer: Value,
    pre_tokenizer: Value,
    decoder: Value,
    model: Value,
    /// Whether a beginning-of-text token is put first when the file does not say.
    adds_bos: bool,
    /// Whether a text gets a space in front.
    adds_space: bool,
}

fn source(metadata: &Metadata, config: &ModelConfig) -> Result<TokenizerSource, ConfigProblem> {
    let name = metadata.text(MODEL)?.unwrap_or_default();
    let form = match name {
        BYTE_LEVEL => byte_level_form,
        sentencepiece::NAME => sentencepiece::form,
        _ => {
            let hint = "use the model's Hugging Face folder instead";
            let message = format!(
                "\"{name}\" is not supported (only \"{BYTE_LEVEL}\": byte-level BPE, and \"{}\": SentencePiece's BPE)",
                sentencepiece::NAME
            );
            return Err(problem_with_hint(MODEL, message, hint));
        }
    };
    let vocabulary = vocabulary(metadata, config)?;
    let special = special(metadata, &vocabulary)?;
    let form = form(metadata, &vocabulary)?;
    let chat_template = metadata.text(CHAT_TEMPLATE)?.map(str::to_owned);
    let by_default = form.adds_bos && special.contains_key("bos_token");
    let add_bos = metadata.flag(ADD_BOS)?.unwrap_or(by_default);
    let add_eos = metadata.flag(ADD_EOS)?.unwrap_or(false);
    let tokenizer = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added_tokens(&vocabulary, strips_behind(metadata)?),
        "normalizer": form.normalizer,
        "pre_tokenizer": form.pre_tokenizer,
        "post_processor": post_processor(
            added(add_bos, ADD_BOS, special.get("bos_token"))?,
            added(add_eos, ADD_EOS, special.get("eos_token"))?,
        ),
        "decoder": form.decoder,
        "model": form.model,
    });
    let mut settings = Map::new();
    settings.insert("add_bos_token".to_owned(), json!(add_bos));
    settings.insert("add_eos_token".to_owned(), json!(add_eos));
    settings.insert("add_prefix_space".to_owned(), json!(form.adds_space));
    for (name, (_, token)) in &special {
        settings.insert((*name).to_owned(), json!(token));
    }
    if let Some(template) = &chat_template {
        settings.insert("chat_template".to_owned(), json!(template));
    }
    settings.insert("clean_up_tokenization_spaces".to_owned(), json!(false));
    settings.insert("model_max_length".to_owned(), json!(config.max_position_embeddings));
    settings.insert("tokenizer_class".to_owned(), json!("PreTrainedTokenizerFast"));
    Ok(TokenizerSource {
        tokenizer_json: tokenizer.to_string(),
        tokenizer_config_json: format!("{:#}\n", Value::Object(settings)),
        chat_template,
    })
}

/// Byte-level BPE, split by what the file names.
fn byte_level_form(metadata: &Metadata, vocabulary: &Vocabulary) -> Result<Form, ConfigProblem> {
    let pre = pre_tokenizer(metadata)?;
    Ok(Form {
        normalizer: pre.normalizer(),
        pre_tokenizer: pre.splitter(),
        decoder: byte_level(true),
        model: json!({
            "type": "BPE",
            "dropout": null,
            "unk_token": null,
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": false,
            "byte_fallback": false,
            "ignore_merges": pre.ignores_merges(),
            "vocab": vocab(vocabulary),
            "merges": merges(metadata, vocabulary)?,
        }),
        adds_bos: pre.adds_bos_by_default(),
        adds_space: false,
    })
}

fn pre_tokenizer(metadata: &Metadata) -> Result<PreTokenizer, ConfigProblem> {
    if metadata.flag(ADD_SPACE)? == Some(true) {
        return Err(problem(ADD_SPACE, "true is not supported for byte-level BPE"));
    }
    let Some(name) = metadata.text(PRE)? else {
        let hint = "the file was made by an old converter: without the key, text would be split wrongly; \
make it again, or use the model's Hugging Face folder";
        return Err(problem_with_hint(PRE, "missing", hint));
    };
    PreTokenizer::from_name(name).ok_or_else(|| {
        let hint = format!(
            "supported: {}; use the model's Hugging Face folder, whose tokenizer.json says how text is split",
            PreTokenizer::names()
        );
        problem_with_hint(PRE, format!("\"{name}\" is not supported"), hint)
    })
}

/// Whether tokens swallow the white space behind them: no key says so, llama.cpp goes by the name of the model
/// (`llama_vocab::impl::load`).
fn strips_behind(metadata: &Metadata) -> Result<bool, ConfigProblem> {
    let name = metadata.text(NAME)?.unwrap_or_default();
    Ok(is_phi3(name))
}

/// What llama.cpp knows Phi-3 by.
pub(super) const PHI3_NAMES: [&str; 2] = ["phi-3", "phi3"];

/// Whether llama.cpp takes a model of this name for Phi-3.
pub(super) fn is_phi3(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    PHI3_NAMES.iter().any(|part| name.contains(part))
}

/// The tokens of Phi-3 that leave the white space behind them alone.
pub(super) const PHI3_PLAIN: [&str; 3] = ["<unk>", "<s>", "<|endoftext|>"];

fn vocabulary<'a>(metadata: &'a Metadata, config: &ModelConfig) -> Result<Vocabulary<'a>, ConfigProblem> {
    let tokens = metadata.texts(TOKENS)?.ok_or_else(|| problem(TOKENS, "missing"))?;
    let numbers = metadata.integers(KINDS)?.ok_or_else(|| problem(KINDS, "missing"))?;
    if tokens.len() != numbers.len() {
        return Err(problem(KINDS, format!("{} entries for {} tokens", numbers.len(), tokens.len())));
    }
    if tokens.len() > config.vocab_size {
        let message =
            format!("{} tokens, but the embedding table has {} rows", tokens.len(), config.vocab_size);
        return Err(problem(TOKENS, message));
    }
    let mut kinds = Vec::with_capacity(numbers.len());
    let mut ids = HashMap::with_capacity(tokens.len());
    for (id, (token, number)) in tokens.iter().zip(numbers).enumerate() {
        let Some(kind) = Kind::from_number(*number) else {
            return Err(problem(KINDS, format!("token {id} is of unknown type {number}")));
        };
        kinds.push(kind);
        if kind == Kind::Unused {
            continue;
        }
        if let Some(earlier) = ids.insert(token.as_str(), id) {
            return Err(problem(TOKENS, format!("{token:?} is both token {earlier} and {id}")));
        }
    }
    Ok(Vocabulary { tokens, kinds, ids })
}

/// Name in `tokenizer_config.json` → id and text, for the special tokens that the file names.
fn special<'a>(
    metadata: &Metadata,
    vocabulary: &Vocabulary<'a>,
) -> Result<BTreeMap<&'static str, (usize, &'a str)>, ConfigProblem> {
    let mut special = BTreeMap::new();
    for (key, name, default) in SPECIAL {
        let Some(id) = special_id(metadata, key, *default)? else { continue };
        let Some(token) = vocabulary.tokens.get(id) else {
            return Err(problem(key, format!("{id}, but there are {} tokens", vocabulary.tokens.len())));
        };
        special.insert(*name, (id, token.as_str()));
    }
    Ok(special)
}

/// Tokens with their ids, also those that are recognised before the split: the id of an added token that
/// the model knew nothing of would be its place in the list.
fn vocab(vocabulary: &Vocabulary) -> Value {
    let tokens = vocabulary.tokens.iter().zip(&vocabulary.kinds).enumerate();
    let reachable = tokens.filter(|(_, (_, kind))| **kind != Kind::Unused);
    Value::Object(reachable.map(|(id, (token, _))| (token.clone(), json!(id))).collect())
}

fn added_tokens(vocabulary: &Vocabulary, strips_behind: bool) -> Vec<Value> {
    let tokens = vocabulary.tokens.iter().zip(&vocabulary.kinds).enumerate();
    tokens
        .filter(|(_, (_, kind))| matches!(kind, Kind::Unknown | Kind::Control | Kind::UserDefined))
        .map(|(id, (token, kind))| {
            json!({
                "id": id,
                "content": token,
                "single_word": false,
                "lstrip": false,
                "rstrip": strips_behind && !PHI3_PLAIN.contains(&token.as_str()),
                "normalized": false,
                "special": *kind != Kind::UserDefined,
            })
        })
        .collect()
}

/// The merges as they are, once both parts and the result are known to be tokens.
fn merges(metadata: &Metadata, vocabulary: &Vocabulary) -> Result<Value, ConfigProblem> {
    let merges = metadata.texts(MERGES)?.ok_or_else(|| problem(MERGES, "missing"))?;
    let is_token = |text: &str| vocabulary.ids.contains_key(text);
    for (number, merge) in merges.iter().enumerate() {
        let parts = merge.split_once(' ').filter(|(_, right)| !right.contains(' '));
        let is_known = parts.is_some_and(|(left, right)| {
            is_token(left) && is_token(right) && is_token(&format!("{left}{right}"))
        });
        if !is_known {
            return Err(problem(
                MERGES,
                format!("merge {number}, {merge:?}, does not join two tokens to a third"),
            ));
        }
    }
    Ok(json!(merges))
}

/// The token to add at one end of a text, if any.
fn added<'a>(
    wanted: bool,
    key: &str,
    token: Option<&(usize, &'a str)>,
) -> Result<Option<(usize, &'a str)>, ConfigProblem> {
    match (wanted, token) {
        (false, _) => Ok(None),
        (true, Some(token)) => Ok(Some(*token)),
        (true, None) => Err(problem(key, "true, but the file names no such token")),
    }
}

/// The `post_processor` of a `tokenizer.json`: tokens put around a text when special tokens are asked for.
fn post_processor(bos: Option<(usize, &str)>, eos: Option<(usize, &str)>) -> Value {
    if bos.is_none() && eos.is_none() {
        return Value::Null;
    }
    let token = |(_, text): (usize, &str), part: u8| json!({"SpecialToken": {"id": text, "type_id": part}});
    let around = |name: &str, part: u8| -> Vec<Value> {
        let text = json!({"Sequence": {"id": name, "type_id": part}});
        bos.map(|bos| token(bos, part))
            .into_iter()
            .chain([text])
            .chain(eos.map(|eos| token(eos, part)))
            .collect()
    };
    let mut special = Map::new();
    for (id, text) in bos.into_iter().chain(eos) {
        special.insert(text.to_owned(), json!({"id": text, "ids": [id], "tokens": [text]}));
    }
    let pair = [around("A", 0), around("B", 1)].concat();
    json!({
        "type": "TemplateProcessing",
        "single": around("A", 0),
        "pair": pair,
        "special_tokens": special,
    })
}

fn problem(key: &str, message: impl Into<String>) -> ConfigProblem {
    ConfigProblem { key: key.to_owned(), message: message.into(), hint: None }
}

fn problem_with_hint(key: &str, message: impl Into<String>, hint: impl Into<String>) -> ConfigProblem {
    ConfigProblem { hint: Some(hint.into()), ..problem(key, message) }
}
