//! The adapter that a training starts from, looked at before any weight is loaded.

use std::path::Path;

use emotrain_base::Listener;
use emotrain_hub::Trained;
use emotrain_model::AdapterConfig;
use emotrain_prompt::PromptError;
use emotrain_train::check_init_fits;

use crate::error::PrepareError;
use crate::opened::Opened;

/// Refuses an adapter that does not fit the model or is not what the recipe says, and warns of prompts that differ from
/// those it was trained with.
///
/// # Errors
/// Such an adapter; a contract beside it that is damaged.
pub(crate) fn check(opened: &Opened<'_>, listener: &dyn Listener) -> Result<(), PrepareError> {
    let recipe = opened.recipe;
    let Some(folder) = &recipe.lora.init_from else { return Ok(()) };
    check_init_fits(recipe, &opened.config)?;
    let trained = Trained::Adapter(folder.clone());
    let place = folder.display();
    let (base, named) = (trained.adapter_config()?, opened.base.named().name);
    // A folder may have moved.
    let last = |name: &str| Path::new(name).file_name().map(ToOwned::to_owned);
    let other = base.as_ref().and_then(AdapterConfig::base).filter(|base| last(base.name) != last(named));
    if let Some(other) = other {
        let other = other.name;
        listener
            .warn(&format!("{place}: the adapter of lora.init_from was trained on {other}, not on {named}"));
    }
    let before = trained.adapter_config()?.map(|config| config.lora_dropout());
    let now = recipe.lora.lora_dropout;
    if let Some(before) = before.filter(|before| before.total_cmp(&now).is_ne()) {
        listener.say(&format!(
            "the adapter of lora.init_from had lora_dropout = {before}; this training has {now}"
        ));
    }
    let (Some(then), Some(now)) = (trained.contract()?, opened.contract()?) else { return Ok(()) };
    match then.check(&now) {
        Ok(()) => Ok(()),
        Err(PromptError::ContractMismatch(differences)) => {
            let listed = differences.join("; ");
            listener.warn(&format!(
                "{place}: the adapter of lora.init_from was trained with another prompt: {listed}\n  hint: that is learned \
                 anew; with the same prompt the training starts from what the adapter knows"
            ));
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}
