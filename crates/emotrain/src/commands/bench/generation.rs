//! How fast answers are generated: greedily, with prompts of random tokens.

use std::ops::ControlFlow;
use std::time::Instant;

use emotrain_base::Complaint;
use emotrain_model::device::{self, OpenDevice, Profile};
use emotrain_model::{CausalLm, Generation, GenerationConfig, Generator, Sampling, TokenPrompt};

use crate::cli::BenchArgs;

/// Tokens of each answer that are measured, once all prompts are being answered.
const STEPS: usize = 16;
/// Tokens of each before, on a GPU: the launches of a token are recorded meanwhile.
const WARM: usize = 32;

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
    // As many may come at once as are told at once.
    prompts + WARM + STEPS + 16
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
    on: &OpenDevice,
    args: &BenchArgs,
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
    let mut generation = generator.start(config.clone())?;
    read(&mut generation, prompts)?;
    tokens(&mut generation, 1)?;
    let mut generator = Generator::new(model);
    let mut generation = generator.start(config)?;
    let begin = Instant::now();
    read(&mut generation, prompts)?;
    let prompt_seconds = begin.elapsed().as_secs_f64();
    // The youngest answer has one token, so a step is one, whose launches are not yet recorded.
    let profile = args.profile.then(|| device::profiled(|| tokens(&mut generation, 1)));
    let profile = profile.map(|(result, profile)| result.map(|_| profile)).transpose()?;
    if !on.is_cpu() {
        tokens(&mut generation, WARM * prompts.len())?;
    }
    let begin = Instant::now();
    let count = tokens(&mut generation, STEPS * prompts.len())?;
    let token_seconds = begin.elapsed().as_secs_f64() * prompts.len() as f64 / count as f64;
    Ok(MeasuredGeneration { prompts: prompts.len(), prompt_seconds, token_seconds, profile })
}

/// Reads all prompts.
fn read(generation: &mut Generation, prompts: &[Vec<u32>]) -> anyhow::Result<()> {
    for ids in prompts {
        generation.push(TokenPrompt { ids, sequence: 0 })?;
    }
    // Until a step gives each a token.
    while tokens(generation, 1)? < prompts.len() {}
    Ok(())
}

/// Steps until there are so many tokens more; how many there are.
fn tokens(generation: &mut Generation, least: usize) -> anyhow::Result<usize> {
    let mut count = 0;
    while count < least {
        generation.step(&mut |_| {
            count += 1;
            ControlFlow::Continue(())
        })?;
    }
    Ok(count)
}
