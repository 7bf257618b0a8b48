//! `emotrain bench`: how fast training steps are, on made-up tokens.

use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use emotrain_model::random::Key;
use emotrain_model::{Batch, CausalLm, Sequence, device};
use emotrain_recipe::Recipe;
use emotrain_train::{Adam, StepAt};
use serde_json::{Value, json};

use crate::cli::BenchArgs;
use crate::env;
use crate::exit::{Complaint, Exit};
use crate::pipeline::{Base, make_trainable};
use crate::shell::Shell;

/// Runs the command: optimizer steps of one sequence each, as the recipe that `--set` describes would make them.
///
/// # Errors
/// A model or device that does not do, or a loss that is not finite.
pub(crate) fn run(args: &BenchArgs, shell: &Shell) -> anyhow::Result<Exit> {
    let recipe = recipe(args)?;
    if args.completion == 0 || args.completion >= args.tokens || args.steps == 0 {
        let message = "--steps and --completion must be above 0, --completion below --tokens";
        return Err(Complaint::usage(message).into());
    }
    device::set_threads(recipe.model.num_threads);
    let on = device::open(&recipe.model.device, recipe.model.dtype)?;
    let base = Base::find(&recipe.model, &shell.hub())?;
    let begin = Instant::now();
    let (mut model, _) = base.load(&shell.hub(), recipe.train.seed, &on)?;
    let load_seconds = begin.elapsed().as_secs_f64();
    make_trainable(&mut model, &recipe)?;

    let mut seconds = Vec::new();
    let mut optimizer = Adam::new(&recipe.train);
    let counter = shell.printer.counter("measuring", args.warmup + args.steps);
    for number in 0..args.warmup + args.steps {
        let begin = Instant::now();
        step(&mut model, &mut optimizer, (&recipe, args), number)?;
        seconds.push(begin.elapsed().as_secs_f64());
        counter.add(1);
    }
    drop(counter);
    let median = median(&mut seconds[args.warmup..]);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = if recipe.model.num_threads == 0 { threads } else { recipe.model.num_threads };
    let result = json!({
        "model": args.model,
        "device": on.name,
        "dtype": recipe.model.dtype.as_str(),
        "threads": threads,
        "method": recipe.train.method.as_str(),
        "r": recipe.lora.r,
        "gradient_checkpointing": recipe.train.gradient_checkpointing,
        "tokens": args.tokens,
        "completion": args.completion,
        "steps": args.steps,
        "load_seconds": load_seconds,
        "steps_per_second": 1.0 / median,
        "tokens_per_second": args.tokens as f64 / median,
        "peak_rss_mib": env::peak_memory_mib(),
    });
    shell.printer.result(if args.json { format!("{result:#}") } else { table(&result) })?;
    Ok(Exit::Done)
}

/// A recipe without data: all that matters here is the model and how it is trained.
fn recipe(args: &BenchArgs) -> anyhow::Result<Recipe> {
    let text = format!(
        "[model]\nmodel_name_or_path = {:?}\n[lora]\nr = {}\n[data]\ntrain = \"none\"\n[eval]\nload_best_model_at_end = false\n",
        args.model, args.r
    );
    Ok(emotrain_recipe::parse(&text, Path::new("bench.toml"), &args.set)?)
}

fn step(
    model: &mut CausalLm,
    optimizer: &mut Adam,
    (recipe, args): (&Recipe, &BenchArgs),
    number: usize,
) -> anyhow::Result<()> {
    let key = Key::new(recipe.train.seed).with(number as u64);
    let vocabulary = model.config().vocab_size as u64;
    let id = |at: usize| {
        u32::try_from(key.with(at as u64).bits() % vocabulary).context("vocabularies fit 32 bits")
    };
    let ids: Vec<u32> = (0..args.tokens).map(id).collect::<anyhow::Result<_>>()?;
    let batch = Batch::sequences(&[Sequence { ids: &ids, supervised_from: args.tokens - args.completion }]);
    let at = StepAt { number, learning_rate: recipe.train.learning_rate };
    emotrain_train::step(&recipe.train, model, optimizer, &[batch], at)?;
    Ok(())
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}

fn table(result: &Value) -> String {
    let rows = result.as_object().into_iter().flatten();
    let value = |value: &Value| match value.as_f64().filter(|number| number.fract() != 0.0) {
        Some(number) => format!("{number:.3}"),
        None => value.as_str().map_or_else(|| value.to_string(), str::to_owned),
    };
    rows.map(|(name, it)| format!("{name:<24}{}", value(it))).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert!((median(&mut [3.0, 1.0, 2.0]) - 2.0).abs() < 1e-12);
        assert!((median(&mut [4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-12);
    }
}
