//! `emotrain bank generate`: labelled dialogues from a language model.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use emotrain_base::{Complaint, write_atomic};
use emotrain_data::{LabelSet, TextFile};
use emotrain_prompt::unfenced;
use emotrain_recipe::Recipe;
use emotrain_retrieval::{
    Bank, Counted, DialogueGeneration, GeneratePlan, GenerationOutcome, Rejection, RetrievalError,
    WrittenDialogue,
};
use serde::{Deserialize, Serialize};

use super::review::label_set;
use crate::cli::GenerateArgs;
use crate::exit::Exit;
use crate::interpret::lock;
use crate::interrupt::Interrupt;
use crate::llm::{self, Answer, Finish, Inquiry, ModelIdentity, Question, Reply};
use crate::printer::{Pace, Printer};
use crate::shell::Shell;

/// PRC-Emo's walks of life.
const DOMAINS: [&str; 7] =
    ["healthcare", "workplace", "education", "family", "social", "entertainment", "comprehensive"];
/// The version of the manifest.
const VERSION: u32 = 1;

/// Runs the command.
///
/// # Errors
/// Arguments that do not fit together, a bank that cannot be read, a model that cannot be asked.
pub(super) fn run(args: &GenerateArgs, shell: &Shell) -> anyhow::Result<Exit> {
    let recipe = recipe(args)?;
    let labels = label_set(&args.label_set)?;
    let plan = plan(args, &labels)?;
    emotrain_base::recover(&args.bank)?;
    let bank = if args.bank.join("manifest.json").exists() { Some(Bank::open(&args.bank)?) } else { None };
    let out = args.out.clone().unwrap_or_else(|| {
        let mut name = OsString::from(&args.bank);
        name.push(".generated");
        PathBuf::from(name)
    });
    let interrupt = Interrupt::install()?;
    let mut model = llm::open(&recipe, Arc::clone(interrupt.wished()), shell)?;
    emotrain_base::create_folder(&out)?;
    let _lock = lock(&out)?;
    let mut manifest = Manifest::read(&out, &labels)?;
    let work = DialogueGeneration::open(&plan, (&labels, bank.as_ref()), &out)?;
    let mut writing = Writing::new(work, recipe.interpret.seed, (interrupt.wished(), &shell.printer));
    let asked = interrupt.guard(|| model.answer(&mut writing));
    let generated = writing.work.generated();
    if generated.questions > 0 {
        manifest.sessions.push(Session::new(&recipe, model.identity(), (&generated, &writing)));
        manifest.write(&out)?;
    }
    writing.pace.finish();
    shell.printer.result(&generated)?;
    asked?;
    if interrupt.wished().load(Ordering::SeqCst) {
        shell.printer.say("what was written is kept; the same command goes on");
        return Ok(interrupt.exit());
    }
    let silent = llm::tell_silent(&writing.silent, &shell.printer);
    tell(args, (&out, &generated), silent, &shell.printer);
    llm::refuse_silence(silent)?;
    Ok(Exit::Done)
}

fn tell(
    args: &GenerateArgs,
    (out, generated): (&Path, &GenerationOutcome),
    silent: usize,
    printer: &Printer,
) {
    let (file, bank) = (out.join("dialogues.jsonl"), args.bank.display());
    if !generated.short.is_empty() && silent == 0 {
        printer.say("the questions are used up: the same command goes on where this one stopped");
    }
    if generated.dialogues == 0 {
        return;
    }
    let file = file.display();
    printer.say(format_args!(
        "check the labels: emotrain bank review sheet {file} --out {}/review --dataset written",
        out.display()
    ));
    printer
        .say(format_args!("or take them as they are: emotrain bank build {bank} {file} --dataset written"));
}

/// The defaults with the arguments in `[interpret]`, so that keys and their errors are those of recipes.
fn recipe(args: &GenerateArgs) -> anyhow::Result<Recipe> {
    let text = "[model]\nmodel_name_or_path = \"none\"\n[data]\ntrain = \"none\"\n\
                [eval]\nload_best_model_at_end = false\nbaseline = false\n\
                [interpret]\ntemperature = 1.0\ntop_p = 0.95\nmax_tokens = 2048\n";
    let mean = ["interpret.", "model.device", "model.dtype", "model.num_threads"];
    let is_known = |set: &str| mean.iter().any(|key| set.trim_start().starts_with(key));
    if let Some(other) = args.set.iter().find(|set| !is_known(set)) {
        let message =
            format!("--set {other}: only keys of [interpret] and the device of [model] mean something here");
        return Err(Complaint::usage(message).into());
    }
    let named = [
        ("model", &args.model),
        ("provider", &args.provider),
        ("base_url", &args.base_url),
        ("api_key_env", &args.api_key_env),
    ];
    let named =
        named.iter().filter_map(|(key, value)| Some(format!("interpret.{key}={:?}", value.as_deref()?)));
    let set: Vec<String> = named.chain(args.set.iter().cloned()).collect();
    Ok(emotrain_recipe::parse(text, Path::new("command line"), &set)?)
}

fn plan(args: &GenerateArgs, labels: &LabelSet) -> anyhow::Result<GeneratePlan> {
    let GenerateArgs { subtopics, speakers, least_turns, most_turns, most_questions, .. } = *args;
    for (name, value) in [("subtopics", subtopics), ("speakers", speakers), ("least-turns", least_turns)] {
        if value == 0 {
            return Err(Complaint::usage(format!("--{name} must be at least 1")).into());
        }
    }
    if least_turns > most_turns || speakers > most_turns {
        let message = format!("{least_turns} to {most_turns} utterances of {speakers} speakers cannot be");
        let hint = "--most-turns is at least --least-turns and --speakers";
        return Err(Complaint::usage(message).hint(hint).into());
    }
    let mut wanted = vec![args.per_label; labels.len()];
    if !args.want.is_empty() {
        wanted = vec![0; labels.len()];
    }
    for want in &args.want {
        let wrong = || Complaint::usage(format!("--want {want} is not of the form LABEL=N"));
        let (word, count) = want.split_once('=').ok_or_else(wrong)?;
        let label = labels.resolve(word).ok_or_else(|| {
            let complaint = Complaint::usage(format!("--want {want}: unknown label \"{word}\""));
            complaint.hint(format!("the labels are {}", labels.names().join(", ")))
        })?;
        wanted[label.index()] = count.parse().map_err(|_| wrong())?;
    }
    let given = args.domain.iter().map(|domain| domain.trim().to_owned()).filter(|domain| !domain.is_empty());
    let mut domains: Vec<String> = given.collect();
    if domains.is_empty() {
        domains = DOMAINS.map(str::to_owned).to_vec();
    }
    let counted = if args.want.is_empty() { Counted::BankAndWritten } else { Counted::Written };
    Ok(GeneratePlan {
        domains,
        subtopics,
        wanted,
        counted,
        speakers,
        least_turns,
        most_turns,
        most_questions,
    })
}

/// The work as a language model sees it.
struct Writing<'w> {
    work: DialogueGeneration<'w>,
    /// Seed of the first question; each further one has the next.
    seed: u64,
    /// Utterances that were missing at first.
    missing: usize,
    taken: usize,
    rejected: usize,
    /// Why questions got no reply, each reason with their number.
    silent: BTreeMap<String, usize>,
    wish: &'w AtomicBool,
    printer: &'w Printer,
    pace: Pace<'w>,
}

impl<'w> Writing<'w> {
    fn new(work: DialogueGeneration<'w>, seed: u64, (wish, printer): (&'w AtomicBool, &'w Printer)) -> Self {
        let before = work.generated();
        let missing = missing(&before);
        let pace = Pace::new(printer, "utterances".to_owned(), missing);
        // Replies of earlier sessions have had their seeds.
        let seed = seed.wrapping_add((before.dialogues + before.rejected) as u64);
        Self { work, seed, missing, taken: 0, rejected: 0, silent: BTreeMap::new(), wish, printer, pace }
    }

    fn told(&mut self, came: Result<Option<WrittenDialogue>, Rejection>) {
        match came {
            Ok(Some(dialogue)) => {
                self.taken += 1;
                self.printer.detail(format_args!(
                    "{}: {} utterances",
                    dialogue.id,
                    dialogue.utterances.len()
                ));
                self.pace.reach(self.missing.saturating_sub(missing(&self.work.generated())));
            }
            Ok(None) => {}
            Err(reason) => {
                self.rejected += 1;
                self.printer.detail(format_args!("a reply is rejected: {reason}"));
            }
        }
    }
}

fn missing(generated: &GenerationOutcome) -> usize {
    generated.short.iter().map(|(_, missing)| missing).sum()
}

impl Inquiry for Writing<'_> {
    fn next(&mut self) -> Option<Question> {
        if self.wish.load(Ordering::SeqCst) {
            return None;
        }
        let (number, user) = self.work.next_question()?;
        let seed = self.seed.wrapping_add(number as u64);
        Some(Question { number, system: String::new(), user, keys: Vec::new(), seed })
    }

    fn hear(&mut self, number: usize, answer: Answer) -> anyhow::Result<()> {
        let reject = |work: &mut DialogueGeneration<'_>, reply: &str, reason| -> Result<_, RetrievalError> {
            work.reject(number, reply, reason).map(Err)
        };
        let came = match answer {
            Answer::Reply(Reply { text, finish: Finish::Stop }) => self.work.hear(number, unfenced(&text))?,
            Answer::Reply(Reply { text, finish: Finish::Length }) => {
                reject(&mut self.work, &text, Rejection::CutOff)?
            }
            Answer::Reply(Reply { text, finish: Finish::Other(why) }) => {
                reject(&mut self.work, &text, Rejection::Refused(why))?
            }
            Answer::Refused(why) => reject(&mut self.work, "", Rejection::Refused(why))?,
            Answer::Unanswered(reason) => {
                self.work.lose(number);
                *self.silent.entry(reason).or_default() += 1;
                return Ok(());
            }
        };
        self.told(came);
        Ok(())
    }
}

/// `manifest.json` beside the dialogues: who wrote them.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format_version: u32,
    labels: Vec<String>,
    sessions: Vec<Session>,
}

/// One run of the command.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Session {
    model: ModelIdentity,
    temperature: f64,
    top_p: f64,
    max_tokens: Option<usize>,
    seed: u64,
    extra_body: Option<String>,
    questions: usize,
    dialogues: usize,
    rejected: usize,
}

impl Session {
    fn new(
        recipe: &Recipe,
        model: ModelIdentity,
        (generated, writing): (&GenerationOutcome, &Writing<'_>),
    ) -> Self {
        let section = &recipe.interpret;
        Self {
            model,
            temperature: section.temperature,
            top_p: section.top_p,
            max_tokens: section.max_tokens,
            seed: section.seed,
            extra_body: section.extra_body.clone(),
            questions: generated.questions,
            dialogues: writing.taken,
            rejected: writing.rejected,
        }
    }
}

impl Manifest {
    fn read(folder: &Path, labels: &LabelSet) -> anyhow::Result<Self> {
        let path = folder.join("manifest.json");
        if !path.exists() {
            return Ok(Self {
                format_version: VERSION,
                labels: labels.names().to_vec(),
                sessions: Vec::new(),
            });
        }
        let wrong = |what: String| {
            let complaint = Complaint::input(format!("{}: {what}", path.display()));
            complaint.hint("give the dialogues another folder with --out")
        };
        let manifest: Self = serde_json::from_str(&TextFile::read(&path)?.text)
            .map_err(|error| wrong(format!("not a manifest of emotrain bank generate: {error}")))?;
        if manifest.format_version != VERSION {
            let version = manifest.format_version;
            return Err(wrong(format!("format_version {version}, this version knows {VERSION}")).into());
        }
        if manifest.labels != labels.names() {
            return Err(
                wrong(format!("the dialogues there have the labels {}", manifest.labels.join(", "))).into()
            );
        }
        Ok(manifest)
    }

    fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let text = format!("{}\n", serde_json::to_string_pretty(self)?);
        Ok(write_atomic(&folder.join("manifest.json"), text.as_bytes())?)
    }
}
