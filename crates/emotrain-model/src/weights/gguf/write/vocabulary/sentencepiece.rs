//! Vocabularies of `SentencePiece`: scores from the order of merges.
//!
//! llama.cpp joins any two tokens that make up a third, the best score first, where Hugging Face's BPE joins those that
//! its list of merges has. Both give the same ids if the list has every way to put a token together, as the lists have
//! that transformers makes of `SentencePiece` models; another is refused.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use super::super::output::Item;
use super::{Tokens, kind};
use crate::config::problem;
use crate::error::ConfigProblem;
use crate::weights::gguf::pre_tokenizer::parts;
use crate::weights::gguf::tokenizer::{ADD_SPACE, MODEL, PRE, SCORES, SENTENCEPIECE, byte_token};

/// How a space is written in tokens.
pub(super) const SPACE: &str = "\u{2581}";

/// Sets the types of bytes and of the unknown token.
pub(super) fn mark(tokens: &mut Tokens, model: &Value) -> Result<(), ConfigProblem> {
    let ids: HashMap<String, usize> =
        tokens.texts.iter().enumerate().map(|(id, text)| (text.clone(), id)).collect();
    for byte in 0..=u8::MAX {
        let token = byte_token(byte);
        let Some(id) = ids.get(&token) else {
            return Err(problem("tokenizer.json: model.vocab", format!("{token:?} is missing")));
        };
        tokens.kinds[*id] = kind::BYTE;
    }
    if let Some(id) = model["unk_token"].as_str().and_then(|token| ids.get(token)) {
        tokens.kinds[*id] = kind::UNKNOWN;
    }
    Ok(())
}

/// What is written of such a vocabulary alone.
pub(super) fn items(
    tokenizer: &Value,
    tokens: &Tokens,
    merges: &[[&str; 2]],
) -> Result<Vec<(String, Item)>, ConfigProblem> {
    let own = |key: &str, item| (key.to_owned(), item);
    Ok(vec![
        own(MODEL, Item::text(SENTENCEPIECE)),
        own(PRE, Item::text("default")),
        own(ADD_SPACE, Item::Flag(adds_space(tokenizer)?)),
        own(SCORES, Item::Numbers(scores(tokens, merges)?)),
    ])
}

/// Whether a text gets a space in front, also behind a special token.
fn adds_space(tokenizer: &Value) -> Result<bool, ConfigProblem> {
    let replace = json!({"type": "Replace", "pattern": {"String": " "}, "content": SPACE});
    let prepend = json!({"type": "Prepend", "prepend": SPACE});
    let never = json!({"type": "Metaspace", "replacement": SPACE, "prepend_scheme": "never", "split": false});
    // Gemma's: there is no space left to split at.
    let idle = json!({"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": false});
    let normalizer = parts(&tokenizer["normalizer"], "normalizers");
    let pre_tokenizer = parts(&tokenizer["pre_tokenizer"], "pretokenizers");
    let is_replaced = normalizer.last() == Some(&replace);
    if is_replaced && (pre_tokenizer.is_empty() || pre_tokenizer == [idle]) {
        match &normalizer[..] {
            [_] => return Ok(false),
            [first, _] if *first == prepend => return Ok(true),
            _ => {}
        }
    }
    if normalizer.is_empty() && pre_tokenizer == [never] {
        return Ok(false);
    }
    Err(ConfigProblem {
        hint: Some(
            "supported: a normalizer of Prepend and Replace or of Replace alone, or the pre_tokenizer Metaspace \
with prepend_scheme \"never\""
                .to_owned(),
        ),
        ..problem(
            "tokenizer.json: normalizer",
            "llama.cpp does not write spaces this way: it puts one in front of every part of a text between special \
tokens, or of none",
        )
    })
}

/// The earlier a token can be merged, the higher its score.
fn scores(tokens: &Tokens, merges: &[[&str; 2]]) -> Result<Vec<f32>, ConfigProblem> {
    let mut ranks: HashMap<String, usize> = HashMap::with_capacity(merges.len());
    for (rank, [left, right]) in merges.iter().enumerate() {
        ranks.entry(format!("{left}{right}")).or_insert(rank);
    }
    check(tokens, merges, &ranks)?;
    let scores = tokens.texts.iter().enumerate().map(|(id, token)| {
        let rank = ranks.get(token).copied().unwrap_or(merges.len() + id);
        -(rank as f32)
    });
    Ok(scores.collect())
}

/// Refuses a list of merges that lacks a way to put a token together.
fn check(tokens: &Tokens, merges: &[[&str; 2]], ranks: &HashMap<String, usize>) -> Result<(), ConfigProblem> {
    let listed: HashSet<[&str; 2]> = merges.iter().copied().collect();
    let normal = tokens.texts.iter().zip(&tokens.kinds).filter(|(_, kind)| **kind == kind::NORMAL);
    let normal: Vec<&str> = normal.map(|(token, _)| token.as_str()).collect();
    let known: HashSet<&str> = normal.iter().copied().collect();
    // What text can become at all.
    let is_reached =
        |text: &str| known.contains(text) && (ranks.contains_key(text) || text.chars().nth(1).is_none());
    for token in normal {
        for (place, _) in token.char_indices().skip(1) {
            let (left, right) = token.split_at(place);
            if is_reached(left) && is_reached(right) && !listed.contains(&[left, right]) {
                let message = format!(
                    "llama.cpp would join {left:?} and {right:?}, which the list lacks: this vocabulary is not \
SentencePiece's"
                );
                return Err(problem("tokenizer.json: model.merges", message));
            }
        }
    }
    Ok(())
}
