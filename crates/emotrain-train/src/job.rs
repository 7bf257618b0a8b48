//! What a training is given beside its model and data.

use std::sync::atomic::AtomicBool;

use emotrain_model::BaseModel;
use emotrain_recipe::Recipe;

use crate::run_dir::RunDir;

/// A run: what to do, where, and what the outside world lends it.
pub struct Job<'a> {
    /// The resolved recipe.
    pub recipe: &'a Recipe,
    /// The run's folder.
    pub run: &'a RunDir,
    /// The base model, for `adapter_config.json`.
    pub base: BaseModel<'a>,
    /// Files, by name, that are saved with whatever was trained: all that is needed to use it.
    pub companions: &'a [(String, String)],
    /// Set from outside to stop at the next step boundary.
    pub stop: &'a AtomicBool,
    /// Set from outside to save at the next step boundary and go on; taken back when that is done.
    pub save: &'a AtomicBool,
    /// Seconds since 1970.
    pub clock: &'a dyn Fn() -> f64,
    /// Number of labels, for the metrics of a validation by questions.
    pub labels: usize,
}
