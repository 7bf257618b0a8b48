//! Growing a bank: asking a language model for labelled dialogues.
//!
//! For each domain it is asked for subtopics, then for one dialogue on a subtopic at a time, with the
//! emotions that are short. Every reply is kept, as a dialogue or as a rejection with its reason, so that
//! the work goes on where it stopped. Who is asked, and over which wire, is the business of a [`Writer`].

mod prompts;
mod reply;
mod state;

use std::collections::HashSet;
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

/// A language model that writes.
pub trait Writer {
    /// Its reply to a question, as it came.
    ///
    /// # Errors
    /// When there is no reply at all: no connection, a refusal of the service. It ends the work, which can
    /// be taken up again.
    fn ask(&mut self, prompt: &str) -> Result<String, WriterError>;
}

/// Why there is no reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct WriterError {
    /// What is wrong.
    pub message: String,
    /// The fix, where one can be named.
    pub hint: Option<String>,
}

/// Why generation ended early. What was written by then is kept.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// The files of the work, or the bank.
    #[error(transparent)]
    Retrieval(#[from] RetrievalError),
    /// The language model.
    #[error(transparent)]
    Writer(#[from] WriterError),
}

/// What is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneratePlan {
    /// Walks of life.
    pub domains: Vec<String>,
    /// Subtopics of each.
    pub subtopics: usize,
    /// Utterances wanted of every label.
    pub per_label: usize,
    /// Speakers of a dialogue.
    pub speakers: usize,
    /// Fewest utterances of a dialogue.
    pub least_turns: usize,
    /// Most utterances of a dialogue.
    pub most_turns: usize,
    /// Questions to ask at most, those of earlier sessions not counted.
    pub most_questions: usize,
}

/// What a session did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    /// Questions asked.
    pub questions: usize,
    /// Dialogues that were taken, in all sessions.
    pub dialogues: usize,
    /// Replies that were not, in all sessions.
    pub rejected: usize,
    /// What is still missing per label.
    pub short: Vec<(String, usize)>,
}

impl fmt::Display for Generated {
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
pub fn shortfall(counts: &[usize], per_label: usize) -> Vec<usize> {
    counts.iter().map(|count| per_label.saturating_sub(*count)).collect()
}

/// Asks `writer` until the plan is fulfilled or its questions are used up. `bank`, where there is one, says
/// what is there already; the files of the work are in `folder`. `tell` hears of every reply.
///
/// # Errors
/// A writer without a reply; files that cannot be read or written.
pub fn generate(
    plan: &GeneratePlan,
    (labels, bank): (&LabelSet, Option<&Bank>),
    folder: &Path,
    writer: &mut dyn Writer,
    tell: &mut dyn FnMut(Result<&WrittenDialogue, &Rejection>),
) -> Result<Generated, GenerateError> {
    let state = GenerationState::open(folder, labels)?;
    let mut work =
        Work { plan, labels, known: HashSet::new(), counts: vec![0; labels.len()], state, questions: 0 };
    work.count(bank)?;
    work.find_subtopics(writer, tell)?;
    while !work.is_done() {
        let Some((domain, subtopic)) = work.state.next_subtopic(&plan.domains) else { break };
        let prompt = dialogue_prompt(&work.request(&domain, &subtopic));
        let reply = work.ask(writer, &prompt)?;
        match work.judge(&reply) {
            Ok(turns) => {
                let dialogue = work.state.accept(&domain, &subtopic, turns)?;
                work.take(&dialogue);
                tell(Ok(&dialogue));
            }
            Err(reason) => {
                tell(Err(&reason));
                work.state.reject(&domain, Some(&subtopic), &reason, &reply)?;
            }
        }
    }
    let names = labels.names().iter().cloned();
    let short = names.zip(shortfall(&work.counts, plan.per_label)).filter(|(_, missing)| *missing > 0);
    Ok(Generated {
        questions: work.questions,
        dialogues: work.state.dialogues().len(),
        rejected: work.state.rejected(),
        short: short.collect(),
    })
}

struct Work<'a> {
    plan: &'a GeneratePlan,
    labels: &'a LabelSet,
    /// Texts that say something, of the bank and of what was written.
    known: HashSet<TextKey>,
    /// Utterances per label.
    counts: Vec<usize>,
    state: GenerationState,
    questions: usize,
}

impl Work<'_> {
    /// Counts what is there.
    fn count(&mut self, bank: Option<&Bank>) -> Result<(), RetrievalError> {
        for one in bank.into_iter().flat_map(Bank::iter) {
            let one = one?;
            self.know(&one.text);
            if let Some(label) = self.labels.resolve(&one.label).or_else(|| self.labels.resolve(&one.emotion))
            {
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

    fn is_done(&self) -> bool {
        self.questions >= self.plan.most_questions
            || shortfall(&self.counts, self.plan.per_label).iter().all(|missing| *missing == 0)
    }

    fn ask(&mut self, writer: &mut dyn Writer, prompt: &str) -> Result<String, WriterError> {
        self.questions += 1;
        writer.ask(prompt)
    }

    /// Asks for the subtopics of every domain that has none.
    fn find_subtopics(
        &mut self,
        writer: &mut dyn Writer,
        tell: &mut dyn FnMut(Result<&WrittenDialogue, &Rejection>),
    ) -> Result<(), GenerateError> {
        for domain in &self.plan.domains {
            while !self.state.has_subtopics(domain) && !self.is_done() {
                let prompt = subtopics_prompt(domain, self.plan.subtopics);
                let reply = self.ask(writer, &prompt)?;
                match parse_subtopics(&reply, self.plan.subtopics) {
                    Ok(subtopics) => self.state.keep_subtopics(domain, subtopics)?,
                    Err(reason) => {
                        tell(Err(&reason));
                        self.state.reject(domain, None, &reason, &reply)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The next dialogue on a subtopic, with the emotions that are shortest.
    fn request<'r>(&'r self, domain: &'r str, subtopic: &'r str) -> DialogueRequest<'r> {
        let missing = shortfall(&self.counts, self.plan.per_label);
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
