//! `emotrain eval`: scores of a base model, or of what was trained on it.

use std::path::PathBuf;

use emotrain_eval::write_predictions;
use emotrain_export::other_base;
use emotrain_hub::Trained;
use emotrain_model::device;
use emotrain_prepare::Prepared;
use emotrain_train::{EvalContext, comparison};

use super::replaced::{EVAL_PREDICTIONS, Output, check_replaced};
use crate::cli::{EvalArgs, TrainedArgs};
use crate::exit::Exit;
use crate::pipeline::load;
use crate::shell::Shell;

/// Runs the command.
///
/// # Errors
/// An invalid recipe, file or model; a prompt that differs from the training prompt.
pub(crate) fn run(args: &EvalArgs, shell: &Shell) -> anyhow::Result<Exit> {
    let mut recipe = emotrain_recipe::load(&args.recipe.recipe, &args.recipe.set)?;
    if let Some(output) = &args.output {
        check_replaced(output, Output::PREDICTIONS, &[&args.recipe.recipe])?;
    }
    let trained = trained(&args.trained)?;
    match &trained {
        Some(trained) => trained.settle(&mut recipe.model),
        None => shell.printer.say("no --adapter and no --run: evaluating the base model"),
    }
    let prepared = Prepared::new(&recipe, &[args.split], shell.hub())?;
    if let Some(trained) = &trained
        && let Some(present) = prepared.opened.contract()?
    {
        trained.check_contract(&present, &shell.printer)?;
    }
    prepared.tell(&shell.printer);
    let Prepared { opened, splits } = prepared;
    let Some(set) = splits.into_iter().next().map(|split| opened.eval_set(split)) else {
        return Ok(Exit::Done);
    };
    let on = device::open(&recipe.model.device, recipe.model.dtype)?;
    let (mut model, checkpoint) = load(&opened, &on, shell)?;
    if let (Some(run), Some(checkpoint), Some(Trained::Adapter(_))) =
        (&args.trained.run, checkpoint, &trained)
        && let Some(warning) = other_base(run, &opened.base, &checkpoint)?
    {
        shell.printer.warn(warning);
    }
    if let Some(trained) = &trained {
        trained.attach(&mut model, &recipe.model, &shell.printer)?;
    }
    let terms = EvalContext { section: &recipe.eval, labels: &opened.labels, listener: &shell.printer };
    let (measure, predictions) = set.hold(&model, terms)?;
    shell.printer.result(comparison(None, &measure)?)?;
    if let Some(output) = output(args, trained.as_ref()).filter(|_| !predictions.is_empty()) {
        write_predictions(&output, &predictions)?;
        shell.printer.say(format_args!("predictions are in {}", output.display()));
    }
    Ok(Exit::Done)
}

/// What the command line names, if it names anything.
///
/// # Errors
/// See [`Trained::of_run`] and [`Trained::find`].
fn trained(args: &TrainedArgs) -> anyhow::Result<Option<Trained>> {
    Ok(match (&args.run, &args.adapter) {
        (Some(run), _) => Some(Trained::of_run(run)?),
        (None, Some(place)) => Some(Trained::find(place)?),
        (None, None) => None,
    })
}

/// Where predictions go: as asked, or next to what was trained, where they replace none of the training itself.
fn output(args: &EvalArgs, trained: Option<&Trained>) -> Option<PathBuf> {
    let beside = args.trained.run.clone().or_else(|| trained.map(|trained| trained.folder().to_path_buf()));
    let file = format!("{EVAL_PREDICTIONS}{}.jsonl", args.split.as_str());
    args.output.clone().or_else(|| Some(beside?.join(file)))
}
