//! The base model's tokenizer together with its chat template.

mod growth;
mod special;
mod words;

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use emotrain_base::{caught, limits};
use emotrain_recipe::StandIn;
use serde_json::Value;
use tokenizers::models::bpe::BPE;
use tokenizers::{ModelWrapper, Tokenizer};

use self::special::SpecialTokens;
use self::words::Words;
use crate::chat::{ChatDate, ChatTemplate, DEFAULT_DATE, Ending, Message, Thinking};
use crate::error::PromptError;
use crate::sample::{Piece, Sample};

/// The files that describe a tokenizer, wherever they come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenizerFiles {
    /// `tokenizer.json` of the tokenizers library.
    pub tokenizer_json: String,
    /// `tokenizer_config.json`: special tokens and, often, the chat template.
    pub tokenizer_config_json: Option<String>,
    /// `special_tokens_map.json` of older folders: special tokens that `tokenizer_config.json` may lack.
    pub special_tokens_map_json: Option<String>,
    /// `added_tokens.json` of older folders: tokens that `tokenizer.json` may lack.
    pub added_tokens_json: Option<String>,
    /// `chat_template.jinja`, or the contents of `chat_template.json`; takes precedence over a chat template in
    /// `tokenizer_config.json`.
    pub chat_template: Option<String>,
    /// The folder or file they came from, for messages.
    pub origin: String,
}

impl TokenizerFiles {
    /// Reads the files of a model folder as transformers saves it.
    ///
    /// # Errors
    /// [`PromptError::NoTokenizer`], [`PromptError::Read`], [`PromptError::StandIn`], or [`PromptError::Tokenizer`] for
    /// an invalid `chat_template.json`.
    pub fn from_folder(folder: &Path) -> Result<Self, PromptError> {
        let read = |name: &str, limit| {
            let path = folder.join(name);
            if let Some(stand_in) = StandIn::at(&path) {
                return Err(PromptError::StandIn { path, stand_in });
            }
            match emotrain_base::read_to_string(&path, limit) {
                Ok(text) => Ok(Some(text)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error.into()),
            }
        };
        let origin = folder.display().to_string();
        let Some(tokenizer_json) = read("tokenizer.json", limits::TOKENIZER)? else {
            return Err(PromptError::NoTokenizer(origin));
        };
        let mut chat_template = read("chat_template.jinja", limits::TEMPLATE)?;
        if chat_template.is_none()
            && let Some(text) = read("chat_template.json", limits::CONFIG)?
        {
            let wrong = |message| PromptError::Tokenizer { origin: origin.clone(), message };
            let config: Value =
                serde_json::from_str(&text).map_err(|error| wrong(format!("chat_template.json: {error}")))?;
            chat_template = chat_template_of(&config).map_err(wrong)?;
        }
        Ok(Self {
            tokenizer_json,
            tokenizer_config_json: read("tokenizer_config.json", limits::CONFIG)?,
            special_tokens_map_json: read("special_tokens_map.json", limits::CONFIG)?,
            added_tokens_json: read("added_tokens.json", limits::CONFIG)?,
            chat_template,
            origin,
        })
    }
}

/// A tokenizer with its model's chat template. It has the tokens that its files name, and no others.
#[derive(Clone, Debug)]
pub struct ChatTokenizer {
    /// Shared, because vocabularies are large.
    tokenizer: Arc<Tokenizer>,
    /// The word cache, if words can be encoded separately.
    words: Option<Arc<Words>>,
    chat: Option<ChatTemplate>,
    eos: Option<(String, u32)>,
    /// Texts of the model's control tokens, by id.
    control_tokens: Vec<String>,
    vocab_size: usize,
    origin: String,
    warnings: Vec<String>,
}

impl ChatTokenizer {
    /// Compiles both; the date that a chat template may print is [`DEFAULT_DATE`].
    ///
    /// # Errors
    /// [`PromptError::Tokenizer`] for an invalid file, [`PromptError::Chat`] for a chat template that does not compile.
    /// A missing chat template is not an error here.
    pub fn new(files: TokenizerFiles) -> Result<Self, PromptError> {
        let origin = files.origin.clone();
        let wrong = |message: String| PromptError::Tokenizer { origin: origin.clone(), message };
        let config: Value = match &files.tokenizer_config_json {
            Some(text) => serde_json::from_str(text)
                .map_err(|error| wrong(format!("tokenizer_config.json: {error}")))?,
            None => Value::Null,
        };
        let mut tokenizer =
            load(&files.tokenizer_json).map_err(|message| wrong(format!("tokenizer.json: {message}")))?;
        let mut special = SpecialTokens::read(&config, &files).map_err(wrong)?;
        special.teach(&mut tokenizer).map_err(wrong)?;
        special.warnings.extend(without_dropout(&mut tokenizer));
        let eos = special
            .named
            .iter()
            .find(|(name, _)| *name == "eos_token")
            .and_then(|(_, token)| tokenizer.token_to_id(token).map(|id| (token.clone(), id)));
        let source = match files.chat_template {
            Some(source) => Some(source),
            None => chat_template_of(&config).map_err(wrong)?,
        };
        let chat = match source {
            Some(source) => Some(ChatTemplate::new(origin.clone(), source, special.named, DEFAULT_DATE)?),
            None => None,
        };
        let control_tokens = control_tokens(&tokenizer);
        let vocab_size = tokenizer.get_vocab(true).into_values().max().map_or(0, |last| last as usize + 1);
        Ok(Self {
            words: Words::of(&files.tokenizer_json, &tokenizer).map(Arc::new),
            tokenizer: Arc::new(tokenizer),
            chat,
            eos,
            control_tokens,
            vocab_size,
            origin,
            warnings: special.warnings,
        })
    }

    /// Renders messages with the model's chat template, exactly as transformers' `apply_chat_template` does.
    ///
    /// # Errors
    /// [`PromptError::NoChatTemplate`], or [`PromptError::Chat`] when the template refuses.
    pub fn apply(
        &self,
        messages: &[Message<'_>],
        ending: Ending,
        thinking: Thinking,
    ) -> Result<String, PromptError> {
        match &self.chat {
            Some(chat) => chat.render(messages, ending, thinking),
            None => Err(PromptError::NoChatTemplate(self.origin.clone())),
        }
    }

    /// The text's token ids. Special tokens in the text become their ids; none are added.
    ///
    /// # Errors
    /// [`PromptError::Tokenizer`] with the library's message.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, PromptError> {
        match &self.words {
            Some(words) => words.encode(text, |word| self.encode_whole(word)),
            None => self.encode_whole(text),
        }
    }

    fn encode_whole(&self, text: &str) -> Result<Vec<u32>, PromptError> {
        let encode = || self.tokenizer.encode_fast(text, false).map(|encoding| encoding.get_ids().to_vec());
        self.checked(caught(encode))
    }

    /// The text of token ids, special tokens included.
    ///
    /// # Errors
    /// [`PromptError::Tokenizer`] with the library's message.
    pub fn decode(&self, ids: &[u32]) -> Result<String, PromptError> {
        self.checked(caught(|| self.tokenizer.decode(ids, false)))
    }

    /// The text of token ids without special tokens: the model's answer.
    ///
    /// # Errors
    /// [`PromptError::Tokenizer`] with the library's message.
    pub fn decode_text(&self, ids: &[u32]) -> Result<String, PromptError> {
        self.checked(caught(|| self.tokenizer.decode(ids, true)))
    }

    /// A sample's tokens with their texts and whether they are in the loss. The first token of a sample never is: it
    /// has no predecessor.
    ///
    /// # Errors
    /// [`PromptError::Tokenizer`] with the library's message.
    pub fn pieces(&self, sample: &Sample) -> Result<Vec<Piece>, PromptError> {
        let tokens = sample.ids.iter().zip(self.decode_each(&sample.ids)?).enumerate();
        let piece = |(at, (&id, text))| Piece { id, text, supervised: at >= sample.supervised_from() };
        Ok(tokens.map(piece).collect())
    }

    /// Each token's part of the decoded text. A character that spans several tokens counts for the last of them; the
    /// others are empty.
    ///
    /// # Errors
    /// [`PromptError::Tokenizer`] with the library's message.
    pub(crate) fn decode_each(&self, ids: &[u32]) -> Result<Vec<String>, PromptError> {
        let mut stream = self.tokenizer.decode_stream(false);
        ids.iter()
            .map(|id| Ok(stream.step(*id).map_err(|error| self.wrong(&error))?.unwrap_or_default()))
            .collect()
    }

    /// The highest token id plus one: an embedding must have at least as many rows.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// Whether there is a chat template for [`ChatTokenizer::apply`].
    pub fn has_chat_template(&self) -> bool {
        self.chat.is_some()
    }

    /// The chat template's source.
    pub fn chat_template(&self) -> Option<&str> {
        self.chat.as_ref().map(ChatTemplate::source)
    }

    /// The date that the chat template prints, if it asks for one.
    pub fn date(&self) -> Option<ChatDate> {
        self.chat.as_ref().and_then(ChatTemplate::date)
    }

    /// Text and id of the end-of-sequence token, if the files name one.
    pub fn eos_token(&self) -> Option<(&str, u32)> {
        self.eos.as_ref().map(|(text, id)| (text.as_str(), *id))
    }

    /// The id of a token with this text.
    pub fn token_id(&self, token: &str) -> Option<u32> {
        self.tokenizer.token_to_id(token)
    }

    /// Its folder or file, for messages.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Contradictions between the files.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Texts of the model's control tokens, by id.
    pub(crate) fn control_tokens(&self) -> &[String] {
        &self.control_tokens
    }

    fn wrong(&self, error: &tokenizers::Error) -> PromptError {
        PromptError::Tokenizer { origin: self.origin.clone(), message: error.to_string() }
    }

    /// The library's result, or its error or panic as an error in the tokenizer's files.
    fn checked<T>(&self, result: Result<tokenizers::Result<T>, String>) -> Result<T, PromptError> {
        match result {
            Ok(result) => result.map_err(|error| self.wrong(&error)),
            Err(panic) => {
                let message = format!("the tokenizer cannot be used: {panic}");
                Err(PromptError::Tokenizer { origin: self.origin.clone(), message })
            }
        }
    }
}

/// The tokenizer of a `tokenizer.json`, without padding and truncation.
fn load(json: &str) -> Result<Tokenizer, String> {
    growth::check(json)?;
    let load = || {
        let mut tokenizer = Tokenizer::from_str(json)?;
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None)?;
        Ok::<_, tokenizers::Error>(tokenizer)
    };
    match caught(load) {
        Ok(tokenizer) => tokenizer.map_err(|error| error.to_string()),
        Err(panic) => Err(format!("it was not written by the tokenizers library: {panic}")),
    }
}

/// Switches off BPE-dropout (Provilkov et al. 2020), with which a text has other tokens each time, and says so.
fn without_dropout(tokenizer: &mut Tokenizer) -> Option<String> {
    let ModelWrapper::BPE(model) = tokenizer.get_model() else { return None };
    let dropout = model.dropout.filter(|dropout| *dropout > 0.0)?;
    let mut model: BPE = model.clone();
    model.dropout = None;
    tokenizer.with_model(model);
    Some(format!(
        "tokenizer.json: its BPE dropout of {dropout} is switched off, so that a text has the same tokens each time"
    ))
}

/// The chat template of `tokenizer_config.json`: a text, or a list of named ones with a `default`.
fn chat_template_of(config: &Value) -> Result<Option<String>, String> {
    match &config["chat_template"] {
        Value::Null => Ok(None),
        Value::String(source) => Ok(Some(source.clone())),
        Value::Array(named) => {
            let named =
                named.iter().filter_map(|entry| Some((entry["name"].as_str()?, entry["template"].as_str()?)));
            named_template(&named.collect::<Vec<_>>())
        }
        Value::Object(named) => {
            let named = named.iter().filter_map(|(name, template)| Some((name.as_str(), template.as_str()?)));
            named_template(&named.collect::<Vec<_>>())
        }
        Value::Bool(_) | Value::Number(_) => {
            Err("tokenizer_config.json: \"chat_template\" is neither a text nor a list".to_owned())
        }
    }
}

/// The template named `default`, or the only one.
fn named_template(named: &[(&str, &str)]) -> Result<Option<String>, String> {
    let default = named.iter().find(|(name, _)| *name == "default");
    if let Some((_, source)) = default.or_else(|| named.first().filter(|_| named.len() == 1)) {
        return Ok(Some((*source).to_owned()));
    }
    let names: Vec<&str> = named.iter().map(|(name, _)| *name).collect();
    Err(format!(
        "tokenizer_config.json: none of the chat templates ({}) is named \"default\": put the right one next to it \
         as chat_template.jinja",
        names.join(", ")
    ))
}

fn control_tokens(tokenizer: &Tokenizer) -> Vec<String> {
    let mut tokens: Vec<_> = tokenizer
        .get_added_tokens_decoder()
        .into_iter()
        .filter(|(_, token)| token.special && !token.content.is_empty())
        .map(|(id, token)| (id, token.content))
        .collect();
    tokens.sort_unstable();
    tokens.into_iter().map(|(_, content)| content).collect()
}

#[cfg(test)]
mod tests;
