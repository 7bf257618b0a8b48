//! A reply under way: a text, or a JSON object whose frame is ours and whose texts are the model's.
//!
//! A small model may know what to say and still not close a quote. Where a question names keys, the frame is written
//! for it: it is given `{"key": "`, its words up to the closing quote are the value, and the next key follows. Its words
//! are kept as they come; whether they are good JSON is for the reader of the reply to say.

use std::ops::ControlFlow;

use emotrain_model::{Finish as Ending, Generated};
use emotrain_prompt::{ChatTokenizer, Message, PromptError, Role, Thinking};
use serde_json::Value;

use super::super::{ChatQuestion, Reply, ReplyEnd};

/// A question with as much of its reply as there is.
pub(super) struct Draft {
    /// The asker's number.
    pub(super) number: usize,
    seed: u64,
    chat: Vec<u32>,
    keys: Vec<String>,
    /// The texts of this many keys are written.
    done: usize,
    /// The reply up to where the model writes.
    text: String,
    /// What it has written there.
    ids: Vec<u32>,
}

impl Draft {
    /// An empty draft, or why the question cannot be put.
    ///
    /// # Errors
    /// A chat template that fails.
    pub(super) fn new(
        question: &ChatQuestion,
        chat: &ChatTokenizer,
    ) -> Result<Result<Self, String>, PromptError> {
        let ChatQuestion { number, seed, system, user, keys } = question;
        let system = (!system.is_empty()).then_some(Message { role: Role::System, content: system });
        let messages: Vec<Message> =
            system.into_iter().chain([Message { role: Role::User, content: user }]).collect();
        let asked = match chat.encode_chat(&messages, Thinking::Off) {
            Ok(ids) => ids,
            Err(error @ PromptError::ControlToken(_)) => return Ok(Err(error.to_string())),
            Err(error) => return Err(error),
        };
        let keys = keys.clone();
        let (number, seed) = (*number, *seed);
        let mut draft =
            Self { number, seed, chat: asked, keys, done: 0, text: String::new(), ids: Vec::new() };
        draft.open();
        Ok(Ok(draft))
    }

    /// The tokens that the model continues.
    ///
    /// # Errors
    /// A text that the tokenizer does not take.
    pub(super) fn prompt(&self, chat: &ChatTokenizer) -> Result<Vec<u32>, PromptError> {
        Ok([self.chat.as_slice(), &chat.encode(&self.text)?].concat())
    }

    /// Which draws are its own: those of the seed, others for each key.
    pub(super) fn sequence(&self) -> u64 {
        self.seed ^ ((self.done as u64) << 48)
    }

    /// Takes a token; breaks where the model has closed a text.
    ///
    /// # Errors
    /// A token that has no text.
    pub(super) fn receive(&mut self, id: u32, chat: &ChatTokenizer) -> Result<ControlFlow<()>, PromptError> {
        if self.keys.is_empty() {
            return Ok(ControlFlow::Continue(()));
        }
        self.ids.push(id);
        let is_closed = end_of_text(&chat.decode_text(&self.ids)?).is_some();
        Ok(if is_closed { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    /// The reply, when it is whole; none while there are keys without a text.
    ///
    /// # Errors
    /// Tokens that have no text.
    pub(super) fn end(
        &mut self,
        answer: &Generated,
        chat: &ChatTokenizer,
    ) -> Result<Option<Reply>, PromptError> {
        let written = chat.decode_text(&answer.ids)?;
        if self.keys.is_empty() || answer.finish == Ending::Length {
            let finish = if answer.finish == Ending::Length { ReplyEnd::Length } else { ReplyEnd::Stop };
            return Ok(Some(Reply { text: std::mem::take(&mut self.text) + &written, finish }));
        }
        // A model that ends its turn within a text has ended the text.
        self.text.push_str(&written[..end_of_text(&written).unwrap_or(written.len())]);
        self.text.push('"');
        self.ids.clear();
        self.done += 1;
        if self.done < self.keys.len() {
            self.open();
            return Ok(None);
        }
        self.text.push('}');
        Ok(Some(Reply { text: std::mem::take(&mut self.text), finish: ReplyEnd::Stop }))
    }

    /// Writes the part of the frame before the next text.
    fn open(&mut self) {
        if let Some(key) = self.keys.get(self.done) {
            self.text.push_str(if self.done == 0 { "{" } else { ", " });
            self.text.push_str(&Value::from(key.as_str()).to_string());
            self.text.push_str(": \"");
        }
    }
}

/// Where a text of JSON ends: at its closing quote, or at a line break, which it cannot hold.
fn end_of_text(written: &str) -> Option<usize> {
    let mut escaped = false;
    written.char_indices().find_map(|(at, letter)| {
        let ends = !escaped && letter == '"' || letter == '\n';
        escaped = !escaped && letter == '\\';
        ends.then_some(at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_ends_at_its_quote_or_its_line() {
        let ends = [
            ("He is glad\"}", Some(10)),
            (r#"a \"word\" of"#, None),
            (r#"a \\" b"#, Some(4)),
            ("a\nb", Some(1)),
            (r"a\", None),
            ("", None),
        ];
        for (written, end) in ends {
            assert_eq!(end_of_text(written), end, "{written}");
        }
    }
}
