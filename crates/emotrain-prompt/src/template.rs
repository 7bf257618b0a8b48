//! The prompt template: from an utterance in its dialogue to the messages of a chat.
//!
//! A template is one Jinja file with the blocks `system` and `user`. [`slots`] lists what a template may use; a
//! knowledge source of the recipe is one more placeholder with its name. The recipe may remove parts: their values are
//! then empty, and `slots.<part>` is false.

mod check;
mod slots;
pub(crate) mod source;

use std::path::Path;

use emotrain_base::limits;
use emotrain_data::{Dialogue, LabelSet, ShownDemonstration};
use emotrain_recipe::{KnowledgeSection, PromptSection, PromptTemplate};
use minijinja::{Environment, UndefinedBehavior, Value};
use serde::Deserialize;

use crate::error::{PromptError, TemplateProblem, nearest};
use crate::jinja;
use crate::task::Task;
use check::Shown;
use slots::{Parts, Scene};

const PLAIN: &str = include_str!("../../../recipes/prompts/plain.jinja");
const PRC_EMO: &str = include_str!("../../../recipes/prompts/prc_emo.jinja");
const SPEAKER_IDENTIFICATION: &str = include_str!("../../../recipes/prompts/speaker_identification.jinja");
const EMOTION_IMPACT: &str = include_str!("../../../recipes/prompts/emotion_impact.jinja");
const FILE: &str = "prompt";
const SYSTEM: &str = "system";
const USER: &str = "user";

/// A checked prompt template.
#[derive(Clone, Debug)]
pub struct Template {
    origin: String,
    source: String,
    environment: Environment<'static>,
    parts: Parts,
    shown: Shown,
}

/// The target utterance of a prompt, and its context.
#[derive(Clone, Copy, Debug)]
pub struct PromptInput<'a> {
    /// The conversation.
    pub dialogue: &'a Dialogue,
    /// The target utterance, counted from 0.
    pub position: usize,
    /// The labels to choose from.
    pub labels: &'a LabelSet,
    /// The maximum number of utterances shown before it.
    pub history: usize,
    /// The maximum number of utterances shown after it.
    pub future: usize,
    /// Demonstrations, in the order in which they are shown.
    pub demonstrations: &'a [ShownDemonstration],
    /// A text for each knowledge source, in the order of the recipe; empty if there is none.
    pub knowledge: &'a [&'a str],
}

/// The messages of a chat with one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// Instruction, context and labels; empty if the template has no `system` block.
    pub system: String,
    /// The question.
    pub user: String,
    /// The true answer, if known: the label's name, or the speaker's name.
    pub answer: Option<String>,
}

impl Template {
    /// The template `plain` with all its parts and without knowledge.
    ///
    /// # Panics
    /// Never: a test loads it.
    pub fn builtin() -> Self {
        Self::of_task(Task::Emotion, None)
            .unwrap_or_else(|error| panic!("the built-in template must be valid: {error}"))
    }

    /// The template of an auxiliary question, to which the recipe adds nothing: the given file, or else the built-in
    /// one.
    ///
    /// # Errors
    /// [`PromptError::Read`]; [`PromptError::Template`] with every problem.
    pub fn of_task(task: Task, file: Option<&Path>) -> Result<Self, PromptError> {
        let parts = Parts::of(task);
        if let Some(path) = file {
            let source = emotrain_base::read_to_string(path, limits::TEMPLATE)
                .map_err(|error| read_error(error, path, &[]))?;
            return Self::from_source(path.display().to_string(), &source, parts);
        }
        let (name, source) = match task {
            Task::Emotion => ("plain", PLAIN),
            Task::SpeakerIdentification => (task.as_str(), SPEAKER_IDENTIFICATION),
            Task::EmotionImpact => (task.as_str(), EMOTION_IMPACT),
        };
        Self::from_source(format!("template \"{name}\""), source, parts)
    }

    /// The template of a recipe, checked with the recipe's parts and knowledge sources.
    ///
    /// # Errors
    /// [`PromptError::Read`]; [`PromptError::Template`] with every problem: invalid syntax, an unknown placeholder, an
    /// utterance or labels that are never shown; [`PromptError::NoSuchPart`]; [`PromptError::UnusedKnowledge`].
    pub fn new(section: &PromptSection, sources: &[KnowledgeSection]) -> Result<Self, PromptError> {
        let parts = Parts::new(section, sources);
        let builtin =
            |name: &str, source| Self::from_source(format!("template \"{name}\""), source, parts.clone());
        let template = match &section.template {
            PromptTemplate::Plain => builtin("plain", PLAIN)?,
            PromptTemplate::PrcEmo => builtin("prc_emo", PRC_EMO)?,
            PromptTemplate::File(path) => {
                let is_contract = path.extension().is_some_and(|extension| extension == "json");
                let limit = if is_contract { limits::CONFIG } else { limits::TEMPLATE };
                let mut source = emotrain_base::read_to_string(path, limit)
                    .map_err(|error| read_error(error, path, PromptTemplate::NAMES))?;
                if is_contract {
                    source = of_contract(&source, path)?;
                }
                Self::from_source(path.display().to_string(), &source, parts)?
            }
        };
        template.check_parts()?;
        Ok(template)
    }

    fn from_source(origin: String, source: &str, parts: Parts) -> Result<Self, PromptError> {
        let source = source.trim_start_matches('\u{feff}').replace("\r\n", "\n");
        let mut environment = jinja::environment(UndefinedBehavior::Strict);
        let shown =
            check::check(&origin, &source, &parts, &mut environment).map_err(PromptError::Template)?;
        Ok(Self { origin, source, environment, parts, shown })
    }

    /// The messages for one utterance. The same input gives the same messages.
    ///
    /// # Errors
    /// [`PromptError::NoUtterance`] and [`PromptError::Render`].
    pub fn render(&self, input: &PromptInput<'_>) -> Result<Prompt, PromptError> {
        let PromptInput { dialogue, position, labels, history, future, demonstrations, knowledge } = *input;
        let id = dialogue.utterance_id(position);
        let Some(utterance) = dialogue.utterances.get(position) else {
            return Err(PromptError::NoUtterance { id, utterances: dialogue.utterances.len() });
        };
        let names = labels.names();
        let scene = Scene { dialogue, position, labels: names, history, future, demonstrations, knowledge };
        let values = slots::values(&scene, &self.parts);
        let has_system = self.shown.system;
        let Texts { system, user, .. } = render(&self.environment, &values, has_system).map_err(|error| {
            PromptError::Render { id, origin: self.origin.clone(), message: jinja::message(&error) }
        })?;
        let answer = match self.task() {
            Task::Emotion | Task::EmotionImpact => utterance.label.map(|label| labels.name(label).to_owned()),
            Task::SpeakerIdentification => Some(utterance.speaker.clone()),
        };
        Ok(Prompt { system, user, answer })
    }

    /// The template's source, as stored in the prompt contract.
    pub fn text(&self) -> &str {
        &self.source
    }

    /// Its file, for messages.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Its question.
    pub fn task(&self) -> Task {
        self.parts.task
    }

    /// The names of the knowledge sources, in the order of the recipe.
    pub fn sources(&self) -> &[String] {
        &self.parts.sources
    }

    /// The parts that the recipe removes.
    pub fn removed(&self) -> &[String] {
        &self.parts.removed
    }

    /// Whether the recipe keeps the part.
    pub fn shows(&self, part: &str) -> bool {
        self.parts.shows(part)
    }

    /// Refuses parts that the recipe requests and the template lacks.
    fn check_parts(&self) -> Result<(), PromptError> {
        let Parts { sources, named, .. } = &self.parts;
        let origin = || self.origin.clone();
        if let Some(part) = named.iter().find(|part| !self.shown.parts.contains(part)) {
            let has = self.shown.parts.iter().filter(|part| !sources.contains(part)).cloned().collect();
            return Err(PromptError::NoSuchPart { origin: origin(), part: part.clone(), has });
        }
        let unused: Vec<String> = sources
            .iter()
            .filter(|source| self.shows(source) && !self.shown.parts.contains(source))
            .cloned()
            .collect();
        if unused.is_empty() {
            Ok(())
        } else {
            Err(PromptError::UnusedKnowledge { origin: origin(), unused })
        }
    }

    /// Refuses windows that the template would silently ignore.
    ///
    /// # Errors
    /// [`PromptError::UnusedWindow`].
    pub(crate) fn check_windows(&self, history: usize, future: usize) -> Result<(), PromptError> {
        if self.task() != Task::Emotion {
            return Ok(()); // it shows the history, or it would not have loaded
        }
        let windows = [("history", "history_window", history), ("future", "future_window", future)];
        for (slot, knob, value) in windows {
            if value > 0 && self.shows(slot) && !self.shown.parts.iter().any(|part| part == slot) {
                return Err(PromptError::UnusedWindow { origin: self.origin.clone(), slot, knob, value });
            }
        }
        Ok(())
    }

    /// Refuses demonstrations that the template would silently ignore.
    ///
    /// # Errors
    /// [`PromptError::UnusedDemonstrations`].
    pub(crate) fn check_demonstrations(&self) -> Result<(), PromptError> {
        if self.shown.parts.iter().any(|part| part == "demonstrations") {
            Ok(())
        } else {
            Err(PromptError::UnusedDemonstrations(self.origin.clone()))
        }
    }
}

/// The error of an unreadable file; a missing one may be meant as one of these built-in templates.
fn read_error(error: std::io::Error, path: &Path, names: &'static [&'static str]) -> PromptError {
    if error.kind() == std::io::ErrorKind::InvalidData {
        let origin = path.display().to_string();
        let message = error.to_string().trim_start_matches(&format!("{origin}: ")).to_owned();
        return PromptError::Template(vec![TemplateProblem { origin, line: None, message, hint: None }]);
    }
    if error.kind() != std::io::ErrorKind::NotFound {
        return PromptError::Read(error);
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let meant = nearest(&name, names.iter().copied());
    PromptError::NoTemplate { path: path.display().to_string(), names, meant }
}

/// The template that a prompt contract holds.
fn of_contract(text: &str, path: &Path) -> Result<String, PromptError> {
    #[derive(Deserialize)]
    struct Contract {
        template: String,
    }
    let contract = serde_json::from_str::<Contract>(text).map_err(|error| {
        let message = format!("not a prompt contract: {error}");
        let hint = Some("a template is a .jinja file, or the prompt_contract.json of a training".to_owned());
        let origin = path.display().to_string();
        PromptError::Template(vec![TemplateProblem { origin, line: None, message, hint }])
    })?;
    Ok(contract.template)
}

/// A template's output.
struct Texts {
    /// The whole file.
    whole: String,
    /// Its system block, without line breaks at the ends.
    system: String,
    /// Its user block, also without them.
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
