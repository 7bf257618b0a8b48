//! The files that a model needs beside its weights.

use std::path::Path;

use emotrain_base::{Listener, write_atomic};
use emotrain_hub::{Base, HubError};
use emotrain_prompt::{PromptError, TokenizerFiles};

use crate::error::ExportError;

/// The base's tokenizer; a base without one is reported.
pub(crate) fn tokenizer(base: &Base, listener: &dyn Listener) -> Result<Option<TokenizerFiles>, ExportError> {
    match base.tokenizer() {
        Err(HubError::Prompt(PromptError::NoTokenizer(origin))) => {
            listener.warn(&format!("{origin}: has no tokenizer, so what is exported has none"));
            Ok(None)
        }
        files => Ok(Some(files?)),
    }
}

/// Writes the tokenizer's files and the generation settings of the base into `folder`.
pub(crate) fn write_companions(
    base: &Base,
    folder: &Path,
    listener: &dyn Listener,
) -> Result<(), ExportError> {
    let Some(files) = tokenizer(base, listener)? else { return Ok(()) };
    let TokenizerFiles { tokenizer_json, tokenizer_config_json, chat_template, .. } = files.clone();
    let TokenizerFiles { special_tokens_map_json, added_tokens_json, .. } = files;
    let files = [
        ("tokenizer.json", Some(tokenizer_json)),
        ("tokenizer_config.json", tokenizer_config_json),
        ("special_tokens_map.json", special_tokens_map_json),
        ("added_tokens.json", added_tokens_json),
        ("chat_template.jinja", chat_template),
        ("generation_config.json", base.generation_config()?),
    ];
    for (name, text) in files {
        if let Some(text) = text {
            write_atomic(&folder.join(name), text.as_bytes())?;
        }
    }
    Ok(())
}
