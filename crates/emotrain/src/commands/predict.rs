//! `emotrain predict`: labels for dialogues, as JSON lines.

use emotrain_data::load_split;
use emotrain_eval::write_predictions;
use emotrain_model::device;
use emotrain_prompt::Answers;
use emotrain_recipe::DataFormat;
use emotrain_train::Questions;

use crate::cli::{PredictArgs, SplitName};
use crate::exit::{Complaint, Exit};
use crate::pipeline::{self, Content, Selection, Trained, ask, predictions};
use crate::shell::Shell;

/// Runs the command.
///
/// # Errors
/// A recipe, an input or a model that does not do; a prompt that is not that of the training.
pub(crate) fn run(args: &PredictArgs, shell: &Shell) -> anyhow::Result<Exit> {
    let mut recipe = emotrain_recipe::load(&args.recipe.recipe, &args.recipe.set)?;
    let trained = Trained::find(&args.trained)?;
    if let Some(trained) = &trained {
        trained.settle(&mut recipe);
    }
    let prepared = pipeline::prepare(&recipe, &[], shell)?;
    let Some(encoder) = prepared.encoder() else {
        return Err(Complaint::usage("data.format = \"text\" has no labels to predict").into());
    };
    if let Some(trained) = &trained {
        trained.check_contract(&prepared, &shell.printer)?;
    }
    let split = load_split(&args.input, DataFormat::Jsonl, &prepared.labels, false)?;
    shell.printer.detail(split.summary(&prepared.labels));
    let all = Selection {
        answers: Answers::Withheld,
        limit: None,
        ..pipeline::selection(&recipe, SplitName::Test)
    };
    let content = Content::Dialogues(split);
    let found =
        pipeline::find(&recipe, &prepared.labels, prepared.library.as_ref(), (&content, SplitName::Test))?;
    let samples = prepared.coder.encode(&content, found.as_ref(), all)?;
    let on = device::open(&recipe.model.device, recipe.model.dtype)?;
    let (mut model, _) = prepared.load(&on, shell)?;
    if let Some(trained) = &trained {
        trained.attach(&mut model, &recipe, &shell.printer)?;
    }
    let questions = Questions { samples, completions: encoder.label_completions().to_vec() };
    let batch_size = recipe.eval.per_device_eval_batch_size;
    let scored = ask(&model, &questions, ("labelling", batch_size), &shell.printer)?;
    let predictions = predictions(scored, &prepared.labels)?;
    if let Some(output) = &args.output {
        write_predictions(output, &predictions)?;
        return Ok(Exit::Done);
    }
    for prediction in &predictions {
        shell.printer.result(serde_json::to_string(prediction)?)?;
    }
    Ok(Exit::Done)
}
