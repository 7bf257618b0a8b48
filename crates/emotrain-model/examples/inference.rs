//! Our side of `tests/golden/bench/transformers_generate.py`, which starts this and asks line by line, so that both
//! sides are measured in turn.
//!
//! `inference MODEL FILE` reads `{"prompts": [[id, …], …], "completions": [[id, …], …]}`. Then `generate B N` answers
//! the first `B` prompts with `N` tokens each, `score B` scores all completions after the prompts, `B` prompts at a time.
//! Each prints its seconds and what came out as JSON.

use std::io::BufRead;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use burn::tensor::{DType, Device};
use emotrain_model::{
    CausalLm, Checkpoint, GenerationConfig, Generator, Precision, Sampling, Scorer, TokenPrompt,
};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Work {
    prompts: Vec<Vec<u32>>,
    #[serde(default)]
    completions: Vec<Vec<u32>>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, model, work] = arguments.as_slice() else { return Err("inference MODEL FILE".into()) };
    let model = CausalLm::load(&Checkpoint::open(Path::new(model))?, &Device::flex(), DType::F32)?;
    let work: Work = serde_json::from_str(&fs_err::read_to_string(work)?)?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let begin = Instant::now();
        let result = match words.as_slice() {
            ["generate", batch, tokens] => generate(&model, &work, batch.parse()?, tokens.parse()?)?,
            ["score", batch] => score(&model, &work, batch.parse()?, Precision::Full),
            ["score", batch, "bf16"] => score(&model, &work, batch.parse()?, Precision::Bf16),
            _ => return Err(format!("what is {line:?}?").into()),
        };
        println_line(&json!({ "seconds": begin.elapsed().as_secs_f64(), "result": result }));
    }
    Ok(())
}

fn generate(
    model: &CausalLm,
    work: &Work,
    batch: usize,
    tokens: usize,
) -> Result<serde_json::Value, Box<dyn std::error::Error>> {
    let config = GenerationConfig {
        max_new_tokens: Some(tokens),
        min_new_tokens: 0,
        sampling: Sampling::GREEDY,
        stop_tokens: Vec::new(),
        seed: 0,
        max_batch_size: batch,
    };
    let prompts: Vec<TokenPrompt> =
        (0..).zip(&work.prompts).take(batch).map(|(sequence, ids)| TokenPrompt { ids, sequence }).collect();
    let answers = Generator::new(model).generate(&prompts, &config, &mut |_| ControlFlow::Continue(()))?;
    Ok(json!(answers.into_iter().map(|answer| answer.ids).collect::<Vec<_>>()))
}

fn score(model: &CausalLm, work: &Work, batch: usize, precision: Precision) -> serde_json::Value {
    let mut scorer = Scorer::new(model, &work.completions, precision);
    let prompts: Vec<&[u32]> = work.prompts.iter().map(Vec::as_slice).collect();
    let scores: Vec<Vec<f32>> = prompts.chunks(batch).flat_map(|prompts| scorer.score(prompts)).collect();
    json!(scores)
}

#[expect(clippy::print_stdout, reason = "what this program is for")]
fn println_line(value: &serde_json::Value) {
    println!("{value}");
}
