//! Generating text, as tokens: prompts in, answers out, as many at a time as fit.
//!
//! Sequences of different lengths run together without padding. One that has ended makes room for the next prompt at
//! once. What a prompt has in common with one that is running, or with the last one before it, is not computed again.
//! On the CPU an answer does not depend, to the bit, on what else is in the batch, nor on the number of threads.

#[cfg(test)]
mod gpu_tests;
mod run;
mod sampling;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;

pub use run::Generation;
pub use sampling::Sampling;

use crate::config::ModelConfig;
use crate::decoder::CausalLm;
use crate::engine::{Cache, Engine, Precision};
use crate::error::ModelError;

/// A prompt and which of all it is.
#[derive(Clone, Copy, Debug)]
pub struct TokenPrompt<'a> {
    /// Token ids.
    pub ids: &'a [u32],
    /// The number that draws depend on, in addition to seed and position: the same number gives the same answer in
    /// whatever company.
    pub sequence: u64,
}

/// What is generated and when it ends; names and meaning as in transformers' `GenerationConfig`.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerationConfig {
    /// Most tokens of an answer; `None` for as many as the model's context has room for.
    pub max_new_tokens: Option<usize>,
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
    /// The prompt that it answers, counted from 0 in the order in which they came.
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
    /// At `max_new_tokens`, or at the end of the context.
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

impl Generator {
    /// Makes the model ready to generate, with its adapter if it has one.
    pub fn new(model: &CausalLm) -> Self {
        let (engine, config) = (Engine::new(model, Precision::Full), model.config().clone());
        Self { engine, config, last: Vec::new(), cache: Cache::default() }
    }

    /// Begins a generation whose prompts come one by one.
    ///
    /// # Errors
    /// [`ModelError::Generation`] with all invalid parameters.
    pub fn start(&mut self, config: GenerationConfig) -> Result<Generation<'_>, ModelError> {
        refuse(config.problems(&self.config))?;
        Ok(Generation::new(self, config))
    }

    /// Answers every prompt, in their order. `observe` gets each token of an answer as it comes, but for the one that
    /// stops it, and may end that answer, which keeps the token.
    ///
    /// # Errors
    /// [`ModelError::Generation`] for invalid parameters or prompts, all of them and before anything is
    /// computed; [`ModelError::NonFiniteLogits`].
    pub fn generate(
        &mut self,
        prompts: &[TokenPrompt],
        config: &GenerationConfig,
        observe: &mut dyn FnMut(NewToken) -> ControlFlow<()>,
    ) -> Result<Vec<Generated>, ModelError> {
        let mut problems = config.problems(&self.config);
        for (number, prompt) in prompts.iter().enumerate() {
            problems.extend(config.problems_of(prompt, number, &self.config));
        }
        refuse(problems)?;
        let mut generation = Generation::new(self, config.clone());
        for prompt in prompts {
            generation.push(*prompt)?;
        }
        let mut answers: Vec<Option<Generated>> = vec![None; prompts.len()];
        while !generation.is_idle() {
            for (number, answer) in generation.step(observe)? {
                answers[number] = Some(answer);
            }
        }
        Ok(answers.into_iter().flatten().collect())
    }
}

fn refuse(problems: Vec<String>) -> Result<(), ModelError> {
    if problems.is_empty() { Ok(()) } else { Err(ModelError::Generation { problems }) }
}

impl GenerationConfig {
    fn problems(&self, model: &ModelConfig) -> Vec<String> {
        let mut problems = self.sampling.problems();
        let Self { max_new_tokens, min_new_tokens, max_batch_size, .. } = *self;
        if max_new_tokens == Some(0) || max_batch_size == 0 {
            problems.push("max_new_tokens and max_batch_size must be above 0".to_owned());
        }
        if let Some(most) = max_new_tokens.filter(|most| min_new_tokens > *most) {
            problems.push(format!("min_new_tokens is {min_new_tokens}, above max_new_tokens, {most}"));
        }
        let vocabulary = model.vocab_size;
        if let Some(id) = self.stop_tokens.iter().find(|id| **id as usize >= vocabulary) {
            problems.push(format!("stop token {id} is not in the model's vocabulary of {vocabulary}"));
        }
        problems
    }

    fn problems_of(&self, prompt: &TokenPrompt, number: usize, model: &ModelConfig) -> Vec<String> {
        let mut problems = Vec::new();
        let (vocabulary, longest) = (model.vocab_size, model.context_length());
        let (tokens, new) = (prompt.ids.len(), self.max_new_tokens.unwrap_or(1));
        if tokens == 0 {
            problems.push(format!("prompt {number} is empty"));
        } else if tokens + new > longest {
            problems.push(format!(
                "prompt {number} has {tokens} tokens, which leaves no room for {new} more in the model's context of \
                 {longest} (max_position_embeddings)"
            ));
        }
        if let Some(id) = prompt.ids.iter().find(|id| **id as usize >= vocabulary) {
            problems.push(format!(
                "prompt {number} has token {id}, which is not in the model's vocabulary of {vocabulary}"
            ));
        }
        problems
    }
}
