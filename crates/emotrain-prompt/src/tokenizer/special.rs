//! Special tokens: those that a chat template prints, and those recognised in text before it is split.
//!
//! Files of several generations list special tokens: `tokenizer_config.json` with its `added_tokens_decoder`, and if
//! that is missing `special_tokens_map.json` and `added_tokens.json`. Their tokens become part of the tokenizer as in
//! transformers (`tokenization_utils_base.py`, `tokenization_utils_tokenizers.py`).

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use tokenizers::{AddedToken, Tokenizer};

use super::TokenizerFiles;

/// Special tokens that a chat template may print.
const NAMES: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

const CONFIG: &str = "tokenizer_config.json";
const MAP: &str = "special_tokens_map.json";
const ADDED: &str = "added_tokens.json";

/// The tokens in the files next to `tokenizer.json`.
#[derive(Debug, Default)]
pub(super) struct SpecialTokens {
    /// Texts by name, for chat templates.
    pub(super) named: Vec<(&'static str, String)>,
    /// Tokens that `tokenizer.json` may lack, in the order in which they get their ids.
    added: Vec<AddedToken>,
    /// Contradictions between the files.
    pub(super) warnings: Vec<String>,
}

impl SpecialTokens {
    /// Reads the files; `config` is `tokenizer_config.json`.
    ///
    /// # Errors
    /// The name of an invalid file, with the problem.
    pub(super) fn read(config: &Value, files: &TokenizerFiles) -> Result<Self, String> {
        let mut special = Self::default();
        let mut described: BTreeMap<String, AddedToken> = BTreeMap::new();
        let map = match config.get("added_tokens_decoder") {
            Some(decoder) => {
                for token in by_id(decoder)? {
                    described.insert(token.content.clone(), token.clone());
                    special.added.push(token);
                }
                Map::new()
            }
            None => object(files.special_tokens_map_json.as_deref(), MAP)?,
        };
        let mut named = Vec::new();
        for name in NAMES.map(str::to_owned).into_iter().chain(names_of_its_own(config)) {
            let (stated, mapped) = (token(&config[&name]), map.get(&name).and_then(token));
            if let (Some(stated), Some(mapped)) = (&stated, &mapped)
                && stated.content != mapped.content
            {
                special.warnings.push(format!(
                    "{}: {CONFIG} has {:?} as {name}, {MAP} {:?}: the former is used",
                    files.origin, stated.content, mapped.content
                ));
            }
            if let Some(token) = stated.or(mapped) {
                named.push((name, described.get(&token.content).cloned().unwrap_or(token)));
            }
        }
        let more = more(config, &map);
        if config.get("added_tokens_decoder").is_none() {
            let known = named.iter().map(|(_, token)| token).chain(&more);
            let known: Vec<&str> = known.map(|token| token.content.as_str()).collect();
            special.added.extend(with_ids(files.added_tokens_json.as_deref(), &known)?);
        }
        let text =
            |name: &str| named.iter().find(|(of, _)| of == name).map(|(_, token)| token.content.clone());
        special.named = NAMES.into_iter().filter_map(|name| Some((name, text(name)?))).collect();
        for token in &mut special.added {
            token.special |= named.iter().any(|(_, named)| named.content == token.content);
        }
        let named = named.into_iter().map(|(_, token)| token);
        special.added.extend(named.chain(more).map(|token| token.special(true)));
        Ok(special)
    }

    /// Adds them to the tokenizer. A known token is unchanged; one that is a word of the vocabulary keeps that word's
    /// id; others get ids after the last one.
    ///
    /// # Errors
    /// The tokenizer's error.
    pub(super) fn teach(&self, tokenizer: &mut Tokenizer) -> Result<(), String> {
        for token in &self.added {
            let known = tokenizer.get_added_tokens_decoder();
            if !known.values().any(|known| known.content == token.content) {
                tokenizer.add_tokens([token.clone()]).map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }
}

/// Names in `tokenizer_config.json` that a model has in addition to the usual ones, such as `image_token`.
fn names_of_its_own(config: &Value) -> Vec<String> {
    let is_own = |(name, value): &(&String, &Value)| {
        name.ends_with("_token") && !NAMES.contains(&name.as_str()) && value.is_string()
    };
    config.as_object().into_iter().flatten().filter(is_own).map(|(name, _)| name.clone()).collect()
}

/// Special tokens without their own name, under either spelling of the key.
fn more(config: &Value, map: &Map<String, Value>) -> Vec<AddedToken> {
    let keys = ["extra_special_tokens", "additional_special_tokens"];
    let lists = keys.into_iter().flat_map(|key| [config.get(key), map.get(key)]).flatten();
    let tokens = lists.flat_map(|list| match list {
        Value::Array(tokens) => tokens.iter().collect(),
        Value::Object(named) => named.values().collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    });
    tokens.filter_map(token).collect()
}

/// A token is a text, or an object with the text as `content`.
fn token(value: &Value) -> Option<AddedToken> {
    let content = value.as_str().or_else(|| value.get("content")?.as_str())?;
    let flag = |key: &str| value.get(key).and_then(Value::as_bool);
    let token = AddedToken::from(content, flag("special").unwrap_or(value.is_string()));
    let normalized = flag("normalized").unwrap_or(!token.special);
    let [single_word, lstrip, rstrip] =
        ["single_word", "lstrip", "rstrip"].map(|key| flag(key).unwrap_or(false));
    Some(token.normalized(normalized).single_word(single_word).lstrip(lstrip).rstrip(rstrip))
}

/// `added_tokens_decoder`: tokens by id, in the order of the ids.
fn by_id(decoder: &Value) -> Result<Vec<AddedToken>, String> {
    let wrong = |what: &str| format!("{CONFIG}: \"added_tokens_decoder\" {what}");
    let entries = decoder.as_object().ok_or_else(|| wrong("is not an object"))?;
    let mut tokens = Vec::new();
    for (id, value) in entries {
        let id: u32 = id.parse().map_err(|_| wrong(&format!("has {id:?} instead of a token id")))?;
        let token = token(value).ok_or_else(|| wrong(&format!("has no text for token {id}")))?;
        tokens.push((id, token));
    }
    tokens.sort_by_key(|(id, _)| *id);
    Ok(tokens.into_iter().map(|(_, token)| token).collect())
}

/// `added_tokens.json`: ids by text, in the order of the ids.
fn with_ids(text: Option<&str>, special: &[&str]) -> Result<Vec<AddedToken>, String> {
    let mut ids = Vec::new();
    for (content, id) in object(text, ADDED)? {
        let id = id.as_u64().ok_or_else(|| format!("{ADDED}: {content:?} has no token id"))?;
        ids.push((id, content));
    }
    ids.sort();
    let token = |(_, content): (u64, String)| {
        let is_special = special.contains(&content.as_str());
        AddedToken::from(content, is_special).normalized(!is_special)
    };
    Ok(ids.into_iter().map(token).collect())
}

fn object(text: Option<&str>, name: &str) -> Result<Map<String, Value>, String> {
    let Some(text) = text else { return Ok(Map::new()) };
    serde_json::from_str(text).map_err(|error| format!("{name}: {error}"))
}
