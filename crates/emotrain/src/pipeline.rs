//! The flow of a run, written once: recipe → data → prompts → model → training → evaluation → outputs.
//!
//! All that happens before a weight is loaded is [`PreparedTraining`]; the loop is [`emotrain_train::train`]; what a run
//! writes of itself is here.

mod claim;
mod outcome;
mod plan;
mod record;

use emotrain_base::Complaint;
use emotrain_data::SplitKind;
use emotrain_model::device::{self, OpenDevice};
use emotrain_model::{CausalLm, Checkpoint};
use emotrain_prepare::{LOSSES, Opened, Ordered, PreparedTraining, losses};
use emotrain_recipe::{Recipe, TrainMethod};
use emotrain_runs::{BASELINE, OnDifference, RunDir, RunLog, RunRecord, list_differences};
use emotrain_train::{End, EvalContext, EvalSet, Job, TrainData, baseline, init_record, make_trainable};

use crate::env;
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::printer::{TrainingView, duration};
use crate::shell::Shell;

use self::claim::claim;
use self::outcome::FinalEvaluation;
pub(crate) use self::plan::plan;

/// Loads the base model, and says so.
///
/// # Errors
/// A file that cannot be fetched, is missing or damaged; a precision that the device does not have.
pub(crate) fn load(
    opened: &Opened<'_>,
    on: &OpenDevice,
    shell: &Shell,
) -> anyhow::Result<(CausalLm, Option<Checkpoint>)> {
    if opened.recipe.eval.bf16_full_eval && !on.is_cpu() {
        let complaint =
            Complaint::usage(format!("eval.bf16_full_eval is only supported on the CPU, not on {}", on.name));
        return Err(complaint.hint("write model.dtype = \"bfloat16\" instead").into());
    }
    let begin = env::now();
    let loaded = opened.base.load(shell.hub(), opened.recipe.train.seed, on)?;
    let (name, took) = (opened.base.named().name, duration(env::now() - begin));
    shell.printer.say(format_args!("loaded {name} on {} in {took}", on.name));
    Ok(loaded)
}

/// Trains what the recipe says.
///
/// # Errors
/// Whatever keeps it from coming to an end.
pub(crate) fn train(
    recipe: &Recipe,
    on_difference: OnDifference,
    shell: &Shell,
    interrupt: &Interrupt,
) -> anyhow::Result<Exit> {
    let resume = recipe.save.resume_from_checkpoint.is_some();
    let run = claim(recipe, shell)?;
    let prepared = PreparedTraining::new(recipe, &PreparedTraining::measured(recipe), shell.hub())?;
    prepared.tell(&shell.printer);
    let mut made_of = record::prepared(&prepared);
    let on = device::open(&recipe.model.device, recipe.model.dtype)?;
    let (mut model, checkpoint) = load(&prepared.opened, &on, shell)?;
    make_trainable(&mut model, recipe)?;
    if let (Some(folder), Some(lora)) = (&recipe.lora.init_from, model.lora()) {
        let (folder, layers, r, alpha) = (folder.display(), model.adapted().len(), lora.r, lora.lora_alpha);
        shell
            .printer
            .say(format_args!("starts from {folder}: {layers} layers, r = {r}, lora_alpha = {alpha}"));
    }
    made_of.init_from = init_record(recipe)?;
    made_of.model = record::model(&prepared.opened, checkpoint.as_ref())?;
    made_of.device = Some(record::device(&on, recipe));
    let mut log = begin(&prepared, &run, made_of, on_difference, shell)?;

    let PreparedTraining { opened, train, measured, .. } = prepared;
    let sets: Vec<EvalSet> = measured.into_iter().map(|split| opened.eval_set(split)).collect();
    let terms = EvalContext { section: &recipe.eval, labels: &opened.labels, listener: &shell.printer };
    let before = baseline(&model, &sets, &run, resume, terms)?;

    let losses = losses(&model, &train.samples, &run, recipe, &shell.printer)?;
    log.keep(&run, &[BASELINE, LOSSES], env::now())?;
    let schedule = Ordered::new(recipe, &opened.labels).schedule(&train, losses.as_ref())?;
    let valid = sets.iter().find(|set| set.split == SplitKind::Valid).map(|set| &set.validation);
    let data = TrainData { train: &train.samples, schedule: &schedule, valid };
    let companions = opened.companions()?;
    let job = Job {
        recipe,
        run: &run,
        base: opened.base.named(),
        companions: &companions,
        stop: interrupt.stop(),
        save: interrupt.save(),
        clock: &env::now,
        labels: opened.labels.len(),
    };
    let mut view = TrainingView::new(&shell.printer);
    let trained = interrupt.guard(|| emotrain_train::train(&job, model, data, &mut |event| view.show(event)));
    view.finish();
    let trained = trained?;

    let folder = if recipe.train.method == TrainMethod::Lora { run.adapter() } else { run.model() };
    log.end(trained.record(), env::peak_memory_mib());
    log.write(&run, env::now())?;
    if trained.end == End::Interrupted {
        shell.printer.say(format_args!("stopped after step {}; the state is saved", trained.state.step));
        return Ok(interrupt.exit());
    }
    if !sets.is_empty() {
        let evaluation = FinalEvaluation { sets: &sets, before, context: terms, printer: &shell.printer };
        evaluation.report(&trained.model, &run)?;
    }
    log.finish(&run, env::now())?;
    let summary = outcome::what_is_there(recipe, &trained);
    shell.printer.say(format_args!("{}: {summary}", folder.display()));
    Ok(Exit::Done)
}

/// Compares the inputs of the run with those of its start, and records that it starts or resumes.
fn begin(
    prepared: &PreparedTraining<'_>,
    run: &RunDir,
    made_of: RunRecord,
    on_difference: OnDifference,
    shell: &Shell,
) -> anyhow::Result<RunLog> {
    let recipe = prepared.opened.recipe;
    let resume = recipe.save.resume_from_checkpoint.is_some();
    let (mut log, differences) = RunLog::take_up(made_of, run, resume, on_difference)?;
    if !differences.is_empty() {
        let listed = list_differences(&differences);
        shell
            .printer
            .warn(format_args!("the run resumes with inputs that differ from those it started with{listed}"));
    }
    run.begin(recipe)?;
    log.write(run, env::now())?;
    for split in prepared.splits() {
        split.found.iter().try_for_each(|found| found.keep(recipe, split.name))?;
    }
    Ok(log)
}
