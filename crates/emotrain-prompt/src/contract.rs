//! The prompt contract: saved with an adapter so that prompts later equal those of its training.

use std::collections::BTreeSet;

use emotrain_base::sha256_hex;
use serde::{Deserialize, Serialize};

use crate::chat::Thinking;
use crate::encode::{DemonstrationSlot, Encoder, Question};
use crate::error::PromptError;
use crate::example;

const FORMAT_VERSION: u32 = 1;

/// Everything that determines an utterance's tokens, and one example.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromptContract {
    /// Version of this format.
    pub format_version: u32,
    /// The prompt template's source.
    pub template: String,
    /// SHA-256 of the prompt template, in hexadecimal.
    pub template_sha256: String,
    /// SHA-256 of the base model's chat template, in hexadecimal.
    pub chat_template_sha256: String,
    /// Utterances shown before the target utterance.
    pub history_window: usize,
    /// Utterances shown after it.
    pub future_window: usize,
    /// How demonstrations are shown, if any are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub demonstrations: Option<DemonstrationSlot>,
    /// How demonstrations are retrieved: "lexical", or the digest of the sentence encoder. Set by the caller, which
    /// retrieves them: [`Encoder::contract`] leaves it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found_by: Option<String>,
    /// The knowledge sources that are shown, in the order of the recipe.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub knowledge: Vec<String>,
    /// Removed parts of the prompt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed_slots: Vec<String>,
    /// Passed to the chat template.
    pub enable_thinking: bool,
    /// Whether the system text goes before the user's, because there is no system role.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub system_before_user: bool,
    /// The date that the chat template prints, if it asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat_date: Option<String>,
    /// The token limit of prompt and answer together.
    pub max_seq_length: usize,
    /// The labels by index.
    pub labels: Vec<String>,
    /// The completion's tokens for each label, by index.
    pub label_completions: Vec<Vec<u32>>,
    /// Special tokens by role.
    pub special_tokens: SpecialTokens,
    /// Whether prompt and answer encoded as one text give the tokens of both; if not, a server must be given token ids.
    pub clean_border: bool,
    /// An example conversation of our own, rendered and encoded.
    pub golden: GoldenExample,
}

/// Ids of special tokens by role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpecialTokens {
    /// Ends every answer.
    pub end_of_turn: u32,
    /// The tokenizer's end-of-sequence token, if it names one.
    pub eos: Option<u32>,
}

/// An example conversation as the model sees it, answered with the first label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoldenExample {
    /// Prompt and answer.
    pub text: String,
    /// The tokens of both.
    pub ids: Vec<u32>,
    /// The index of the answer's first token.
    pub prompt_len: usize,
}

impl Encoder {
    /// The contract of this encoder, to be saved with what is trained.
    ///
    /// # Errors
    /// Errors of template and tokenizer for the example.
    pub fn contract(&self) -> Result<PromptContract, PromptError> {
        let completions = self.completions();
        let (dialogue, position) = (example::dialogue(), example::POSITION);
        let texts = example::knowledge(self.template().sources());
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let question = Question { knowledge: &texts, ..Question::new(&dialogue, position) };
        let (sources, removed) = (self.template().sources(), self.template().removed());
        let prompt = self.prompt_text(question, self.window())?;
        let prompt_ids = self.chat().encode(&prompt)?;
        let first = completions.texts.first().map_or("", String::as_str);
        let first_ids = completions.ids.first().map_or(&[][..], Vec::as_slice);
        Ok(PromptContract {
            format_version: FORMAT_VERSION,
            template: self.template().text().to_owned(),
            template_sha256: sha256_hex(self.template().text().as_bytes()),
            chat_template_sha256: sha256_hex(self.chat().chat_template().unwrap_or_default().as_bytes()),
            history_window: self.window().history,
            future_window: self.window().future,
            demonstrations: self.slot(),
            found_by: None,
            knowledge: sources.iter().filter(|source| self.template().shows(source)).cloned().collect(),
            removed_slots: removed.iter().filter(|part| !sources.contains(part)).cloned().collect(),
            enable_thinking: self.thinking() == Thinking::On,
            system_before_user: self.folds_system(),
            chat_date: self.chat().date().map(|date| date.to_string()),
            max_seq_length: self.max_seq_length(),
            labels: self.labels().names().to_vec(),
            label_completions: completions.ids.clone(),
            special_tokens: SpecialTokens {
                end_of_turn: completions.end_of_turn,
                eos: self.chat().eos_token().map(|(_, id)| id),
            },
            clean_border: completions.clean_border,
            golden: GoldenExample {
                text: prompt + first,
                prompt_len: prompt_ids.len(),
                ids: [&prompt_ids, first_ids].concat(),
            },
        })
    }
}

impl PromptContract {
    /// Compares this contract, saved with an adapter, with the present one.
    ///
    /// # Errors
    /// [`PromptError::ContractMismatch`] with every difference.
    pub fn check(&self, present: &Self) -> Result<(), PromptError> {
        let differs = |what: &str, then: &dyn std::fmt::Display, now: &dyn std::fmt::Display| {
            let (then, now) = (then.to_string(), now.to_string());
            (then != now).then(|| format!("{what} was {then} and is {now}"))
        };
        let date = |contract: &Self| contract.chat_date.clone().unwrap_or_else(|| "none".to_owned());
        let plain = |what: &str, same: bool| (!same).then(|| format!("the {what} is different"));
        let differences = [
            differs("format_version", &self.format_version, &present.format_version),
            plain("prompt template", self.template == present.template),
            plain("chat template", self.chat_template_sha256 == present.chat_template_sha256),
            differs("prompt.history_window", &self.history_window, &present.history_window),
            differs("prompt.future_window", &self.future_window, &present.future_window),
            differs(
                "what prompts show of [retrieval]",
                &shown(self.demonstrations),
                &shown(present.demonstrations),
            ),
            found_otherwise(self.found_by.as_deref(), present.found_by.as_deref()),
            differs("the knowledge in the prompt", &listed(&self.knowledge), &listed(&present.knowledge)),
            differs(
                "what prompt.slots removes",
                &listed(&self.removed_slots),
                &listed(&present.removed_slots),
            ),
            differs("prompt.enable_thinking", &self.enable_thinking, &present.enable_thinking),
            differs("the date in the chat", &date(self), &date(present)),
            differs(
                "the system text before the user's",
                &self.system_before_user,
                &present.system_before_user,
            ),
            differs("train.max_seq_length", &self.max_seq_length, &present.max_seq_length),
            self.other_labels(present),
        ];
        let mut differences: Vec<String> = differences.into_iter().flatten().collect();
        let found_by = present.found_by.clone();
        if differences.is_empty() && (Self { found_by, ..self.clone() }) != *present {
            differences.push("the tokenizer gives different tokens for the example".to_owned());
        }
        if differences.is_empty() { Ok(()) } else { Err(PromptError::ContractMismatch(differences)) }
    }

    /// How the labels differ, if they do: their order is the prompt's, too.
    fn other_labels(&self, present: &Self) -> Option<String> {
        let sorted = |labels: &[String]| labels.iter().cloned().collect::<BTreeSet<_>>();
        if self.labels == present.labels {
            return None;
        }
        if sorted(&self.labels) == sorted(&present.labels) {
            let labels = &self.labels;
            return Some(format!(
                "the same labels are in another order: write label_set = \"custom\" and labels = {labels:?} under [data]"
            ));
        }
        Some(format!("the label set was {} and is {}", listed(&self.labels), listed(&present.labels)))
    }
}

/// Names in words.
fn listed(names: &[String]) -> String {
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}

/// How demonstrations are shown, in words.
fn shown(slot: Option<DemonstrationSlot>) -> String {
    let Some(DemonstrationSlot { k, order, show_score, show_source }) = slot else {
        return "no demonstrations".to_owned();
    };
    let with = [(show_score, " with their scores"), (show_source, " with their sources")];
    let with: Vec<&str> =
        with.into_iter().filter(|(is_shown, _)| *is_shown).map(|(_, words)| words).collect();
    format!("k = {k}, order = \"{order}\"{}", with.concat())
}

/// Another retrieval method gives other demonstrations. Old contracts may not name the method.
fn found_otherwise(then: Option<&str>, now: Option<&str>) -> Option<String> {
    let (then, now) = (then?, now?);
    (then != now)
        .then(|| format!("demonstrations were retrieved by {then} and now by {now} (retrieval.encoder)"))
}

#[cfg(test)]
mod tests;
