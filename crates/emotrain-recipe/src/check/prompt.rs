//! Rules between the parts of a prompt.

use std::collections::BTreeSet;

use super::Checker;
use crate::choices::{Availability, DataFormat, PromptSlots};
use crate::problem::Fault;
use crate::recipe::Recipe;
use crate::suggest::{did_you_mean, nearest, quoted};

const SLOTS: &str = "prompt.slots";

impl Checker<'_> {
    /// Knowledge needs utterances, speakers and dialogues.
    pub(super) fn knowledge(&mut self, recipe: &Recipe) {
        if let Some(source) = recipe.knowledge.first().filter(|_| recipe.data.format == DataFormat::Text) {
            let key = format!("knowledge.{}.path", source.name);
            let fault = Fault::new("format = \"text\" has no utterances for knowledge");
            self.add(&[&key, "data.format"], fault.hint("remove [[knowledge]], or write knowledge = []"));
        }
    }

    /// Slots are prompt parts or this recipe's knowledge sources.
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
                        "{SLOTS} names {name:?}, which is neither a prompt part nor a knowledge source"
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

    /// With `prompt.causal` nothing may come from later utterances.
    pub(super) fn causality(&mut self, recipe: &Recipe) {
        let prompt = &recipe.prompt;
        if !prompt.causal {
            return;
        }
        if prompt.future_window > 0 && prompt.slots.has("future") {
            let fault = Fault::new("prompt.causal = true does not allow a future_window");
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
            let hint = "remove it from prompt.slots, or use texts that were written without later utterances";
            self.add(&[&key, "prompt.causal"], fault.hint(hint));
        }
    }
}
