//! Growing a bank: asking a language model for labelled dialogues.
//!
//! For each domain it is asked for subtopics, then for one dialogue on a subtopic at a time, with the
//! emotions that are short. Every reply is kept, as a dialogue or as a rejection with its reason, so that
//! the work goes on where it stopped. A [`DialogueGeneration`] says what to ask next and hears the replies, in
//! whatever order they come; who is asked, and over which wire, is not its business.

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

/// The emotions that a request names at most.
const NAMED: usize = 3;
/// Earlier dialogues on a subtopic of which a request tells the beginning.
const BEGINNINGS: usize = 5;
/// A text with fewer words says too little to be called a copy.
const TELLING: usize = 5;

/// What is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneratePlan {
    /// Walks of life.
    pub domains: Vec<String>,
    /// Subtopics of each.
    pub subtopics: usize,
    /// Utterances wanted of each label, by index.
    pub wanted: Vec<usize>,
    /// Whose utterances count as there.
    pub counted: Counted,
    /// Speakers of a dialogue.
    pub speakers: usize,
    /// Fewest utterances of a dialogue.
    pub least_turns: usize,
    /// Most utterances of a dialogue.
    pub most_turns: usize,
    /// Questions to ask at most, those of earlier sessions not counted.
    pub most_questions: usize,
}

/// Which utterances fulfil a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// Those of the bank and those that were written.
    BankAndWritten,
    /// Those that were written alone.
    Written,
}

/// What a session did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerationOutcome {
    /// Questions asked.
    pub questions: usize,
    /// Dialogues that were taken, in all sessions.
    pub dialogues: usize,
    /// Replies that were not, in all sessions.
    pub rejected: usize,
    /// What is still missing per label.
    pub short: Vec<(String, usize)>,
}

impl fmt::Display for GenerationOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { questions, dialogues, rejected, short } = self;
        write!(f, "{questions} questions asked; {dialogues} dialogues taken, {rejected} replies rejected")?;
        let missing: Vec<String> = short.iter().map(|(label, count)| format!("{label} {count}")).collect();
        if missing.is_empty() {
            f.write_str("; nothing is short")
        } else {
            write!(f, "; short of {}", missing.join(", "))
        }
    }
}

/// How many of each label are missing, by index.
pub fn shortfall(counts: &[usize], wanted: &[usize]) -> Vec<usize> {
    wanted.iter().zip(counts).map(|(wanted, count)| wanted.saturating_sub(*count)).collect()
}

/// What was asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Errand {
    domain: String,
    /// `None` when subtopics were asked for.
    subtopic: Option<String>,
}

/// The work on a plan: questions out, replies in.
pub struct DialogueGeneration<'a> {
    plan: &'a GeneratePlan,
    labels: &'a LabelSet,
    /// Texts that say something, of the bank and of what was written.
    known: HashSet<TextKey>,
    /// Utterances per label.
    counts: Vec<usize>,
    state: GenerationState,
    questions: usize,
    /// Questions without a reply so far, by number.
    under_way: BTreeMap<usize, Errand>,
}

impl<'a> DialogueGeneration<'a> {
    /// Takes up the work in `folder`, or begins it. `bank`, where there is one, says what is there already.
    ///
    /// # Errors
    /// Files that cannot be read or written.
    pub fn open(
        plan: &'a GeneratePlan,
        (labels, bank): (&'a LabelSet, Option<&Bank>),
        folder: &Path,
    ) -> Result<Self, RetrievalError> {
        let state = GenerationState::open(folder, labels)?;
        let (counts, under_way) = (vec![0; labels.len()], BTreeMap::new());
        let mut work = Self { plan, labels, known: HashSet::new(), counts, state, questions: 0, under_way };
        work.count(bank)?;
        Ok(work)
    }

    /// The next question with its number; `None` when there is none for now. With replies under way, more
    /// may come.
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

    /// Keeps what a question was replied: as a dialogue, as subtopics, or as a rejection. `None` for subtopics.
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

    /// Keeps a reply that is not to be read, as it was cut off or refused.
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

    /// There was no reply to a question: it counts as not asked.
    pub fn lose(&mut self, number: usize) {
        self.under_way.remove(&number);
    }

    /// What was done so far.
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

    /// Whether what is under way may well be enough.
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

    /// Waits for the subtopics of all domains, so that these take turns from the beginning.
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

    /// Counts what is there.
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

    /// The next dialogue on a subtopic, with the emotions that are shortest.
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
