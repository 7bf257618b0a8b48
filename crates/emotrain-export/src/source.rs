//! What an export begins with: something trained, and its base.

use std::path::{Path, PathBuf};

use emotrain_base::{Complaint, limits, verify};
use emotrain_hub::{Base, Trained};
use emotrain_model::{AdapterConfig, Checkpoint, ModelConfig, PeftAdapter};
use emotrain_prompt::PromptContract;
use emotrain_recipe::{AttnImplementation, DeviceChoice, Dtype, ModelInit, ModelSection, Recipe};
use emotrain_runs::{RunRecord, RunReport};

use crate::error::ExportError;

const RECIPE: &str = "recipe.toml";
const ADAPTER_CONFIG: &str = "adapter_config.json";
/// The trained parameters of a saved step.
const PARAMETERS: &str = "parameters.safetensors";

/// Something trained.
pub struct Source {
    trained: Trained,
    /// A saved step, whose tensors stand for those of the adapter.
    step: Option<PathBuf>,
    /// The folder of the run, where it came from one.
    run: Option<PathBuf>,
    /// What training began with.
    began_with: String,
    /// Its base; of a model that was trained as a whole, the model itself.
    base: ModelSection,
}

/// What a run has written of itself, as far as it is there.
#[derive(Default)]
pub(crate) struct Records {
    pub(crate) recipe: Option<Recipe>,
    pub(crate) run: Option<RunRecord>,
    pub(crate) report: Option<RunReport>,
}

impl Source {
    /// What `place` holds: a run, a saved step, an adapter or a model. `base` stands in the place of the base that the
    /// run or the adapter names.
    ///
    /// # Errors
    /// A folder that holds nothing trained, or a file in it that is damaged.
    pub fn find(place: &Path, base: Option<&str>) -> Result<Self, ExportError> {
        let is_run = |folder: &Path| folder.join(RECIPE).is_file();
        let is_step = place.join(PARAMETERS).is_file();
        // Beside a recipe are the run's own result and steps; what else is there has nothing to do with it.
        let is_own = is_step || ["adapter", "model"].iter().any(|name| place.ends_with(name));
        let parent = place.parent().filter(|parent| is_own && is_run(parent));
        let run = if is_run(place) { Some(place) } else { parent }.map(Path::to_path_buf);
        let trained = match &run {
            Some(run) if is_step || is_run(place) => Trained::of_run(run)?,
            _ => Trained::find(place)?,
        };
        if is_step {
            if matches!(trained, Trained::Model(_)) {
                let message = format!("{}: a step of a model that is trained as a whole", place.display());
                return Err(Complaint::usage(message).hint("export the run itself").into());
            }
            verify(place)?;
        }
        let mut section = match (&run, &trained) {
            (Some(run), _) => recipe(run)?.model,
            (None, Trained::Adapter(_)) => named(&trained, base)?,
            (None, Trained::Model(folder)) => model(&folder.display().to_string(), "main"),
        };
        match (base, &trained) {
            (Some(base), Trained::Adapter(_)) => section = model(base, "main"),
            (Some(_), Trained::Model(folder)) => {
                let message = format!("--base: {} is a whole model and has no base", folder.display());
                return Err(Complaint::usage(message).into());
            }
            (None, _) => {}
        }
        let began_with = section.model_name_or_path.clone();
        trained.settle(&mut section);
        Ok(Self { trained, step: is_step.then(|| place.to_path_buf()), run, began_with, base: section })
    }

    /// Its base; of a model that was trained as a whole, the model itself.
    pub fn base(&self) -> &ModelSection {
        &self.base
    }

    /// The model that training began with, by name or path.
    pub(crate) fn began_with(&self) -> &str {
        &self.began_with
    }

    /// Where it is.
    pub(crate) fn place(&self) -> &Path {
        self.step.as_deref().unwrap_or(self.trained.place())
    }

    /// The adapter, if it is one.
    ///
    /// # Errors
    /// An adapter that is damaged or for another model.
    pub(crate) fn adapter(&self, model: &ModelConfig) -> Result<Option<PeftAdapter>, ExportError> {
        let Trained::Adapter(folder) = &self.trained else { return Ok(None) };
        Ok(Some(match &self.step {
            Some(step) => PeftAdapter::read(&folder.join(ADAPTER_CONFIG), &step.join(PARAMETERS), "", model)?,
            None => PeftAdapter::open(folder, model)?,
        }))
    }

    /// The prompt contract next to what was trained.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(crate) fn contract(&self) -> Result<Option<String>, ExportError> {
        let path = self.trained.folder().join(Trained::CONTRACT);
        if !path.exists() {
            return Ok(None);
        }
        Ok(Some(emotrain_base::read_to_string(&path, limits::CONFIG)?))
    }

    /// The same, read.
    ///
    /// # Errors
    /// A file that is damaged.
    pub(crate) fn prompt_contract(&self) -> Result<Option<PromptContract>, ExportError> {
        Ok(self.trained.contract()?)
    }

    /// The recipe, the record and the report of the run, as far as they are there.
    ///
    /// # Errors
    /// A file that is damaged.
    pub(crate) fn records(&self) -> Result<Records, ExportError> {
        let Some(run) = &self.run else { return Ok(Records::default()) };
        // The scores are those of the whole training, not of a step of it.
        let report = Some(run.join(RunReport::FILE)).filter(|path| self.step.is_none() && path.exists());
        Ok(Records {
            recipe: Some(recipe(run)?),
            run: record(run)?,
            report: report.map(|path| RunReport::read(&path)).transpose()?,
        })
    }

    /// A warning if the base is not the one of the training.
    ///
    /// # Errors
    /// Weights that cannot be read.
    pub fn other_base(&self, base: &Base, checkpoint: &Checkpoint) -> Result<Option<String>, ExportError> {
        match (&self.run, &self.trained) {
            (Some(run), Trained::Adapter(_)) => other_base(run, base, checkpoint),
            _ => Ok(None),
        }
    }
}

/// A warning if the base of an adapter is not the one that the record of the training names: if it computes otherwise, or has
/// other weights. Reads them once more, for their hash, unless they are of the same commit of a hub.
///
/// # Errors
/// A record that is damaged, weights that cannot be read.
pub fn other_base(run: &Path, base: &Base, checkpoint: &Checkpoint) -> Result<Option<String>, ExportError> {
    let Some(trained) = record(run)?.map(|run| run.model) else { return Ok(None) };
    let path = checkpoint.path().display();
    let config = checkpoint.config().sha256();
    if trained.config_sha256.is_some_and(|trained| trained != config) {
        let what =
            "its configuration computes otherwise than in training, though the weights may be the same";
        return Ok(Some(format!("{path}: {what}: put the config.json of the training there")));
    }
    let same_commit = trained.revision.is_some() && trained.revision.as_deref() == base.commit();
    let Some(expected) = trained.sha256.filter(|_| !same_commit) else { return Ok(None) };
    let found = checkpoint.sha256()?;
    Ok((found != expected).then(|| {
        format!("{path}: not the weights that were trained on: sha256 {found}, in training {expected}")
    }))
}

/// The record of a run, if it has been written.
fn record(run: &Path) -> Result<Option<RunRecord>, ExportError> {
    let path = run.join(RunRecord::FILE);
    Ok(if path.exists() { Some(RunRecord::read(&path)?) } else { None })
}

fn recipe(run: &Path) -> Result<Recipe, ExportError> {
    Ok(emotrain_recipe::load(&run.join(RECIPE), &[])?)
}

/// The base that an adapter names, or `base` in its place.
///
/// # Errors
/// An `adapter_config.json` that is damaged; an adapter that names no base where `base` is `None`.
fn named(adapter: &Trained, base: Option<&str>) -> Result<ModelSection, ExportError> {
    let config = adapter.adapter_config()?;
    let own = config.as_ref().and_then(AdapterConfig::base);
    let Some(name) = base.or(own.map(|own| own.name)) else {
        let message = format!("{}: names no base model", adapter.place().display());
        return Err(Complaint::input(message).hint("name it with --base").into());
    };
    Ok(model(name, own.and_then(|own| own.revision).unwrap_or("main")))
}

fn model(name: &str, revision: &str) -> ModelSection {
    ModelSection {
        model_name_or_path: name.to_owned(),
        revision: revision.to_owned(),
        init: ModelInit::Pretrained,
        dtype: Dtype::Float32,
        device: DeviceChoice::Cpu,
        num_devices: 1,
        attn_implementation: AttnImplementation::Auto,
        num_threads: 0,
    }
}
