//! `emotrain predict`: labels for dialogues, written as they are found.

mod input;
mod origin;
mod sink;
mod source;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use emotrain_base::{Advice, Complaint, Fault, Problems, Silent};
use emotrain_data::{Dialogue, LabelSet, SplitKind};
use emotrain_eval::{AnswerRow, AnswerTerms, HeadlineScore, Prediction, ScoreTally, UNCERTAIN};
use emotrain_export::other_base;
use emotrain_hub::Trained;
use emotrain_model::{CausalLm, device};
use emotrain_prepare::{Content, Opened, PrepareError, Questioner, known};
use emotrain_prompt::{Encoder, Sample};
use emotrain_recipe::Recipe;
use emotrain_train::{AnswerReader, EvalContext, Questions, ask, predictions};

use self::input::Input;
use self::sink::Sink;
use self::source::Source;
use crate::cli::PredictArgs;
use crate::exit::{Exit, described};
use crate::pipeline::load;
use crate::printer::Rate;
use crate::shell::Shell;

/// Batches of prompts that are asked together: what they have in common is computed once for all of them.
const BATCHES: usize = 8;

/// Runs the command.
///
/// # Errors
/// An invalid recipe, input or model; a prompt that differs from the training prompt.
pub(crate) fn run(args: &PredictArgs, shell: &Shell) -> anyhow::Result<Exit> {
    let source = Source::find(args, &shell.printer)?;
    let opened = Opened::open(&source.recipe, shell.hub())?;
    let Some(encoder) = opened.encoder() else {
        return Err(Complaint::usage("data.format = \"text\" has no labels to predict").into());
    };
    let contract = opened.contract()?;
    if let Some(present) = &contract {
        source.trained.check_contract(present, &shell.printer)?;
    }
    let terms = args.terms();
    terms.check(&opened.labels)?;
    let (mut input, mut questioner) = questioner(args, &opened, shell)?;
    input.warn_of_order(&source.recipe.data, &shell.printer);
    let mut sink = Sink::open(args, origin::of(&source, &opened, contract.as_ref(), args)?, shell)?;
    let (dialogues, samples, model) = match begin(&mut input, &mut questioner, &mut sink, shell)
        .and_then(|(dialogues, samples)| Ok((dialogues, samples, model(&source, &opened, shell)?)))
    {
        Ok(begun) => begun,
        Err(error) => {
            sink.leave();
            return Err(error);
        }
    };
    let mut labelling =
        Labelling { recipe: &source.recipe, opened: &opened, encoder, model, terms, shell, sink };
    let labelled = labelling.all(Part { dialogues, samples }, &mut input, &mut questioner);
    if labelled.is_err() {
        labelling.sink.leave();
    }
    labelled?;
    labelling.sink.finish()?;
    Ok(Exit::Done)
}

/// The first dialogues that are not answered yet: what is wrong with them is told before weights are loaded.
fn begin(
    input: &mut Input<'_>,
    questioner: &mut Questioner<'_>,
    sink: &mut Sink<'_>,
    shell: &Shell,
) -> anyhow::Result<(Vec<Dialogue>, Vec<Sample>)> {
    pass_over(input, sink, shell)?;
    let (dialogues, samples) = next(1, input, questioner, shell)?;
    if dialogues.is_empty() && sink.reached().0 == 0 {
        let complaint = Complaint::input(format!("{}: there are no dialogues", input.path.display()));
        return Err(complaint.into());
    }
    Ok((dialogues, samples))
}

/// The next dialogues, and the questions about them. Of those that are passed over there is none.
fn next(
    utterances: usize,
    input: &mut Input<'_>,
    questioner: &mut Questioner<'_>,
    shell: &Shell,
) -> anyhow::Result<(Vec<Dialogue>, Vec<Sample>)> {
    let dialogues = input.next(utterances)?;
    if !input.skips() {
        return Ok(questioner.ask(&input.path, dialogues)?);
    }
    let mut skipped = 0;
    let asked = questioner.ask_each(&input.path, dialogues, |dialogue, error| {
        skipped += 1;
        shell.printer.warn(format_args!("dialogue {}: {}", dialogue.id, described(&error.into())));
    })?;
    input.skipped += skipped;
    Ok(asked)
}

/// The dialogues, and what asks about them. Those of a file are read once before, where prompts show demonstrations: none
/// of them is one.
fn questioner<'o>(
    args: &PredictArgs,
    opened: &'o Opened<'o>,
    shell: &'o Shell,
) -> anyhow::Result<(Input<'o>, Questioner<'o>)> {
    let mut input = Input::open(args, &opened.recipe.data, &opened.labels, &shell.printer)?;
    let sha256 = if opened.shows_demonstrations() { input.sha256()? } else { None };
    let mut split = input.nothing();
    if opened.shows_knowledge() {
        (input, split) = input.whole()?;
    }
    if let Some(warning) = texts_of_training(args, opened.recipe, &input)? {
        shell.printer.warn(warning);
    }
    let content = Content::Dialogues(split);
    let texts = known(opened.recipe, &content, SplitKind::Test);
    let texts = texts.map_err(|error| of_input(error, opened.recipe))?;
    let mut questioner = opened.questioner(texts, sha256)?;
    if opened.shows_demonstrations() && input.is_file {
        let mut again = Input::open(args, &opened.recipe.data, &opened.labels, &Silent)?;
        while let [dialogue] = &again.next(1)?[..] {
            questioner.announce(dialogue);
        }
    }
    questioner.known().summary().iter().for_each(|line| shell.printer.say(line));
    shell.printer.detail(questioner.known().context());
    Ok((input, questioner))
}

/// Passes over the dialogues whose answers an earlier process has written.
fn pass_over(input: &mut Input<'_>, sink: &mut Sink<'_>, shell: &Shell) -> anyhow::Result<()> {
    let (parts, mark) = sink.reached();
    for _ in 0..parts {
        for dialogue in input.next(1)? {
            sink.count(&dialogue);
        }
    }
    sink.check_mark(&mark, &input.path.display().to_string())?;
    if parts > 0 {
        shell.printer.say(format_args!("goes on after {parts} dialogues"));
    }
    Ok(())
}

/// The model with what was trained.
fn model(source: &Source, opened: &Opened<'_>, shell: &Shell) -> anyhow::Result<CausalLm> {
    let Source { recipe, trained, run } = source;
    let on = device::open(&recipe.model.device, recipe.model.dtype)?;
    let (mut model, checkpoint) = load(opened, &on, shell)?;
    if let (Some(run), Some(checkpoint), Trained::Adapter(_)) = (run, checkpoint, trained)
        && let Some(warning) = other_base(run, &opened.base, &checkpoint)?
    {
        shell.printer.warn(warning);
    }
    trained.attach(&mut model, &recipe.model, &shell.printer)?;
    Ok(model)
}

/// Dialogues, and the questions about their utterances.
struct Part {
    dialogues: Vec<Dialogue>,
    samples: Vec<Sample>,
}

/// What finds answers and writes them.
struct Labelling<'a> {
    recipe: &'a Recipe,
    opened: &'a Opened<'a>,
    encoder: &'a Encoder,
    model: CausalLm,
    terms: AnswerTerms,
    shell: &'a Shell,
    sink: Sink<'a>,
}

/// What was answered, in numbers.
struct Counts {
    dialogues: usize,
    utterances: usize,
    unparsed: usize,
    uncertain: usize,
    /// Of those whose label the input has.
    labelled: ScoreTally,
}

impl Counts {
    fn new(labels: &LabelSet) -> Self {
        Self {
            dialogues: 0,
            utterances: 0,
            unparsed: 0,
            uncertain: 0,
            labelled: ScoreTally::empty(labels.len()),
        }
    }

    fn count(&mut self, prediction: &Prediction, labels: &LabelSet) {
        let named = |name: &Option<String>| name.as_deref().and_then(|name| labels.resolve(name));
        if let Some(truth) = named(&prediction.truth) {
            self.labelled.count(truth, named(&prediction.label));
        }
    }

    /// How well the labels of the input were found.
    fn scores(&self) -> Option<String> {
        let count = self.labelled.utterances();
        let score = |score| format!("{score} {:.2}", 100.0 * self.labelled.score(score));
        let scores = HeadlineScore::ALL.map(score).join(", ");
        (count > 0).then(|| format!("of {count} utterances the input has the label; the likeliest: {scores}"))
    }
}

impl Labelling<'_> {
    /// Labels the first dialogues, and all that follow.
    fn all(
        &mut self,
        first: Part,
        input: &mut Input<'_>,
        questioner: &mut Questioner<'_>,
    ) -> anyhow::Result<()> {
        let size = BATCHES * self.recipe.eval.per_device_eval_batch_size;
        let printer = &self.shell.printer;
        let (mut counts, mut rate) =
            (Counts::new(&self.opened.labels), Rate::new(printer, "labelled", !self.sink.is_stdout()));
        let reader = AnswerReader::new(self.encoder);
        let Part { mut dialogues, mut samples } = first;
        while !dialogues.is_empty() {
            self.some(&dialogues, samples, &reader, &mut counts)?;
            rate.set(counts.utterances);
            (dialogues, samples) = next(size, input, questioner, self.shell)?;
        }
        let scores = counts.scores();
        let Counts { dialogues, utterances, unparsed, uncertain, .. } = counts;
        rate.finish(format_args!("{utterances} utterances of {dialogues} dialogues"));
        if let Some(scores) = scores {
            printer.say(scores);
        }
        self.sink.writer.lost().iter().for_each(|lost| printer.warn(lost));
        if uncertain > 0 {
            printer.say(format_args!("{uncertain} of {utterances} answers are \"{UNCERTAIN}\""));
        }
        if input.skipped > 0 {
            printer.warn(format_args!("{} dialogues were passed over: they have no answers", input.skipped));
        }
        if unparsed > 0 {
            let message = format!("{unparsed} of {utterances} answers contain no label: their label is null");
            printer.warn(message);
        }
        Ok(())
    }

    /// The answers to these questions.
    fn answered(&self, samples: Vec<Sample>, reader: &AnswerReader) -> anyhow::Result<Vec<Prediction>> {
        if samples.is_empty() {
            return Ok(Vec::new());
        }
        let questions = Questions { samples, completions: self.encoder.label_completions().to_vec() };
        let labels = &self.opened.labels;
        let context = EvalContext { section: &self.recipe.eval, labels, listener: &Silent };
        let (scored, answers) = ask(&self.model, &questions, Some(reader), "labelling", context)?;
        Ok(predictions(scored, &answers, labels)?)
    }

    /// Labels dialogues and writes their rows.
    fn some(
        &mut self,
        dialogues: &[Dialogue],
        samples: Vec<Sample>,
        reader: &AnswerReader,
        counts: &mut Counts,
    ) -> anyhow::Result<()> {
        let labels = &self.opened.labels;
        let predictions = self.answered(samples, reader)?;
        let named: HashMap<&str, &Dialogue> =
            dialogues.iter().map(|dialogue| (dialogue.id.as_str(), dialogue)).collect();
        for dialogue in dialogues {
            self.sink.count(dialogue);
        }
        // A table's head comes with its first rows, so that it is there once.
        let is_first = counts.dialogues == 0 && self.sink.reached().0 == 0;
        let mut rows = if is_first { self.sink.writer.head()? } else { Vec::new() };
        for prediction in &predictions {
            let dialogue = named[prediction.id.dialogue.as_str()];
            let row = AnswerRow::new(prediction, dialogue, self.terms);
            counts.count(prediction, labels);
            counts.unparsed += usize::from(row.label.is_none());
            counts.uncertain += usize::from(row.label == Some(UNCERTAIN) && self.terms.threshold.is_some());
            rows.extend(self.sink.writer.row(&row)?);
        }
        counts.utterances += predictions.len();
        counts.dialogues += dialogues.len();
        self.sink.write(&rows, dialogues.len() as u64)
    }
}

/// The knowledge texts of a training are those of its own dialogues, whatever ids others have.
fn texts_of_training(
    args: &PredictArgs,
    recipe: &Recipe,
    input: &Input<'_>,
) -> anyhow::Result<Option<String>> {
    let is_given = |name: &str| args.knowledge.iter().any(|given| given.split('=').next() == Some(name));
    let shown = recipe.knowledge.iter().filter(|source| recipe.prompt.slots.has(&source.name));
    let taken: Vec<&str> = shown.map(|source| source.name.as_str()).filter(|name| !is_given(name)).collect();
    let data = &recipe.data;
    let files: Vec<&Path> = [Some(&data.train), data.valid.as_ref(), data.test.as_ref()]
        .into_iter()
        .flatten()
        .map(PathBuf::as_path)
        .collect();
    if taken.is_empty() || input.is_one_of(&files)? {
        return Ok(None);
    }
    let options: Vec<String> = taken.iter().map(|name| format!("--knowledge {name}=FILE")).collect();
    Ok(Some(format!(
        "{}: the knowledge texts are those of the training's recipe, which a dialogue with an id of the training gets\n  hint: \
         give those of the input: {}",
        input.path.display(),
        options.join(" ")
    )))
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
