//! The flow of a run, written once: recipe → data → prompts → model → training → evaluation → outputs.
//!
//! Every command takes its part of it: [`prepare`] is all that happens before a weight is loaded.

mod answers;
mod auxiliary;
mod base;
mod coder;
mod content;
mod course;
mod demonstrations;
mod exam;
mod knowledge;
mod plan;
mod record;
mod trained;

use std::collections::BTreeMap;

use anyhow::Context;
use emotrain_data::LabelSet;
use emotrain_eval::write_predictions;
use emotrain_model::device::{self, OpenDevice};
use emotrain_model::random::Key;
use emotrain_model::{CausalLm, Checkpoint, ModelConfig};
use emotrain_prompt::{Answers, Encoder, PromptContract, Sample, Task, TokenCounts, TokenizerFiles};
use emotrain_recipe::{Recipe, TrainMethod};
use emotrain_train::{Course, End, Job, Outcome, RunDir, TrainData};
use serde_json::{Value, json};

use crate::cli::SplitName;
use crate::env;
use crate::exit::{Complaint, Exit, Problems};
use crate::interrupt::Interrupt;
use crate::printer::{TrainingView, duration};
use crate::shell::Shell;

pub(crate) use auxiliary::{Auxiliary, kinds};
pub(crate) use base::{Base, make_trainable};
pub(crate) use coder::{Beside, Coder, Selection};
pub(crate) use content::Content;
pub(crate) use course::{Ordered, kept_losses};
pub(crate) use demonstrations::{Found, Library, find};
pub(crate) use exam::{Exam, Measure, Terms, ask, comparison, predictions};
pub(crate) use knowledge::{Known, check_apart, known};
pub(crate) use plan::plan;
pub(crate) use record::Record;
pub(crate) use trained::{Trained, companions};

/// The untrained model's scores in the folder of a run.
const BASELINE: &str = "baseline.json";

/// A data file with its samples.
pub(crate) struct Material {
    pub(crate) name: SplitName,
    pub(crate) content: Content,
    /// What its prompts show, where the recipe has a bank.
    pub(crate) found: Option<Found>,
    /// What is known about its utterances.
    pub(crate) known: Known,
    pub(crate) samples: Vec<Sample>,
}

impl Material {
    /// Counts of the samples.
    pub(crate) fn counts(&self) -> TokenCounts {
        TokenCounts::of(&self.samples)
    }

    /// How many of the samples ask for something else than an emotion.
    fn auxiliary(&self) -> usize {
        let counts = Task::counts(&self.samples);
        Task::AUXILIARY.iter().filter_map(|task| counts.get(task)).sum()
    }

    /// The counts for people; questions without answers supervise nothing by their nature.
    pub(crate) fn counted(&self) -> String {
        self.counts().to_string().replace(" (0 supervised)", "")
    }
}

/// All that a recipe names, read, checked and encoded, but for the weights.
pub(crate) struct Prepared<'a> {
    pub(crate) recipe: &'a Recipe,
    pub(crate) labels: LabelSet,
    pub(crate) base: Base,
    pub(crate) config: ModelConfig,
    pub(crate) tokenizer: TokenizerFiles,
    pub(crate) coder: Coder,
    /// What training asks besides, where training files were asked for.
    pub(crate) auxiliary: Vec<Auxiliary>,
    /// The bank of demonstrations, where the recipe has one.
    pub(crate) library: Option<Library>,
    /// In the order in which they were asked for.
    pub(crate) materials: Vec<Material>,
    /// What each epoch trains on, where training files were asked for. With difficulties that a model has yet to
    /// give, only the numbers in it are right.
    pub(crate) course: Option<Course>,
}

/// Reads and checks what the recipe names. Training files are encoded with answers, others without.
///
/// # Errors
/// Everything that is wrong, in one go.
pub(crate) fn prepare<'a>(
    recipe: &'a Recipe,
    wanted: &[SplitName],
    shell: &Shell,
) -> anyhow::Result<Prepared<'a>> {
    device::set_threads(recipe.model.num_threads);
    let labels = LabelSet::from_section(&recipe.data).map_err(|error| Complaint::usage(error.to_string()))?;
    let mut problems = Problems::default();
    let contents = problems.take(content::read_all(&recipe.data, &labels, wanted));
    let base = problems.take(Base::find(&recipe.model, &shell.hub()));
    let config = base.as_ref().and_then(|base| problems.take(base.config()));
    let tokenizer = base.as_ref().and_then(|base| problems.take(base.tokenizer()));
    let coder =
        tokenizer.as_ref().and_then(|files| problems.take(Coder::new(recipe, &labels, files.clone())));
    let auxiliary = coder.as_ref().filter(|_| wanted.contains(&SplitName::Train));
    let auxiliary = auxiliary.map_or(Ok(Vec::new()), |coder| coder.auxiliary(recipe));
    let auxiliary = problems.take(auxiliary);
    let library = problems.take(Library::open(recipe, shell));
    let (
        Some(contents),
        Some(base),
        Some(config),
        Some(tokenizer),
        Some(coder),
        Some(auxiliary),
        Some(library),
    ) = (contents, base, config, tokenizer, coder, auxiliary, library)
    else {
        return Err(problems.into_error());
    };
    let mut materials = Vec::new();
    for (name, content) in contents {
        let found = problems.take(find(recipe, &labels, library.as_ref(), (&content, name)));
        let known = problems.take(known(recipe, &content, name));
        let (Some(found), Some(known)) = (found, known) else { continue };
        let beside = Beside { found: found.as_ref(), known: &known };
        let samples = problems.take(coder.encode(&content, beside, selection(recipe, name, &auxiliary)));
        materials.extend(samples.map(|samples| Material { name, content, found, known, samples }));
    }
    problems.take(check_apart(&materials));
    let train = materials.iter().find(|material| material.name == SplitName::Train);
    let losses = BTreeMap::new();
    let course =
        train.and_then(|train| problems.take(Ordered::new(recipe, &labels).course(train, Some(&losses))));
    let prepared =
        Prepared { recipe, labels, base, config, tokenizer, coder, auxiliary, library, materials, course };
    prepared.check_fit(&mut problems);
    problems.finish()?;
    Ok(prepared)
}

/// Training samples are drawn with the run's seed, and auxiliary ones come with them; what is measured is the same
/// whatever the seed.
pub(crate) fn selection<'a>(recipe: &Recipe, name: SplitName, auxiliary: &'a [Auxiliary]) -> Selection<'a> {
    let is_train = name == SplitName::Train;
    Selection {
        answers: if is_train { Answers::Given } else { Answers::Withheld },
        limit: name.limit(&recipe.data),
        key: Key::new(if is_train { recipe.train.seed } else { 0 }).named(name.as_str()),
        completion_only: recipe.train.completion_only_loss,
        auxiliary: if is_train { auxiliary } else { &[] },
    }
}

/// The files that a training reads: the test split only if it will be evaluated.
pub(crate) fn wanted(recipe: &Recipe) -> Vec<SplitName> {
    let valid = recipe.data.valid.as_ref().map(|_| SplitName::Valid);
    let test = recipe.eval.test.then_some(SplitName::Test);
    [Some(SplitName::Train), valid, test].into_iter().flatten().collect()
}

impl Prepared<'_> {
    /// The encoder of utterances; a run on plain text has none.
    pub(crate) fn encoder(&self) -> Option<&Encoder> {
        match &self.coder {
            Coder::Emotions(encoder) => Some(encoder),
            Coder::Text { .. } => None,
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
            let Material { name, content, found, known, samples } = material;
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

    /// Takes the samples of a split out as an exam.
    pub(crate) fn exam(&mut self, name: SplitName) -> Option<Exam> {
        let material = self.materials.iter_mut().find(|material| material.name == name)?;
        let context = material.known.context();
        Some(Exam::new(&self.coder, name, (std::mem::take(&mut material.samples), context)))
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
        let loaded = self.base.load(&shell.hub(), self.recipe.train.seed, on)?;
        let (name, took) = (self.base.named().name, duration(env::now() - begin));
        shell.printer.say(format_args!("loaded {name} on {} in {took}", on.name));
        Ok(loaded)
    }

    /// Ids beyond the embedding and positions beyond the model's have no meaning to it.
    fn check_fit(&self, problems: &mut Problems) {
        let (origin, config) = (self.coder.tokenizer().origin(), &self.config);
        for Material { name, content, samples, .. } in &self.materials {
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
            let answer = if *name == SplitName::Train { 0 } else { self.coder.longest_completion() };
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
pub(crate) fn train(recipe: &Recipe, shell: &Shell, interrupt: &Interrupt) -> anyhow::Result<Exit> {
    let mut prepared = prepare(recipe, &wanted(recipe), shell)?;
    prepared.tell(shell);
    let mut record = Record::new(&prepared);
    let on = device::open(&recipe.model.device, recipe.model.dtype)?;
    let (mut model, checkpoint) = prepared.load(&on, shell)?;
    make_trainable(&mut model, recipe)?;
    let resume = recipe.save.resume_from_checkpoint.is_some();
    let run = RunDir::create(&recipe.train.output_dir, recipe, resume)?;
    record.made_of(&prepared.base, checkpoint.as_ref(), (&on, recipe));
    record.write(&run)?;
    for material in &prepared.materials {
        material.found.iter().try_for_each(|found| found.keep(recipe, material.name))?;
    }

    let (valid, test) = (prepared.exam(SplitName::Valid), prepared.exam(SplitName::Test));
    let exams: Vec<&Exam> = [&valid, &test].into_iter().flatten().collect();
    let terms = Terms { recipe, labels: &prepared.labels, printer: &shell.printer };
    let before = baseline(&model, &exams, (&run, resume), terms)?;

    let train = prepared.materials.first().context("a training has a training file")?;
    let samples = &train.samples;
    let losses = course::losses(&model, samples, (&run, resume), (recipe, &shell.printer))?;
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
        clock: &env::now,
        labels: prepared.labels.len(),
    };
    let mut view = TrainingView::new(&shell.printer);
    let outcome = interrupt.guard(|| emotrain_train::train(&job, model, data, &mut |event| view.show(event)));
    view.finish();
    let outcome = outcome?;

    let folder = if recipe.train.method == TrainMethod::Lora { run.adapter() } else { run.model() };
    record.set("training", ending(&outcome));
    record.set("peak_memory_mib", json!(env::peak_memory_mib()));
    record.write(&run)?;
    if outcome.end == End::Interrupted {
        shell.printer.say(format_args!("stopped after step {}, the state is saved", outcome.state.step));
        return Ok(Exit::Interrupted);
    }
    if !exams.is_empty() {
        report(&outcome.model, &exams, (&run, &before), terms)?;
    }
    record.write(&run)?;
    shell.printer.say(format_args!("{}: {}", folder.display(), what_is_there(recipe, &outcome)));
    Ok(Exit::Done)
}

/// The untrained model's scores, measured once in the life of a run.
fn baseline(
    model: &CausalLm,
    exams: &[&Exam],
    (run, resume): (&RunDir, bool),
    terms: Terms,
) -> anyhow::Result<Vec<Measure>> {
    if !terms.recipe.eval.baseline || exams.is_empty() {
        return Ok(Vec::new());
    }
    let path = run.path().join(BASELINE);
    if resume && path.exists() {
        let text = fs_err::read_to_string(&path)?;
        return serde_json::from_str(&text)
            .map_err(|error| Complaint::input(format!("{}: {error}", path.display())).into());
    }
    terms.printer.say("measuring the untrained model");
    let measures: Vec<Measure> =
        exams.iter().map(|exam| Ok(exam.hold(model, terms)?.0)).collect::<anyhow::Result<_>>()?;
    run.write_json(BASELINE, &json!(measures))?;
    Ok(measures)
}

/// Measures the trained model, prints the comparison, and keeps scores and predictions.
fn report(
    model: &CausalLm,
    exams: &[&Exam],
    (run, before): (&RunDir, &[Measure]),
    terms: Terms,
) -> anyhow::Result<()> {
    let mut after = Vec::new();
    for (number, exam) in exams.iter().enumerate() {
        let (measure, predictions) = exam.hold(model, terms)?;
        if !predictions.is_empty() {
            let file = format!("predictions.{}.jsonl", measure.split);
            write_predictions(&run.path().join(file), &predictions)?;
        }
        let earlier = before.iter().find(|before| before.split == measure.split);
        let gap = if number > 0 { "\n" } else { "" };
        terms.printer.result(format_args!("{gap}{}", comparison(earlier, &measure)?))?;
        after.push(measure);
    }
    let version = record::FORMAT_VERSION;
    Ok(run
        .write_json("report.json", &json!({ "format_version": version, "before": before, "after": after }))?)
}

fn ending(outcome: &Outcome) -> Value {
    let end = match outcome.end {
        End::Completed => "completed",
        End::EarlyStopped => "stopped early",
        End::Interrupted => "interrupted",
    };
    let state = &outcome.state;
    let best = state.best.map(|(step, value)| json!({ "step": step, "value": value }));
    json!({ "end": end, "steps": state.step, "tokens": state.tokens, "seconds": state.seconds, "best": best })
}

fn what_is_there(recipe: &Recipe, outcome: &Outcome) -> String {
    let state = &outcome.state;
    let early = if outcome.end == End::EarlyStopped { ", stopped early" } else { "" };
    let chosen = match state.best.filter(|_| recipe.eval.load_best_model_at_end) {
        Some((step, _)) => format!("step {step}, the best of {}", state.step),
        None => format!("step {}", state.step),
    };
    format!("the result of {chosen}{early}, trained in {}", duration(state.seconds))
}
