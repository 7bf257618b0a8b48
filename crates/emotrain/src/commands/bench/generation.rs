//! How fast answers are generated: greedily, with prompts of random tokens.

use std::ops::ControlFlow;
use std::time::Instant;

use emotrain_base::Complaint;
use emotrain_model::device::{self, Profile};
use emotrain_model::{CausalLm, Generation, GenerationConfig, Generator, Sampling, TokenPrompt};

/// Tokens of each answer that are measured, once all prompts are being answered.
const STEPS: usize = 16;

/// What was measured.
pub(super) struct MeasuredGeneration {
    /// Prompts that are answered together.
    pub(super) prompts: usize,
    /// For the prompts, and the tokens that are generated meanwhile.
    pub(super) prompt_seconds: f64,
    /// For one token of each answer.
    pub(super) token_seconds: f64,
    /// The kernels of one token of each.
    pub(super) profile: Option<Profile>,
}

/// Most tokens of an answer: prompts may come in one by one, and each goes on until all are measured.
fn most_tokens(prompts: usize) -> usize {
    prompts + STEPS + 2
}

/// Checks that prompts of so many tokens leave room for their answers.
///
/// # Errors
/// A context that is too short.
pub(super) fn check(tokens: &[usize], prompts: usize, context: usize) -> anyhow::Result<()> {
    let longest = tokens.iter().max().copied().unwrap_or(0) + most_tokens(prompts);
    if longest <= context {
        return Ok(());
    }
    let message = format!(
        "--generate {prompts} needs {longest} tokens, with the longest of --tokens; the model's context has {context}"
    );
    Err(Complaint::usage(message).hint("generate for fewer prompts, or shorter ones").into())
}

/// Answers these prompts together.
///
/// # Errors
/// Logits that are not finite.
pub(super) fn measured(
    model: &CausalLm,
    prompts: &[Vec<u32>],
    profile: bool,
) -> anyhow::Result<MeasuredGeneration> {
    let config = GenerationConfig {
        max_new_tokens: Some(most_tokens(prompts.len())),
        min_new_tokens: 0,
        sampling: Sampling::GREEDY,
        stop_tokens: Vec::new(),
        seed: 0,
        max_batch_size: prompts.len(),
    };
    // The first time a GPU compiles kernels and chooses among them.
    let mut generator = Generator::new(model);
    timed(&mut generator.start(config.clone())?, prompts)?;
    let mut generator = Generator::new(model);
    let mut generation = generator.start(config)?;
    let [prompt_seconds, token_seconds] = timed(&mut generation, prompts)?;
    let profile = if profile {
        let (result, profile) = device::profiled(|| tokens(&mut generation));
        result?;
        Some(profile)
    } else {
        None
    };
    Ok(MeasuredGeneration { prompts: prompts.len(), prompt_seconds, token_seconds, profile })
}

/// The seconds until all prompts are being answered, and those of a token of each.
fn timed(generation: &mut Generation, prompts: &[Vec<u32>]) -> anyhow::Result<[f64; 2]> {
    for ids in prompts {
        generation.push(TokenPrompt { ids, sequence: 0 })?;
    }
    let begin = Instant::now();
    while tokens(generation)? < prompts.len() {}
    let prompt_seconds = begin.elapsed().as_secs_f64();
    let begin = Instant::now();
    for _ in 0..STEPS {
        tokens(generation)?;
    }
    Ok([prompt_seconds, begin.elapsed().as_secs_f64() / STEPS as f64])
}

/// The answers that have got a token.
fn tokens(generation: &mut Generation) -> anyhow::Result<usize> {
    let mut count = 0;
    generation.step(&mut |_| {
        count += 1;
        ControlFlow::Continue(())
    })?;
    Ok(count)
}
