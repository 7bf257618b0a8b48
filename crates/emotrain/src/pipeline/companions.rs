//! What is kept beside whatever is trained, so that it can be used.

use anyhow::Context;
use emotrain_hub::Trained;
use emotrain_prompt::TokenizerFiles;
use emotrain_recipe::TrainMethod;

use super::Prepared;

/// The prompt contract, and for a model of its own
/// the tokenizer. Files by name.
///
/// # Errors
/// A template or tokenizer that fails on the contract's example.
pub(super) fn companions(prepared: &Prepared) -> anyhow::Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    if let Some(contract) = prepared.contract()? {
        let contract = serde_json::to_value(contract).context("the prompt contract has no JSON form")?;
        files.push((Trained::CONTRACT, format!("{contract:#}\n")));
    }
    if prepared.recipe.train.method == TrainMethod::Full {
        let tokenizer = prepared.tokenizer.clone();
        let TokenizerFiles { tokenizer_json, tokenizer_config_json, chat_template, .. } = tokenizer;
        files.push(("tokenizer.json", tokenizer_json));
        files.extend(tokenizer_config_json.map(|text| ("tokenizer_config.json", text)));
        files.extend(tokenizer.special_tokens_map_json.map(|text| ("special_tokens_map.json", text)));
        files.extend(tokenizer.added_tokens_json.map(|text| ("added_tokens.json", text)));
        files.extend(chat_template.map(|text| ("chat_template.jinja", text)));
        files.extend(prepared.base.generation_config()?.map(|text| ("generation_config.json", text)));
    }
    Ok(files.into_iter().map(|(name, text)| (name.to_owned(), text)).collect())
}
