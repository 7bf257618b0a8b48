//! What a training leaves, and how it is used again.

use std::path::{Path, PathBuf};

use emotrain_base::{Complaint, Listener, MANIFEST, limits, verify};
use emotrain_model::{AdapterConfig, CausalLm, PeftAdapter, is_gguf};
use emotrain_prompt::PromptContract;
use emotrain_recipe::{ModelInit, ModelSection, run_of_recipe};

use crate::error::HubError;

const ADAPTER: &str = "adapter";
const MODEL: &str = "model";
const ADAPTER_CONFIG: &str = "adapter_config.json";
const CONFIG: &str = "config.json";

/// Something that was trained, on disk: a folder, or a GGUF file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trained {
    /// An adapter for the recipe's base model.
    Adapter(PathBuf),
    /// A model of its own.
    Model(PathBuf),
}

impl Trained {
    /// The file of a whole model that is exported for llama.cpp.
    pub const GGUF: &str = "model.gguf";
    /// The file of an adapter that is exported for llama.cpp.
    pub const GGUF_ADAPTER: &str = "adapter.gguf";
    /// The file next to it that describes its prompts.
    pub const CONTRACT: &str = "prompt_contract.json";

    /// What the training of a run has left in its folder.
    ///
    /// # Errors
    /// A folder that holds nothing trained, or a file in it that is not as it was written.
    pub fn of_run(run: &Path) -> Result<Self, HubError> {
        if !run.is_dir() {
            return Err(
                no_folder(run, "name the run directory of a training; paths are relative to here").into()
            );
        }
        let places = [run.join(ADAPTER), run.join(MODEL)];
        // A training may have been killed while it put a better result in the place of this one.
        places.iter().try_for_each(|folder| emotrain_base::recover(folder))?;
        let found = places.into_iter().find_map(|folder| Self::at(&folder).transpose()).transpose()?;
        let complaint = || {
            let message = format!("{}: holds nothing trained", run.display());
            Complaint::input(message)
                .hint("name the run directory of a training that has come to an evaluation")
        };
        found.ok_or_else(complaint)?.checked()
    }

    /// What a folder holds, or a GGUF file.
    ///
    /// # Errors
    /// A place that holds neither an adapter nor a model, or a file in it that is not as it was written.
    pub fn find(place: &Path) -> Result<Self, HubError> {
        if !place.exists() {
            let hint =
                "name a folder with an adapter or a model, or a .gguf file; paths are relative to here";
            return Err(no_folder(place, hint).into());
        }
        if let Some(found) = Self::at(place)? {
            return found.checked();
        }
        if place.is_file() {
            return Err(no_folder(place, "name the folder that the file is in").into());
        }
        let (gguf, adapter) = (Self::GGUF, Self::GGUF_ADAPTER);
        let message =
            format!("{}: holds neither {ADAPTER_CONFIG}, {CONFIG}, {adapter} nor {gguf}", place.display());
        let is_run = [ADAPTER, MODEL].iter().any(|name| matches!(Self::at(&place.join(name)), Ok(Some(_))));
        let run = "that is a run directory: name it with --run";
        let within = Self::within(place);
        let hint = match &within[..] {
            _ if is_run => run.to_owned(),
            [] => "name a folder in PEFT's format, or a .gguf file".to_owned(),
            [one] => format!("name the folder in it: {one}"),
            several => format!("name one of the folders in it: {}", several.join(", ")),
        };
        Err(Complaint::input(message).hint(hint).into())
    }

    /// The folders within a folder that hold something trained, sorted.
    fn within(place: &Path) -> Vec<String> {
        let entries = fs_err::read_dir(place).into_iter().flatten().filter_map(Result::ok);
        let holds = |folder: &PathBuf| matches!(Self::at(folder), Ok(Some(_)));
        let folders = entries.map(|entry| entry.path()).filter(|path| path.is_dir() && holds(path));
        let mut names: Vec<String> = folders.map(|folder| folder.display().to_string()).collect();
        names.sort();
        names
    }

    /// Our own files have a manifest, which shows whether they are unchanged; others' have none.
    fn checked(self) -> Result<Self, HubError> {
        if self.folder().join(MANIFEST).exists() {
            verify(self.folder())?;
        }
        Ok(self)
    }

    fn at(place: &Path) -> Result<Option<Self>, HubError> {
        if is_gguf(place) {
            let kind = if PeftAdapter::is_in(place)? { Self::Adapter } else { Self::Model };
            return Ok(Some(kind(place.to_path_buf())));
        }
        // A dangling link is reported when it is read.
        let has = |name: &str| place.join(name).symlink_metadata().is_ok();
        Ok(if has(ADAPTER_CONFIG) {
            Some(Self::Adapter(place.to_path_buf()))
        } else if has(CONFIG) {
            Some(Self::Model(place.to_path_buf()))
        } else if has(Self::GGUF_ADAPTER) {
            Some(Self::Adapter(place.join(Self::GGUF_ADAPTER)))
        } else {
            has(Self::GGUF).then(|| Self::Model(place.join(Self::GGUF)))
        })
    }

    /// Its folder, or its GGUF file.
    pub fn place(&self) -> &Path {
        match self {
            Self::Adapter(place) | Self::Model(place) => place,
        }
    }

    /// Its folder; of a GGUF file, the one that it is in.
    pub fn folder(&self) -> &Path {
        let place = self.place();
        if !is_gguf(place) {
            return place;
        }
        place.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }

    /// What PEFT's configuration says of an adapter; a GGUF file has none.
    ///
    /// # Errors
    /// A file that is missing or damaged, or an adapter that is not supported.
    pub fn adapter_config(&self) -> Result<Option<AdapterConfig>, HubError> {
        match self {
            Self::Adapter(place) if !is_gguf(place) => {
                Ok(Some(AdapterConfig::read(&place.join(ADAPTER_CONFIG))?))
            }
            Self::Adapter(_) | Self::Model(_) => Ok(None),
        }
    }

    /// The section with a fully trained model in the place of the base.
    pub fn settle(&self, section: &mut ModelSection) {
        if let Self::Model(place) = self {
            section.model_name_or_path = place.display().to_string();
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
        let Self::Adapter(place) = self else { return Ok(()) };
        let what = || "the adapter".to_owned();
        model.load_adapter(place).map_err(|source| HubError::Load { what: what(), source })?;
        let config = self.adapter_config()?;
        let (trained, name) = (config.as_ref().and_then(AdapterConfig::base), &section.model_name_or_path);
        if let Some(trained) = trained.map(|base| base.name).filter(|trained| trained != name) {
            listener
                .warn(&format!("the adapter was trained on {trained}, the recipe's base model is {name}"));
        }
        Ok(())
    }
}

/// What is wrong with a place that is no folder; a recipe is taken for its run.
fn no_folder(place: &Path, hint: &str) -> Complaint {
    let name = place.display();
    if let Some(run) = run_of_recipe(place) {
        let complaint = Complaint::input(format!("{name}: is a recipe, not what was trained"));
        return complaint.hint(format!("name the folder of its run: {}", run.display()));
    }
    let what = if place.exists() { "neither a folder nor a .gguf file" } else { "no such folder" };
    Complaint::input(format!("{name}: {what}")).hint(hint)
}
