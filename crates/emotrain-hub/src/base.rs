//! The base model of a recipe: where it is, what it is, and its weights when they are needed.

use std::path::{Path, PathBuf};

use emotrain_base::{Complaint, Damage, limits, verify};
use emotrain_model::device::OpenDevice;
use emotrain_model::{BaseModel, CausalLm, Checkpoint, ModelDescription, Storage};
use emotrain_prompt::{PromptError, TokenizerFiles};
use emotrain_recipe::{AttnImplementation, ModelInit, ModelSection, QuantizationSection, StandIn};

use crate::error::HubError;
use crate::hub::{Hub, Wanted};

const GENERATION_CONFIG: &str = "generation_config.json";

/// A base model that has been found but not loaded: a folder, a GGUF file or a repository of the hub.
#[derive(Debug)]
pub struct Base {
    name: String,
    /// A folder or a GGUF file.
    path: PathBuf,
    /// Where it came from, if not from the disk.
    hub: Option<Revision>,
    init: ModelInit,
    attention: AttnImplementation,
}

#[derive(Debug)]
struct Revision {
    asked: String,
    commit: String,
}

impl Base {
    /// Finds the model on disk or on the hub, from which it fetches configuration and tokenizer.
    ///
    /// # Errors
    /// When there is no such model.
    pub fn find(section: &ModelSection, hub: Hub<'_>) -> Result<Self, HubError> {
        let name = section.model_name_or_path.clone();
        let (path, revision) = if Path::new(&name).exists() {
            (PathBuf::from(&name), None)
        } else {
            let folder = hub.folder(&name, &section.revision, Wanted::Texts)?;
            let commit = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            (folder, Some(Revision { asked: section.revision.clone(), commit }))
        };
        Ok(Self { name, path, hub: revision, init: section.init, attention: section.attn_implementation })
    }

    /// As adapters name it.
    pub fn named(&self) -> BaseModel<'_> {
        BaseModel { name: &self.name, revision: self.commit() }
    }

    /// The exact version, of a model from the hub.
    pub fn commit(&self) -> Option<&str> {
        self.hub.as_ref().map(|revision| revision.commit.as_str())
    }

    /// The tokenizer's files: the folder's, or what a GGUF file says.
    ///
    /// # Errors
    /// A folder or file without a tokenizer, or with one of an unknown kind.
    pub fn tokenizer(&self) -> Result<TokenizerFiles, HubError> {
        if self.path.join("tokenizer.json").exists() || self.path.join("config.json").exists() {
            return Ok(TokenizerFiles::from_folder(&self.path)?);
        }
        let origin = self.path.display().to_string();
        match Checkpoint::open(&self.path)?.tokenizer_files()? {
            None => Err(PromptError::NoTokenizer(origin).into()),
            Some(source) => Ok(TokenizerFiles {
                tokenizer_json: source.tokenizer_json,
                tokenizer_config_json: Some(source.tokenizer_config_json),
                special_tokens_map_json: None,
                added_tokens_json: None,
                chat_template: source.chat_template,
                origin,
            }),
        }
    }

    /// The text of `generation_config.json`, which is kept with a model that is trained from this one.
    ///
    /// # Errors
    /// Something else in the file's place, or a file that cannot be read.
    pub fn generation_config(&self) -> Result<Option<String>, HubError> {
        let path = self.path.join(GENERATION_CONFIG);
        if let Some(stand_in) = StandIn::at(&path) {
            let message = format!("{}: {}", path.display(), stand_in.message());
            return Err(Complaint::input(message).hint(stand_in.hint()).into());
        }
        if path.exists() { Ok(Some(emotrain_base::read_to_string(&path, limits::CONFIG)?)) } else { Ok(None) }
    }

    /// The tokens that end an answer, as `generation_config.json` names them; none where there is no such file.
    ///
    /// # Errors
    /// A file that is not what transformers writes.
    pub fn stop_tokens(&self) -> Result<Vec<u32>, HubError> {
        let Some(text) = self.generation_config()? else { return Ok(Vec::new()) };
        let path = self.path.join(GENERATION_CONFIG);
        let wrong = || {
            Complaint::input(format!(
                "{}: \"eos_token_id\" is neither a token id nor a list of them",
                path.display()
            ))
        };
        let config: serde_json::Value = serde_json::from_str(&text).map_err(|error| {
            let message = format!("{}: not valid JSON: {error}", path.display());
            Complaint::input(message).hint("download the file again, or remove it")
        })?;
        let ids = match config.get("eos_token_id") {
            None | Some(serde_json::Value::Null) => return Ok(Vec::new()),
            Some(serde_json::Value::Array(ids)) => ids.clone(),
            Some(id) => vec![id.clone()],
        };
        let id = |id: &serde_json::Value| id.as_u64().and_then(|id| u32::try_from(id).ok()).ok_or_else(wrong);
        Ok(ids.iter().map(id).collect::<Result<_, _>>()?)
    }

    /// The model's shape, and what else its files say of it.
    ///
    /// # Errors
    /// A configuration that is missing or not supported.
    pub fn description(&self) -> Result<ModelDescription, HubError> {
        let path = self.path.join("config.json");
        if path.symlink_metadata().is_ok() {
            return Ok(ModelDescription::read(&path)?);
        }
        Ok(Checkpoint::open(&self.path)?.description().clone())
    }

    /// Looks whether the weights on disk are whole, without reading them. Those of a hub are not looked at.
    ///
    /// # Errors
    /// A file that is missing or damaged, or tensors that are.
    pub fn check_weights(&self) -> Result<(), HubError> {
        if self.init == ModelInit::Pretrained && self.hub.is_none() {
            Checkpoint::open(&self.path)?;
        }
        Ok(())
    }

    /// Opens the weights, without reading them. Fetches what is still missing.
    ///
    /// # Errors
    /// A file that cannot be fetched, is missing or damaged.
    pub fn checkpoint(&self, hub: Hub<'_>) -> Result<Checkpoint, HubError> {
        let path = match &self.hub {
            None => self.path.clone(),
            Some(revision) => hub.folder(&self.name, &revision.asked, Wanted::Everything)?,
        };
        // A model that emotrain has trained; the manifest of another program says nothing to us.
        match verify(&path) {
            Err(damaged) if !matches!(damaged.damage, Damage::NoManifest | Damage::BadManifest(_)) => {
                return Err(damaged.into());
            }
            _ => {}
        }
        Ok(Checkpoint::open(&path)?)
    }

    /// Loads the weights, with the files they came from, or draws them. Fetches what is still missing.
    ///
    /// # Errors
    /// A file that cannot be fetched, is missing or damaged; a form of the weights that the device does not have.
    pub fn load(
        &self,
        hub: Hub<'_>,
        seed: u64,
        on: &OpenDevice,
        quantization: &QuantizationSection,
    ) -> Result<(CausalLm, Option<Checkpoint>), HubError> {
        let storage = Storage::new(on, quantization)?;
        if self.init == ModelInit::Random {
            let description = self.description()?;
            let model = CausalLm::random(&description.config, &on.device, storage, seed);
            return Ok((model.described_by(&description).attending(self.attention), None));
        }
        let checkpoint = self.checkpoint(hub)?;
        let model = CausalLm::load(&checkpoint, &on.device, storage)
            .map_err(|source| HubError::Load { what: self.name.clone(), source })?;
        Ok((model.attending(self.attention), Some(checkpoint)))
    }
}
