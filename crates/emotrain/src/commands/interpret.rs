//! `emotrain interpret`: fills the knowledge sources of a recipe by asking a language model.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use emotrain_base::Complaint;
use emotrain_data::{LabelPolicy, LabelSet, Split, SplitKind, load_split};
use emotrain_recipe::{DataFormat, Recipe};

use crate::cli::{InterpretArgs, SplitName};
use crate::exit::{Exit, Problems};
use crate::interpret::{Folder, Identity, Limits, Outlook, Session, Task, Work, look, tasks};
use crate::interrupt::Interrupt;
use crate::llm::{self, ChatModel};
use crate::shell::Shell;

const NOTHING: &str = "nothing to ask";

/// Runs the command.
///
/// # Errors
/// A recipe, data or a folder that does not do; a model that cannot be asked; questions that got no reply.
pub(crate) fn run(args: &InterpretArgs, shell: &Shell) -> anyhow::Result<Exit> {
    let recipe = emotrain_recipe::load(&args.recipe.recipe, &args.recipe.set)?;
    if recipe.data.format == DataFormat::Text {
        return Err(Complaint::usage("data.format = \"text\" has no utterances to interpret").into());
    }
    let tasks = tasks(&recipe)?;
    let labels = LabelSet::from_section(&recipe.data).map_err(|error| Complaint::usage(error.to_string()))?;
    let splits = read(&recipe, &args.split, &labels)?;
    let sessions = sessions(&tasks, &splits)?;
    let limits = Limits {
        max_attempts: recipe.interpret.max_attempts,
        seed: recipe.interpret.seed,
        questions: args.limit,
        retry_failed: args.retry_failed,
    };
    check(&recipe, &tasks, args.fresh)?;
    if args.dry_run {
        return dry_run(&recipe, &sessions, (limits, &labels), shell);
    }
    if !args.fresh && is_all_there(&sessions, (limits, &labels), shell)? {
        return Ok(Exit::Done);
    }
    let interrupt = Interrupt::install()?;
    let mut model = llm::open(&recipe, Arc::clone(interrupt.wished()), shell)?;
    let run =
        Run { recipe: &recipe, labels: &labels, limits, fresh: args.fresh, shell, interrupt: &interrupt };
    let mut tally = Tally::default();
    for task in &tasks {
        let of_task = sessions.iter().filter(|session| session.task.folder == task.folder);
        run.fill(task, (&of_task.collect::<Vec<_>>(), &mut tally), model.as_mut())?;
        if interrupt.wished().load(Ordering::SeqCst) {
            shell.printer.say("what was answered is kept; the same command goes on");
            return Ok(interrupt.exit());
        }
    }
    llm::refuse_silence(tally.silent)?;
    refuse_failure(tally.put, tally.answered)?;
    Ok(Exit::Done)
}

/// What became of the questions of a command.
#[derive(Default)]
struct Tally {
    put: usize,
    answered: usize,
    silent: usize,
}

/// The error of a command that asked and got nothing that it could use.
fn refuse_failure(questions: usize, answered: usize) -> anyhow::Result<()> {
    if questions == 0 || answered > 0 {
        return Ok(());
    }
    let complaint = Complaint::input(format!("none of {questions} questions has a usable reply"));
    Err(complaint
        .hint("see the replies in the .failed.jsonl files; ask another model, or again with --retry-failed")
        .into())
}

/// The splits that were asked for, or all that the recipe names. Labels may be missing.
fn read(recipe: &Recipe, names: &[SplitName], labels: &LabelSet) -> anyhow::Result<Vec<(SplitKind, Split)>> {
    let (section, mut problems) = (&recipe.data, Problems::default());
    let every = [SplitName::Train, SplitName::Valid, SplitName::Test];
    let mut splits = Vec::new();
    for name in every.into_iter().filter(|name| names.is_empty() || names.contains(name)) {
        let Some(path) = name.file(section) else {
            if names.contains(&name) {
                let key = name.as_str();
                let complaint = Complaint::usage(format!("the recipe names no data.{key}"));
                problems.add(complaint.hint(format!("add {key} = \"…\" under [data]")).into());
            }
            continue;
        };
        let kind = match name {
            SplitName::Train => SplitKind::Train,
            SplitName::Valid => SplitKind::Valid,
            SplitName::Test => SplitKind::Test,
        };
        let split = load_split(path, section.format, labels, LabelPolicy::Optional);
        splits.extend(problems.take(split).map(|split| (kind, split)));
    }
    problems.finish()?;
    Ok(splits)
}

fn sessions<'s>(tasks: &'s [Task], splits: &'s [(SplitKind, Split)]) -> anyhow::Result<Vec<Session<'s>>> {
    let pairs = tasks.iter().flat_map(|task| splits.iter().map(move |(kind, split)| (task, *kind, split)));
    pairs.map(|(task, kind, split)| Session::new(task, kind, split)).collect()
}

/// Refuses folders with texts of another origin, as far as that is known before a model is opened.
fn check(recipe: &Recipe, tasks: &[Task], fresh: bool) -> anyhow::Result<()> {
    let Some(model) = llm::named(&recipe.interpret).filter(|_| !fresh) else { return Ok(()) };
    let mut problems = Problems::default();
    for task in tasks {
        let identity = Identity::new(task, &recipe.interpret, model.clone());
        problems.take(Folder::look(&task.folder).and_then(|folder| folder.check(&identity)));
    }
    problems.finish()
}

/// Whether nothing is left to ask, and says so: that takes neither a server's key nor a model.
fn is_all_there(
    sessions: &[Session<'_>],
    (limits, labels): (Limits, &LabelSet),
    shell: &Shell,
) -> anyhow::Result<bool> {
    let mut outlooks = Vec::new();
    for session in sessions {
        let folder = Folder::look(&session.task.folder)?;
        let (outlook, open) = look(&folder, session, (limits, labels))?;
        if !open.is_empty() || !folder.is_finished(session.split) {
            return Ok(false);
        }
        outlooks.push(outlook);
    }
    for (session, outlook) in sessions.iter().zip(&outlooks) {
        tell(session, (outlook, NOTHING), shell)?;
    }
    let sum = |count: fn(&Outlook) -> usize| outlooks.iter().map(count).sum();
    refuse_failure(sum(|outlook| outlook.failed), sum(|outlook| outlook.done))?;
    Ok(true)
}

fn dry_run(
    recipe: &Recipe,
    sessions: &[Session<'_>],
    (limits, labels): (Limits, &LabelSet),
    shell: &Shell,
) -> anyhow::Result<Exit> {
    let (mut count, mut tokens) = (0, 0);
    for session in sessions {
        let folder = Folder::look(&session.task.folder)?;
        let (outlook, open) = look(&folder, session, (limits, labels))?;
        let asked = session.tokens(&open);
        shell.printer.result(format_args!(
            "{} of {}: {} questions, {} answered, {} failed, {} to ask with about {asked} tokens",
            session.task.name,
            session.split.as_str(),
            session.len(),
            outlook.done,
            outlook.failed,
            open.len(),
        ))?;
        count += open.len();
        tokens += asked;
    }
    let replies = recipe.interpret.max_tokens.map_or_else(
        || "as many as the server lets them have".to_owned(),
        |most| format!("at most {} (max_tokens for each)", count * most),
    );
    shell.printer.result(format_args!(
        "{count} questions to ask: about {tokens} tokens, a token being four characters; in first replies {replies}"
    ))?;
    Ok(Exit::Done)
}

/// What all folders of a command have in common.
struct Run<'r> {
    recipe: &'r Recipe,
    labels: &'r LabelSet,
    limits: Limits,
    fresh: bool,
    shell: &'r Shell,
    interrupt: &'r Interrupt,
}

impl Run<'_> {
    /// Fills a folder, and counts.
    fn fill(
        &self,
        task: &Task,
        (sessions, tally): (&[&Session<'_>], &mut Tally),
        model: &mut dyn ChatModel,
    ) -> anyhow::Result<()> {
        let identity = Identity::new(task, &self.recipe.interpret, model.identity());
        let mut folder = Folder::take(&task.folder)?;
        if self.fresh {
            folder.clear()?;
        }
        folder.check(&identity)?;
        for session in sessions {
            let (outlook, open) = look(&folder, session, (self.limits, self.labels))?;
            if open.is_empty() && folder.is_finished(session.split) {
                tell(session, (&outlook, NOTHING), self.shell)?;
                continue;
            }
            tally.put += open.len();
            let (answered, silent) = self.ask(session, (&mut folder, identity.clone()), model)?;
            tally.answered += answered.saturating_sub(outlook.done);
            tally.silent += silent;
            if self.interrupt.wished().load(Ordering::SeqCst) {
                break;
            }
        }
        Ok(())
    }

    /// Asks what is open; how many questions are answered by then, and how many got no reply.
    fn ask(
        &self,
        session: &Session<'_>,
        (folder, identity): (&mut Folder, Identity),
        model: &mut dyn ChatModel,
    ) -> anyhow::Result<(usize, usize)> {
        let around = (self.interrupt.wished().as_ref(), &self.shell.printer);
        let mut work = Work::take_up(folder, (session, identity), self.limits, around)?;
        let asked = self.interrupt.guard(|| model.answer(&mut work));
        let (put, reasons) = (work.put(), work.silent().clone());
        let outlook = work.close(folder, self.labels)?;
        tell(session, (&outlook, &format!("{put} asked")), self.shell)?;
        asked?;
        Ok((outlook.done, llm::tell_silent(&reasons, &self.shell.printer)))
    }
}

fn tell(
    session: &Session<'_>,
    (outlook, what): (&Outlook, &str),
    Shell { printer, .. }: &Shell,
) -> anyhow::Result<()> {
    let Outlook { questions, done, failed, open, replies, naming_labels, length_outside } = outlook;
    printer.result(format_args!(
        "{} of {}: {what}; of {questions} questions {done} answered, {failed} failed, {open} open; {replies} replies in \
         all; {naming_labels} texts name a label, {length_outside} are shorter or longer than asked for",
        session.task.name,
        session.split.as_str(),
    ))?;
    if *failed > 0 && *open == 0 {
        printer.warn(format_args!(
            "{failed} questions have no usable reply: see {}.failed.jsonl in {}, and --retry-failed",
            session.split.as_str(),
            session.task.folder.display(),
        ));
    }
    Ok(())
}
