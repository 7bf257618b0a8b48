//! Scores before and after a training, and how it ended.

use emotrain_base::{Complaint, limits};
use emotrain_eval::write_predictions;
use emotrain_model::CausalLm;
use emotrain_recipe::Recipe;
use emotrain_train::{End, EvalContext, EvalResult, EvalSet, Outcome, RunDir, TrainError, comparison};
use serde_json::{Value, json};

use super::record::FORMAT_VERSION;
use crate::printer::{Printer, duration};

/// The untrained model's scores in the folder of a run.
pub(crate) const BASELINE: &str = "baseline.json";

/// The untrained model's scores, measured once in the life of a run.
pub(crate) fn baseline(
    model: &CausalLm,
    sets: &[EvalSet],
    (run, resume): (&RunDir, bool),
    terms: EvalContext,
) -> anyhow::Result<Vec<EvalResult>> {
    if !terms.section.baseline || sets.is_empty() {
        return Ok(Vec::new());
    }
    let path = run.path().join(BASELINE);
    if resume && path.exists() {
        let text = emotrain_base::read_to_string(&path, limits::CONFIG)?;
        return serde_json::from_str(&text)
            .map_err(|error| Complaint::input(format!("{}: {error}", path.display())).into());
    }
    terms.listener.say("measuring the untrained model");
    let measures: Vec<EvalResult> =
        sets.iter().map(|set| Ok(set.hold(model, terms)?.0)).collect::<Result<_, TrainError>>()?;
    run.write_json(BASELINE, &json!(measures))?;
    Ok(measures)
}

/// Measures the trained model, prints the comparison, and keeps scores and predictions.
pub(crate) fn report(
    model: &CausalLm,
    sets: &[EvalSet],
    (run, before): (&RunDir, &[EvalResult]),
    (terms, printer): (EvalContext, &Printer),
) -> anyhow::Result<()> {
    let mut after = Vec::new();
    for (number, set) in sets.iter().enumerate() {
        let (measure, predictions) = set.hold(model, terms)?;
        if !predictions.is_empty() {
            let file = format!("predictions.{}.jsonl", measure.split);
            write_predictions(&run.path().join(file), &predictions)?;
        }
        let earlier = before.iter().find(|before| before.split == measure.split);
        let gap = if number > 0 { "\n" } else { "" };
        printer.result(format_args!("{gap}{}", comparison(earlier, &measure)?))?;
        after.push(measure);
    }
    let version = FORMAT_VERSION;
    Ok(run
        .write_json("report.json", &json!({ "format_version": version, "before": before, "after": after }))?)
}

pub(crate) fn ending(outcome: &Outcome) -> Value {
    let end = match outcome.end {
        End::Completed => "completed",
        End::EarlyStopped => "stopped early",
        End::Interrupted => "interrupted",
    };
    let state = &outcome.state;
    let best = state.best.map(|(step, value)| json!({ "step": step, "value": value }));
    json!({ "end": end, "steps": state.step, "tokens": state.tokens, "seconds": state.seconds, "best": best })
}

pub(crate) fn what_is_there(recipe: &Recipe, outcome: &Outcome) -> String {
    let state = &outcome.state;
    let early = if outcome.end == End::EarlyStopped { ", stopped early" } else { "" };
    let chosen = match state.best.filter(|_| recipe.eval.load_best_model_at_end) {
        Some((step, _)) => format!("step {step}, the best of {}", state.step),
        None => format!("step {}", state.step),
    };
    format!("the result of {chosen}{early}, trained in {}", duration(state.seconds))
}
