//! `emotrain predict`: labels for dialogues, as JSON lines.

use emotrain_base::{Advice, Complaint, Fault, Problems};
use emotrain_data::{LabelPolicy, SplitKind, load_split};
use emotrain_eval::write_predictions;
use emotrain_model::device;
use emotrain_prepare::{Content, Opened, PrepareError, Purpose, Selection, known};
use emotrain_recipe::{DataFormat, Recipe};
use emotrain_train::{AnswerReader, EvalContext, Questions, ask, predictions};

use crate::cli::PredictArgs;
use crate::exit::Exit;
use crate::pipeline::load;
use crate::shell::Shell;

/// Runs the command.
///
/// # Errors
/// An invalid recipe, input or model; a prompt that differs from the training prompt.
pub(crate) fn run(args: &PredictArgs, shell: &Shell) -> anyhow::Result<Exit> {
    let mut recipe = emotrain_recipe::load(&args.recipe.recipe, &set(args)?)?;
    let trained = super::eval::trained(&args.trained)?;
    if let Some(trained) = &trained {
        trained.settle(&mut recipe.model);
    }
    let opened = Opened::open(&recipe, shell.hub())?;
    let Some(encoder) = opened.encoder() else {
        return Err(Complaint::usage("data.format = \"text\" has no labels to predict").into());
    };
    if let Some(trained) = &trained
        && let Some(present) = opened.contract()?
    {
        trained.check_contract(&present, &shell.printer)?;
    }
    let split = load_split(&args.input, DataFormat::Jsonl, &opened.labels, LabelPolicy::Optional)?;
    shell.printer.detail(split.summary(&opened.labels));
    let as_test = Selection::new(&recipe, SplitKind::Test, Purpose::Answering, &[]);
    let all = Selection { labelled_only: false, limit: None, ..as_test };
    let content = Content::Dialogues(split);
    let texts = known(&recipe, &content, SplitKind::Test).map_err(|error| of_input(error, &recipe));
    let split = opened.encode(SplitKind::Test, content, texts, all)?;
    split.known.summary().iter().for_each(|line| shell.printer.say(line));
    shell.printer.detail(split.known.context());
    let samples = split.samples;
    let on = device::open(&recipe.model.device, recipe.model.dtype)?;
    let (mut model, _) = load(&opened, &on, shell)?;
    if let Some(trained) = &trained {
        trained.attach(&mut model, &recipe.model, &shell.printer)?;
    }
    let questions = Questions { samples, completions: encoder.label_completions().to_vec() };
    let terms = EvalContext { section: &recipe.eval, labels: &opened.labels, listener: &shell.printer };
    let (scored, answers) = ask(&model, &questions, Some(&AnswerReader::new(encoder)), "labelling", terms)?;
    let unparsed = answers.iter().filter(|answer| answer.is_none()).count();
    if unparsed > 0 {
        let count = answers.len();
        shell
            .printer
            .warn(format_args!("{unparsed} of {count} answers contain no label: their label is null"));
    }
    let predictions = predictions(scored, &answers, &opened.labels)?;
    if let Some(output) = &args.output {
        write_predictions(output, &predictions)?;
        return Ok(Exit::Done);
    }
    for prediction in &predictions {
        shell.printer.result(serde_json::to_string(prediction)?)?;
    }
    Ok(Exit::Done)
}

/// What `--set` says, and after it where `--knowledge` says that texts are.
fn set(args: &PredictArgs) -> anyhow::Result<Vec<String>> {
    let mut set = args.recipe.set.clone();
    for given in &args.knowledge {
        let Some((name, path)) =
            given.split_once('=').filter(|(name, path)| !name.is_empty() && !path.is_empty())
        else {
            let complaint = Complaint::usage(format!("--knowledge {given}: expected NAME=PATH"));
            return Err(complaint
                .hint("name a knowledge source of the recipe and its texts for the input")
                .into());
        };
        set.push(format!("knowledge.{name}.path={path}"));
    }
    Ok(set)
}

/// The recipe's texts are for its own data; new dialogues need texts of their own.
fn of_input(error: PrepareError, recipe: &Recipe) -> PrepareError {
    if error.fault() != Fault::Input {
        return error;
    }
    let shown = recipe.knowledge.iter().filter(|source| recipe.prompt.slots.has(&source.name));
    let given: Vec<String> = shown.map(|source| format!("--knowledge {}=FILE", source.name)).collect();
    let told = Problems::from(error).to_string();
    let hint = format!("give the knowledge texts of the input: {}", given.join(" "));
    Complaint::input(told).hint(hint).into()
}
