//! The prompt template: from an utterance in its dialogue to the texts of a chat.
//!
//! A template is one Jinja file with the blocks `system` and `user`. What a template may use is listed
//! in [`slots`]; a new kind of knowledge in the prompt is a new row there and a new value in
//! [`PromptInput`].

mod check;
mod slots;
pub(crate) mod source;

use std::path::Path;

use emotrain_data::{Dialogue, LabelSet, ShownDemonstration};
use minijinja::{Environment, UndefinedBehavior, Value};

use crate::error::PromptError;
use crate::jinja;
use check::Shown;
use slots::Scene;

const BUILTIN: &str = include_str!("../../../recipes/prompts/plain.jinja");
const BUILTIN_NAME: &str = "built-in template";
const FILE: &str = "prompt";
const SYSTEM: &str = "system";
const USER: &str = "user";

/// A checked prompt template.
#[derive(Clone, Debug)]
pub struct Template {
    origin: String,
    source: String,
    environment: Environment<'static>,
    shown: Shown,
}

/// The utterance that a prompt asks about, and how much around it is shown.
#[derive(Clone, Copy, Debug)]
pub struct PromptInput<'a> {
    /// The conversation.
    pub dialogue: &'a Dialogue,
    /// The utterance in question, counted from 0.
    pub position: usize,
    /// The labels to choose from.
    pub labels: &'a LabelSet,
    /// Most utterances shown before it.
    pub history: usize,
    /// Most utterances shown after it.
    pub future: usize,
    /// Examples to learn from, in the order in which they are shown.
    pub demonstrations: &'a [ShownDemonstration],
}

/// The texts of a chat with one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// Instruction, context and labels; empty if the template has no `system` block.
    pub system: String,
    /// The question.
    pub user: String,
    /// The true label's name, where it is known.
    pub answer: Option<String>,
}

impl Template {
    /// The template that comes with the program.
    ///
    /// # Panics
    /// Never: a test loads it.
    pub fn builtin() -> Self {
        Self::from_source(BUILTIN_NAME.to_owned(), BUILTIN)
            .unwrap_or_else(|error| panic!("the built-in template must be sound: {error}"))
    }

    /// Reads and checks a user's template file.
    ///
    /// # Errors
    /// [`PromptError::Read`], or [`PromptError::Template`] with every defect that was found: broken
    /// syntax, an unknown placeholder, an utterance or labels that are never shown.
    pub fn from_file(path: &Path) -> Result<Self, PromptError> {
        let source = fs_err::read_to_string(path)?;
        Self::from_source(path.display().to_string(), &source)
    }

    fn from_source(origin: String, source: &str) -> Result<Self, PromptError> {
        let source = source.trim_start_matches('\u{feff}').replace("\r\n", "\n");
        let mut environment = jinja::environment(UndefinedBehavior::Strict);
        let shown = check::check(&origin, &source, &mut environment).map_err(PromptError::Template)?;
        Ok(Self { origin, source, environment, shown })
    }

    /// The texts for one utterance. The same input gives the same texts.
    ///
    /// # Errors
    /// [`PromptError::NoUtterance`] and [`PromptError::Render`].
    pub fn render(&self, input: &PromptInput<'_>) -> Result<Prompt, PromptError> {
        let PromptInput { dialogue, position, labels, history, future, demonstrations } = *input;
        let id = dialogue.utterance_id(position);
        let Some(utterance) = dialogue.utterances.get(position) else {
            return Err(PromptError::NoUtterance { id, utterances: dialogue.utterances.len() });
        };
        let labels_of = labels.names();
        let scene = Scene { dialogue, position, labels: labels_of, history, future, demonstrations };
        let values = slots::values(&scene);
        let has_system = self.shown.system;
        let Texts { system, user, .. } = render(&self.environment, &values, has_system).map_err(|error| {
            PromptError::Render { id, origin: self.origin.clone(), message: jinja::message(&error) }
        })?;
        let answer = utterance.label.map(|label| labels.name(label).to_owned());
        Ok(Prompt { system, user, answer })
    }

    /// The template's source, as the prompt contract keeps it.
    pub fn text(&self) -> &str {
        &self.source
    }

    /// The file it was read from, for messages.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Refuses windows that the template would silently leave out.
    ///
    /// # Errors
    /// [`PromptError::UnusedWindow`].
    pub(crate) fn check_windows(&self, history: usize, future: usize) -> Result<(), PromptError> {
        let windows = [
            ("history", "history_window", history, self.shown.history),
            ("future", "future_window", future, self.shown.future),
        ];
        for (slot, knob, value, shown) in windows {
            if value > 0 && !shown {
                return Err(PromptError::UnusedWindow { origin: self.origin.clone(), slot, knob, value });
            }
        }
        Ok(())
    }

    /// Refuses demonstrations that the template would silently leave out.
    ///
    /// # Errors
    /// [`PromptError::UnusedDemonstrations`].
    pub(crate) fn check_demonstrations(&self) -> Result<(), PromptError> {
        if self.shown.demonstrations {
            Ok(())
        } else {
            Err(PromptError::UnusedDemonstrations(self.origin.clone()))
        }
    }
}

/// What a template wrote.
struct Texts {
    /// The whole file.
    whole: String,
    /// Its system block, without line breaks at the ends.
    system: String,
    /// Its user block, likewise.
    user: String,
}

fn render(
    environment: &Environment<'_>,
    values: &Value,
    has_system: bool,
) -> Result<Texts, minijinja::Error> {
    let mut captured = environment.get_template(FILE)?.render_captured(values.clone())?;
    let mut block = |name: &str| -> Result<String, minijinja::Error> {
        let text = captured.with_state_mut(|state| state.render_block(name))?;
        Ok(text.trim_matches('\n').to_owned())
    };
    let system = if has_system { block(SYSTEM)? } else { String::new() };
    let user = block(USER)?;
    Ok(Texts { whole: captured.into_output(), system, user })
}

#[cfg(test)]
mod tests;
