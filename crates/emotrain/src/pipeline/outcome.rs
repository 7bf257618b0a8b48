//! What came of a training, for people and for `report.json`.

use std::path::Path;

use emotrain_eval::write_predictions;
use emotrain_model::CausalLm;
use emotrain_recipe::Recipe;
use emotrain_runs::{EvalResult, RunDir, RunReport};
use emotrain_train::{End, EvalContext, EvalSet, Outcome, comparison};

use crate::printer::{Printer, duration};

/// What a trained model is evaluated on and compared with.
pub(crate) struct FinalEvaluation<'a> {
    pub(crate) sets: &'a [EvalSet],
    /// The scores of what it started from.
    pub(crate) before: Vec<EvalResult>,
    /// The adapter that this was, if it was not the base alone.
    pub(crate) init_from: Option<&'a Path>,
    pub(crate) context: EvalContext<'a>,
    pub(crate) printer: &'a Printer,
}

impl FinalEvaluation<'_> {
    /// Measures the trained model, prints the comparison, and keeps scores and predictions in the folder of the run.
    /// Returns the scores.
    ///
    /// # Errors
    /// A score that is not finite; files that cannot be written.
    pub(crate) fn report(self, model: &CausalLm, run: &RunDir) -> anyhow::Result<RunReport> {
        let mut after = Vec::new();
        run.check_held()?;
        for (number, set) in self.sets.iter().enumerate() {
            let (measure, predictions) = set.hold(model, self.context)?;
            if !predictions.is_empty() {
                let file = format!("predictions.{}.jsonl", measure.split);
                write_predictions(&run.path().join(file), &predictions)?;
            }
            let earlier = self.before.iter().find(|before| before.split == measure.split);
            let gap = if number > 0 { "\n" } else { "" };
            self.printer.result(format_args!("{gap}{}", comparison(earlier, &measure)?))?;
            after.push(measure);
        }
        if let Some(folder) = self.init_from.filter(|_| !self.before.is_empty()) {
            self.printer
                .result(format_args!("before: the adapter of lora.init_from, {}", folder.display()))?;
        }
        let report = RunReport::new(self.before, after);
        report.write(run)?;
        Ok(report)
    }
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
