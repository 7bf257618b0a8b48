//! What a run writes into its folder, by name.

use std::path::Path;

use emotrain_data::SplitKind;

/// The resolved recipe.
pub(crate) const RECIPE: &str = "recipe.toml";
pub(crate) const RECORD: &str = "run.json";
pub(crate) const REPORT: &str = "report.json";
pub(crate) const METRICS: &str = "metrics.jsonl";
/// The untrained model's scores in the folder of a run.
pub const BASELINE: &str = "baseline.json";
/// The base model's loss on each dialogue, kept in the folder of a run.
pub const LOSSES: &str = "curriculum.json";
/// The folder of an adapter.
pub(crate) const ADAPTER: &str = "adapter";
/// The folder of a fully trained model.
pub(crate) const MODEL: &str = "model";
/// What the folders of saved steps begin with.
pub(crate) const STEP: &str = "step-";

/// The file with the predictions for a split.
pub(crate) fn predictions(split: SplitKind) -> String {
    format!("predictions.{split}.jsonl")
}

/// The step number in a folder's name.
pub fn step_number(step: &Path) -> Option<usize> {
    step.file_name()?.to_str()?.strip_prefix(STEP)?.parse().ok()
}

/// Whether a run writes a file or folder of this name. Its folder may be one that others use too, as the current one.
pub(crate) fn is_own(name: &str) -> bool {
    let names = [RECIPE, RECORD, REPORT, METRICS, BASELINE, LOSSES, ADAPTER, MODEL];
    names.contains(&name)
        || step_number(Path::new(name)).is_some()
        || SplitKind::ALL.iter().any(|split| name == predictions(*split))
}
