//! `SentencePiece`'s BPE, as the vocabularies of Llama 2, Mistral, Phi-3 and Gemma have it: merges follow from the
//! tokens' scores, and what is no token is written byte by byte.
//!
//! The pair whose token has the best score is joined first, the leftmost of several (`llm_tokenizer_spm` of llama.cpp).
//! Hugging Face's BPE instead has a list of merges, in which each way to put a token together is an entry; this is the
//! order of `generate_merges` in transformers' `convert_slow_tokenizer.py`.

use serde_json::{Value, json};

use super::{ADD_SPACE, Form, Kind, TOKENS, Vocabulary, problem, vocab};
use crate::error::ConfigProblem;
use crate::weights::gguf::metadata::Metadata;

/// `tokenizer.ggml.model` of this kind.
pub(in crate::weights::gguf) const NAME: &str = "llama";

pub(in crate::weights::gguf) const SCORES: &str = "tokenizer.ggml.scores";

/// How a space is written in tokens.
const SPACE: &str = "\u{2581}";

/// The parts of a `tokenizer.json`.
pub(super) fn form(metadata: &Metadata, vocabulary: &Vocabulary) -> Result<Form, ConfigProblem> {
    let adds_space = metadata.flag(ADD_SPACE)?.unwrap_or(true);
    check_bytes(vocabulary)?;
    let merges = merges(scores(metadata, vocabulary)?, vocabulary);
    let unknown = vocabulary.kinds.iter().position(|kind| *kind == Kind::Unknown);
    Ok(Form {
        normalizer: normalizer(adds_space),
        pre_tokenizer: Value::Null,
        decoder: decoder(adds_space),
        model: json!({
            "type": "BPE",
            "dropout": null,
            "unk_token": unknown.map(|id| &vocabulary.tokens[id]),
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": true,
            "byte_fallback": true,
            "ignore_merges": false,
            "vocab": vocab(vocabulary),
            "merges": merges,
        }),
        adds_bos: true,
        adds_space,
    })
}

/// Spaces as tokens have them; with `adds_space` one more in front of each part of a text between special tokens.
fn normalizer(adds_space: bool) -> Value {
    let replace = json!({"type": "Replace", "pattern": {"String": " "}, "content": SPACE});
    if !adds_space {
        return replace;
    }
    json!({"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": SPACE}, replace]})
}

fn decoder(adds_space: bool) -> Value {
    let mut steps = vec![
        json!({"type": "Replace", "pattern": {"String": SPACE}, "content": " "}),
        json!({"type": "ByteFallback"}),
        json!({"type": "Fuse"}),
    ];
    if adds_space {
        steps.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
    }
    json!({"type": "Sequence", "decoders": steps})
}

/// The token of a byte.
pub(in crate::weights::gguf) fn byte_token(byte: u8) -> String {
    format!("<0x{byte:02X}>")
}

/// Every byte has to be a token: otherwise some text would have no ids.
fn check_bytes(vocabulary: &Vocabulary) -> Result<(), ConfigProblem> {
    for byte in 0..=u8::MAX {
        let token = byte_token(byte);
        let id = vocabulary.ids.get(token.as_str());
        if id.is_none_or(|id| vocabulary.kinds[*id] != Kind::Byte) {
            return Err(problem(TOKENS, format!("{token:?} is missing, or not of the type of bytes")));
        }
    }
    Ok(())
}

fn scores<'a>(metadata: &'a Metadata, vocabulary: &Vocabulary) -> Result<&'a [f64], ConfigProblem> {
    let scores = metadata.numbers(SCORES)?.ok_or_else(|| problem(SCORES, "missing"))?;
    if scores.len() != vocabulary.tokens.len() {
        let message = format!("{} entries for {} tokens", scores.len(), vocabulary.tokens.len());
        return Err(problem(SCORES, message));
    }
    if let Some(id) = scores.iter().position(|score| score.is_nan()) {
        return Err(problem(SCORES, format!("that of token {id} is not a number")));
    }
    Ok(scores)
}

/// Every way to put a token together from two others. Only ordinary tokens are parts and results: the others are
/// recognised before text is split, or not in text at all.
fn merges<'a>(scores: &[f64], vocabulary: &Vocabulary<'a>) -> Vec<[&'a str; 2]> {
    let is_normal =
        |text: &str| vocabulary.ids.get(text).is_some_and(|id| vocabulary.kinds[*id] == Kind::Normal);
    let mut found: Vec<(f64, [&str; 2])> = Vec::new();
    for ((token, kind), score) in vocabulary.tokens.iter().zip(&vocabulary.kinds).zip(scores) {
        if *kind != Kind::Normal {
            continue;
        }
        let places = token.char_indices().skip(1);
        let pairs = places.map(|(place, _)| token.split_at(place));
        let pairs = pairs.filter(|(left, right)| is_normal(left) && is_normal(right));
        found.extend(pairs.map(|(left, right)| (*score, [left, right])));
    }
    let length = |text: &str| text.chars().count();
    found.sort_by(|(one_score, one), (other_score, other)| {
        let by_length = |part: usize| length(other[part]).cmp(&length(one[part]));
        other_score.total_cmp(one_score).then_with(|| by_length(0)).then_with(|| by_length(1))
    });
    found.into_iter().map(|(_, pair)| pair).collect()
}
