//! A run from its folder to its first step.

use std::sync::atomic::AtomicUsize;

use emotrain_data::SplitKind;
use emotrain_model::CausalLm;
use emotrain_model::device::OpenDevice;
use emotrain_prepare::{EncodedSplit, Opened, Ordered, PreparedTraining, losses};
use emotrain_recipe::Recipe;
use emotrain_runs::{
    BASELINE, EvalResult, LOSSES, ModelRecord, OnDifference, RunDir, RunLog, RunRecord, list_differences,
};
use emotrain_train::{
    EvalContext, EvalSet, Job, SampleSchedule, TrainData, Validation, baseline, init_record, make_trainable,
};

use super::claim::{claim, is_finished};
use super::plan::left_out;
use super::{rare, record};
use crate::env;
use crate::shell::Shell;

/// A run whose folder is claimed and whose inputs were read; no weight is loaded yet.
pub(super) struct Claimed<'r> {
    pub(super) run: RunDir,
    pub(super) prepared: PreparedTraining<'r>,
    made_of: RunRecord,
}

/// A run that can begin: what stays as it is while it trains.
pub(super) struct Ready<'r> {
    pub(super) recipe: &'r Recipe,
    pub(super) run: RunDir,
    pub(super) opened: Opened<'r>,
    companions: Vec<(String, String)>,
    pub(super) sets: Vec<EvalSet>,
    /// The part of the validation split that is evaluated during training, if it is not all of it.
    valid: Option<Validation>,
    train: EncodedSplit,
    weights: Option<Vec<f32>>,
    schedule: SampleSchedule,
}

/// And what changes.
pub(super) struct Account {
    pub(super) model: CausalLm,
    pub(super) log: RunLog,
    /// The scores of what it starts from.
    pub(super) before: Vec<EvalResult>,
}

/// What the runs of a process have in common.
#[derive(Clone, Copy)]
pub(super) struct Common<'a> {
    pub(super) on: &'a OpenDevice,
    pub(super) base: &'a ModelRecord,
    pub(super) on_difference: OnDifference,
}

impl<'r> Claimed<'r> {
    /// Claims the folder and reads what the recipe names; none where the run is one of `several` that were resumed, and
    /// has nothing left to do.
    pub(super) fn new(recipe: &'r Recipe, several: bool, shell: &Shell) -> anyhow::Result<Option<Self>> {
        let run = claim(recipe, shell)?;
        if several && is_finished(&run, recipe)? {
            return Ok(None);
        }
        let prepared = PreparedTraining::new(recipe, &PreparedTraining::measured(recipe), shell.hub())?;
        prepared.tell(&shell.printer);
        if let Some(line) = rare::line(&prepared) {
            shell.printer.say(line);
        }
        let (epochs, phases) = left_out(&prepared);
        if let Some(line) = epochs {
            shell.printer.say(line);
        }
        for warning in rare::warnings(recipe).into_iter().chain(phases) {
            shell.printer.warn(warning);
        }
        let made_of = record::prepared(&prepared);
        Ok(Some(Self { run, prepared, made_of }))
    }

    /// Sets up what is trained on the base, records the start, and measures what is to be known before the first step.
    pub(super) fn ready(
        self,
        mut model: CausalLm,
        common: Common,
        shell: &Shell,
    ) -> anyhow::Result<(Ready<'r>, Account)> {
        let Self { run, prepared, mut made_of } = self;
        let recipe = prepared.opened.recipe;
        make_trainable(&mut model, recipe)?;
        if let (Some(folder), Some(lora)) = (&recipe.lora.init_from, model.lora()) {
            let (folder, layers, r, alpha) =
                (folder.display(), model.adapted().len(), lora.r, lora.lora_alpha);
            shell
                .printer
                .say(format_args!("starts from {folder}: {layers} layers, r = {r}, lora_alpha = {alpha}"));
        }
        made_of.init_from = init_record(recipe)?;
        made_of.model = common.base.clone();
        made_of.device = Some(record::device(common.on, recipe));
        let mut log = begin(&prepared, &run, made_of, common.on_difference, shell)?;

        let PreparedTraining { opened, train, weights, measured, .. } = prepared;
        let sets: Vec<EvalSet> = measured.into_iter().map(|split| opened.eval_set(split)).collect();
        let terms = EvalContext { section: &recipe.eval, labels: &opened.labels, listener: &shell.printer };
        let before = baseline(&model, &sets, &run, recipe, terms)?;
        let losses = losses(&model, &train.samples, &run, recipe, &shell.printer)?;
        log.keep(&run, &[BASELINE, LOSSES], env::now())?;
        let schedule = Ordered::new(recipe, &opened.labels).schedule(&train, losses.as_ref())?;
        let companions = opened.companions()?;
        let valid = sets.iter().find(|set| set.split == SplitKind::Valid);
        let valid = valid.and_then(|set| set.validation.sample(recipe.eval.max_samples));
        let ready = Ready { recipe, run, opened, companions, sets, valid, train, weights, schedule };
        Ok((ready, Account { model, log, before }))
    }
}

impl Ready<'_> {
    /// The run, for the training loop.
    pub(super) fn job<'a>(&'a self, stop: &'a dyn Fn() -> bool, saves: &'a AtomicUsize) -> Job<'a> {
        Job {
            recipe: self.recipe,
            run: &self.run,
            base: self.opened.base.named(),
            companions: &self.companions,
            stop,
            saves,
            clock: &env::now,
            labels: self.opened.labels.len(),
        }
    }

    /// What is trained and validated on.
    pub(super) fn data(&self) -> TrainData<'_> {
        let valid = self.sets.iter().find(|set| set.split == SplitKind::Valid).map(|set| &set.validation);
        let valid = self.valid.as_ref().or(valid);
        TrainData {
            train: &self.train.samples,
            weights: self.weights.as_deref(),
            schedule: &self.schedule,
            valid,
        }
    }
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
