//! `emotrain bank generate`: labelled dialogues from a language model.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use emotrain_ask::{DialogueOrder, open_chat_model, refuse_silence, tell_silence, write_dialogues};
use emotrain_base::Complaint;
use emotrain_data::LabelSet;
use emotrain_recipe::Recipe;
use emotrain_retrieval::{Bank, Counted, GeneratePlan, GenerationOutcome};

use super::review::label_set;
use crate::cli::GenerateArgs;
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::printer::Printer;
use crate::shell::Shell;

/// PRC-Emo's walks of life.
const DOMAINS: [&str; 7] =
    ["healthcare", "workplace", "education", "family", "social", "entertainment", "comprehensive"];

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
    let context = shell.ask_context(&interrupt);
    let mut model = open_chat_model(&recipe, context)?;
    let section = &recipe.interpret;
    let order = DialogueOrder { plan: &plan, labels: &labels, bank: bank.as_ref(), out: &out, section };
    let written = interrupt.guard(|| write_dialogues(order, model.as_mut(), context))?;
    shell.printer.result(&written.generated)?;
    written.ended?;
    if interrupt.stop().load(Ordering::SeqCst) {
        shell.printer.say("dialogues are kept; run the same command again to continue");
        return Ok(interrupt.exit());
    }
    let silent = tell_silence(&written.silent, &shell.printer);
    tell(args, &out, &written.generated, silent, &shell.printer);
    refuse_silence(silent)?;
    Ok(Exit::Done)
}

fn tell(args: &GenerateArgs, out: &Path, generated: &GenerationOutcome, silent: usize, printer: &Printer) {
    let (file, bank) = (out.join("dialogues.jsonl"), args.bank.display());
    if !generated.short.is_empty() && silent == 0 {
        printer.say("--most-questions is reached: run the same command again to continue");
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
        .say(format_args!("or add them without review: emotrain bank build {bank} {file} --dataset written"));
}

/// The defaults with the arguments in `[interpret]`, so that keys and their errors are those of recipes.
fn recipe(args: &GenerateArgs) -> anyhow::Result<Recipe> {
    let text = "[model]\nmodel_name_or_path = \"none\"\n[data]\ntrain = \"none\"\n\
                [eval]\nload_best_model_at_end = false\nbaseline = false\n\
                [interpret]\ntemperature = 1.0\ntop_p = 0.95\nmax_tokens = 2048\n";
    let mean = ["interpret.", "model.device", "model.dtype", "model.num_threads"];
    let is_known = |set: &str| mean.iter().any(|key| set.trim_start().starts_with(key));
    if let Some(other) = args.set.iter().find(|set| !is_known(set)) {
        let message = format!("--set {other}: only keys of [interpret] and model.device apply here");
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
        let message =
            format!("{least_turns} to {most_turns} utterances with {speakers} speakers are impossible");
        let hint = "--most-turns must be at least --least-turns and --speakers";
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
