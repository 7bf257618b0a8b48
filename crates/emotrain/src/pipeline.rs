//! The flow of a run, written once: recipe → data → prompts → model → training → evaluation → outputs.
//!
//! Every command takes its part of it: [`prepare`] is all that happens before a weight is loaded.

mod answers;
mod auxiliary;
mod claim;
mod companions;
mod content;
mod course;
mod demonstrations;
mod encoded_split;
mod evaluation;
mod identity;
mod knowledge;
mod open;
mod outcome;
mod plan;
mod record;
mod sample_maker;
mod start;

use std::collections::BTreeMap;

use anyhow::Context;
use emotrain_base::Complaint;
use emotrain_data::{LabelSet, SplitKind};
use emotrain_hub::Base;
use emotrain_model::device::{self, OpenDevice};
use emotrain_model::random::Key;
use emotrain_model::{CausalLm, Checkpoint, ModelConfig};
use emotrain_prompt::{Answers, Encoder, PromptContract, TokenizerFiles};
use emotrain_recipe::{Recipe, TrainMethod};
use emotrain_train::{Course, End, Job, RunDir, TrainData};
use serde_json::json;

use crate::env;
use crate::exit::{Exit, Problems};
use crate::interrupt::Interrupt;
use crate::printer::{TrainingView, duration};
use crate::shell::Shell;

pub(crate) use answers::Reader;
pub(crate) use auxiliary::{Auxiliary, kinds};
use claim::claim;
use companions::companions;
pub(crate) use content::Content;
pub(crate) use course::{Ordered, kept_losses};
pub(crate) use demonstrations::{Library, RetrievedDemonstrations};
pub(crate) use encoded_split::{EncodedSplit, check_apart};
pub(crate) use evaluation::{EvalContext, EvalResult, EvalSet, ask, comparison, predictions};
pub(crate) use knowledge::{KnowledgeTexts, known};
pub(crate) use plan::plan;
pub(crate) use record::{OnDifference, Record};
pub(crate) use sample_maker::{SampleMaker, Selection};
pub(crate) use start::make_trainable;

/// What the samples of a file are for. It alone, not the name of the split, decides what they hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To be trained on: with their answers, and with auxiliary questions beside them.
    Training,
    /// To be answered by a model.
    Answering,
}

/// All that a recipe names, read, checked and encoded, but for the weights.
pub(crate) struct Prepared<'a> {
    pub(crate) recipe: &'a Recipe,
    pub(crate) labels: LabelSet,
    pub(crate) base: Base,
    pub(crate) config: ModelConfig,
    pub(crate) tokenizer: TokenizerFiles,
    pub(crate) sample_maker: SampleMaker,
    /// What training asks besides, where training files were asked for.
    pub(crate) auxiliary: Vec<Auxiliary>,
    /// The bank of demonstrations, where the recipe has one.
    pub(crate) library: Option<Library>,
    /// In the order in which they were asked for.
    pub(crate) materials: Vec<EncodedSplit>,
    /// What each epoch trains on, where training files were asked for. With difficulties that a model has yet to
    /// give, only the numbers in it are right.
    pub(crate) course: Option<Course>,
}

/// Reads and checks what the recipe names, each file for its purpose.
///
/// # Errors
/// Everything that is wrong, in one go.
pub(crate) fn prepare<'a>(
    recipe: &'a Recipe,
    wanted: &[(SplitKind, Purpose)],
    shell: &Shell,
) -> anyhow::Result<Prepared<'a>> {
    device::set_threads(recipe.model.num_threads);
    let labels = LabelSet::from_section(&recipe.data).map_err(|error| Complaint::usage(error.to_string()))?;
    let mut problems = Problems::default();
    let names: Vec<SplitKind> = wanted.iter().map(|(name, _)| *name).collect();
    let contents = problems.take(content::read_all(&recipe.data, &labels, &names, &shell.printer));
    let trains = wanted.iter().any(|(_, purpose)| *purpose == Purpose::Training);
    let opened = problems.take(Prepared::open(recipe, labels, trains, shell));
    problems.take(start::check(recipe));
    let (Some(contents), Some(mut prepared)) = (contents, opened) else { return Err(problems.into_error()) };
    for ((name, content), (_, purpose)) in contents.into_iter().zip(wanted.iter().copied()) {
        let selection = selection(recipe, (name, purpose), &prepared.auxiliary);
        let known = known(recipe, &content, name);
        let split = problems.take(prepared.read((name, content), known, (purpose, selection)));
        prepared.materials.extend(split);
    }
    problems.take(check_apart(&prepared.materials));
    let train = prepared.materials.iter().find(|material| material.purpose == Purpose::Training);
    let order = Ordered::new(recipe, &prepared.labels);
    let course = train.map(|train| order.course(train, Some(&BTreeMap::new())));
    prepared.course = course.and_then(|course| problems.take(course));
    prepared.check_fit(&mut problems);
    problems.finish()?;
    let remarks = prepared.encoder().map(Encoder::remarks);
    remarks.into_iter().flatten().for_each(|remark| shell.printer.say(remark));
    Ok(prepared)
}

/// Training samples are drawn with the run's seed, and auxiliary ones come with them; what is measured is the same
/// whatever the seed, and whatever the split is called.
pub(crate) fn selection<'a>(
    recipe: &Recipe,
    (name, purpose): (SplitKind, Purpose),
    auxiliary: &'a [Auxiliary],
) -> Selection<'a> {
    let (limit, completion_only) = (name.limit(&recipe.data), recipe.train.completion_only_loss);
    match purpose {
        Purpose::Training => {
            let key = Key::new(recipe.train.seed).named(SplitKind::Train.as_str());
            Selection { answers: Answers::Given, labelled_only: true, limit, key, completion_only, auxiliary }
        }
        Purpose::Answering => {
            let key = Key::new(0).named(SplitKind::Test.as_str());
            Selection {
                answers: Answers::Withheld,
                labelled_only: true,
                limit,
                key,
                completion_only,
                auxiliary: &[],
            }
        }
    }
}

/// The files that a training reads: the test split only if it will be evaluated.
pub(crate) fn wanted(recipe: &Recipe) -> Vec<(SplitKind, Purpose)> {
    let train = (SplitKind::Train, Purpose::Training);
    let valid = recipe.data.valid.as_ref().map(|_| (SplitKind::Valid, Purpose::Answering));
    let test = recipe.eval.test.then_some((SplitKind::Test, Purpose::Answering));
    [Some(train), valid, test].into_iter().flatten().collect()
}

impl Prepared<'_> {
    /// The encoder of utterances; a run on plain text has none.
    pub(crate) fn encoder(&self) -> Option<&Encoder> {
        match &self.sample_maker {
            SampleMaker::Emotions(encoder) => Some(encoder),
            SampleMaker::Text { .. } => None,
        }
    }

    /// How the prompts are made, as it is kept beside what is trained on them; a run on plain text has none.
    ///
    /// # Errors
    /// A template or tokenizer that fails on the contract's example, a bank that cannot be searched.
    pub(crate) fn contract(&self) -> anyhow::Result<Option<PromptContract>> {
        let Some(encoder) = self.encoder() else { return Ok(None) };
        let found_by = self.library.as_ref().map(|library| library.found_by(self.recipe)).transpose()?;
        Ok(Some(PromptContract { found_by, ..encoder.contract()? }))
    }

    /// Says what was read.
    pub(crate) fn tell(&self, shell: &Shell) {
        for material in &self.materials {
            let EncodedSplit { name, content, found, known, samples, .. } = material;
            shell.printer.say(content.summary(&self.labels));
            let of_utterances = samples.len() - material.auxiliary();
            let limit = name.limit(&self.recipe.data).filter(|limit| *limit == of_utterances);
            let drawn = limit.map_or("", |_| ", drawn at random from all");
            shell.printer.say(format_args!("  {}: {}{drawn}", name.as_str(), material.counted()));
            if let Some(kinds) = kinds(samples) {
                shell.printer.say(format_args!("  of these {kinds}"));
            }
            if let Some(found) = found {
                shell.printer.say(format_args!("  {}", found.summary()));
            }
            known.summary().iter().for_each(|line| shell.printer.say(format_args!("  {line}")));
        }
    }

    /// Takes the samples of a split out, to be evaluated.
    pub(crate) fn exam(&mut self, name: SplitKind) -> Option<EvalSet> {
        let material = self.materials.iter_mut().find(|material| material.name == name)?;
        let context = material.known.context();
        Some(EvalSet::new(&self.sample_maker, name, (std::mem::take(&mut material.samples), context)))
    }

    /// Loads the base model, and says so.
    pub(crate) fn load(
        &self,
        on: &OpenDevice,
        shell: &Shell,
    ) -> anyhow::Result<(CausalLm, Option<Checkpoint>)> {
        if self.recipe.eval.bf16_full_eval && !on.is_cpu() {
            let complaint =
                Complaint::usage(format!("eval.bf16_full_eval is for the CPU, not for {}", on.name));
            return Err(complaint.hint("write model.dtype = \"bfloat16\" instead").into());
        }
        let begin = env::now();
        let loaded = self.base.load(shell.hub(), self.recipe.train.seed, on)?;
        let (name, took) = (self.base.named().name, duration(env::now() - begin));
        shell.printer.say(format_args!("loaded {name} on {} in {took}", on.name));
        Ok(loaded)
    }

    /// Ids beyond the embedding and positions beyond the model's have no meaning to it.
    fn check_fit(&self, problems: &mut Problems) {
        let (origin, config) = (self.sample_maker.tokenizer().origin(), &self.config);
        for EncodedSplit { purpose, content, samples, .. } in &self.materials {
            let path = content.path().display();
            let greatest = samples.iter().flat_map(|sample| &sample.ids).max().copied().unwrap_or(0);
            if greatest as usize >= config.vocab_size {
                let message = format!(
                    "{origin}: token id {greatest}, but the model knows {} tokens",
                    config.vocab_size
                );
                problems
                    .add(Complaint::input(message).hint("tokenizer and model do not belong together").into());
                return;
            }
            let is_answered = *purpose == Purpose::Training;
            let answer = if is_answered { 0 } else { self.sample_maker.longest_completion() };
            let longest = samples.iter().map(|sample| sample.ids.len()).max().unwrap_or(0) + answer;
            let most = config.max_position_embeddings;
            if longest > most {
                let message = format!("{path}: a sample has {longest} tokens, the model was made for {most}");
                problems
                    .add(Complaint::input(message).hint(format!("set train.max_seq_length = {most}")).into());
            }
            if samples.is_empty() {
                problems.add(Complaint::input(format!("{path}: too little text for a sample")).into());
            }
        }
    }
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
    let mut prepared = prepare(recipe, &wanted(recipe), shell)?;
    prepared.tell(shell);
    let mut record = Record::new(&prepared);
    let on = device::open(&recipe.model.device, recipe.model.dtype)?;
    let (mut model, checkpoint) = prepared.load(&on, shell)?;
    make_trainable(&mut model, recipe)?;
    if let (Some(folder), Some(lora)) = (&recipe.lora.init_from, model.lora()) {
        let (folder, layers, r, alpha) = (folder.display(), model.adapted().len(), lora.r, lora.lora_alpha);
        shell
            .printer
            .say(format_args!("starts from {folder}: {layers} layers, r = {r}, lora_alpha = {alpha}"));
        record.set("init_from", start::record(recipe)?);
    }
    record.made_of(&prepared.base, checkpoint.as_ref(), (&on, recipe))?;
    begin(&prepared, &run, (&mut record, on_difference), shell)?;

    let (valid, test) = (prepared.exam(SplitKind::Valid), prepared.exam(SplitKind::Test));
    let exams: Vec<&EvalSet> = [&valid, &test].into_iter().flatten().collect();
    let terms = EvalContext { recipe, labels: &prepared.labels, printer: &shell.printer };
    let before = outcome::baseline(&model, &exams, (&run, resume), terms)?;

    let train = prepared.materials.first().context("a training has a training file")?;
    let samples = &train.samples;
    let losses = course::losses(&model, samples, (&run, resume), (recipe, &shell.printer))?;
    record.keep(&run, &[outcome::BASELINE, course::LOSSES])?;
    let course = Ordered::new(recipe, &prepared.labels).course(train, losses.as_ref())?;
    let data =
        TrainData { train: samples, course: &course, valid: valid.as_ref().map(|exam| &exam.validation) };
    let companions = companions(&prepared)?;
    let job = Job {
        recipe,
        run: &run,
        base: prepared.base.named(),
        companions: &companions,
        stop: interrupt.wished(),
        save: interrupt.save(),
        clock: &env::now,
        labels: prepared.labels.len(),
    };
    let mut view = TrainingView::new(&shell.printer);
    let trained = interrupt.guard(|| emotrain_train::train(&job, model, data, &mut |event| view.show(event)));
    view.finish();
    let trained = trained?;

    let folder = if recipe.train.method == TrainMethod::Lora { run.adapter() } else { run.model() };
    record.set_ending(outcome::ending(&trained));
    record.set("peak_memory_mib", json!(env::peak_memory_mib()));
    record.write(&run)?;
    if trained.end == End::Interrupted {
        shell.printer.say(format_args!("stopped after step {}, the state is saved", trained.state.step));
        return Ok(interrupt.exit());
    }
    if !exams.is_empty() {
        outcome::report(&trained.model, &exams, (&run, &before), terms)?;
    }
    record.write(&run)?;
    let summary = outcome::what_is_there(recipe, &trained);
    shell.printer.say(format_args!("{}: {summary}", folder.display()));
    Ok(Exit::Done)
}

/// Compares what the run is made of with what it was made of when it began, and writes down that it begins or goes on.
fn begin(
    prepared: &Prepared,
    run: &RunDir,
    (record, on_difference): (&mut Record, OnDifference),
    shell: &Shell,
) -> anyhow::Result<()> {
    let recipe = prepared.recipe;
    let resume = recipe.save.resume_from_checkpoint.is_some();
    let differences = record.take_up(run, resume, on_difference)?;
    if !differences.is_empty() {
        let listed = identity::listed(&differences);
        shell.printer.warn(format_args!("the run goes on with other things than it began with{listed}"));
    }
    run.begin(recipe)?;
    record.write(run)?;
    for material in &prepared.materials {
        material.found.iter().try_for_each(|found| found.keep(recipe, material.name))?;
    }
    Ok(())
}
