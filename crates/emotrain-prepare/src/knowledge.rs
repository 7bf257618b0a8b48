//! Knowledge sources for the utterances of a file, and what they make of its scores.

use emotrain_base::{Complaint, Problems};
use emotrain_data::{Dialogue, Knowledge, SplitKind, load_knowledge};
use emotrain_recipe::{Availability, KnowledgeSection, Recipe};
use emotrain_runs::{KnowledgeRecord, ScoreContext, SourceUse};

use crate::content::Content;
use crate::error::PrepareError;

/// The texts for one file, by source in the order of the recipe; nothing for a source whose slot is taken out.
#[derive(Debug)]
pub struct KnowledgeTexts {
    sources: Vec<Option<Knowledge>>,
    /// Later utterances that prompts show at most.
    future_window: usize,
}

/// Reads the recipe's sources for a file.
///
/// # Errors
/// Every source that cannot be read, does not cover the file, or is offline where the recipe wants causal prompts.
pub fn known(recipe: &Recipe, content: &Content, name: SplitKind) -> Result<KnowledgeTexts, PrepareError> {
    let prompt = &recipe.prompt;
    let future_window = if prompt.slots.has("future") { prompt.future_window } else { 0 };
    let Content::Dialogues(split) = content else {
        return Ok(KnowledgeTexts { sources: Vec::new(), future_window: 0 });
    };
    let mut problems = Problems::default();
    let mut sources = Vec::new();
    for section in &recipe.knowledge {
        if !prompt.slots.has(&section.name) {
            sources.push(None);
            continue;
        }
        let loaded = load_knowledge(section, split, name).map_err(PrepareError::from);
        let loaded = loaded.and_then(|knowledge| causal(recipe, section, knowledge));
        sources.push(problems.take(loaded));
    }
    problems.finish()?;
    Ok(KnowledgeTexts { sources, future_window })
}

/// Refuses an offline source where the recipe wants causal prompts. The recipe's own word was looked at when it was
/// loaded; this is about that of the manifest, or that of none.
fn causal(
    recipe: &Recipe,
    section: &KnowledgeSection,
    knowledge: Knowledge,
) -> Result<Knowledge, PrepareError> {
    if !recipe.prompt.causal || knowledge.availability == Availability::Online {
        return Ok(knowledge);
    }
    let (name, path) = (&section.name, knowledge.path.display());
    let message =
        format!("{path}: prompt.causal = true refuses the knowledge source \"{name}\", which is offline");
    let hint = "write availability = \"online\" under that [[knowledge]] if the texts were written without what was \
                said later, or leave it out of prompt.slots";
    Err(Complaint::usage(message).hint(hint).into())
}

impl KnowledgeTexts {
    /// The sources that are shown.
    pub(crate) fn sources(&self) -> impl Iterator<Item = &Knowledge> {
        self.sources.iter().flatten()
    }

    /// The text of each source for an utterance, as the prompt wants them.
    pub fn texts(&self, dialogue: &Dialogue, position: usize) -> Vec<&str> {
        let sources = self.sources.iter().map(Option::as_ref);
        sources.map(|source| source.map_or("", |source| source.text(dialogue, position))).collect()
    }

    /// How far each source reaches, for people.
    pub fn summary(&self) -> Vec<String> {
        self.sources.iter().flatten().map(ToString::to_string).collect()
    }

    /// Where the texts came from, for `run.json`.
    pub fn record(&self) -> Vec<KnowledgeRecord> {
        let source = |source: &Knowledge| KnowledgeRecord {
            name: source.name.clone(),
            level: source.level,
            availability: source.availability,
            path: source.path.clone(),
            sha256: source.sha256.clone(),
            wanted: source.coverage.wanted,
            missing: source.coverage.missing.len(),
            extra: source.coverage.extra,
        };
        self.sources.iter().flatten().map(source).collect()
    }

    /// What prompts with these texts could know.
    pub fn context(&self) -> ScoreContext {
        let knowledge: Vec<SourceUse> = self.sources.iter().flatten().map(source_use).collect();
        let is_offline = |source: &SourceUse| source.availability == Availability::Offline;
        let offline = self.future_window > 0 || knowledge.iter().any(is_offline);
        let availability = if offline { Availability::Offline } else { Availability::Online };
        ScoreContext { availability, future_window: self.future_window, knowledge }
    }
}

/// A source as a score uses it.
fn source_use(source: &Knowledge) -> SourceUse {
    let wanted = source.coverage.wanted;
    let texts = wanted - source.coverage.missing.len();
    let (name, level, availability) = (source.name.clone(), source.level, source.availability);
    SourceUse { name, level, availability, texts, wanted }
}
