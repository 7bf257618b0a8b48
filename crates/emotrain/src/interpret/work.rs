//! The questions of a session, put to a model until each has a text or has failed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};

use emotrain_data::LabelSet;
use emotrain_prompt::QueryText;

use super::folder::{Folder, Found};
use super::journal::{Entry, Journal, Outcome, Place};
use super::record::Identity;
use super::session::Session;
use super::standing::{Known, Standing};
use crate::llm::{Answer, Finish, Inquiry, Question, Reply};
use crate::printer::{Pace, Printer};

/// How far the work goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Replies that a question gets.
    pub(crate) max_attempts: usize,
    /// Seed of the first of them; each further one has the next.
    pub(crate) seed: u64,
    /// Questions that are put at most.
    pub(crate) questions: Option<usize>,
    /// Whether what failed is asked again.
    pub(crate) retry_failed: bool,
}

/// A session under way.
pub(crate) struct Work<'w> {
    session: &'w Session<'w>,
    identity: Identity,
    limits: Limits,
    standing: Standing,
    /// Replies of all times.
    replies: usize,
    journal: Journal,
    /// Numbers of questions to put.
    queue: VecDeque<usize>,
    /// Questions that are not in the queue any more, counted once each.
    put: usize,
    /// Why questions got no reply, and how many.
    silent: BTreeMap<String, usize>,
    wish: &'w AtomicBool,
    pace: Pace<'w>,
}

/// How a session stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outlook {
    pub(crate) questions: usize,
    pub(crate) done: usize,
    pub(crate) failed: usize,
    /// Questions that are still to be asked.
    pub(crate) open: usize,
    /// Replies of all times.
    pub(crate) replies: usize,
    /// Texts in which a label stands as a word.
    pub(crate) naming_labels: usize,
    /// Texts that are shorter or longer than asked for.
    pub(crate) length_outside: usize,
}

impl<'w> Work<'w> {
    /// Takes up a session where it stopped; `None` if there is nothing to ask.
    ///
    /// # Errors
    /// A folder with texts of another origin, files that were changed or cannot be written.
    pub(crate) fn take_up(
        folder: &Folder,
        (session, identity): (&'w Session<'w>, Identity),
        limits: Limits,
        (wish, printer): (&'w AtomicBool, &'w Printer),
    ) -> anyhow::Result<Self> {
        let mut found = folder.find(session, Some(&identity))?;
        let journal = folder.journal_of(session, (&identity, &found), limits.retry_failed)?;
        if limits.retry_failed {
            found.standing.known.iter_mut().for_each(Known::forgive);
        }
        let Found { standing, replies, .. } = found;
        let mut queue: VecDeque<usize> = standing.open(limits.max_attempts).into();
        queue.truncate(limits.questions.unwrap_or(usize::MAX));
        let what = format!("{} of {}", session.task.name, session.split.as_str());
        let pace = Pace::new(printer, what, queue.len());
        let (put, silent) = (0, BTreeMap::new());
        Ok(Self { session, identity, limits, standing, replies, journal, queue, put, silent, wish, pace })
    }

    /// How many questions were put.
    pub(crate) fn put(&self) -> usize {
        self.put
    }

    /// Why questions got no reply, each reason with their number.
    pub(crate) fn silent(&self) -> &BTreeMap<String, usize> {
        &self.silent
    }

    /// Makes files of the texts, if nothing is left to ask, and says how the session stands.
    ///
    /// # Errors
    /// Files that cannot be written.
    pub(crate) fn close(self, folder: &mut Folder, labels: &LabelSet) -> anyhow::Result<Outlook> {
        self.pace.finish();
        let outlook = outlook(self.session, (&self.standing, self.replies), self.limits.max_attempts, labels);
        if outlook.open == 0 {
            let measured = (outlook.naming_labels, outlook.length_outside);
            folder.finish(self.session, (&self.identity, &self.standing, self.replies), measured)?;
        }
        Ok(outlook)
    }

    /// Keeps what came of a reply, on disk first.
    fn keep(&mut self, number: usize, outcome: Outcome) -> anyhow::Result<()> {
        let asked = &self.session.questions[number];
        let known = &mut self.standing.known[number];
        let of = Place::new(asked.dialogue, &asked.target);
        let entry = Entry { of, attempt: known.attempts + 1, outcome };
        self.journal.add(&entry)?;
        self.replies += 1;
        known.hear(&entry.outcome);
        if known.is_open(self.limits.max_attempts) {
            self.queue.push_back(number);
        } else {
            self.pace.advance();
        }
        Ok(())
    }

    fn judge(&self, reply: Reply) -> Outcome {
        let Reply { text, finish } = reply;
        let read = match finish {
            Finish::Stop => self.session.task.query.read(&text).map_err(|error| error.to_string()),
            Finish::Length => Err("it was cut off at max_tokens".to_owned()),
            Finish::Other(why) => Err(format!("it ended early: {why}")),
        };
        match read {
            Ok(texts) => Outcome::Taken(texts),
            Err(reason) => Outcome::Bad { reason, reply: text },
        }
    }
}

impl Inquiry for Work<'_> {
    fn next(&mut self) -> Option<Question> {
        if self.wish.load(Ordering::SeqCst) {
            return None;
        }
        let number = self.queue.pop_front()?;
        let known = &self.standing.known[number];
        self.put += usize::from(known.counted == 0);
        let QueryText { system, user } = self.session.questions[number].text.clone();
        let keys = self.session.task.query.keys().to_vec();
        let seed = self.limits.seed.wrapping_add(known.attempts as u64);
        Some(Question { number, system, user, keys, seed })
    }

    fn hear(&mut self, number: usize, answer: Answer) -> anyhow::Result<()> {
        match answer {
            // A second answer to the same question changes nothing.
            _ if self.standing.known[number].texts.is_some() => Ok(()),
            Answer::Reply(reply) => {
                let outcome = self.judge(reply);
                self.keep(number, outcome)
            }
            Answer::Refused(reason) => self.keep(number, Outcome::Refused { reason }),
            Answer::Unanswered(reason) => {
                *self.silent.entry(reason).or_default() += 1;
                Ok(())
            }
        }
    }
}

/// How a session stands without being taken up.
///
/// # Errors
/// Texts about other data; files that were changed.
pub(crate) fn look(
    folder: &Folder,
    session: &Session<'_>,
    (limits, labels): (Limits, &LabelSet),
) -> anyhow::Result<(Outlook, Vec<usize>)> {
    let mut found = folder.find(session, None)?;
    if limits.retry_failed {
        found.standing.known.iter_mut().for_each(Known::forgive);
    }
    let mut open = found.standing.open(limits.max_attempts);
    open.truncate(limits.questions.unwrap_or(usize::MAX));
    Ok((outlook(session, (&found.standing, found.replies), limits.max_attempts, labels), open))
}

fn outlook(
    session: &Session<'_>,
    (standing, replies): (&Standing, usize),
    max_attempts: usize,
    labels: &LabelSet,
) -> Outlook {
    let known = &standing.known;
    let texts = known.iter().flat_map(|known| known.texts.iter().flatten().map(String::as_str));
    let measures = session.task.query.measure(texts, labels);
    let done = known.iter().filter(|known| known.texts.is_some()).count();
    let failed = known.iter().filter(|known| known.has_failed(max_attempts)).count();
    Outlook {
        questions: known.len(),
        done,
        failed,
        open: known.len() - done - failed,
        replies,
        naming_labels: measures.naming_labels,
        length_outside: measures.length_outside,
    }
}
