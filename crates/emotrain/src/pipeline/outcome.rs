//! What came of a training, for people and for `report.json`.

use emotrain_eval::write_predictions;
use emotrain_model::CausalLm;
use emotrain_recipe::Recipe;
use emotrain_train::{End, EvalContext, EvalResult, EvalSet, Outcome, RunDir, RunReport, comparison};

use crate::printer::{Printer, duration};

/// Measures the trained model, prints the comparison, and keeps scores and predictions.
pub(crate) fn report(
    model: &CausalLm,
    sets: &[EvalSet],
    (run, before): (&RunDir, Vec<EvalResult>),
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
    Ok(RunReport::new(before, after).write(run)?)
}

/// Describes the contents of the result folder.
pub(crate) fn what_is_there(recipe: &Recipe, outcome: &Outcome) -> String {
    let state = &outcome.state;
    let early = if outcome.end == End::EarlyStopped { ", stopped early" } else { "" };
    let chosen = match state.best.filter(|_| recipe.eval.load_best_model_at_end) {
        Some((step, _)) => format!("step {step}, the best of {}", state.step),
        None => format!("step {}", state.step),
    };
    format!("the result of {chosen}{early}, trained in {}", duration(state.seconds))
}
