//! What is kept beside an adapter so that it is asked the way it was trained.

use emotrain_base::sha256_hex;
use serde::{Deserialize, Serialize};

use crate::chat::Thinking;
use crate::encode::{DemonstrationSlot, Encoder, Question};
use crate::error::PromptError;
use crate::example;

const FORMAT_VERSION: u32 = 1;

/// Everything that decides which tokens an utterance becomes, and one example of it.
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
    /// Utterances shown before the one in question.
    pub history_window: usize,
    /// Utterances shown after it.
    pub future_window: usize,
    /// How demonstrations are shown, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub demonstrations: Option<DemonstrationSlot>,
    /// How demonstrations were found: "lexical", or the digest of the sentence encoder. Known to whoever
    /// searches: [`Encoder::contract`] leaves it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found_by: Option<String>,
    /// The knowledge sources whose texts are shown, in the order of the recipe.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub knowledge: Vec<String>,
    /// Parts of the prompt that were taken out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed_slots: Vec<String>,
    /// Passed to the chat template.
    pub enable_thinking: bool,
    /// Whether the system text stands before the user's, for want of a system role.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub system_before_user: bool,
    /// The date that the chat template prints, where it asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat_date: Option<String>,
    /// Most tokens of prompt and answer together.
    pub max_seq_length: usize,
    /// The labels by index.
    pub labels: Vec<String>,
    /// The tokens that follow the prompt for each label, by index.
    pub label_completions: Vec<Vec<u32>>,
    /// Special tokens by what they are for.
    pub special_tokens: SpecialTokens,
    /// Whether prompt and answer encoded as one text give the tokens of both; otherwise a server must
    /// be given token ids.
    pub clean_border: bool,
    /// An example of our own, rendered and encoded.
    pub golden: GoldenExample,
}

/// Ids of tokens with a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpecialTokens {
    /// Ends every answer.
    pub end_of_turn: u32,
    /// The tokenizer's end of sequence, where it names one.
    pub eos: Option<u32>,
}

/// A conversation of our own as the model sees it, answered with the first label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoldenExample {
    /// Prompt and answer.
    pub text: String,
    /// The tokens of both.
    pub ids: Vec<u32>,
    /// Where the answer's tokens start.
    pub prompt_len: usize,
}

impl Encoder {
    /// The contract to keep beside what is trained with this encoder.
    ///
    /// # Errors
    /// What template and tokenizer report for the example.
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
    /// Compares this contract, read from beside an adapter, with the present one.
    ///
    /// # Errors
    /// [`PromptError::ContractMismatch`] naming every difference.
    pub fn check(&self, present: &Self) -> Result<(), PromptError> {
        let differs = |what: &str, then: &dyn std::fmt::Debug, now: &dyn std::fmt::Debug| {
            let (then, now) = (format!("{then:?}"), format!("{now:?}"));
            (then != now).then(|| format!("{what} was {then} and is {now}"))
        };
        let plain = |what: &str, same: bool| (!same).then(|| format!("the {what} is another"));
        let differences = [
            differs("format_version", &self.format_version, &present.format_version),
            plain("prompt template", self.template == present.template),
            plain("chat template", self.chat_template_sha256 == present.chat_template_sha256),
            differs("prompt.history_window", &self.history_window, &present.history_window),
            differs("prompt.future_window", &self.future_window, &present.future_window),
            differs("retrieval", &self.demonstrations, &present.demonstrations),
            found_otherwise(self.found_by.as_deref(), present.found_by.as_deref()),
            differs("the knowledge in the prompt", &self.knowledge, &present.knowledge),
            differs("what prompt.slots leaves out", &self.removed_slots, &present.removed_slots),
            differs("prompt.enable_thinking", &self.enable_thinking, &present.enable_thinking),
            differs("the date in the chat", &self.chat_date, &present.chat_date),
            differs(
                "the system text before the user's",
                &self.system_before_user,
                &present.system_before_user,
            ),
            differs("train.max_seq_length", &self.max_seq_length, &present.max_seq_length),
            differs("the label set", &self.labels, &present.labels),
        ];
        let mut differences: Vec<String> = differences.into_iter().flatten().collect();
        let found_by = present.found_by.clone();
        if differences.is_empty() && (Self { found_by, ..self.clone() }) != *present {
            differences.push("the tokenizer gives the example other tokens".to_owned());
        }
        if differences.is_empty() { Ok(()) } else { Err(PromptError::ContractMismatch(differences)) }
    }
}

/// Other demonstrations come of another way of finding them. A contract may not say which it was.
fn found_otherwise(then: Option<&str>, now: Option<&str>) -> Option<String> {
    let (then, now) = (then?, now?);
    (then != now).then(|| format!("demonstrations were found by {then} and are by {now} (retrieval.encoder)"))
}

#[cfg(test)]
mod tests;
