//! What the parts of a prompt ask of each other.

use std::collections::BTreeSet;

use super::Checker;
use crate::choices::{Availability, DataFormat, PromptSlots};
use crate::problem::Fault;
use crate::recipe::Recipe;
use crate::suggest::{did_you_mean, nearest, quoted};

const SLOTS: &str = "prompt.slots";

impl Checker<'_> {
    /// Knowledge is about utterances, speakers and dialogues.
    pub(super) fn knowledge(&mut self, recipe: &Recipe) {
        if let Some(source) = recipe.knowledge.first().filter(|_| recipe.data.format == DataFormat::Text) {
            let key = format!("knowledge.{}.path", source.name);
            let fault = Fault::new("format = \"text\" has no utterances to know anything about");
            self.add(&[&key, "data.format"], fault.hint("leave [[knowledge]] out, or write knowledge = []"));
        }
    }

    /// Slots are parts of every prompt or knowledge sources of this recipe.
    pub(super) fn slots(&mut self, recipe: &Recipe) {
        let PromptSlots::List(names) = &recipe.prompt.slots else { return };
        let sources = recipe.knowledge.iter().map(|source| source.name.as_str());
        let known: Vec<_> = PromptSlots::NAMES.iter().copied().chain(sources).collect();
        let mut seen = BTreeSet::new();
        for name in names {
            let fault = if !known.contains(&name.as_str()) {
                let hint = did_you_mean(&nearest(name, known.iter().copied()));
                let hint = hint.unwrap_or_else(|| format!("the slots are {}", quoted(&known)));
                let message = match name.as_str() {
                    "question" | "utterance" => format!("{SLOTS}: {name:?} is always shown"),
                    _ => format!(
                        "{SLOTS} names {name:?}, which is no part of a prompt and no knowledge source"
                    ),
                };
                Fault::new(message).hint(hint)
            } else if !seen.insert(name) {
                Fault::new(format!("{SLOTS} names {name:?} twice"))
            } else {
                continue;
            };
            self.add(&[SLOTS], fault);
        }
    }

    /// With `prompt.causal` nothing may come from what was said later.
    pub(super) fn causality(&mut self, recipe: &Recipe) {
        let prompt = &recipe.prompt;
        if !prompt.causal {
            return;
        }
        if prompt.future_window > 0 && prompt.slots.has("future") {
            let fault =
                Fault::new("prompt.causal = true has no future_window: later utterances are not known yet");
            self.add(&["prompt.future_window", "prompt.causal"], fault.hint("write future_window = 0"));
        }
        let offline = |source: &&crate::sections::KnowledgeSection| {
            source.availability == Availability::Offline && prompt.slots.has(&source.name)
        };
        for source in recipe.knowledge.iter().filter(offline) {
            let name = &source.name;
            let key = format!("knowledge.{name}.availability");
            let fault = Fault::new(format!(
                "prompt.causal = true refuses the knowledge source {name:?}, which is offline"
            ));
            let hint =
                "leave it out of prompt.slots, or use texts that were written without what was said later";
            self.add(&[&key, "prompt.causal"], fault.hint(hint));
        }
    }
}
