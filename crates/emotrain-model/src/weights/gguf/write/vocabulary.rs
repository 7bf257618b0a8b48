//! Hugging Face's `tokenizer.json` and `tokenizer_config.json` → the tokenizer in a GGUF file, the inverse of what is
//! read.
//!
//! A byte-level BPE is named by how it splits text; the merges of a `SentencePiece` vocabulary become scores. What
//! llama.cpp has no word for is refused. Of added tokens it knows no `normalized`: they are recognised in text as it is.

mod sentencepiece;

use serde_json::Value;

use super::output::Item;
use crate::config::{Architecture, ModelConfig, problem};
use crate::error::{ConfigProblem, ModelError};
use crate::weights::TokenizerSource;
use crate::weights::gguf::pre_tokenizer::{PreTokenizer, parts};
use crate::weights::gguf::tokenizer::{
    ADD_BOS, ADD_EOS, BYTE_LEVEL, CHAT_TEMPLATE, KINDS, MERGES, MODEL, PHI3_PLAIN, PRE, SPECIAL, TOKENS,
};

/// `tokenizer.ggml.token_type`.
mod kind {
    pub(super) const NORMAL: i32 = 1;
    pub(super) const UNKNOWN: i32 = 2;
    pub(super) const CONTROL: i32 = 3;
    pub(super) const USER_DEFINED: i32 = 4;
    pub(super) const UNUSED: i32 = 5;
    pub(super) const BYTE: i32 = 6;
}

/// Metadata about the tokenizer.
pub(super) struct Converted {
    pub(super) items: Vec<(String, Item)>,
    /// Whether tokens swallow the white space behind them, which llama.cpp knows of Phi-3 alone.
    pub(super) strips_behind: bool,
}

impl TokenizerSource {
    /// The token that llama.cpp puts before every text (`add_bos_token`).
    pub fn added_bos(&self) -> Option<String> {
        let tokenizer: Value = serde_json::from_str(&self.tokenizer_json).ok()?;
        let [bos, _] = around(&tokenizer).ok()?;
        bos
    }
}

/// The tokens by id, and their types.
struct Tokens {
    texts: Vec<String>,
    kinds: Vec<i32>,
}

/// The tokenizer of a model of shape `config`; the outer error is about JSON, the inner one about what it says.
pub(super) fn convert(
    source: &TokenizerSource,
    config: &ModelConfig,
) -> Result<Result<Converted, ConfigProblem>, ModelError> {
    let parse = |name: &str, text: &str| -> Result<Value, ModelError> {
        serde_json::from_str(text).map_err(|source| ModelError::Json { path: name.into(), source })
    };
    let tokenizer = parse("tokenizer.json", &source.tokenizer_json)?;
    let settings = parse("tokenizer_config.json", &source.tokenizer_config_json)?;
    Ok(converted(&tokenizer, &settings, config).map(|mut converted| {
        if let Some(template) = &source.chat_template {
            converted.items.push((CHAT_TEMPLATE.to_owned(), Item::text(template)));
        }
        converted
    }))
}

fn converted(tokenizer: &Value, settings: &Value, config: &ModelConfig) -> Result<Converted, ConfigProblem> {
    let model = &tokenizer["model"];
    let is_bpe = model["merges"].is_array() && model["type"].as_str().is_none_or(|name| name == "BPE");
    if !is_bpe {
        return Err(problem("tokenizer.json: model", "only BPE is written to GGUF files"));
    }
    let is_sentencepiece = model["byte_fallback"] == true;
    let added = tokenizer["added_tokens"].as_array().map_or(&[][..], Vec::as_slice);
    let mut tokens = tokens(model, config)?;
    if is_sentencepiece {
        sentencepiece::mark(&mut tokens, model)?;
    }
    add(&mut tokens, added, is_sentencepiece)?;
    let strips_behind = strips_behind(added, &tokens, config)?;
    let merges = merges(model)?;
    let own = |key: &str, item| (key.to_owned(), item);
    let mut items = if is_sentencepiece {
        sentencepiece::items(tokenizer, &tokens, &merges)?
    } else {
        let merges = merges.iter().map(|[left, right]| format!("{left} {right}")).collect();
        vec![
            own(MODEL, Item::text(BYTE_LEVEL)),
            own(PRE, Item::text(split(tokenizer)?)),
            own(MERGES, Item::Texts(merges)),
        ]
    };
    let [bos, eos] = around(tokenizer)?;
    for (key, name, _) in SPECIAL {
        let around = match *name {
            "bos_token" => bos.as_deref(),
            "eos_token" => eos.as_deref(),
            _ => None,
        };
        let stated = &settings[*name];
        let Some(token) = around.or_else(|| stated.as_str().or_else(|| stated["content"].as_str())) else {
            continue;
        };
        let Some(id) = tokens.texts.iter().position(|text| text == token) else {
            return Err(problem(&format!("tokenizer_config.json: {name}"), format!("{token:?} is no token")));
        };
        items.push(own(key, Item::Size(u32::try_from(id).expect("a position in a vocabulary"))));
    }
    items.push(own(ADD_BOS, Item::Flag(bos.is_some())));
    items.push(own(ADD_EOS, Item::Flag(eos.is_some())));
    items.push(own(TOKENS, Item::Texts(tokens.texts)));
    items.push(own(KINDS, Item::Integers(tokens.kinds)));
    Ok(Converted { items, strips_behind })
}

/// The vocabulary, with a token for each row of the embedding table: llama.cpp counts rows by tokens.
fn tokens(model: &Value, config: &ModelConfig) -> Result<Tokens, ConfigProblem> {
    let rows = config.vocab_size;
    let vocab = model["vocab"].as_object();
    let vocab = vocab.ok_or_else(|| problem("tokenizer.json: model.vocab", "missing"))?;
    let texts = (0..rows).map(|id| format!("[PAD{id}]")).collect();
    let mut tokens = Tokens { texts, kinds: vec![kind::UNUSED; rows] };
    for (token, id) in vocab {
        tokens.set(id, token, kind::NORMAL)?;
    }
    Ok(tokens)
}

impl Tokens {
    fn set(&mut self, id: &Value, text: &str, kind: i32) -> Result<(), ConfigProblem> {
        let place = id.as_u64().and_then(|id| usize::try_from(id).ok()).filter(|id| *id < self.texts.len());
        let Some(place) = place else {
            let message =
                format!("{text:?} is token {id}, but the embedding table has {} rows", self.texts.len());
            return Err(problem("tokenizer.json: model.vocab", message));
        };
        text.clone_into(&mut self.texts[place]);
        self.kinds[place] = kind;
        Ok(())
    }
}

/// Added tokens, in the place of those of the vocabulary that they are.
fn add(tokens: &mut Tokens, added: &[Value], is_sentencepiece: bool) -> Result<(), ConfigProblem> {
    for token in added {
        let content = token["content"].as_str().unwrap_or_default();
        for key in ["single_word", "lstrip"] {
            if token[key] == true {
                let message = format!("{key} of {content:?}: llama.cpp has no word for it");
                return Err(problem("tokenizer.json: added_tokens", message));
            }
        }
        let place = token["id"].as_u64().and_then(|id| usize::try_from(id).ok());
        let is_unknown = place.and_then(|place| tokens.kinds.get(place)) == Some(&kind::UNKNOWN);
        if is_unknown {
            continue;
        }
        if token["special"] == true {
            tokens.set(&token["id"], content, kind::CONTROL)?;
        } else if is_sentencepiece {
            // Compared with text before its spaces are replaced, as llama.cpp's converter has it.
            tokens.set(&token["id"], &content.replace(sentencepiece::SPACE, " "), kind::USER_DEFINED)?;
        } else {
            tokens.set(&token["id"], content, kind::USER_DEFINED)?;
        }
    }
    Ok(())
}

/// Whether tokens swallow the white space behind them, which is written down by naming the model Phi-3.
fn strips_behind(added: &[Value], tokens: &Tokens, config: &ModelConfig) -> Result<bool, ConfigProblem> {
    let Some(token) = added.iter().find(|token| token["rstrip"] == true) else { return Ok(false) };
    // llama.cpp looks these up in a model of that name.
    let mut needed = PHI3_PLAIN.iter().chain(&["</s>"]);
    if config.architecture == Architecture::Phi3
        && needed.all(|needed| tokens.texts.iter().any(|text| text == needed))
    {
        return Ok(true);
    }
    let message = format!("rstrip of {}: llama.cpp knows it of Phi-3 alone", token["content"]);
    Err(problem("tokenizer.json: added_tokens", message))
}

/// Merges in their order, of both ways to write one.
fn merges(model: &Value) -> Result<Vec<[&str; 2]>, ConfigProblem> {
    fn pair(merge: &Value) -> Option<[&str; 2]> {
        if let Some(text) = merge.as_str() {
            return text.split_once(' ').map(|(left, right)| [left, right]);
        }
        let [left, right] = merge.as_array()?.as_slice() else { return None };
        Some([left.as_str()?, right.as_str()?])
    }
    let merges = model["merges"].as_array().map_or(&[][..], Vec::as_slice);
    merges
        .iter()
        .map(|merge| pair(merge).ok_or_else(|| problem("tokenizer.json: model.merges", format!("{merge}"))))
        .collect()
}

/// llama.cpp's name for how a byte-level BPE splits text.
fn split(tokenizer: &Value) -> Result<&'static str, ConfigProblem> {
    let ignores_merges = tokenizer["model"]["ignore_merges"] == true;
    let found = PreTokenizer::of(&tokenizer["normalizer"], &tokenizer["pre_tokenizer"], ignores_merges);
    found.map(PreTokenizer::name).ok_or_else(|| ConfigProblem {
        hint: Some(format!("supported are the splits of {}", PreTokenizer::customary_names().join(", "))),
        ..problem("tokenizer.json: pre_tokenizer", "llama.cpp's name for this split of text is not known")
    })
}

/// The tokens that are put in front of a text and behind it.
fn around(tokenizer: &Value) -> Result<[Option<String>; 2], ConfigProblem> {
    let key = "tokenizer.json: post_processor";
    let mut around = [None, None];
    for step in parts(&tokenizer["post_processor"], "processors") {
        match step["type"].as_str() {
            Some("ByteLevel") => {}
            Some("TemplateProcessing") => {
                let mut end = 0;
                for item in step["single"].as_array().map_or(&[][..], Vec::as_slice) {
                    let token = item["SpecialToken"]["id"].as_str();
                    if token.is_none() {
                        end = 1;
                    } else if around[end].is_some() {
                        return Err(problem(key, "llama.cpp puts one token at an end of a text, not more"));
                    } else {
                        around[end] = token.map(str::to_owned);
                    }
                }
            }
            _ => return Err(problem(key, format!("{} is not supported", step["type"]))),
        }
    }
    Ok(around)
}
