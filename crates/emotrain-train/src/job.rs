//! The settings and surroundings of a training run.

use std::sync::atomic::AtomicUsize;

use emotrain_model::BaseModel;
use emotrain_prompt::Sample;
use emotrain_recipe::Recipe;
use emotrain_runs::RunDir;

use crate::sample_schedule::SampleSchedule;
use crate::validate::Validation;

/// A run: its recipe, its folder, and what the caller provides.
pub struct Job<'a> {
    /// The resolved recipe.
    pub recipe: &'a Recipe,
    /// The run's folder.
    pub run: &'a RunDir,
    /// The base model, for `adapter_config.json`.
    pub base: BaseModel<'a>,
    /// Files, by name, that are saved with the trained weights: all that is needed to use them.
    pub companions: &'a [(String, String)],
    /// Whether to stop at the next step boundary.
    pub stop: &'a dyn Fn() -> bool,
    /// How often the caller has asked to save: at the next step boundary, and to continue.
    pub saves: &'a AtomicUsize,
    /// Seconds since 1970.
    pub clock: &'a dyn Fn() -> f64,
    /// Number of labels, for classification metrics.
    pub labels: usize,
}

/// What to train and validate on.
#[derive(Clone, Copy)]
pub struct TrainData<'a> {
    /// Encoded samples; the tokens from `prompt_len` on are supervised.
    pub train: &'a [Sample],
    /// The weight of each, if they are not all 1.
    pub weights: Option<&'a [f32]>,
    /// The samples of each epoch.
    pub schedule: &'a SampleSchedule,
    /// What to validate on.
    pub valid: Option<&'a Validation>,
}
