//! A cache of the tokens of words.
//!
//! Prompts repeat themselves: every sample has the instruction, an utterance is in the history of the following ones,
//! and most words occur in many utterances. The common byte-level BPE tokenizers split a text into words before
//! anything else, so each word has to be encoded only once. Whether a tokenizer is of this kind is read from
//! `tokenizer.json`; all others encode whole texts.
//!
//! A text is split where each expression of [`PATTERNS`] ends a match, whatever the other side is:
//! * before a blank that follows a character other than white space;
//! * after a line feed between two characters other than white space. (After several, GPT-2's lookahead `(?!\S)` makes
//!   the last match depend on what follows.)

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;
use tokenizers::Tokenizer;

/// Expressions that split texts into words: GPT-2's, Llama 3's, and Qwen2's.
const PATTERNS: [&str; 3] = [
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
];

/// Shards with one lock each, so that threads rarely wait for each other.
const SHARDS: usize = 16;

/// The maximum number of words per shard; a full one is cleared.
const WORDS: usize = 4096;

/// The maximum length of a cached word, in bytes.
const LONGEST: usize = 64;

type Shard = Mutex<HashMap<Box<str>, Box<[u32]>>>;

/// The word cache of one tokenizer.
#[derive(Debug, Default)]
pub(super) struct Words {
    shards: [Shard; SHARDS],
    hasher: RandomState,
}

impl Words {
    /// For a tokenizer whose tokens never cross a split.
    pub(super) fn of(tokenizer_json: &str, tokenizer: &Tokenizer) -> Option<Self> {
        let file: File = serde_json::from_str(tokenizer_json).ok()?;
        let normal = file.normalizer.is_null() || file.normalizer["type"] == "NFC";
        let added = tokenizer
            .get_added_tokens_decoder()
            .values()
            .all(|token| !token.lstrip && !token.rstrip && !token.content.contains(char::is_whitespace));
        let plain = file.model.kind == "BPE" && file.model.dropout.is_none_or(|dropout| dropout <= 0.0);
        let splits = match file.pre_tokenizer["pretokenizers"].as_array() {
            Some(steps) => steps.iter().all(is_known) && steps.iter().any(splits),
            None => is_known(&file.pre_tokenizer) && splits(&file.pre_tokenizer),
        };
        (normal && added && plain && splits).then(Self::default)
    }

    /// The tokens of a text, word by word; `encode` is called for words that are not cached.
    ///
    /// # Errors
    /// The errors of `encode`.
    pub(super) fn encode<E>(
        &self,
        text: &str,
        encode: impl Fn(&str) -> Result<Vec<u32>, E>,
    ) -> Result<Vec<u32>, E> {
        let mut ids = Vec::with_capacity(text.len() / 3);
        for word in words(text) {
            if word.len() > LONGEST {
                ids.extend(encode(word)?);
                continue;
            }
            let shard = &self.shards[usize::from(self.hasher.hash_one(word).to_le_bytes()[0]) % SHARDS];
            let known = shard
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get(word)
                .map(|of| ids.extend_from_slice(of));
            if known.is_none() {
                let of = encode(word)?;
                ids.extend_from_slice(&of);
                let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
                if shard.len() >= WORDS {
                    shard.clear();
                }
                shard.insert(word.into(), of.into());
            }
        }
        Ok(ids)
    }
}

/// The text in pieces that encode alone as they do within it.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_visible = |character: Option<char>| character.is_some_and(|character| !character.is_whitespace());
    let ends = text.bytes().enumerate().filter_map(move |(at, byte)| {
        let follows_word = || is_visible(text[..at].chars().next_back());
        match byte {
            b' ' if follows_word() => Some(at),
            b'\n' if follows_word() && is_visible(text[at + 1..].chars().next()) => Some(at + 1),
            _ => None,
        }
    });
    let mut begin = 0;
    ends.chain([text.len()]).map(move |end| {
        let word = &text[begin..end];
        begin = end;
        word
    })
}

/// Whether a pre-tokenizer only splits.
fn is_known(step: &Value) -> bool {
    match step["type"].as_str() {
        Some("ByteLevel") => step["add_prefix_space"] == false,
        Some("Digits") => true,
        Some("Split") => is_pattern(step),
        _ => false,
    }
}

/// Whether a pre-tokenizer splits at every word boundary.
fn splits(step: &Value) -> bool {
    match step["type"].as_str() {
        Some("ByteLevel") => step["use_regex"] != false,
        _ => is_pattern(step),
    }
}

fn is_pattern(step: &Value) -> bool {
    let pattern = step["pattern"]["Regex"].as_str();
    step["invert"] == false
        && step["behavior"] == "Isolated"
        && pattern.is_some_and(|pattern| PATTERNS.contains(&pattern))
}

/// The relevant parts of a `tokenizer.json`; the vocabulary is skipped.
#[derive(serde::Deserialize)]
struct File {
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    model: Model,
}

#[derive(serde::Deserialize)]
struct Model {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    dropout: Option<f64>,
}

#[cfg(test)]
mod tests;
