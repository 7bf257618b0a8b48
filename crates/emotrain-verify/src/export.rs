//! An export compared with the run that it came from.

use std::path::Path;

use emotrain_base::Complaint;
use emotrain_data::{Label, SplitKind};
use emotrain_eval::{Agreement, LabelRows};
use emotrain_hub::Trained;
use emotrain_model::device;
use emotrain_prepare::Prepared;
use emotrain_train::{EvalContext, Scored, Validation};

use crate::asked::Asked;
use crate::contract::Contract;
use crate::error::VerifyError;
use crate::exported::Exported;
use crate::options::{VerifyContext, VerifyOptions};
use crate::verdict::{Verdict, limits, of_export};

/// Compares the export at `place`, an adapter or a model in the form of PEFT, Hugging Face or llama.cpp.
///
/// # Errors
/// A run or an export that cannot be loaded.
pub fn verify_export(
    place: &Path,
    options: &VerifyOptions<'_>,
    context: VerifyContext<'_>,
) -> Result<Verdict, VerifyError> {
    let trained = Trained::of_run(options.run)?;
    let (recipe, untrained) = options.recipe(&trained)?;
    let exported = Exported::find(place, options, &untrained)?;
    let prepared = Prepared::new(&recipe, &[SplitKind::Valid], context.hub())?;
    if let Some(present) = prepared.opened.contract()? {
        trained.check_contract(&present, context.listener)?;
    }
    let own = exported.prompts(&recipe, context)?;
    let contract = Contract::compare(&trained, &exported.trained, own.as_ref())?;
    let Prepared { opened, splits } = prepared;
    let sets: Vec<Validation> = splits.into_iter().map(|split| opened.eval_set(split).validation).collect();
    let [Validation::Questions(questions)] = &sets[..] else {
        return Err(Complaint::usage("data.format = \"text\" has no labels to compare").into());
    };
    let on = device::open(&recipe.model.device, recipe.model.dtype)?;
    let terms = EvalContext { section: &recipe.eval, labels: &opened.labels, listener: context.listener };
    let asked = Asked { recipe: &recipe, questions, terms, context };

    let (run, base) = asked.of_run(&trained, &untrained, &on, &|model, what| asked.answers(model, what))?;
    let (export, bits) = exported.answer(&asked, options.dtype, &on)?;
    let truth: Vec<Label> = run.iter().filter_map(|one| one.truth).collect();
    let [run, export] = [run, export].map(log_probs);
    let base = base.map(log_probs);
    let rows = LabelRows { truth: &truth, run: &run, export: &export, base: base.as_deref() };
    let agreement = Agreement::of(rows, limits(options.tolerance, bits))?;
    Ok(of_export(place, &contract, &agreement))
}

fn log_probs(scored: Vec<Scored>) -> Vec<Vec<f32>> {
    scored.into_iter().map(|one| one.log_probs).collect()
}
