//! The untrained model's scores.

use emotrain_model::CausalLm;
use emotrain_runs::{BASELINE, EvalResult, RunDir};
use serde_json::json;

use crate::error::TrainError;
use crate::eval_set::{EvalContext, EvalSet};

/// The untrained model's scores, measured once in the life of a run and kept in its folder, where a resumed run
/// finds them; none where the recipe does not ask for them.
///
/// # Errors
/// A score that is not finite; a file that is damaged or cannot be written.
pub fn baseline(
    model: &CausalLm,
    sets: &[EvalSet],
    run: &RunDir,
    resume: bool,
    terms: EvalContext,
) -> Result<Vec<EvalResult>, TrainError> {
    if !terms.section.baseline || sets.is_empty() {
        return Ok(Vec::new());
    }
    let path = run.path().join(BASELINE);
    if resume && path.exists() {
        return Ok(EvalResult::read_all(&path)?);
    }
    terms.listener.say("measuring the untrained model");
    let results: Vec<EvalResult> =
        sets.iter().map(|set| Ok(set.hold(model, terms)?.0)).collect::<Result<_, TrainError>>()?;
    run.write_json(BASELINE, &json!(results))?;
    Ok(results)
}
