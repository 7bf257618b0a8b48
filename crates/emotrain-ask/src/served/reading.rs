//! A server's response as a continuation. Servers write log-probabilities in two forms.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Continuation, TokenLogProb};

/// vLLM writes tokens so when it is asked for ids.
const TOKEN_ID: &str = "token_id:";

#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Usage {
    #[serde(default)]
    prompt_tokens: Option<usize>,
}

/// `text` of a completion, `message` of a chat's.
#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    message: Option<Message>,
    #[serde(default)]
    logprobs: Option<LogProbs>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    content: Option<String>,
}

/// `content` is the form of chats, and of llama.cpp for both; `top_logprobs` that of completions.
#[derive(Deserialize)]
struct LogProbs {
    #[serde(default)]
    content: Option<Vec<Place>>,
    #[serde(default)]
    top_logprobs: Option<Vec<Option<BTreeMap<String, f32>>>>,
}

#[derive(Deserialize)]
struct Place {
    #[serde(default)]
    top_logprobs: Vec<Candidate>,
}

#[derive(Deserialize)]
struct Candidate {
    #[serde(default)]
    id: Option<u32>,
    token: String,
    logprob: f32,
}

/// Reads the body of a good response.
///
/// # Errors
/// What it is not.
pub(super) fn read(body: &[u8]) -> Result<Continuation, String> {
    // The error's text holds none of the body.
    let completion: Completion =
        serde_json::from_slice(body).map_err(|error| format!("the response is not a completion: {error}"))?;
    let mut choices = completion.choices.into_iter();
    let (Some(choice), None) = (choices.next(), choices.next()) else {
        return Err("the response does not hold exactly one choice".to_owned());
    };
    let text = choice.text.or_else(|| choice.message.and_then(|message| message.content)).unwrap_or_default();
    let prompt_tokens = completion.usage.and_then(|usage| usage.prompt_tokens);
    let candidates = choice.logprobs.map_or_else(Vec::new, LogProbs::candidates);
    Ok(Continuation { text, prompt_tokens, candidates })
}

impl LogProbs {
    fn candidates(self) -> Vec<Vec<TokenLogProb>> {
        let Self { content, top_logprobs } = self;
        if let Some(places) = content {
            let places = places.into_iter().map(|place| place.top_logprobs);
            return places.map(|all| all.into_iter().map(Candidate::token).collect()).collect();
        }
        let named = |(token, logprob)| Candidate { id: None, token, logprob }.token();
        let places = top_logprobs.into_iter().flatten();
        places.map(|all| all.into_iter().flatten().map(named).collect()).collect()
    }
}

impl Candidate {
    fn token(self) -> TokenLogProb {
        let Self { id, token: text, logprob: log_prob } = self;
        let id = id.or_else(|| text.strip_prefix(TOKEN_ID)?.parse().ok());
        TokenLogProb { id, text, log_prob }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(id: Option<u32>, text: &str, log_prob: f32) -> TokenLogProb {
        TokenLogProb { id, text: text.to_owned(), log_prob }
    }

    fn candidates(body: &str) -> Vec<Vec<TokenLogProb>> {
        read(body.as_bytes()).unwrap().candidates
    }

    #[test]
    fn all_forms_of_log_probabilities_are_read() {
        let llama_cpp = r#"{"choices":[{"text":"joy","index":0,"logprobs":{"content":[{"id":7,"token":"joy","bytes":[106],
            "logprob":-0.5,"top_logprobs":[{"id":7,"token":"joy","bytes":[106],"logprob":-0.5},
            {"id":9,"token":"sad","bytes":[115],"logprob":-1.5}]}]},"finish_reason":"length"}],
            "usage":{"completion_tokens":1,"prompt_tokens":4,"total_tokens":5}}"#;
        let read = read(llama_cpp.as_bytes()).unwrap();
        assert_eq!((read.text.as_str(), read.prompt_tokens), ("joy", Some(4)));
        let both = vec![vec![token(Some(7), "joy", -0.5), token(Some(9), "sad", -1.5)]];
        assert_eq!(read.candidates, both);
        let legacy = r#"{"choices":[{"text":" joy","logprobs":{"text_offset":[0],"token_logprobs":[-0.5],
            "tokens":[" joy"],"top_logprobs":[{" joy":-0.5,"token_id:9":-1.5}]},"finish_reason":"stop"}]}"#;
        assert_eq!(candidates(legacy), [[token(None, " joy", -0.5), token(Some(9), "token_id:9", -1.5)]]);
        let chat = r#"{"choices":[{"message":{"role":"assistant","content":"joy"},"logprobs":{"content":[
            {"token":"joy","logprob":-0.5,"bytes":null,"top_logprobs":[{"token":"joy","logprob":-0.5,"bytes":null}]}]}}]}"#;
        assert_eq!(candidates(chat), [[token(None, "joy", -0.5)]]);
        for none in [
            r#"{"choices":[{"text":"joy","logprobs":null}]}"#,
            r#"{"choices":[{"message":{"content":"joy"}}]}"#,
        ] {
            assert!(candidates(none).is_empty(), "{none}");
        }
    }

    #[test]
    fn what_is_not_a_completion_is_refused() {
        for (body, reason) in [
            ("", "not a completion"),
            ("<html>", "not a completion"),
            (r#"{"choices":[]}"#, "exactly one choice"),
            (r#"{"choices":[{"text":"a"},{"text":"b"}]}"#, "exactly one choice"),
        ] {
            assert!(read(body.as_bytes()).unwrap_err().contains(reason), "{body}");
        }
    }
}
