//! What follows the prompt: the answer's words and the token that ends the assistant's turn.

use emotrain_data::LabelSet;

use crate::chat::{Ending, Message, Role, Thinking};
use crate::error::PromptError;
use crate::template::Prompt;
use crate::tokenizer::ChatTokenizer;

/// Answers that begin differently: what the chat template prints before both belongs to neither.
const WORDS: [&str; 2] = ["yes", "no"];

/// How a chat template writes answers, told by an example. Some print something before the answer, such as an
/// empty room for reasoning: it belongs to what the model has to produce.
#[derive(Clone, Debug)]
pub(crate) struct AnswerForm {
    example: Prompt,
    thinking: Thinking,
    /// The chat up to where the model answers, and its tokens.
    prompt: String,
    prompt_ids: Vec<u32>,
    /// What is printed between that and the answer.
    before: String,
}

/// One answer.
#[derive(Clone, Debug)]
pub(crate) struct Completion {
    pub(crate) ids: Vec<u32>,
    pub(crate) text: String,
    /// The token that ends the turn, the last of `ids`.
    pub(crate) end_of_turn: u32,
    /// Whether prompt and answer together encode to the tokens of both.
    pub(crate) has_clean_border: bool,
}

impl AnswerForm {
    /// Asks the chat template how it writes an answer to an example.
    pub(crate) fn new(
        chat: &ChatTokenizer,
        example: &Prompt,
        thinking: Thinking,
    ) -> Result<Self, PromptError> {
        let prompt = render_prompt(chat, example, thinking)?;
        check_shown(chat, example, &prompt)?;
        let (example, prompt_ids) = (example.clone(), chat.encode(&prompt)?);
        let mut form = Self { example, thinking, prompt, prompt_ids, before: String::new() };
        let [one, other] = WORDS.map(|word| form.answered(chat, word));
        let (one, other) = (one?, other?);
        let shared = one.chars().zip(other.chars()).take_while(|(one, other)| one == other);
        form.before = shared.map(|(character, _)| character).collect();
        Ok(form)
    }

    /// What follows the prompt when this is the answer: from what the chat template prints before it to the
    /// token that ends the turn, that token included.
    pub(crate) fn complete(&self, chat: &ChatTokenizer, answer: &str) -> Result<Completion, PromptError> {
        let rest = self.answered(chat, answer)?;
        let after = rest.strip_prefix(&self.before).and_then(|rest| rest.strip_prefix(answer));
        let Some(after) = after else {
            return Err(unfit(chat, format!("changes the answer \"{answer}\"")));
        };
        let first = chat
            .control_tokens()
            .iter()
            .filter_map(|token| Some((after.find(token.as_str())?, token)))
            .min_by_key(|(at, token)| (*at, std::cmp::Reverse(token.len())));
        let Some((at, token)) = first else {
            return Err(unfit(chat, "does not end the assistant's turn with a special token".to_owned()));
        };
        let Some(end_of_turn) = chat.token_id(token) else {
            return Err(unfit(chat, format!("ends the assistant's turn with \"{token}\", which has no id")));
        };
        let text = rest[..rest.len() - after.len() + at + token.len()].to_owned();
        let whole = chat.encode(&format!("{}{text}", self.prompt))?;
        let (ids, has_clean_border) = match whole.strip_prefix(self.prompt_ids.as_slice()) {
            Some(ids) => (ids.to_vec(), true),
            None => (chat.encode(&text)?, false),
        };
        Ok(Completion { ids, text, end_of_turn, has_clean_border })
    }

    /// The answered chat after the prompt.
    fn answered(&self, chat: &ChatTokenizer, answer: &str) -> Result<String, PromptError> {
        let whole = chat.apply(&messages(&self.example, Some(answer)), Ending::Closed, self.thinking)?;
        match whole.strip_prefix(&self.prompt) {
            Some(rest) => Ok(rest.to_owned()),
            None => {
                Err(unfit(chat, "does not begin an answered chat with its own generation prompt".to_owned()))
            }
        }
    }
}

/// Text and tokens of every label's answer.
#[derive(Clone, Debug)]
pub(crate) struct Completions {
    /// How these and other answers are written.
    pub(crate) form: AnswerForm,
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
    /// Writes each label as the answer to an example.
    pub(crate) fn new(
        chat: &ChatTokenizer,
        example: &Prompt,
        labels: &LabelSet,
        thinking: Thinking,
    ) -> Result<Self, PromptError> {
        let form = AnswerForm::new(chat, example, thinking)?;
        let mut completions =
            Self { form, ids: Vec::new(), texts: Vec::new(), end_of_turn: 0, clean_border: true };
        for name in labels.names() {
            if chat.encode(name)?.is_empty() {
                return Err(PromptError::EmptyLabel(name.clone()));
            }
            let completion = completions.form.complete(chat, name)?;
            completions.clean_border &= completion.has_clean_border;
            completions.end_of_turn = completion.end_of_turn;
            completions.ids.push(completion.ids);
            completions.texts.push(completion.text);
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
    Ok(AnswerForm::new(chat, &example, Thinking::Off)?.complete(chat, WORDS[0])?.end_of_turn)
}

fn unfit(chat: &ChatTokenizer, message: String) -> PromptError {
    PromptError::UnfitChat { origin: chat.origin().to_owned(), message }
}
