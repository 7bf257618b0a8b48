//! The questions of a session, put to a model until each has a text or has failed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};

use emotrain_base::{Meter, Parts};
use emotrain_data::LabelSet;
use emotrain_prompt::QueryText;

use super::folder::Folder;
use super::journal::{Entry, Journal, Outcome, Place};
use super::record::Identity;
use super::session::Session;
use super::standing::{Outlook, QuestionState, SessionState};
use crate::chat_model::{Answer, AskContext, ChatQuestion, Inquiry, Reply, ReplyEnd};
use crate::error::AskError;

/// How far the work goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Replies that a question gets.
    pub(super) max_attempts: usize,
    /// Seed of the first of them; each further one has the next.
    pub(super) seed: u64,
    /// Questions that are put at most.
    pub(super) questions: Option<usize>,
    /// Whether what failed is asked again.
    pub(super) retry_failed: bool,
}

/// A session under way.
pub(super) struct Work<'w> {
    session: &'w Session<'w>,
    identity: Identity,
    limits: Limits,
    standing: SessionState,
    journal: Journal,
    /// Numbers of questions to put.
    queue: VecDeque<usize>,
    /// Questions that are not in the queue any more, counted once each.
    put: usize,
    /// Why questions got no reply, and how many.
    silent: BTreeMap<String, usize>,
    stop: &'w AtomicBool,
    /// Questions that are done with, of those that were open.
    done: usize,
    meter: Box<dyn Meter + 'w>,
}

impl<'w> Work<'w> {
    /// Takes up a session where it stopped; `None` if there is nothing to ask.
    ///
    /// # Errors
    /// A folder with texts of another origin, files that were changed or cannot be written.
    pub(super) fn take_up(
        folder: &Folder,
        session: &'w Session<'w>,
        identity: Identity,
        limits: Limits,
        context: AskContext<'w>,
    ) -> Result<Self, AskError> {
        let mut found = folder.find(session, Some(&identity))?;
        let journal = folder.journal_of(session, &identity, &found, limits.retry_failed)?;
        if limits.retry_failed {
            found.standing.known.iter_mut().for_each(QuestionState::reopen);
        }
        let standing = found.standing;
        let mut queue: VecDeque<usize> = standing.open(limits.max_attempts).into();
        queue.truncate(limits.questions.unwrap_or(usize::MAX));
        let what = format!("{} of {}", session.task.name, session.split.as_str());
        let (stop, meter) = (context.stop.as_ref(), context.hub.listener());
        let meter = meter.progress(&what, queue.len(), Parts::Questions);
        let (put, done, silent) = (0, 0, BTreeMap::new());
        Ok(Self { session, identity, limits, standing, journal, queue, put, silent, stop, done, meter })
    }

    /// How many questions were put.
    pub(super) fn put(&self) -> usize {
        self.put
    }

    /// Why questions got no reply, each reason with their number.
    pub(super) fn silent(&self) -> &BTreeMap<String, usize> {
        &self.silent
    }

    /// Makes files of the texts, if nothing is left to ask, and returns the state of the session.
    ///
    /// # Errors
    /// Files that cannot be written.
    pub(super) fn close(self, folder: &mut Folder, labels: &LabelSet) -> Result<Outlook, AskError> {
        drop(self.meter);
        let outlook = self.standing.outlook(self.session, self.limits.max_attempts, labels);
        if outlook.open == 0 {
            folder.finish(self.session, &self.identity, &self.standing, &outlook)?;
        }
        Ok(outlook)
    }

    /// Keeps what came of a reply, on disk first.
    fn keep(&mut self, number: usize, outcome: Outcome) -> Result<(), AskError> {
        let asked = &self.session.questions[number];
        let known = &mut self.standing.known[number];
        let of = Place::new(asked.dialogue, &asked.target);
        let entry = Entry { of, attempt: known.attempts + 1, outcome };
        self.journal.add(&entry)?;
        self.standing.replies += 1;
        known.receive(&entry.outcome);
        if known.is_open(self.limits.max_attempts) {
            self.queue.push_back(number);
        } else {
            self.done += 1;
            self.meter.set(self.done);
        }
        Ok(())
    }

    fn judge(&self, reply: Reply) -> Outcome {
        let Reply { text, finish } = reply;
        let read = match finish {
            ReplyEnd::Stop => self.session.task.query.read(&text).map_err(|error| error.to_string()),
            ReplyEnd::Length => Err("it was cut off at max_tokens".to_owned()),
            ReplyEnd::Other(why) => Err(format!("it ended early: {why}")),
        };
        match read {
            Ok(texts) => Outcome::Taken(texts),
            Err(reason) => Outcome::Bad { reason, reply: text },
        }
    }
}

impl Inquiry for Work<'_> {
    fn next(&mut self) -> Option<ChatQuestion> {
        if self.stop.load(Ordering::SeqCst) {
            return None;
        }
        let number = self.queue.pop_front()?;
        let known = &self.standing.known[number];
        self.put += usize::from(known.counted == 0);
        let QueryText { system, user } = self.session.questions[number].text.clone();
        let keys = self.session.task.query.keys().to_vec();
        let seed = self.limits.seed.wrapping_add(known.attempts as u64);
        Some(ChatQuestion { number, system, user, keys, seed })
    }

    fn receive(&mut self, number: usize, answer: Answer) -> Result<(), AskError> {
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

/// The state of a session without resuming it.
///
/// # Errors
/// Texts about other data; files that were changed.
pub(super) fn look(
    folder: &Folder,
    session: &Session<'_>,
    limits: Limits,
    labels: &LabelSet,
) -> Result<(Outlook, Vec<usize>), AskError> {
    let mut found = folder.find(session, None)?;
    if limits.retry_failed {
        found.standing.known.iter_mut().for_each(QuestionState::reopen);
    }
    let mut open = found.standing.open(limits.max_attempts);
    open.truncate(limits.questions.unwrap_or(usize::MAX));
    Ok((found.standing.outlook(session, limits.max_attempts, labels), open))
}
