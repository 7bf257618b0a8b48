//! What a template may use: the one list of placeholders and their values.

use emotrain_data::{Dialogue, ShownDemonstration, Utterance};
use emotrain_recipe::{KnowledgeSection, PromptSection, PromptSlots, TEMPLATE_NAMES};
use minijinja::Value;

use crate::task::Task;

/// The placeholders of this question. A template cannot show anything else: so a question cannot contain its answer,
/// nor utterances that come later.
fn names(task: Task) -> &'static [&'static str] {
    match task {
        Task::Emotion => TEMPLATE_NAMES,
        Task::SpeakerIdentification => &["speakers", "speaker_list", "utterance", "history"],
        Task::EmotionImpact => &["labels", "label_list", "speaker", "history"],
    }
}

/// The fields of each entry of `history` and `future`.
pub(super) const TURN: [&str; 2] = ["speaker", "text"];

/// The fields of each entry of `demonstrations`; the last two are `none` unless the recipe shows them.
pub(super) const DEMONSTRATION: [&str; 4] = ["text", "label", "source", "score"];

/// The parts that a prompt of the recipe can have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    /// The question; an auxiliary one has no removable parts.
    pub(super) task: Task,
    /// The names of the knowledge sources, in the order of the recipe.
    pub(super) sources: Vec<String>,
    /// Parts that the recipe removes, sources among them.
    pub(super) removed: Vec<String>,
    /// Parts that the recipe requests by name, without sources.
    pub(super) named: Vec<String>,
}

impl Parts {
    /// The slots of a question to which a recipe adds nothing and from which it removes nothing.
    pub(super) fn of(task: Task) -> Self {
        Self { task, ..Self::default() }
    }

    pub(super) fn new(section: &PromptSection, sources: &[KnowledgeSection]) -> Self {
        let sources: Vec<String> = sources.iter().map(|source| source.name.clone()).collect();
        let builtin = || PromptSlots::NAMES.iter().map(|name| (*name).to_owned());
        let named = match &section.slots {
            PromptSlots::All => Vec::new(),
            PromptSlots::List(names) => builtin().filter(|name| names.contains(name)).collect(),
        };
        let removed = builtin().chain(sources.clone()).filter(|name| !section.slots.has(name)).collect();
        Self { task: Task::Emotion, sources, removed, named }
    }

    pub(super) fn shows(&self, name: &str) -> bool {
        !self.removed.iter().any(|removed| removed == name)
    }

    /// The same with other parts removed.
    pub(super) fn without(&self, removed: Vec<String>) -> Self {
        Self { removed, ..self.clone() }
    }

    /// All possible parts.
    pub(super) fn all(&self) -> Vec<String> {
        let builtin = if self.task == Task::Emotion { PromptSlots::NAMES } else { &[] };
        builtin.iter().map(|name| (*name).to_owned()).chain(self.sources.clone()).collect()
    }

    /// The names that a template may use without any knowledge source.
    pub(super) fn names(&self) -> &'static [&'static str] {
        names(self.task)
    }

    /// Every name that a template may use.
    pub(super) fn placeholders(&self) -> Vec<&str> {
        self.names().iter().copied().chain(self.sources.iter().map(String::as_str)).collect()
    }
}

/// An utterance with its context.
pub(super) struct Scene<'a> {
    pub(super) dialogue: &'a Dialogue,
    /// Valid; checked by the caller.
    pub(super) position: usize,
    pub(super) labels: &'a [String],
    /// The maximum number of utterances before it.
    pub(super) history: usize,
    /// The maximum number of utterances after it.
    pub(super) future: usize,
    /// In the order in which they are shown.
    pub(super) demonstrations: &'a [ShownDemonstration],
    /// The text of each source, in their order.
    pub(super) knowledge: &'a [&'a str],
}

/// The values of all placeholders. Removed parts are empty.
pub(super) fn values(scene: &Scene<'_>, parts: &Parts) -> Value {
    let builtin = parts.names().iter().map(|name| (*name, value(name, scene, parts)));
    let texts = parts.sources.iter().enumerate().map(|(at, name)| {
        let text = scene.knowledge.get(at).filter(|_| parts.shows(name));
        (name.as_str(), Value::from(text.copied().unwrap_or_default()))
    });
    Value::from_pairs(builtin.chain(texts))
}

/// The value of one of [`names`].
fn value(name: &str, scene: &Scene<'_>, parts: &Parts) -> Value {
    let utterances = &scene.dialogue.utterances;
    let utterance = &utterances[scene.position];
    let (before, after) = (&utterances[..scene.position], &utterances[scene.position + 1..]);
    let shown = |most: usize| if parts.shows(name) { most } else { 0 };
    match name {
        "labels" => scene.labels.iter().map(Value::from).collect(),
        "label_list" => Value::from(scene.labels.join(", ")),
        "speakers" => speakers(scene.dialogue).into_iter().map(Value::from).collect(),
        "speaker_list" => Value::from(speakers(scene.dialogue).join(", ")),
        "speaker" => Value::from(&utterance.speaker),
        "utterance" => Value::from(&utterance.text),
        "history" => turns(&before[before.len() - shown(scene.history).min(before.len())..]),
        "future" => turns(&after[..shown(scene.future).min(after.len())]),
        "demonstrations" => {
            scene.demonstrations[..shown(scene.demonstrations.len())].iter().map(demonstration).collect()
        }
        "slots" => Value::from_pairs(parts.all().into_iter().map(|name| (name.clone(), parts.shows(&name)))),
        _ => unreachable!("\"{name}\" is the name of no value"),
    }
}

/// By name, so that the order does not reveal who speaks when.
fn speakers(dialogue: &Dialogue) -> Vec<&str> {
    let mut speakers = dialogue.speakers();
    speakers.sort_unstable();
    speakers
}

fn turns(utterances: &[Utterance]) -> Value {
    let turn = |utterance: &Utterance| {
        Value::from_pairs(TURN.into_iter().zip([&utterance.speaker, &utterance.text]))
    };
    utterances.iter().map(turn).collect()
}

fn demonstration(shown: &ShownDemonstration) -> Value {
    // Two decimals are enough for a model, and take few tokens.
    let score = shown.score.map(|score| (f64::from(score) * 100.0).round() / 100.0);
    let values = [
        Value::from(&shown.text),
        Value::from(&shown.label),
        Value::from(shown.source.as_ref()),
        score.into(),
    ];
    Value::from_pairs(DEMONSTRATION.into_iter().zip(values))
}
