//! The scores of what a training starts from.

use emotrain_model::CausalLm;
use emotrain_recipe::Recipe;
use emotrain_runs::{BASELINE, EvalResult, RunDir};
use serde_json::json;

use crate::error::TrainError;
use crate::eval_set::{EvalContext, EvalSet};

/// The scores of what a run starts from, the untrained model or an adapter, measured once in its life and kept in its
/// folder, where a resumed run finds them; none where the recipe does not ask for them.
///
/// # Errors
/// A score that is not finite; a file that is damaged or cannot be written.
pub fn baseline(
    model: &CausalLm,
    sets: &[EvalSet],
    run: &RunDir,
    recipe: &Recipe,
    terms: EvalContext,
) -> Result<Vec<EvalResult>, TrainError> {
    if !terms.section.baseline || sets.is_empty() {
        return Ok(Vec::new());
    }
    let path = run.path().join(BASELINE);
    if recipe.save.resume_from_checkpoint.is_some() && path.exists() {
        return Ok(EvalResult::read_all(&path)?);
    }
    terms.listener.say(match recipe.lora.init_from {
        Some(_) => "measuring the adapter of lora.init_from",
        None => "measuring the untrained model",
    });
    let results: Vec<EvalResult> =
        sets.iter().map(|set| Ok(set.hold(model, terms)?.0)).collect::<Result<_, TrainError>>()?;
    run.write_json(BASELINE, &json!(results))?;
    Ok(results)
}
