//! What a template may use: the one list of placeholders and where their values come from.

use emotrain_data::{Dialogue, ShownDemonstration, Utterance};
use minijinja::Value;

/// Every placeholder. [`values`] gives each of them a value, always.
pub(super) const SLOTS: [&str; 7] =
    ["labels", "label_list", "speaker", "utterance", "history", "future", "demonstrations"];

/// What each entry of `history` and `future` has.
pub(super) const TURN: [&str; 2] = ["speaker", "text"];

/// What each entry of `demonstrations` has; the last two are `none` unless the recipe shows them.
pub(super) const DEMONSTRATION: [&str; 4] = ["text", "label", "source", "score"];

/// One utterance with what is known around it.
pub(super) struct Scene<'a> {
    pub(super) dialogue: &'a Dialogue,
    /// Valid: the caller has looked.
    pub(super) position: usize,
    pub(super) labels: &'a [String],
    /// Most utterances before it.
    pub(super) history: usize,
    /// Most utterances after it.
    pub(super) future: usize,
    /// In the order in which they are shown.
    pub(super) demonstrations: &'a [ShownDemonstration],
}

/// The values of all placeholders.
pub(super) fn values(scene: &Scene<'_>) -> Value {
    let utterances = &scene.dialogue.utterances;
    let utterance = &utterances[scene.position];
    let after = &utterances[scene.position + 1..];
    let history = &utterances[scene.position.saturating_sub(scene.history)..scene.position];
    let future = &after[..scene.future.min(after.len())];
    let values = [
        scene.labels.iter().map(Value::from).collect(),
        Value::from(scene.labels.join(", ")),
        Value::from(&utterance.speaker),
        Value::from(&utterance.text),
        turns(history),
        turns(future),
        scene.demonstrations.iter().map(demonstration).collect(),
    ];
    Value::from_pairs(SLOTS.into_iter().zip(values))
}

fn turns(utterances: &[Utterance]) -> Value {
    let turn = |utterance: &Utterance| {
        Value::from_pairs(TURN.into_iter().zip([&utterance.speaker, &utterance.text]))
    };
    utterances.iter().map(turn).collect()
}

fn demonstration(shown: &ShownDemonstration) -> Value {
    // Two decimals are what a model can make use of, and what it costs few tokens to say.
    let score = shown.score.map(|score| (f64::from(score) * 100.0).round() / 100.0);
    let values = [
        Value::from(&shown.text),
        Value::from(&shown.label),
        Value::from(shown.source.as_ref()),
        score.into(),
    ];
    Value::from_pairs(DEMONSTRATION.into_iter().zip(values))
}
