//! Generating text, as tokens: prompts in, answers out, as many at a time as fit.
//!
//! Sequences of different lengths run together without padding. One that has ended makes room for the next prompt at
//! once. What a prompt has in common with one that is running, or with the last one before it, is not computed again.
//! On the CPU an answer does not depend, to the bit, on what else is in the batch, nor on the number of threads.

mod sampling;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;

use rand::RngExt;

pub use sampling::Sampling;

use crate::config::ModelConfig;
use crate::decoder::CausalLm;
use crate::engine::{Cache, Engine, Feed};
use crate::error::ModelError;
use crate::random::Key;

/// Rows of prompts that one pass computes at most, if it is not one prompt that is longer.
const PROMPT_ROWS: usize = 512;
/// A common beginning of at most so many tokens is computed again: it is not worth the bookkeeping.
const SHARED: usize = 8;

/// A prompt and which of all it is.
#[derive(Clone, Copy, Debug)]
pub struct Prompt<'a> {
    /// Token ids.
    pub ids: &'a [u32],
    /// The number that draws depend on, beside the seed and the position: the same number gives the same answer in
    /// whatever company.
    pub sequence: u64,
}

/// What is generated and when it ends; names and meaning as in transformers' `GenerationConfig`.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerationConfig {
    /// Most tokens of an answer.
    pub max_new_tokens: usize,
    /// Fewest tokens of an answer: before, no stop token is chosen.
    pub min_new_tokens: usize,
    /// How a token is chosen.
    pub sampling: Sampling,
    /// Tokens that end an answer (`eos_token_id`).
    pub stop_tokens: Vec<u32>,
    /// Of all draws.
    pub seed: u64,
    /// Sequences that run at the same time.
    pub max_batch_size: usize,
}

/// A token as it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewToken {
    /// The prompt that it answers, counted from 0 in the order they were given.
    pub prompt: usize,
    /// Its place in the answer, from 0.
    pub position: usize,
    /// Which it is.
    pub id: u32,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// With this token, which is not part of the answer.
    StopToken(u32),
    /// At `max_new_tokens`.
    Length,
    /// The observer said so.
    Observer,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    /// Its tokens, without the one that ended it.
    pub ids: Vec<u32>,
    /// Why it ended.
    pub finish: Finish,
}

/// A model that generates. It shares the weights of the model it was made of, which may be trained on only after the
/// generator is gone, or its answers are those of before.
pub struct Generator {
    engine: Engine,
    config: ModelConfig,
    /// The last prompt that was computed.
    last: Vec<u32>,
    cache: Cache,
}

/// A sequence that has not ended.
struct Running<'a> {
    prompt: usize,
    asked: &'a [u32],
    ids: Vec<u32>,
    cache: Cache,
}

impl Running<'_> {
    /// Prompt and answer, as far as they have gone through the model.
    fn fed(&self) -> [&[u32]; 2] {
        [self.asked, &self.ids[..self.cache.tokens() - self.asked.len()]]
    }
}

impl Generator {
    /// Makes the model ready to generate, with its adapter if it has one.
    pub fn new(model: &CausalLm) -> Self {
        let (engine, config) = (Engine::new(model), model.config().clone());
        Self { engine, config, last: Vec::new(), cache: Cache::default() }
    }

    /// Answers every prompt, in their order. `observe` gets each token of an answer as it comes, but for the one that
    /// stops it, and may end that answer, which keeps the token.
    ///
    /// # Errors
    /// [`ModelError::Generation`] for parameters or prompts that do not do, all of them and before anything is
    /// computed; [`ModelError::NonFiniteLogits`].
    pub fn generate(
        &mut self,
        prompts: &[Prompt],
        config: &GenerationConfig,
        observe: &mut dyn FnMut(NewToken) -> ControlFlow<()>,
    ) -> Result<Vec<Generated>, ModelError> {
        config.check(prompts, &self.config)?;
        let mut answers: Vec<Option<Generated>> = vec![None; prompts.len()];
        let (mut waiting, mut running) = (prompts.iter().enumerate().peekable(), Vec::new());
        while waiting.peek().is_some() || !running.is_empty() {
            let mut admitted = Vec::new();
            let mut rows = 0;
            while running.len() + admitted.len() < config.max_batch_size {
                let Some(&(prompt, &Prompt { ids: asked, .. })) = waiting.peek() else { break };
                let source = self.source(asked, &running, &admitted);
                rows += asked.len() - source.tokens();
                if rows > PROMPT_ROWS && !admitted.is_empty() {
                    break;
                }
                admitted.push((Running { prompt, asked, ids: Vec::new(), cache: Cache::default() }, source));
                waiting.next();
            }
            let logits = self.pass(&mut running, admitted);
            let vocabulary = self.config.vocab_size;
            let mut going = Vec::with_capacity(running.len());
            for (mut sequence, logits) in running.into_iter().zip(logits.chunks(vocabulary)) {
                let number = prompts[sequence.prompt].sequence;
                match config.next(&mut sequence, number, logits, observe)? {
                    None => going.push(sequence),
                    Some(finish) => {
                        answers[sequence.prompt] = Some(Generated { ids: sequence.ids, finish });
                    }
                }
            }
            running = going;
        }
        Ok(answers.into_iter().flatten().collect())
    }

    /// Where most of a prompt's beginning has been computed or is about to be.
    fn source(&self, asked: &[u32], running: &[Running], admitted: &[(Running, Source)]) -> Source {
        // The last token is computed in any case: its row gives the first logits.
        let asked = &asked[..asked.len() - 1];
        let mut best = Source::Nothing;
        let mut offer = |source: Source| {
            if source.tokens() > best.tokens().max(SHARED) {
                best = source;
            }
        };
        offer(Source::Last(common(asked, [&self.last, &[]])));
        for (number, sequence) in running.iter().enumerate() {
            offer(Source::Running(number, common(asked, sequence.fed())));
        }
        for (number, (sequence, _)) in admitted.iter().enumerate() {
            offer(Source::Pass(running.len() + number, common(asked, [sequence.asked, &[]])));
        }
        best
    }

    /// One pass: the last token of each running sequence and the prompts of the admitted ones, which then run as well.
    /// Returns the logits of each, `[running, V]`.
    fn pass<'a>(&mut self, running: &mut Vec<Running<'a>>, admitted: Vec<(Running<'a>, Source)>) -> Vec<f32> {
        let prefixes: Vec<Cache> = admitted
            .iter()
            .map(|(_, source)| match *source {
                Source::Last(tokens) => self.cache.prefix(tokens),
                Source::Running(number, tokens) => running[number].cache.prefix(tokens),
                Source::Nothing | Source::Pass(..) => Cache::default(),
            })
            .collect();
        let caches: Vec<Cache> = running.iter_mut().map(|one| std::mem::take(&mut one.cache)).collect();
        let mut feeds: Vec<Feed> = running
            .iter()
            .zip(caches)
            .map(|(one, cache)| Feed::new(&one.ids[one.ids.len() - 1..], cache))
            .chain(admitted.iter().zip(prefixes).map(|((one, source), cache)| Feed {
                from: if let Source::Pass(feed, tokens) = *source { Some((feed, tokens)) } else { None },
                ..Feed::new(&one.asked[source.tokens()..], cache)
            }))
            .collect();
        let hidden = self.engine.forward(&mut feeds);
        let caches: Vec<Cache> = feeds.into_iter().map(|feed| feed.cache).collect();
        if let (Some((newest, _)), Some(cache)) = (admitted.last(), caches.last()) {
            self.last = newest.asked.to_vec();
            self.cache = cache.clone();
        }
        running.extend(admitted.into_iter().map(|(sequence, _)| sequence));
        for (sequence, cache) in running.iter_mut().zip(caches) {
            sequence.cache = cache;
        }
        self.engine.logits(&hidden)
    }
}

/// Where the beginning of a prompt comes from, with its number of tokens.
#[derive(Clone, Copy)]
enum Source {
    /// It is computed.
    Nothing,
    /// The last prompt before.
    Last(usize),
    /// A sequence that runs.
    Running(usize, usize),
    /// A feed of this pass.
    Pass(usize, usize),
}

impl Source {
    fn tokens(self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Last(tokens) | Self::Running(_, tokens) | Self::Pass(_, tokens) => tokens,
        }
    }
}

/// The length of the common beginning of `ids` and of two pieces one after the other.
fn common(ids: &[u32], [first, second]: [&[u32]; 2]) -> usize {
    ids.iter().zip(first.iter().chain(second)).take_while(|(one, other)| one == other).count()
}

impl GenerationConfig {
    /// The next token of a sequence, or why it ends.
    fn next(
        &self,
        sequence: &mut Running,
        number: u64,
        logits: &[f32],
        observe: &mut dyn FnMut(NewToken) -> ControlFlow<()>,
    ) -> Result<Option<Finish>, ModelError> {
        let (prompt, position) = (sequence.prompt, sequence.ids.len());
        if let Some(value) = logits.iter().find(|value| !value.is_finite()) {
            return Err(ModelError::NonFiniteLogits { prompt, position, value: *value });
        }
        let forbidden = if position < self.min_new_tokens { self.stop_tokens.as_slice() } else { &[] };
        let draw = || Key::new(self.seed).named("generate").with(number).with(position as u64).rng().random();
        let mut scores = logits.to_vec();
        let id = self.sampling.choose(&mut scores, &[sequence.asked, &sequence.ids], forbidden, draw);
        if self.stop_tokens.contains(&id) {
            return Ok(Some(Finish::StopToken(id)));
        }
        sequence.ids.push(id);
        let observed = observe(NewToken { prompt, position, id });
        Ok(if observed.is_break() {
            Some(Finish::Observer)
        } else {
            (sequence.ids.len() == self.max_new_tokens).then_some(Finish::Length)
        })
    }

    fn check(&self, prompts: &[Prompt], model: &ModelConfig) -> Result<(), ModelError> {
        let mut problems = self.sampling.problems();
        let Self { max_new_tokens, min_new_tokens, max_batch_size, .. } = *self;
        if max_new_tokens == 0 || max_batch_size == 0 {
            problems.push("max_new_tokens and max_batch_size must be above 0".to_owned());
        }
        if min_new_tokens > max_new_tokens {
            problems
                .push(format!("min_new_tokens is {min_new_tokens}, above max_new_tokens, {max_new_tokens}"));
        }
        let (vocabulary, longest) = (model.vocab_size, model.max_position_embeddings);
        let unknown = |id: &&u32| **id as usize >= vocabulary;
        if let Some(id) = self.stop_tokens.iter().find(unknown) {
            problems.push(format!("stop token {id} is not in the model's vocabulary of {vocabulary}"));
        }
        for (number, prompt) in prompts.iter().enumerate() {
            let tokens = prompt.ids.len();
            if tokens == 0 {
                problems.push(format!("prompt {number} is empty"));
            } else if tokens + max_new_tokens > longest {
                problems.push(format!(
                    "prompt {number} has {tokens} tokens, with max_new_tokens = {max_new_tokens} more than the \
                     {longest} of the model's max_position_embeddings"
                ));
            }
            if let Some(id) = prompt.ids.iter().find(unknown) {
                problems.push(format!(
                    "prompt {number} has token {id}, which is not in the model's vocabulary of {vocabulary}"
                ));
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(ModelError::Generation { problems }) }
    }
}
