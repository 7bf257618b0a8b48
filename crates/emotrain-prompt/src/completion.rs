//! What follows the prompt: the label's word and the token that ends the assistant's turn.

use emotrain_data::LabelSet;

use crate::chat::{Ending, Message, Role, Thinking};
use crate::error::PromptError;
use crate::template::Prompt;
use crate::tokenizer::ChatTokenizer;

/// Text and tokens of every label's answer.
#[derive(Clone, Debug)]
pub(crate) struct Completions {
    /// By label index.
    pub(crate) ids: Vec<Vec<u32>>,
    /// By label index.
    pub(crate) texts: Vec<String>,
    /// The token that closes every one of them.
    pub(crate) end_of_turn: u32,
    /// Whether prompt and answer together encode to the tokens of both, so that a tokenizer that sees
    /// the whole text gives the same ids.
    pub(crate) clean_border: bool,
}

impl Completions {
    /// Asks the chat template how it writes each label as the answer to an example.
    pub(crate) fn new(
        chat: &ChatTokenizer,
        example: &Prompt,
        labels: &LabelSet,
        thinking: Thinking,
    ) -> Result<Self, PromptError> {
        let prompt = render_prompt(chat, example, thinking)?;
        check_shown(chat, example, &prompt)?;
        let prompt_ids = chat.encode(&prompt)?;
        let mut completions = Self { ids: Vec::new(), texts: Vec::new(), end_of_turn: 0, clean_border: true };
        for name in labels.names() {
            if chat.encode(name)?.is_empty() {
                return Err(PromptError::EmptyLabel(name.clone()));
            }
            let (text, end_of_turn) = completion_text(chat, example, name, &prompt, thinking)?;
            let whole = chat.encode(&format!("{prompt}{text}"))?;
            let ids = if let Some(ids) = whole.strip_prefix(prompt_ids.as_slice()) {
                ids.to_vec()
            } else {
                completions.clean_border = false;
                chat.encode(&text)?
            };
            completions.end_of_turn = end_of_turn;
            completions.ids.push(ids);
            completions.texts.push(text);
        }
        completions.check_distinct(labels)?;
        Ok(completions)
    }

    /// Tokens of the longest answer.
    pub(crate) fn longest(&self) -> usize {
        self.ids.iter().map(Vec::len).max().unwrap_or(0)
    }

    fn check_distinct(&self, labels: &LabelSet) -> Result<(), PromptError> {
        for (later, ids) in self.ids.iter().enumerate() {
            if let Some(earlier) = self.ids[..later].iter().position(|other| other == ids) {
                let name = |index: usize| labels.names()[index].clone();
                return Err(PromptError::EqualLabels(name(earlier), name(later)));
            }
        }
        Ok(())
    }
}

/// The chat up to where the model answers.
pub(crate) fn render_prompt(
    chat: &ChatTokenizer,
    prompt: &Prompt,
    thinking: Thinking,
) -> Result<String, PromptError> {
    chat.apply(&messages(prompt, None), Ending::GenerationPrompt, thinking)
}

/// A prompt without a system text has no system message: the chat template may put in its own.
fn messages<'a>(prompt: &'a Prompt, answer: Option<&'a str>) -> Vec<Message<'a>> {
    let system = (!prompt.system.is_empty()).then_some((Role::System, prompt.system.as_str()));
    let user = Some((Role::User, prompt.user.as_str()));
    let assistant = answer.map(|answer| (Role::Assistant, answer));
    let turns = [system, user, assistant].into_iter().flatten();
    turns.map(|(role, content)| Message { role, content }).collect()
}

fn check_shown(chat: &ChatTokenizer, prompt: &Prompt, rendered: &str) -> Result<(), PromptError> {
    for (text, what) in [(&prompt.system, "system message"), (&prompt.user, "user's message")] {
        if !rendered.contains(text.trim()) {
            return Err(unfit(chat, format!("leaves out the {what}")));
        }
    }
    Ok(())
}

/// The token that ends the assistant's turn.
pub(crate) fn end_of_turn(chat: &ChatTokenizer) -> Result<u32, PromptError> {
    let example = Prompt { system: String::new(), user: "Is it raining?".to_owned(), answer: None };
    let prompt = render_prompt(chat, &example, Thinking::Off)?;
    Ok(completion_text(chat, &example, "yes", &prompt, Thinking::Off)?.1)
}

/// What the chat template prints between the prompt and the token that ends the answer's turn, that
/// token included, and the token's id. Some templates print something before the answer, such as an
/// empty room for reasoning: it belongs to what the model has to produce.
fn completion_text(
    chat: &ChatTokenizer,
    example: &Prompt,
    answer: &str,
    prompt: &str,
    thinking: Thinking,
) -> Result<(String, u32), PromptError> {
    let whole = chat.apply(&messages(example, Some(answer)), Ending::Closed, thinking)?;
    let Some(rest) = whole.strip_prefix(prompt) else {
        return Err(unfit(chat, "does not begin an answered chat with its own generation prompt".to_owned()));
    };
    let Some(start) = rest.find(answer) else {
        return Err(unfit(chat, format!("changes the answer \"{answer}\"")));
    };
    let after = start + answer.len();
    let first = chat
        .control_tokens()
        .iter()
        .filter_map(|token| Some((rest[after..].find(token.as_str())?, token)))
        .min_by_key(|(at, token)| (*at, std::cmp::Reverse(token.len())));
    let Some((at, token)) = first else {
        return Err(unfit(chat, "does not end the assistant's turn with a special token".to_owned()));
    };
    let Some(id) = chat.token_id(token) else {
        return Err(unfit(chat, format!("ends the assistant's turn with \"{token}\", which has no id")));
    };
    Ok((rest[..after + at + token.len()].to_owned(), id))
}

fn unfit(chat: &ChatTokenizer, message: String) -> PromptError {
    PromptError::UnfitChat { origin: chat.origin().to_owned(), message }
}
