//! What a run's prompts showed, made again.

use std::collections::{BTreeMap, BTreeSet};

use emotrain_base::{Silent, sha256_hex};
use emotrain_data::{Dialogue, ShownDemonstration, Split, SplitKind, UtteranceId};
use emotrain_hub::{Hub, HubSettings};
use emotrain_prepare::{Content, EncodedSplit, KnowledgeTexts, Opened, PrepareError, Selection, known};
use emotrain_prompt::{Encoder, Sample};
use emotrain_recipe::Recipe;
use emotrain_report::PromptFacts;
use emotrain_runs::StoredRun;

use super::files::first_line;
use crate::shell::Shell;

/// The demonstrations that were found, by utterance.
type Demonstrations = BTreeMap<UtteranceId, Vec<ShownDemonstration>>;
/// The dialogues with the prompts and the demonstrations.
type Shown = (Vec<Dialogue>, BTreeMap<UtteranceId, PromptFacts>, Demonstrations);

/// A run and the split of it that was answered.
pub(super) struct Recalled<'a> {
    pub(super) recipe: &'a Recipe,
    pub(super) run: &'a StoredRun,
    pub(super) split: SplitKind,
}

impl Recalled<'_> {
    /// The prompts of these utterances, and the demonstrations of all.
    ///
    /// # Errors
    /// The dialogues alone, with the reason why there are no prompts.
    pub(super) fn read(
        &self,
        content: Split,
        errors: &[UtteranceId],
        shell: &Shell,
    ) -> Result<Shown, (Vec<Dialogue>, String)> {
        // A report asks for nothing over a network.
        let settings = HubSettings { offline: Some("emotrain report"), ..shell.env.hub.clone() };
        let dialogues = content.dialogues.clone();
        match self.encoded(Content::Dialogues(content), errors, Hub::new(&settings, &Silent)) {
            Ok((prompts, demonstrations)) => Ok((dialogues, prompts, demonstrations)),
            Err(reason) => Err((dialogues, reason)),
        }
    }

    fn encoded(
        &self,
        content: Content,
        errors: &[UtteranceId],
        hub: Hub<'_>,
    ) -> Result<(BTreeMap<UtteranceId, PromptFacts>, Demonstrations), String> {
        let told = |error: PrepareError| first_line(&error);
        let opened = Opened::open(self.recipe, hub).map_err(told)?;
        let encoder = opened.encoder().ok_or("plain text has no prompts")?;
        self.check_template(encoder)?;
        let texts = known(self.recipe, &content, self.split).map_err(told)?;
        self.check_knowledge(&texts)?;
        let among: BTreeSet<UtteranceId> = errors.iter().cloned().collect();
        let selection = Selection::recalled(self.recipe, self.split, &among);
        let split = opened.encode(self.split, content, Ok(texts), selection).map_err(told)?;
        let mut prompts = BTreeMap::new();
        for sample in &split.samples {
            let prompt = self.prompt(encoder, &split, sample).map_err(told)?;
            prompts.extend(prompt.map(|prompt| (sample.id.clone(), prompt)));
        }
        Ok((prompts, demonstrations(split)))
    }

    fn check_template(&self, encoder: &Encoder) -> Result<(), String> {
        let template = encoder.template();
        let recorded = self.run.record.template.as_ref();
        if recorded.is_some_and(|one| one.sha256 != sha256_hex(template.text().as_bytes())) {
            return Err(format!("{} has changed since the run read it", template.origin()));
        }
        Ok(())
    }

    fn check_knowledge(&self, texts: &KnowledgeTexts) -> Result<(), String> {
        let recorded = self.run.record.knowledge.iter().flatten();
        let recorded: Vec<_> = recorded
            .filter(|(split, _)| *split == self.split.as_str())
            .flat_map(|(_, sources)| sources)
            .collect();
        let now = texts.record();
        let changed = now.iter().find(|source| {
            recorded.iter().any(|then| then.name == source.name && then.sha256 != source.sha256)
        });
        changed.map_or(Ok(()), |source| {
            Err(format!("{} has changed since the run read it", source.path.display()))
        })
    }

    fn prompt(
        &self,
        encoder: &Encoder,
        split: &EncodedSplit,
        sample: &Sample,
    ) -> Result<Option<PromptFacts>, PrepareError> {
        let Some(messages) = split.messages(encoder, sample)? else { return Ok(None) };
        let Content::Dialogues(content) = &split.content else { return Ok(None) };
        let dialogue = content.dialogues.iter().find(|dialogue| dialogue.id == sample.id.dialogue);
        let texts = dialogue.map(|dialogue| split.known.texts(dialogue, sample.id.position));
        let names = self.recipe.knowledge.iter().map(|source| source.name.clone());
        let texts = texts.unwrap_or_default().into_iter().map(str::to_owned);
        Ok(Some(PromptFacts {
            system: messages.system,
            user: messages.user,
            demonstrations: sample.demonstrations,
            knowledge: names.zip(texts).collect(),
        }))
    }
}

fn demonstrations(split: EncodedSplit) -> Demonstrations {
    let (Content::Dialogues(content), Some(found)) = (split.content, split.found) else {
        return Demonstrations::new();
    };
    content.utterance_ids().zip(found.shown).collect()
}
