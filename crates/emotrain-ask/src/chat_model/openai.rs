//! A language model behind OpenAI's interface for chats: vLLM, llama.cpp's server, services.
//!
//! What may pass is tried again; what holds for every question ends the work at once.

mod patience;
mod wire;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use emotrain_base::{Complaint, Listener};
use emotrain_hub::overheard;
use emotrain_recipe::InterpretSection;

use self::patience::{Gate, back_off, is_requested, pause};
use self::wire::{Form, Meaning, meaning};
use super::{Answer, AskContext, ChatModel, ChatQuestion, Inquiry, ModelIdentity, Reply};
use crate::connection::{Connection, key};
use crate::error::AskError;

/// After this many questions in a row without a reply, retries included, the server counts as gone.
const IN_A_ROW: usize = 3;
/// A server that asks for a longer pause is asked another day.
const LONGEST_PAUSE: Duration = Duration::from_mins(10);

/// A server and how it is asked.
pub(super) struct Server<'l> {
    connection: Connection,
    url: String,
    form: Form,
    gate: Gate,
    section: InterpretSection,
    identity: ModelIdentity,
    /// The user's request to stop.
    stop: Arc<AtomicBool>,
    /// Whether it was reported that questions are repeated.
    told: AtomicBool,
    listener: &'l dyn Listener,
}

/// What became of a question, repetitions included.
enum Outcome {
    Reply(Reply),
    TooLong(String),
    /// No reply, after all repetitions.
    Silence(String),
    /// No reply, because a stop was requested.
    Stopped(String),
    Lasting(Complaint),
}

impl<'l> Server<'l> {
    /// Opens no connection yet.
    ///
    /// # Errors
    /// A section without a model, a key that is not there.
    pub(super) fn new(section: &InterpretSection, context: AskContext<'l>) -> Result<Self, Complaint> {
        let Some(model) = section.model.clone() else {
            let hint = "write the server's own name for it: model = \"…\" under [interpret]";
            return Err(Complaint::usage("interpret.model is needed to ask a server").hint(hint));
        };
        let listener = context.hub.listener();
        let key = section
            .api_key_env
            .as_deref()
            .map(|name| key("interpret.api_key_env", name, context.variable))
            .transpose()?;
        let base = section.base_url.trim_end_matches('/');
        if key.is_some()
            && let Some(host) = overheard(base)
        {
            listener.warn(&format!(
                "the key goes to {host} unencrypted, as interpret.base_url begins with http://"
            ));
        }
        Ok(Self {
            connection: Connection::new(Duration::from_secs_f64(section.timeout_s), key),
            url: format!("{base}/chat/completions"),
            form: Form::new(section, &model)?,
            gate: Gate::new(section.requests_per_minute),
            section: section.clone(),
            identity: ModelIdentity { provider: "openai".to_owned(), model, revision: String::new() },
            stop: Arc::clone(context.stop),
            told: AtomicBool::new(false),
            listener,
        })
    }

    /// Puts a question as often as it takes.
    fn put(&self, question: &ChatQuestion, ended: &AtomicBool) -> Outcome {
        let stop = || is_requested(&[&self.stop, ended]);
        let mut reason = "not asked yet".to_owned();
        for repetition in 0..=self.section.max_retries {
            if repetition > 0 {
                let first_s = self.section.retry_backoff_s;
                pause(back_off(first_s, repetition, self.section.seed, question.number), &stop);
            }
            if !self.gate.pass(&stop) {
                return Outcome::Stopped(reason);
            }
            let after = match self.ask(question) {
                Meaning::Reply(reply) => return Outcome::Reply(reply),
                Meaning::TooLong(reason) => return Outcome::TooLong(reason),
                Meaning::Lasting(complaint) => return Outcome::Lasting(complaint),
                Meaning::Passing { reason: why, after } => {
                    reason = why;
                    after
                }
            };
            self.tell(&reason);
            if let Some(after) = after {
                if after > LONGEST_PAUSE {
                    let seconds = after.as_secs();
                    let message = format!("the server asks to wait for {seconds} s ({reason})");
                    return Outcome::Lasting(
                        Complaint::input(message).hint("run the same command again then"),
                    );
                }
                self.gate.close(after);
            }
        }
        Outcome::Silence(reason)
    }

    /// One request and what its response means.
    fn ask(&self, question: &ChatQuestion) -> Meaning {
        let words = |text: String| self.connection.without_key(text);
        match self.connection.post(&self.url, &self.form.body(question)) {
            Ok(response) => meaning(&response, &words),
            Err(error) => trouble(&error, &words),
        }
    }

    /// Reports once that questions are repeated, and in details each time.
    fn tell(&self, reason: &str) {
        if !self.told.swap(true, Ordering::SeqCst) && self.section.max_retries > 0 {
            self.listener.say(&format!("a question got no reply ({reason}); such questions are repeated"));
        } else {
            self.listener.detail(&format!("no reply: {reason}"));
        }
    }

    fn gone(&self, reason: &str) -> Complaint {
        let message = format!("{} gives no replies: {reason}", self.section.base_url);
        let hint = "start the server, or check interpret.base_url and timeout_s, then run the same command again: \
                    answers are kept";
        Complaint::input(message).hint(hint)
    }
}

impl ChatModel for Server<'_> {
    fn answer(&mut self, inquiry: &mut dyn Inquiry) -> Result<(), AskError> {
        let (this, ended) = (&*self, &AtomicBool::new(false));
        let (send, receive) = mpsc::channel();
        let mut end: Option<AskError> = None;
        let (mut under_way, mut silent) = (0, 0);
        thread::scope(|scope| {
            loop {
                while under_way < this.section.concurrency && end.is_none() {
                    let Some(question) = inquiry.next() else { break };
                    under_way += 1;
                    let send = send.clone();
                    scope.spawn(move || {
                        // A panic is handed on: without a message the loop would wait forever.
                        let outcome = catch_unwind(AssertUnwindSafe(|| this.put(&question, ended)));
                        // Nobody listens only when the loop has ended by a panic of its own.
                        let _ = send.send((question.number, outcome));
                    });
                }
                if under_way == 0 {
                    break;
                }
                let Ok((number, outcome)) = receive.recv() else { break };
                under_way -= 1;
                let outcome = outcome.unwrap_or_else(|panic| resume_unwind(panic));
                let (answer, trouble) = this.judge(outcome, &mut silent);
                let heard = inquiry.receive(number, answer);
                if let Some(error) = heard.err().or(trouble.map(Into::into)) {
                    ended.store(true, Ordering::SeqCst);
                    end.get_or_insert(error);
                }
            }
        });
        end.map_or(Ok(()), Err)
    }

    fn identity(&self) -> ModelIdentity {
        self.identity.clone()
    }
}

impl Server<'_> {
    /// What is reported to the inquiry, and whether asking ends.
    fn judge(&self, outcome: Outcome, silent: &mut usize) -> (Answer, Option<Complaint>) {
        match outcome {
            Outcome::Reply(reply) => {
                *silent = 0;
                (Answer::Reply(reply), None)
            }
            Outcome::TooLong(reason) => {
                *silent = 0;
                (Answer::Refused(reason), None)
            }
            Outcome::Silence(reason) => {
                *silent += 1;
                let is_gone = *silent >= IN_A_ROW;
                let trouble = is_gone.then(|| self.gone(&reason));
                (Answer::Unanswered(format!("{}: {reason}", self.section.base_url)), trouble)
            }
            Outcome::Stopped(reason) => (Answer::Unanswered(reason), None),
            Outcome::Lasting(complaint) => (Answer::Unanswered(complaint.to_string()), Some(complaint)),
        }
    }
}

/// What it means that there is no whole response.
fn trouble(error: &ureq::Error, words: &dyn Fn(String) -> String) -> Meaning {
    let reason = words(error.to_string());
    let lasting = |hint: &str| {
        Meaning::Lasting(Complaint::usage(format!("the server cannot be asked: {reason}")).hint(hint))
    };
    #[expect(clippy::wildcard_enum_match_arm, reason = "all others may be troubles of the network")]
    match error {
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => lasting("check interpret.base_url"),
        ureq::Error::InvalidProxyUrl => lasting("look at HTTP_PROXY, HTTPS_PROXY and ALL_PROXY"),
        ureq::Error::BodyExceedsLimit(_) => Meaning::passing("the response is larger than 16 MiB"),
        _ => Meaning::passing(reason),
    }
}
