//! All that a recipe asks: what is open of it, and the asking.

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use emotrain_base::{Complaint, Problems};
use emotrain_data::{LabelPolicy, LabelSet, Split, SplitKind, read_split};
use emotrain_recipe::Recipe;

use super::folder::Folder;
use super::record::Identity;
use super::session::Session;
use super::standing::Outlook;
use super::task::{Task, tasks};
use super::work::{Limits, Work, look};
use crate::chat_model::{AskContext, ChatModel, named};
use crate::error::AskError;
use crate::silence::{refuse_silence, tell_silence};

/// The knowledge sources of a recipe that a query fills, and the dialogues that they are about.
pub struct QuerySources {
    tasks: Vec<Task>,
    labels: LabelSet,
    splits: Vec<(SplitKind, Split)>,
}

impl QuerySources {
    /// Reads the files of these splits, or of all that the recipe names. Labels may be missing in them.
    ///
    /// # Errors
    /// Sources that no query can fill as they are, or none at all; files that cannot be read.
    pub fn read(recipe: &Recipe, splits: &[SplitKind]) -> Result<Self, AskError> {
        let tasks = tasks(recipe)?;
        let labels =
            LabelSet::from_section(&recipe.data).map_err(|error| Complaint::usage(error.to_string()))?;
        let splits = read(recipe, splits, &labels)?;
        Ok(Self { tasks, labels, splits })
    }

    fn sessions(&self) -> Result<Vec<Session<'_>>, AskError> {
        let pairs = self.tasks.iter().flat_map(|task| self.splits.iter().map(move |split| (task, split)));
        pairs.map(|(task, (kind, split))| Session::new(task, *kind, split)).collect()
    }
}

fn read(
    recipe: &Recipe,
    names: &[SplitKind],
    labels: &LabelSet,
) -> Result<Vec<(SplitKind, Split)>, AskError> {
    let (section, mut problems) = (&recipe.data, Problems::default());
    let mut splits = Vec::new();
    for kind in SplitKind::ALL.into_iter().filter(|kind| names.is_empty() || names.contains(kind)) {
        let Some(split) = read_split(section, kind, labels, LabelPolicy::Optional) else {
            if names.contains(&kind) {
                let complaint = Complaint::usage(format!("the recipe names no data.{kind}"));
                problems.add(complaint.hint(format!("add {kind} = \"…\" under [data]")));
            }
            continue;
        };
        splits.extend(problems.take(split).map(|split| (kind, split)));
    }
    problems.finish()?;
    Ok(splits)
}

/// How much is asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct FillOptions {
    /// Questions that are put at most about each split.
    pub questions: Option<usize>,
    /// Whether what failed is asked again.
    pub retry_failed: bool,
    /// Whether what the folders hold is thrown away first.
    pub fresh: bool,
}

/// The questions of a recipe, put to a model until each has a text or has failed.
pub struct Filling<'f> {
    recipe: &'f Recipe,
    sources: &'f QuerySources,
    sessions: Vec<Session<'f>>,
    limits: Limits,
    fresh: bool,
}

/// The progress of a query's questions about one split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionStatus {
    /// The query's name.
    pub query: String,
    /// The split that is asked about.
    pub split: SplitKind,
    /// Where the texts go.
    pub folder: PathBuf,
    /// How many questions are answered, failed and open.
    pub outlook: Outlook,
    /// Questions that were put; `None` where there was nothing to ask.
    pub put: Option<usize>,
}

/// What is still to be asked about a split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenQuestions {
    /// The state of the split.
    pub status: SessionStatus,
    /// Questions that would be put.
    pub questions: usize,
    /// About how many tokens they have, four characters being one.
    pub tokens: usize,
}

/// What became of the questions of a filling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    put: usize,
    answered: usize,
    silent: usize,
}

impl Tally {
    /// Refuses a filling in which questions got no reply, or in which none got one that could be used.
    ///
    /// # Errors
    /// If that is so.
    pub fn check(self) -> Result<(), AskError> {
        refuse_silence(self.silent)?;
        refuse_failure(self.put, self.answered)
    }
}

/// The error of a filling that asked and got nothing that it could use.
fn refuse_failure(questions: usize, answered: usize) -> Result<(), AskError> {
    if questions == 0 || answered > 0 {
        return Ok(());
    }
    let complaint = Complaint::input(format!("none of {questions} questions has a usable reply"));
    Err(complaint
        .hint("see the replies in the .failed.jsonl files; ask another model, or again with --retry-failed")
        .into())
}

impl<'f> Filling<'f> {
    /// Writes all questions, and refuses folders with texts of another origin, if that is known before a model is
    /// opened.
    ///
    /// # Errors
    /// A query that cannot be rendered; every folder that holds other texts.
    pub fn new(
        recipe: &'f Recipe,
        sources: &'f QuerySources,
        options: FillOptions,
    ) -> Result<Self, AskError> {
        let limits = Limits {
            max_attempts: recipe.interpret.max_attempts,
            seed: recipe.interpret.seed,
            questions: options.questions,
            retry_failed: options.retry_failed,
        };
        let sessions = sources.sessions()?;
        let filling = Self { recipe, sources, sessions, limits, fresh: options.fresh };
        filling.check_folders()?;
        Ok(filling)
    }

    fn check_folders(&self) -> Result<(), AskError> {
        let section = &self.recipe.interpret;
        let Some(model) = named(section).filter(|_| !self.fresh) else { return Ok(()) };
        let mut problems = Problems::default();
        for task in &self.sources.tasks {
            let identity = Identity::new(task, section, model.clone());
            problems.take(Folder::look(&task.folder).and_then(|folder| folder.check(&identity)));
        }
        Ok(problems.finish()?)
    }

    /// What is still to be asked, split by split. Changes nothing.
    ///
    /// # Errors
    /// Texts about other data; files that were changed.
    pub fn open(&self) -> Result<Vec<OpenQuestions>, AskError> {
        let open = |session: &Session<'_>| {
            let folder = Folder::look(&session.task.folder)?;
            let (outlook, open) = self.look(&folder, session)?;
            let (questions, tokens) = (open.len(), session.tokens(&open));
            Ok(OpenQuestions { status: status(session, outlook, None), questions, tokens })
        };
        self.sessions.iter().map(open).collect()
    }

    /// The state if nothing is left to ask, which needs neither a server's key nor a model.
    ///
    /// # Errors
    /// As [`Filling::open`].
    pub fn finished(&self) -> Result<Option<Vec<SessionStatus>>, AskError> {
        if self.fresh {
            return Ok(None);
        }
        let mut statuses = Vec::new();
        for session in &self.sessions {
            let folder = Folder::look(&session.task.folder)?;
            let (outlook, open) = self.look(&folder, session)?;
            if !open.is_empty() || !folder.is_finished(session.split) {
                return Ok(None);
            }
            statuses.push(status(session, outlook, None));
        }
        Ok(Some(statuses))
    }

    /// Refuses a filling with nothing left to ask in which no question has a usable reply.
    ///
    /// # Errors
    /// If that is so.
    pub fn check_finished(statuses: &[SessionStatus]) -> Result<(), AskError> {
        let sum = |count: fn(&Outlook) -> usize| statuses.iter().map(|status| count(&status.outlook)).sum();
        refuse_failure(sum(|outlook| outlook.failed), sum(|outlook| outlook.done))
    }

    /// Asks all open questions, until they are answered or a stop is requested. `tell` is called for each split that is
    /// through.
    ///
    /// # Errors
    /// A folder that another process works in; what ends all asking; an error of `tell`.
    pub fn fill<E: From<AskError>>(
        &self,
        model: &mut dyn ChatModel,
        context: AskContext<'_>,
        tell: &mut dyn FnMut(&SessionStatus) -> Result<(), E>,
    ) -> Result<Tally, E> {
        let mut tally = Tally::default();
        for task in &self.sources.tasks {
            let identity = Identity::new(task, &self.recipe.interpret, model.identity());
            let mut folder = self.take(task, &identity)?;
            for session in self.sessions.iter().filter(|session| session.task.folder == task.folder) {
                let (outlook, open) = self.look(&folder, session)?;
                if open.is_empty() && folder.is_finished(session.split) {
                    tell(&status(session, outlook, None))?;
                    continue;
                }
                tally.put += open.len();
                let mut work = Work::take_up(&folder, session, identity.clone(), self.limits, context)?;
                let asked = model.answer(&mut work);
                let (put, reasons) = (work.put(), work.silent().clone());
                let after = work.close(&mut folder, &self.sources.labels)?;
                tally.answered += after.done.saturating_sub(outlook.done);
                tell(&status(session, after, Some(put)))?;
                asked?;
                tally.silent += tell_silence(&reasons, context.hub.listener());
                if context.stop.load(Ordering::SeqCst) {
                    return Ok(tally);
                }
            }
        }
        Ok(tally)
    }

    /// A task's folder, to be written to.
    fn take(&self, task: &Task, identity: &Identity) -> Result<Folder, AskError> {
        let mut folder = Folder::take(&task.folder)?;
        if self.fresh {
            folder.clear()?;
        }
        folder.check(identity)?;
        Ok(folder)
    }

    fn look(&self, folder: &Folder, session: &Session<'_>) -> Result<(Outlook, Vec<usize>), AskError> {
        look(folder, session, self.limits, &self.sources.labels)
    }
}

fn status(session: &Session<'_>, outlook: Outlook, put: Option<usize>) -> SessionStatus {
    let (query, folder) = (session.task.name.clone(), session.task.folder.clone());
    SessionStatus { query, split: session.split, folder, outlook, put }
}
