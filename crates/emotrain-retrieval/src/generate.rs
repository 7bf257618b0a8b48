//! Growing a bank: a language model writes labelled dialogues.
//!
//! For each domain the model is asked for subtopics, then for one dialogue per subtopic at a time, with the emotions
//! that are missing. Every reply is stored, as a dialogue or as a rejection with its reason, so that the work can be
//! resumed. A [`DialogueGeneration`] returns the next question and receives the replies in any order; how the model is
//! reached is not its concern.

mod prompts;
mod reply;
mod state;

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::path::Path;

use emotrain_data::LabelSet;

use crate::bank::Bank;
use crate::error::RetrievalError;
use crate::text::{TextKey, words};

pub use prompts::{DialogueRequest, dialogue_prompt, subtopics_prompt};
pub use reply::{Rejection, WrittenDialogue, WrittenTurn, parse_dialogue, parse_subtopics};
pub use state::{GenerationState, RejectedReply};

/// The maximum number of emotions in a request.
const NAMED: usize = 3;
/// The number of earlier dialogues on a subtopic that a request quotes.
const BEGINNINGS: usize = 5;
/// A text with fewer words is never called a copy.
const TELLING: usize = 5;

/// What is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneratePlan {
    /// The domains.
    pub domains: Vec<String>,
    /// Subtopics per domain.
    pub subtopics: usize,
    /// Wanted utterances of each label, by index.
    pub wanted: Vec<usize>,
    /// Which utterances count.
    pub counted: Counted,
    /// Speakers per dialogue.
    pub speakers: usize,
    /// Minimum utterances per dialogue.
    pub least_turns: usize,
    /// Maximum utterances per dialogue.
    pub most_turns: usize,
    /// Maximum number of questions, without those of earlier sessions.
    pub most_questions: usize,
}

/// Which utterances count towards a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// Those of the bank and the generated ones.
    BankAndWritten,
    /// Only the generated ones.
    Written,
}

/// The result of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerationOutcome {
    /// Questions asked.
    pub questions: usize,
    /// Accepted dialogues, in all sessions.
    pub dialogues: usize,
    /// Rejected replies, in all sessions.
    pub rejected: usize,
    /// The number of missing utterances per label.
    pub short: Vec<(String, usize)>,
}

impl fmt::Display for GenerationOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { questions, dialogues, rejected, short } = self;
        write!(
            f,
            "{questions} questions asked; {dialogues} dialogues accepted, {rejected} replies rejected"
        )?;
        let missing: Vec<String> = short.iter().map(|(label, count)| format!("{label} {count}")).collect();
        if missing.is_empty() {
            f.write_str("; nothing is missing")
        } else {
            write!(f, "; missing: {}", missing.join(", "))
        }
    }
}

/// The number of missing utterances of each label, by index.
pub fn shortfall(counts: &[usize], wanted: &[usize]) -> Vec<usize> {
    wanted.iter().zip(counts).map(|(wanted, count)| wanted.saturating_sub(*count)).collect()
}

/// The subject of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Errand {
    domain: String,
    /// `None` for a question about subtopics.
    subtopic: Option<String>,
}

/// The execution of a plan: it asks questions and receives replies.
pub struct DialogueGeneration<'a> {
    plan: &'a GeneratePlan,
    labels: &'a LabelSet,
    /// Texts that are long enough to compare, of the bank and generated.
    known: HashSet<TextKey>,
    /// Utterances per label.
    counts: Vec<usize>,
    state: GenerationState,
    questions: usize,
    /// Questions without a reply so far, by number.
    under_way: BTreeMap<usize, Errand>,
}

impl<'a> DialogueGeneration<'a> {
    /// Resumes or starts the work in `folder`. `bank`, if there is one, has existing demonstrations.
    ///
    /// # Errors
    /// Files that cannot be read or written.
    pub fn open(
        plan: &'a GeneratePlan,
        labels: &'a LabelSet,
        bank: Option<&Bank>,
        folder: &Path,
    ) -> Result<Self, RetrievalError> {
        let state = GenerationState::open(folder, labels)?;
        let (counts, under_way) = (vec![0; labels.len()], BTreeMap::new());
        let mut work = Self { plan, labels, known: HashSet::new(), counts, state, questions: 0, under_way };
        work.count(bank)?;
        Ok(work)
    }

    /// The next question with its number; `None` if there is none for now. While replies are outstanding, more may
    /// follow.
    pub fn next_question(&mut self) -> Option<(usize, String)> {
        if self.questions >= self.plan.most_questions || self.is_in_sight() {
            return None;
        }
        let (errand, prompt) = self.ask_for_subtopics().or_else(|| self.ask_for_dialogue())?;
        let number = self.questions;
        self.questions += 1;
        self.under_way.insert(number, errand);
        Some((number, prompt))
    }

    /// Stores the reply to a question: as a dialogue, as subtopics, or as a rejection. `Ok(None)` for subtopics.
    ///
    /// # Errors
    /// Files that cannot be written.
    pub fn hear(
        &mut self,
        number: usize,
        reply: &str,
    ) -> Result<Result<Option<WrittenDialogue>, Rejection>, RetrievalError> {
        let Some(errand) = self.under_way.remove(&number) else { return Ok(Ok(None)) };
        let Some(subtopic) = &errand.subtopic else {
            return match parse_subtopics(reply, self.plan.subtopics) {
                Ok(subtopics) => {
                    self.state.keep_subtopics(&errand.domain, subtopics)?;
                    Ok(Ok(None))
                }
                Err(reason) => self.keep_rejected(&errand, reason, reply).map(Err),
            };
        };
        match self.judge(reply) {
            Ok(turns) => {
                let dialogue = self.state.accept(&errand.domain, subtopic, turns)?;
                self.take(&dialogue);
                Ok(Ok(Some(dialogue)))
            }
            Err(reason) => self.keep_rejected(&errand, reason, reply).map(Err),
        }
    }

    /// Stores a reply that is not parsed, because it was truncated or refused.
    ///
    /// # Errors
    /// Files that cannot be written.
    pub fn reject(
        &mut self,
        number: usize,
        reply: &str,
        reason: Rejection,
    ) -> Result<Rejection, RetrievalError> {
        match self.under_way.remove(&number) {
            Some(errand) => self.keep_rejected(&errand, reason, reply),
            None => Ok(reason),
        }
    }

    /// A question without a reply counts as not asked.
    pub fn lose(&mut self, number: usize) {
        self.under_way.remove(&number);
    }

    /// The result so far.
    pub fn generated(&self) -> GenerationOutcome {
        let names = self.labels.names().iter().cloned();
        let short = names.zip(self.missing()).filter(|(_, missing)| *missing > 0);
        GenerationOutcome {
            questions: self.questions,
            dialogues: self.state.dialogues().len(),
            rejected: self.state.rejected(),
            short: short.collect(),
        }
    }

    fn missing(&self) -> Vec<usize> {
        shortfall(&self.counts, &self.plan.wanted)
    }

    /// Whether the outstanding replies may be enough.
    fn is_in_sight(&self) -> bool {
        let dialogues = self.under_way.values().filter(|errand| errand.subtopic.is_some()).count();
        self.missing().iter().sum::<usize>() <= dialogues * self.plan.least_turns
    }

    fn ask_for_subtopics(&self) -> Option<(Errand, String)> {
        let is_asked = |domain: &String| {
            self.under_way.values().any(|errand| errand.subtopic.is_none() && errand.domain == *domain)
        };
        let mut domains = self.plan.domains.iter();
        let domain = domains.find(|domain| !self.state.has_subtopics(domain) && !is_asked(domain))?;
        let prompt = subtopics_prompt(domain, self.plan.subtopics);
        Some((Errand { domain: domain.clone(), subtopic: None }, prompt))
    }

    /// Waits for the subtopics of all domains, so that domains alternate from the start.
    fn ask_for_dialogue(&self) -> Option<(Errand, String)> {
        if self.under_way.values().any(|errand| errand.subtopic.is_none()) {
            return None;
        }
        let mut under_way: BTreeMap<(String, String), usize> = BTreeMap::new();
        for Errand { domain, subtopic } in self.under_way.values() {
            *under_way.entry((domain.clone(), subtopic.clone()?)).or_default() += 1;
        }
        let (domain, subtopic) = self.state.next_subtopic(&self.plan.domains, &under_way)?;
        let prompt = dialogue_prompt(&self.request(&domain, &subtopic));
        Some((Errand { domain, subtopic: Some(subtopic) }, prompt))
    }

    fn keep_rejected(
        &mut self,
        errand: &Errand,
        reason: Rejection,
        reply: &str,
    ) -> Result<Rejection, RetrievalError> {
        self.state.reject(&errand.domain, errand.subtopic.as_deref(), &reason, reply)?;
        Ok(reason)
    }

    /// Counts existing utterances.
    fn count(&mut self, bank: Option<&Bank>) -> Result<(), RetrievalError> {
        for one in bank.into_iter().flat_map(Bank::iter) {
            let one = one?;
            self.know(&one.text);
            let label = self.labels.resolve(&one.label).or_else(|| self.labels.resolve(&one.emotion));
            if let Some(label) = label.filter(|_| self.plan.counted == Counted::BankAndWritten) {
                self.counts[label.index()] += 1;
            }
        }
        for dialogue in self.state.dialogues().to_vec() {
            self.take(&dialogue);
        }
        Ok(())
    }

    fn take(&mut self, dialogue: &WrittenDialogue) {
        for turn in &dialogue.utterances {
            self.know(&turn.text);
            if let Some(label) = self.labels.resolve(&turn.label) {
                self.counts[label.index()] += 1;
            }
        }
    }

    fn know(&mut self, text: &str) {
        if words(text).count() >= TELLING {
            self.known.insert(TextKey::same(text));
        }
    }

    /// The next dialogue for a subtopic, with the emotions that are most lacking.
    fn request<'r>(&'r self, domain: &'r str, subtopic: &'r str) -> DialogueRequest<'r> {
        let missing = self.missing();
        let mut wanted: Vec<usize> = (0..missing.len()).filter(|label| missing[*label] > 0).collect();
        wanted.sort_by_key(|label| std::cmp::Reverse(missing[*label]));
        let names = self.labels.names();
        let on_it = self.state.dialogues().iter().filter(|dialogue| {
            dialogue.domain.as_deref() == Some(domain) && dialogue.topic.as_deref() == Some(subtopic)
        });
        let beginnings = on_it.rev().take(BEGINNINGS).filter_map(|dialogue| dialogue.utterances.first());
        DialogueRequest {
            domain,
            subtopic,
            speakers: self.plan.speakers,
            least_turns: self.plan.least_turns,
            most_turns: self.plan.most_turns,
            labels: names,
            wanted: wanted.into_iter().take(NAMED).map(|label| names[label].as_str()).collect(),
            beginnings: beginnings.map(|turn| turn.text.as_str()).collect(),
        }
    }

    fn judge(&self, reply: &str) -> Result<Vec<WrittenTurn>, Rejection> {
        let turns = parse_dialogue(reply, self.labels, self.plan.least_turns, self.plan.most_turns)?;
        let is_known = |turn: &&WrittenTurn| self.known.contains(&TextKey::same(&turn.text));
        match turns.iter().find(is_known) {
            Some(copy) => Err(Rejection::Duplicate(copy.text.clone())),
            None => Ok(turns),
        }
    }
}

#[cfg(test)]
mod tests;
