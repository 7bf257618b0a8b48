//! Rows of other programs, recognised by their keys.

use emotrain_recipe::{ColumnRole, folded};
use serde_json::Value;

use super::other_names::others_of;
use crate::dialogue::Dialogue;
use crate::error::{DataProblem, OtherRows};
use crate::label::LabelSet;

/// The keys of prompts with answers, and what such rows are called.
const PROMPTS: [(&[&str], &str); 8] = [
    (&["instruction", "output"], "Alpaca's rows (instruction, input, output)"),
    (&["prompt", "completion"], "rows of prompt and completion, as TRL reads them"),
    (&["prompt", "response"], "rows of prompt and response"),
    (&["prompt", "chosen", "rejected"], "rows of preferences (prompt, chosen, rejected)"),
    (&["query", "response"], "rows of query and response"),
    (&["question", "answer"], "rows of question and answer"),
    (&["input", "output"], "rows of input and output"),
    (&["messages", "chosen", "rejected"], "rows of preferences (messages, chosen, rejected)"),
];

/// The lists that rows of formats which are read have.
const KNOWN_LISTS: [&str; 5] = ["utterances", "messages", "conversations", "episodes", "sentences"];

/// What a model calls itself in chats.
const MODELS: [&str; 4] = ["assistant", "gpt", "model", "bot"];

/// An answer of at most so many characters may be a label.
const LABEL: usize = 40;

/// Chats whose last turn is the label of what is asked before it.
const CHATS: DataProblem = DataProblem::OtherRows(OtherRows::Prompts(
    "chats in which the assistant's turn is the label, as TRL, axolotl and LLaMA-Factory read them",
));

/// What is wrong with a list of JSON that begins like this.
pub(super) fn of_list(head: &str) -> DataProblem {
    let items = head.trim_start().strip_prefix('[').unwrap_or_default();
    match serde_json::Deserializer::from_str(items).into_iter::<Value>().next() {
        Some(Ok(Value::Array(_))) => DataProblem::OtherRows(OtherRows::Lists),
        Some(Ok(chat)) if is_answered(&chat) => CHATS,
        Some(Ok(item)) => of_row(&item).unwrap_or(DataProblem::JsonList),
        _ => DataProblem::JsonList,
    }
}

/// What is wrong with lines of JSON that begin like this, if that is known.
pub(super) fn of_lines(head: &str) -> Option<DataProblem> {
    let first = serde_json::Deserializer::from_str(head).into_iter::<Value>().next()?;
    of_row(&first.ok()?)
}

/// What is wrong with chats that begin like this, if each ends with a short answer of the model.
pub(super) fn of_chats(head: &str) -> Option<DataProblem> {
    // What is cut off at the end is none.
    let mut chats =
        serde_json::Deserializer::from_str(head).into_iter::<Value>().map_while(Result::ok).peekable();
    (chats.peek().is_some() && chats.all(|chat| is_answered(&chat))).then_some(CHATS)
}

/// Whether a chat has no label and its last turn is a short answer of the model.
fn is_answered(chat: &Value) -> bool {
    let turns = ["messages", "conversations"].into_iter().find_map(|key| chat.get(key)?.as_array());
    let text = |turn: &Value, keys: [&str; 2]| -> Option<String> {
        keys.into_iter().find_map(|key| turn.get(key)?.as_str().map(str::to_owned))
    };
    let Some([.., question, answer]) = turns.map(Vec::as_slice) else { return false };
    let is_labelled = [question, answer].into_iter().any(|turn| turn.get("label").is_some());
    let is_model = text(answer, ["role", "from"]).is_some_and(|role| MODELS.contains(&role.as_str()));
    let is_short = text(answer, ["content", "value"]).is_some_and(|answer| answer.len() <= LABEL);
    is_model && is_short && !is_labelled
}

/// What is wrong with a row.
fn of_row(row: &Value) -> Option<DataProblem> {
    let row = row.as_object()?;
    let keys: Vec<String> = row.keys().map(|key| folded(key)).collect();
    if let Some(problem) = of_keys(&keys) {
        return Some(problem);
    }
    if let ([only], Some(Value::String(_))) = (&keys[..], row.values().next())
        && only == "text"
    {
        return Some(prompts("texts in which prompt and answer are one"));
    }
    let has = |role: ColumnRole| {
        let is_it = |key: &String| key == role.as_str() || others_of(role).contains(&key.as_str());
        keys.iter()
            .zip(row.values())
            .any(|(key, value)| is_it(key) && !value.is_array() && !value.is_object())
    };
    let others = [ColumnRole::Dialogue, ColumnRole::Speaker, ColumnRole::Label];
    let is_utterance = has(ColumnRole::Text) && others.into_iter().any(has);
    if is_utterance {
        return Some(DataProblem::OtherRows(OtherRows::Utterances));
    }
    let has_turns =
        row.values().any(is_list_of_turns) && !KNOWN_LISTS.iter().any(|list| row.contains_key(*list));
    has_turns.then_some(DataProblem::OtherRows(OtherRows::Turns))
}

/// Whether it is a list of objects that have a text.
fn is_list_of_turns(value: &Value) -> bool {
    let first = value.as_array().and_then(|list| list.first()?.as_object());
    let is_text = |key: &String| {
        let key = folded(key);
        key == ColumnRole::Text.as_str() || others_of(ColumnRole::Text).contains(&key.as_str())
    };
    first.is_some_and(|turn| turn.keys().any(is_text))
}

/// What is wrong with rows of these keys or columns, folded.
pub(super) fn of_keys(keys: &[String]) -> Option<DataProblem> {
    let has = |name: &&str| keys.iter().any(|key| key == name);
    PROMPTS.iter().find(|(names, _)| names.iter().all(has)).map(|(_, form)| prompts(form))
}

fn prompts(form: &'static str) -> DataProblem {
    DataProblem::OtherRows(OtherRows::Prompts(form))
}

/// What is wrong with chats without labels, if each of them ends with a short answer of the model.
pub(super) fn of_unlabelled(dialogues: &[Dialogue]) -> Option<DataProblem> {
    dialogues
        .iter()
        .all(|dialogue| answer(dialogue).is_some_and(|answer| answer.len() <= LABEL))
        .then_some(CHATS)
}

/// What is wrong with a chat that ends with a label as the model's answer.
pub(super) fn of_chat(dialogue: &Dialogue, labels: &LabelSet) -> Option<DataProblem> {
    answer(dialogue).filter(|answer| labels.resolve(answer).is_some()).map(|_| CHATS)
}

/// The last turn of a chat, if it is the model's.
fn answer(dialogue: &Dialogue) -> Option<&str> {
    let last = dialogue.utterances.last()?;
    let is_answer = dialogue.utterances.len() > 1 && last.label.is_none();
    (is_answer && MODELS.contains(&last.speaker.as_str())).then_some(last.text.as_str())
}
