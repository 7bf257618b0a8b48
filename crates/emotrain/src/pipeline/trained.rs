//! What a training leaves, and how it is used again.

use std::path::{Path, PathBuf};

use anyhow::Context;
use emotrain_base::{MANIFEST, limits, verify};
use emotrain_model::CausalLm;
use emotrain_prompt::{PromptContract, TokenizerFiles};
use emotrain_recipe::{ModelInit, Recipe, TrainMethod};
use serde_json::Value;

use super::Prepared;
use crate::cli::TrainedArgs;
use crate::exit::Complaint;
use crate::printer::Printer;

const ADAPTER: &str = "adapter";
const MODEL: &str = "model";
const ADAPTER_CONFIG: &str = "adapter_config.json";
const CONFIG: &str = "config.json";
const CONTRACT: &str = "prompt_contract.json";

/// Something that was trained, on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trained {
    /// An adapter for the recipe's base model.
    Adapter(PathBuf),
    /// A model of its own.
    Model(PathBuf),
}

impl Trained {
    /// What the command line names, if it names anything.
    ///
    /// # Errors
    /// A folder that holds neither an adapter nor a model, or a file in it that is not as it was written.
    pub(crate) fn find(args: &TrainedArgs) -> anyhow::Result<Option<Self>> {
        if let Some(run) = &args.run {
            let places = [run.join(ADAPTER), run.join(MODEL)];
            // A training may have been killed while it put a better result in the place of this one.
            places.iter().try_for_each(|folder| emotrain_base::recover(folder))?;
            let found = places.into_iter().find_map(|folder| Self::at(&folder));
            let complaint = || {
                let message = format!("{}: holds nothing trained", run.display());
                Complaint::input(message)
                    .hint("name the run directory of a training that has come to an evaluation")
            };
            return found.ok_or_else(complaint)?.checked().map(Some);
        }
        let Some(folder) = &args.adapter else { return Ok(None) };
        let complaint = || {
            let message = format!("{}: holds neither {ADAPTER_CONFIG} nor {CONFIG}", folder.display());
            let is_run = Self::at(&folder.join(ADAPTER)).or_else(|| Self::at(&folder.join(MODEL))).is_some();
            let run = "that is a run directory: name it with --run";
            Complaint::input(message).hint(if is_run { run } else { "name a folder in PEFT's format" })
        };
        Self::at(folder).ok_or_else(complaint)?.checked().map(Some)
    }

    /// What we have written has a manifest, which tells whether it is as it was written; what others have has none.
    fn checked(self) -> anyhow::Result<Self> {
        if self.folder().join(MANIFEST).exists() {
            verify(self.folder())?;
        }
        Ok(self)
    }

    fn at(folder: &Path) -> Option<Self> {
        // A link that leads nowhere is told of when it is read.
        let has = |name: &str| folder.join(name).symlink_metadata().is_ok();
        if has(ADAPTER_CONFIG) {
            Some(Self::Adapter(folder.to_path_buf()))
        } else if has(CONFIG) {
            Some(Self::Model(folder.to_path_buf()))
        } else {
            None
        }
    }

    /// Its folder.
    pub(crate) fn folder(&self) -> &Path {
        match self {
            Self::Adapter(folder) | Self::Model(folder) => folder,
        }
    }

    /// The recipe with a fully trained model in the place of its base.
    pub(crate) fn settle(&self, recipe: &mut Recipe) {
        if let Self::Model(folder) = self {
            recipe.model.model_name_or_path = folder.display().to_string();
            recipe.model.init = ModelInit::Pretrained;
        }
    }

    /// Refuses prompts that differ from those of the training.
    ///
    /// # Errors
    /// A contract that is damaged or does not fit.
    pub(crate) fn check_contract(&self, prepared: &Prepared, printer: &Printer) -> anyhow::Result<()> {
        let Some(present) = prepared.contract()? else { return Ok(()) };
        let path = self.folder().join(CONTRACT);
        if !path.exists() {
            printer.warn(format_args!(
                "{}: not there, so prompts may differ from those of the training",
                path.display()
            ));
            return Ok(());
        }
        let text = emotrain_base::read_to_string(&path, limits::CONFIG)?;
        let contract: PromptContract = serde_json::from_str(&text)
            .map_err(|error| Complaint::input(format!("{}: {error}", path.display())))?;
        Ok(contract.check(&present)?)
    }

    /// Puts an adapter into its base model.
    ///
    /// # Errors
    /// An adapter that is damaged or for another model.
    pub(crate) fn attach(
        &self,
        model: &mut CausalLm,
        recipe: &Recipe,
        printer: &Printer,
    ) -> anyhow::Result<()> {
        let Self::Adapter(folder) = self else { return Ok(()) };
        model.load_adapter(folder).with_context(|| "the adapter cannot be loaded")?;
        let config = emotrain_base::read_to_string(&folder.join(ADAPTER_CONFIG), limits::CONFIG)?;
        let config: Value = serde_json::from_str(&config).unwrap_or_default();
        let (trained, name) = (config["base_model_name_or_path"].as_str(), &recipe.model.model_name_or_path);
        if let Some(trained) = trained.filter(|trained| trained != name) {
            printer.warn(format_args!(
                "the adapter was trained on {trained}, the recipe's base model is {name}"
            ));
        }
        Ok(())
    }
}

/// What is kept beside whatever is trained so that it can be used: the prompt contract, and for a model of its own
/// the tokenizer. Files by name.
///
/// # Errors
/// A template or tokenizer that fails on the contract's example.
pub(crate) fn companions(prepared: &Prepared) -> anyhow::Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    if let Some(contract) = prepared.contract()? {
        let contract = serde_json::to_value(contract).context("the prompt contract has no JSON form")?;
        files.push((CONTRACT, format!("{contract:#}\n")));
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
