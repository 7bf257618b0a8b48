//! What an export begins with: something trained, and its base.

use std::path::{Path, PathBuf};

use emotrain_base::{Complaint, limits, verify};
use emotrain_hub::Trained;
use emotrain_model::{Checkpoint, ModelConfig, PeftAdapter};
use emotrain_recipe::{DeviceChoice, Dtype, ModelInit, ModelSection, Recipe};
use emotrain_train::{RunRecord, RunReport};
use serde_json::Value;

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
            _ => Trained::in_folder(place)?,
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
            (None, Trained::Adapter(folder)) => named(folder, base)?,
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
        self.step.as_deref().unwrap_or(self.trained.folder())
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

    /// The recipe, the record and the report of the run, as far as they are there.
    ///
    /// # Errors
    /// A file that is damaged.
    pub(crate) fn records(&self) -> Result<Records, ExportError> {
        let Some(run) = &self.run else { return Ok(Records::default()) };
        let there = |name: &str| Some(run.join(name)).filter(|path| path.exists());
        // The scores are those of the whole training, not of a step of it.
        let report = there(RunReport::FILE).filter(|_| self.step.is_none());
        Ok(Records {
            recipe: Some(recipe(run)?),
            run: there(RunRecord::FILE).map(|path| RunRecord::read(&path)).transpose()?,
            report: report.map(|path| RunReport::read(&path)).transpose()?,
        })
    }

    /// A warning if the base has other weights than the training had.
    ///
    /// # Errors
    /// Weights that cannot be read.
    pub fn other_weights(&self, base: &Checkpoint) -> Result<Option<String>, ExportError> {
        let trained = self.records()?.run.and_then(|run| run.model.sha256);
        let (Some(expected), Trained::Adapter(_)) = (trained, &self.trained) else { return Ok(None) };
        let found = base.sha256()?;
        Ok((found != expected).then(|| {
            let path = base.path().display();
            format!("{path}: not the weights that were trained on: sha256 {found}, in training {expected}")
        }))
    }
}

fn recipe(run: &Path) -> Result<Recipe, ExportError> {
    Ok(emotrain_recipe::load(&run.join(RECIPE), &[])?)
}

/// The base that the adapter in `folder` names, or `base` in its place.
///
/// # Errors
/// An `adapter_config.json` that is damaged, or that names no base where `base` is `None`.
pub fn named(folder: &Path, base: Option<&str>) -> Result<ModelSection, ExportError> {
    let path = folder.join(ADAPTER_CONFIG);
    let config = emotrain_base::read_to_string(&path, limits::CONFIG)?;
    let config: Value = serde_json::from_str(&config)
        .map_err(|error| Complaint::input(format!("{}: {error}", path.display())))?;
    let text = |key: &str| config[key].as_str().filter(|text| !text.is_empty());
    let Some(name) = base.or(text("base_model_name_or_path")) else {
        let message = format!("{}: names no base model", path.display());
        return Err(Complaint::input(message).hint("name it with --base").into());
    };
    Ok(model(name, text("revision").unwrap_or("main")))
}

fn model(name: &str, revision: &str) -> ModelSection {
    ModelSection {
        model_name_or_path: name.to_owned(),
        revision: revision.to_owned(),
        init: ModelInit::Pretrained,
        dtype: Dtype::Float32,
        device: DeviceChoice::Cpu,
        num_threads: 0,
    }
}
