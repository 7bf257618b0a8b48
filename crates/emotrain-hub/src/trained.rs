//! What a training leaves, and how it is used again.

use std::path::{Path, PathBuf};

use emotrain_base::{Complaint, Listener, MANIFEST, limits, verify};
use emotrain_model::CausalLm;
use emotrain_prompt::PromptContract;
use emotrain_recipe::{ModelInit, ModelSection};
use serde_json::Value;

use crate::error::HubError;

const ADAPTER: &str = "adapter";
const MODEL: &str = "model";
const ADAPTER_CONFIG: &str = "adapter_config.json";
const CONFIG: &str = "config.json";

/// Something that was trained, on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trained {
    /// An adapter for the recipe's base model.
    Adapter(PathBuf),
    /// A model of its own.
    Model(PathBuf),
}

impl Trained {
    /// The file next to it that describes its prompts.
    pub const CONTRACT: &str = "prompt_contract.json";

    /// What the training of a run has left in its folder.
    ///
    /// # Errors
    /// A folder that holds nothing trained, or a file in it that is not as it was written.
    pub fn of_run(run: &Path) -> Result<Self, HubError> {
        let places = [run.join(ADAPTER), run.join(MODEL)];
        // A training may have been killed while it put a better result in the place of this one.
        places.iter().try_for_each(|folder| emotrain_base::recover(folder))?;
        let found = places.into_iter().find_map(|folder| Self::at(&folder));
        let complaint = || {
            let message = format!("{}: holds nothing trained", run.display());
            Complaint::input(message)
                .hint("name the run directory of a training that has come to an evaluation")
        };
        found.ok_or_else(complaint)?.checked()
    }

    /// What a folder holds.
    ///
    /// # Errors
    /// A folder that holds neither an adapter nor a model, or a file in it that is not as it was written.
    pub fn in_folder(folder: &Path) -> Result<Self, HubError> {
        if !folder.exists() {
            let complaint = Complaint::input(format!("{}: no such folder", folder.display()));
            return Err(complaint
                .hint("name a folder with an adapter or a model; paths are relative to here")
                .into());
        }
        let complaint = || {
            let message = format!("{}: holds neither {ADAPTER_CONFIG} nor {CONFIG}", folder.display());
            let is_run = Self::at(&folder.join(ADAPTER)).or_else(|| Self::at(&folder.join(MODEL))).is_some();
            let run = "that is a run directory: name it with --run";
            Complaint::input(message).hint(if is_run { run } else { "name a folder in PEFT's format" })
        };
        Self::at(folder).ok_or_else(complaint)?.checked()
    }

    /// Our own files have a manifest, which shows whether they are unchanged; others' have none.
    fn checked(self) -> Result<Self, HubError> {
        if self.folder().join(MANIFEST).exists() {
            verify(self.folder())?;
        }
        Ok(self)
    }

    fn at(folder: &Path) -> Option<Self> {
        // A dangling link is reported when it is read.
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
    pub fn folder(&self) -> &Path {
        match self {
            Self::Adapter(folder) | Self::Model(folder) => folder,
        }
    }

    /// The section with a fully trained model in the place of the base.
    pub fn settle(&self, section: &mut ModelSection) {
        if let Self::Model(folder) = self {
            section.model_name_or_path = folder.display().to_string();
            section.init = ModelInit::Pretrained;
        }
    }

    /// The prompts of the training, if a file says what they were.
    ///
    /// # Errors
    /// A contract that is damaged.
    pub fn contract(&self) -> Result<Option<PromptContract>, HubError> {
        let path = self.folder().join(Self::CONTRACT);
        if !path.exists() {
            return Ok(None);
        }
        let text = emotrain_base::read_to_string(&path, limits::CONFIG)?;
        let contract = serde_json::from_str(&text)
            .map_err(|error| Complaint::input(format!("{}: {error}", path.display())))?;
        Ok(Some(contract))
    }

    /// Refuses prompts that differ from those of the training.
    ///
    /// # Errors
    /// A contract that is damaged or does not fit.
    pub fn check_contract(&self, present: &PromptContract, listener: &dyn Listener) -> Result<(), HubError> {
        let Some(contract) = self.contract()? else {
            listener.warn(&format!(
                "{}: not there, so prompts may differ from those of the training",
                self.folder().join(Self::CONTRACT).display()
            ));
            return Ok(());
        };
        Ok(contract.check(present)?)
    }

    /// Puts an adapter into its base model.
    ///
    /// # Errors
    /// An adapter that is damaged or for another model.
    pub fn attach(
        &self,
        model: &mut CausalLm,
        section: &ModelSection,
        listener: &dyn Listener,
    ) -> Result<(), HubError> {
        let Self::Adapter(folder) = self else { return Ok(()) };
        let what = || "the adapter".to_owned();
        model.load_adapter(folder).map_err(|source| HubError::Load { what: what(), source })?;
        let config = emotrain_base::read_to_string(&folder.join(ADAPTER_CONFIG), limits::CONFIG)?;
        let config: Value = serde_json::from_str(&config).unwrap_or_default();
        let (trained, name) = (config["base_model_name_or_path"].as_str(), &section.model_name_or_path);
        if let Some(trained) = trained.filter(|trained| trained != name) {
            listener
                .warn(&format!("the adapter was trained on {trained}, the recipe's base model is {name}"));
        }
        Ok(())
    }
}
