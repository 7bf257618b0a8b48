//! The questions and their results, in append-only files.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use emotrain_base::limits;
use emotrain_data::LabelSet;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::reply::{Rejection, WrittenDialogue, WrittenTurn};
use crate::error::{BankProblem, RetrievalError};

const SUBTOPICS: &str = "subtopics.jsonl";
const DIALOGUES: &str = "dialogues.jsonl";
const REJECTED: &str = "rejected.jsonl";

/// A rejected reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RejectedReply {
    /// The domain of the question.
    pub domain: String,
    /// The subtopic of the question; `None` for a question about subtopics.
    pub subtopic: Option<String>,
    /// The reason.
    pub reason: String,
    /// The reply as received.
    pub reply: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SubtopicsOf {
    domain: String,
    subtopics: Vec<String>,
}

/// The work so far: `subtopics.jsonl`, `dialogues.jsonl`, from which a bank can be built, and `rejected.jsonl`, in one
/// folder.
#[derive(Debug)]
pub struct GenerationState {
    folder: PathBuf,
    subtopics: BTreeMap<String, Vec<String>>,
    dialogues: Vec<WrittenDialogue>,
    rejected: usize,
    /// Questions by domain and subtopic.
    asked: BTreeMap<(String, String), usize>,
}

impl GenerationState {
    /// Resumes or starts the work in `folder`. A truncated last line is removed.
    ///
    /// # Errors
    /// Files that cannot be read or written, an invalid line, a label that is not in `labels`.
    pub fn open(folder: &Path, labels: &LabelSet) -> Result<Self, RetrievalError> {
        emotrain_base::create_folder(folder)?;
        let subtopics: Vec<SubtopicsOf> = read(&folder.join(SUBTOPICS))?;
        let path = folder.join(DIALOGUES);
        let dialogues: Vec<WrittenDialogue> = read(&path)?;
        let rejected: Vec<RejectedReply> = read(&folder.join(REJECTED))?;
        for (row, dialogue) in dialogues.iter().enumerate() {
            if let Some(turn) = dialogue.utterances.iter().find(|turn| labels.resolve(&turn.label).is_none())
            {
                let problem = BankProblem::unknown_label(&turn.label, labels);
                return Err(RetrievalError::line(&path, row, problem));
            }
        }
        let mut asked: BTreeMap<(String, String), usize> = BTreeMap::new();
        let taken = dialogues.iter().map(|dialogue| (dialogue.domain.clone(), dialogue.topic.clone()));
        let not = rejected.iter().map(|reply| (Some(reply.domain.clone()), reply.subtopic.clone()));
        for (domain, subtopic) in taken.chain(not) {
            if let (Some(domain), Some(subtopic)) = (domain, subtopic) {
                *asked.entry((domain, subtopic)).or_default() += 1;
            }
        }
        let subtopics = subtopics.into_iter().map(|of| (of.domain, of.subtopics)).collect();
        Ok(Self { folder: folder.to_owned(), subtopics, dialogues, rejected: rejected.len(), asked })
    }

    /// The accepted dialogues, in order.
    pub fn dialogues(&self) -> &[WrittenDialogue] {
        &self.dialogues
    }

    /// The number of rejected replies.
    pub fn rejected(&self) -> usize {
        self.rejected
    }

    /// Whether the subtopics of a domain are known.
    pub fn has_subtopics(&self, domain: &str) -> bool {
        self.subtopics.contains_key(domain)
    }

    /// The domain and subtopic with the fewest questions, including those in `under_way`; in a tie the first,
    /// alternating between domains.
    pub(super) fn next_subtopic(
        &self,
        domains: &[String],
        under_way: &BTreeMap<(String, String), usize>,
    ) -> Option<(String, String)> {
        let all = domains.iter().enumerate().flat_map(|(number, domain)| {
            let subtopics = self.subtopics.get(domain).into_iter().flatten().enumerate();
            subtopics.map(move |(place, subtopic)| {
                let pair = (domain.clone(), subtopic.clone());
                let [asked, waiting] =
                    [&self.asked, under_way].map(|counts| counts.get(&pair).copied().unwrap_or(0));
                (asked + waiting, place, number, pair)
            })
        });
        all.min_by_key(|(asked, place, number, _)| (*asked, *place, *number)).map(|(.., pair)| pair)
    }

    pub(super) fn keep_subtopics(
        &mut self,
        domain: &str,
        subtopics: Vec<String>,
    ) -> Result<(), RetrievalError> {
        let of = SubtopicsOf { domain: domain.to_owned(), subtopics };
        append(&self.folder.join(SUBTOPICS), &of)?;
        self.subtopics.insert(of.domain, of.subtopics);
        Ok(())
    }

    pub(super) fn accept(
        &mut self,
        domain: &str,
        subtopic: &str,
        utterances: Vec<WrittenTurn>,
    ) -> Result<WrittenDialogue, RetrievalError> {
        let dialogue = WrittenDialogue {
            id: format!("{domain}-{:04}", self.dialogues.len() + 1),
            domain: Some(domain.to_owned()),
            topic: Some(subtopic.to_owned()),
            utterances,
        };
        append(&self.folder.join(DIALOGUES), &dialogue)?;
        self.dialogues.push(dialogue.clone());
        self.count(domain, subtopic);
        Ok(dialogue)
    }

    pub(super) fn reject(
        &mut self,
        domain: &str,
        subtopic: Option<&str>,
        reason: &Rejection,
        reply: &str,
    ) -> Result<(), RetrievalError> {
        let rejected = RejectedReply {
            domain: domain.to_owned(),
            subtopic: subtopic.map(str::to_owned),
            reason: reason.to_string(),
            reply: reply.to_owned(),
        };
        append(&self.folder.join(REJECTED), &rejected)?;
        self.rejected += 1;
        if let Some(subtopic) = subtopic {
            self.count(domain, subtopic);
        }
        Ok(())
    }

    fn count(&mut self, domain: &str, subtopic: &str) {
        *self.asked.entry((domain.to_owned(), subtopic.to_owned())).or_default() += 1;
    }
}

/// The values of a file; none if it does not exist.
fn read<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, RetrievalError> {
    let text = match emotrain_base::read_to_string(path, limits::LINES) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.map_err(|error| RetrievalError::io(path, &error))?,
    };
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    if whole < text.len() {
        let cut = || OpenOptions::new().write(true).open(path)?.set_len(whole as u64);
        cut().map_err(|error| RetrievalError::write(path, &error))?;
    }
    let lines = text[..whole].lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let parsed = lines.map(|(row, line)| {
        let bad = |error: serde_json::Error| BankProblem::BadLine(error.to_string());
        serde_json::from_str(line).map_err(|error| RetrievalError::line(path, row, bad(error)))
    });
    parsed.collect()
}

/// Appends a line; when it returns the line is on disk.
fn append<T: Serialize>(path: &Path, value: &T) -> Result<(), RetrievalError> {
    let write = || {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        file.write_all(&line)?;
        file.sync_data()
    };
    write().map_err(|error: std::io::Error| RetrievalError::write(path, &error))
}
