//! Having demonstrations written: dialogues with labels, for a bank.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::Ordering;

use emotrain_base::{Complaint, Meter, Parts, write_atomic};
use emotrain_data::{LabelSet, TextFile};
use emotrain_prompt::unfenced;
use emotrain_recipe::InterpretSection;
use emotrain_retrieval::{
    Bank, DialogueGeneration, GeneratePlan, GenerationOutcome, Rejection, RetrievalError, WrittenDialogue,
};
use serde::{Deserialize, Serialize};

use crate::chat_model::{
    Answer, AskContext, ChatModel, ChatQuestion, Inquiry, ModelIdentity, Reply, ReplyEnd,
};
use crate::error::AskError;
use crate::interpret::lock;

/// The version of the manifest.
const VERSION: u32 = 1;

/// What is to be written, and where to.
#[derive(Clone, Copy)]
pub struct DialogueOrder<'o> {
    /// How many of what.
    pub plan: &'o GeneratePlan,
    /// The labels of the utterances.
    pub labels: &'o LabelSet,
    /// What is there already.
    pub bank: Option<&'o Bank>,
    /// The folder of the dialogues.
    pub out: &'o Path,
    /// How replies are drawn.
    pub section: &'o InterpretSection,
}

/// What was written.
pub struct DialoguesWritten {
    /// Counts, those of earlier sessions included.
    pub generated: GenerationOutcome,
    /// Why questions got no reply, each reason with their number.
    pub silent: BTreeMap<String, usize>,
    /// How the asking ended; what had come by then is kept.
    pub ended: Result<(), AskError>,
}

/// Has dialogues written until there are enough, the questions are used up, or a stop is requested. A folder that
/// has some already is resumed.
///
/// # Errors
/// A folder that another process works in, that holds dialogues with other labels, or that cannot be written to.
pub fn write_dialogues(
    order: DialogueOrder<'_>,
    model: &mut dyn ChatModel,
    context: AskContext<'_>,
) -> Result<DialoguesWritten, AskError> {
    let DialogueOrder { plan, labels, bank, out, section } = order;
    emotrain_base::create_folder(out)?;
    let _lock = lock(out)?;
    let mut manifest = Manifest::read(out, labels)?;
    let work = DialogueGeneration::open(plan, labels, bank, out)?;
    let mut writing = Writing::new(work, section.seed, context);
    let ended = model.answer(&mut writing);
    let generated = writing.work.generated();
    if generated.questions > 0 {
        manifest.sessions.push(Session::new(section, model.identity(), generated.questions, &writing));
        manifest.write(out)?;
    }
    Ok(DialoguesWritten { generated, silent: writing.silent, ended })
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
    context: AskContext<'w>,
    meter: Box<dyn Meter + 'w>,
}

impl<'w> Writing<'w> {
    fn new(work: DialogueGeneration<'w>, seed: u64, context: AskContext<'w>) -> Self {
        let before = work.generated();
        let missing = missing(&before);
        let meter = context.hub.listener().progress("utterances", missing, Parts::Questions);
        // Replies of earlier sessions have had their seeds.
        let seed = seed.wrapping_add((before.dialogues + before.rejected) as u64);
        Self { work, seed, missing, taken: 0, rejected: 0, silent: BTreeMap::new(), context, meter }
    }

    fn told(&mut self, came: Result<Option<WrittenDialogue>, Rejection>) {
        match came {
            Ok(Some(dialogue)) => {
                self.taken += 1;
                self.context.hub.listener().detail(&format!(
                    "{}: {} utterances",
                    dialogue.id,
                    dialogue.utterances.len()
                ));
                self.meter.set(self.missing.saturating_sub(missing(&self.work.generated())));
            }
            Ok(None) => {}
            Err(reason) => {
                self.rejected += 1;
                self.context.hub.listener().detail(&format!("a reply is rejected: {reason}"));
            }
        }
    }
}

fn missing(generated: &GenerationOutcome) -> usize {
    generated.short.iter().map(|(_, missing)| missing).sum()
}

impl Inquiry for Writing<'_> {
    fn next(&mut self) -> Option<ChatQuestion> {
        if self.context.stop.load(Ordering::SeqCst) {
            return None;
        }
        let (number, user) = self.work.next_question()?;
        let seed = self.seed.wrapping_add(number as u64);
        Some(ChatQuestion { number, system: String::new(), user, keys: Vec::new(), seed })
    }

    fn receive(&mut self, number: usize, answer: Answer) -> Result<(), AskError> {
        let reject = |work: &mut DialogueGeneration<'_>, reply: &str, reason| -> Result<_, RetrievalError> {
            work.reject(number, reply, reason).map(Err)
        };
        let came = match answer {
            Answer::Reply(Reply { text, finish: ReplyEnd::Stop }) => {
                self.work.hear(number, unfenced(&text))?
            }
            Answer::Reply(Reply { text, finish: ReplyEnd::Length }) => {
                reject(&mut self.work, &text, Rejection::CutOff)?
            }
            Answer::Reply(Reply { text, finish: ReplyEnd::Other(why) }) => {
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

/// `manifest.json` next to the dialogues: which model wrote them.
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
        section: &InterpretSection,
        model: ModelIdentity,
        questions: usize,
        writing: &Writing<'_>,
    ) -> Self {
        Self {
            model,
            temperature: section.temperature,
            top_p: section.top_p,
            max_tokens: section.max_tokens,
            seed: section.seed,
            extra_body: section.extra_body.clone(),
            questions,
            dialogues: writing.taken,
            rejected: writing.rejected,
        }
    }
}

impl Manifest {
    fn read(folder: &Path, labels: &LabelSet) -> Result<Self, AskError> {
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
            return Err(
                wrong(format!("format_version {version}, this version of emotrain reads {VERSION}")).into()
            );
        }
        if manifest.labels != labels.names() {
            return Err(
                wrong(format!("the dialogues there have the labels {}", manifest.labels.join(", "))).into()
            );
        }
        Ok(manifest)
    }

    fn write(&self, folder: &Path) -> Result<(), AskError> {
        let text = format!("{}\n", serde_json::to_string_pretty(self)?);
        Ok(write_atomic(&folder.join("manifest.json"), text.as_bytes())?)
    }
}
