//! The settings and surroundings of a training run.

use std::sync::atomic::AtomicBool;

use emotrain_model::BaseModel;
use emotrain_recipe::Recipe;
use emotrain_runs::RunDir;

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
    /// Set by the caller to stop at the next step boundary.
    pub stop: &'a AtomicBool,
    /// Set by the caller to save at the next step boundary and continue; reset when that is done.
    pub save: &'a AtomicBool,
    /// Seconds since 1970.
    pub clock: &'a dyn Fn() -> f64,
    /// Number of labels, for classification metrics.
    pub labels: usize,
}
