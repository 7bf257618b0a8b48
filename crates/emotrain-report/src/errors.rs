//! The wrong answers that the model was surest of, with what it saw.

use std::collections::BTreeMap;

use emotrain_data::{Dialogue, UtteranceId};
use emotrain_eval::SureAnswer;

use crate::answers::{Answer, Answers};
use crate::block::{Block, DemonstrationView, ErrorView, Section, TurnView};
use crate::facts::{PromptFacts, RunFacts};
use crate::text::{percent, shortened};

/// Utterances that are shown before and after the one in question.
const BEFORE: usize = 12;
const AFTER: usize = 2;
/// Labels whose probabilities are shown.
const LIKELIEST: usize = 3;
/// Characters of an utterance, and of a message of a prompt.
const LONGEST_TURN: usize = 1_500;
const LONGEST_MESSAGE: usize = 20_000;

/// The section.
pub(crate) fn section(facts: &RunFacts, answers: &Answers<'_>) -> Section {
    let by_id: BTreeMap<&UtteranceId, &Answer<'_>> =
        answers.all.iter().map(|answer| (answer.id, answer)).collect();
    let dialogues: BTreeMap<&str, &Dialogue> =
        facts.dialogues.iter().map(|dialogue| (dialogue.id.as_str(), dialogue)).collect();
    let view = |id: &UtteranceId| {
        let dialogue = dialogues.get(id.dialogue.as_str()).copied();
        Some(error(facts, answers, by_id.get(id)?, dialogue))
    };
    let errors: Vec<ErrorView> = facts.errors.iter().filter_map(view).collect();
    let wrong = answers.all.iter().filter(|answer| answer.predicted != Some(answer.truth)).count();
    let text = match (errors.len(), wrong) {
        (_, 0) => "Every answer is right.".to_owned(),
        (shown, wrong) => format!(
            "{shown} of {wrong} wrong answers: those that the model was surest of. In confident errors, look for labels \
             that one may doubt, missing context, and demonstrations that mislead."
        ),
    };
    let mut blocks = vec![Block::text(text)];
    if !errors.is_empty() {
        blocks.push(Block::Errors { errors });
    }
    Section { id: "errors", title: "Most confident errors".to_owned(), blocks }
}

fn error(
    facts: &RunFacts,
    answers: &Answers<'_>,
    answer: &Answer<'_>,
    dialogue: Option<&Dialogue>,
) -> ErrorView {
    let none = PromptFacts::default();
    let prompt = facts.prompts.get(answer.id).unwrap_or(&none);
    let confidence = answer.sure.as_ref().map(SureAnswer::confidence);
    let (turns, left_out) = dialogue.map_or_else(Default::default, |one| turns(one, answer, answers));
    let knowledge = prompt.knowledge.iter().filter(|(_, text)| !text.is_empty());
    let found = facts.demonstrations.get(answer.id).map_or(&[][..], Vec::as_slice);
    let demonstration = |one: &emotrain_data::ShownDemonstration| DemonstrationView {
        text: shortened(&one.text, LONGEST_TURN),
        label: one.label.clone(),
    };
    ErrorView {
        id: answer.id.to_string(),
        truth: answers.name(answer.truth).to_owned(),
        answer: answer.predicted.map_or("no label", |label| answers.name(label)).to_owned(),
        confidence: confidence.map(percent).unwrap_or_default(),
        likeliest: answer.sure.as_ref().map(|sure| likeliest(sure, answers)).unwrap_or_default(),
        turns,
        left_out,
        system: shortened(&prompt.system, LONGEST_MESSAGE),
        user: shortened(&prompt.user, LONGEST_MESSAGE),
        demonstrations: found.iter().take(prompt.demonstrations).map(demonstration).collect(),
        knowledge: knowledge.map(|(name, text)| (name.clone(), shortened(text, LONGEST_MESSAGE))).collect(),
    }
}

fn likeliest(sure: &SureAnswer, answers: &Answers<'_>) -> Vec<(String, String)> {
    let mut all: Vec<(f64, &String)> = sure.probabilities.iter().copied().zip(answers.labels).collect();
    all.sort_by(|one, other| other.0.total_cmp(&one.0));
    all.into_iter().take(LIKELIEST).map(|(share, label)| (label.clone(), percent(share))).collect()
}

/// The utterances around the one in question, and what is said of the rest.
fn turns(dialogue: &Dialogue, answer: &Answer<'_>, answers: &Answers<'_>) -> (Vec<TurnView>, String) {
    let position = answer.id.position;
    let first = position.saturating_sub(BEFORE);
    let last = (position + AFTER + 1).min(dialogue.utterances.len());
    let shown = dialogue.utterances.get(first..last).unwrap_or_default();
    let view = |(at, turn): (usize, &emotrain_data::Utterance)| TurnView {
        speaker: turn.speaker.clone(),
        text: shortened(&turn.text, LONGEST_TURN),
        label: turn.label.map_or_else(String::new, |label| answers.name(label).to_owned()),
        is_asked: first + at == position,
    };
    let rest = dialogue.utterances.len() - shown.len();
    let left_out = if rest > 0 { format!("{rest} more utterances are not shown.") } else { String::new() };
    (shown.iter().enumerate().map(view).collect(), left_out)
}
