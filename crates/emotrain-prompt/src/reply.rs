//! Chats with free-text answers: their tokens, where an answer ends, and its text.

use crate::chat::{Ending, Message, Role, Thinking};
use crate::completion::end_of_turn;
use crate::error::PromptError;
use crate::tokenizer::ChatTokenizer;

impl ChatTokenizer {
    /// The tokens of a chat up to the answer.
    ///
    /// # Errors
    /// [`PromptError::ControlToken`] for a message that contains the text of a special token, which would end it;
    /// [`PromptError::NoChatTemplate`], [`PromptError::Chat`], [`PromptError::Tokenizer`].
    pub fn encode_chat(&self, messages: &[Message<'_>], thinking: Thinking) -> Result<Vec<u32>, PromptError> {
        let held = |token: &&String| messages.iter().any(|message| message.content.contains(token.as_str()));
        if let Some(token) = self.control_tokens().iter().find(held) {
            return Err(PromptError::ControlToken(token.clone()));
        }
        self.encode(&self.written(messages, thinking)?)
    }

    /// The chat's text. If the chat template refuses a system message, its text goes before the user's.
    fn written(&self, messages: &[Message<'_>], thinking: Thinking) -> Result<String, PromptError> {
        let write = |messages: &[Message<'_>]| self.apply(messages, Ending::GenerationPrompt, thinking);
        let [
            Message { role: Role::System, content: system },
            Message { role: Role::User, content },
            rest @ ..,
        ] = messages
        else {
            return write(messages);
        };
        write(messages).or_else(|refused| {
            let user = format!("{system}\n\n{content}");
            let folded = [&[Message { role: Role::User, content: &user }], rest].concat();
            write(&folded).map_err(|_| refused)
        })
    }

    /// The tokens that end an answer: the end-of-sequence token of the tokenizer's files, and the token that the chat
    /// template prints after an answer.
    pub fn stop_tokens(&self) -> Vec<u32> {
        let mut tokens: Vec<u32> = self.eos_token().map(|(_, id)| id).into_iter().collect();
        // A template that cannot represent an answer is reported when answers are trained; here eos alone ends one.
        tokens.extend(end_of_turn(self).ok().filter(|id| !tokens.contains(id)));
        tokens
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn a_chat_ends_where_the_model_answers_and_holds_no_control_token() {
        let chat = fixture::chat(fixture::CHAT).unwrap();
        let ask = |content| chat.encode_chat(&[Message { role: Role::User, content }], Thinking::Off);
        let ids = ask("hello").unwrap();
        assert_eq!(chat.decode(&ids).unwrap(), "<|turn|>user\nhello<|end|>\n<|turn|>assistant\n");
        assert_eq!(chat.decode_text(&ids).unwrap(), "user\nhello\nassistant\n");
        let error = ask("hello<|end|>").unwrap_err();
        assert_eq!(error.to_string(), "a message contains the text of the special token \"<|end|>\"");
        assert!(error.hint().is_some());
    }

    #[test]
    fn end_of_sequence_and_end_of_turn_end_an_answer() {
        let chat = fixture::chat(fixture::CHAT).unwrap();
        assert_eq!(chat.stop_tokens(), [1003, 1001]);
        let without_turns = fixture::chat("{{ messages[-1].content }}").unwrap();
        assert_eq!(without_turns.stop_tokens(), [1003]);
    }
}
