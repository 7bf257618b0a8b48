//! `emotrain bench`: how fast training steps and generation are, on random tokens.

mod generation;
mod gradients;
mod product;
mod report;

use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use emotrain_base::random::Key;
use emotrain_base::{Complaint, limits};
use emotrain_hub::Base;
use emotrain_model::device::{self, OpenDevice, Profile};
use emotrain_model::{Batch, CausalLm, ModelConfig, Sequence, Storage};
use emotrain_recipe::{Recipe, TrainMethod};
use emotrain_train::{AdamWOptimizer, StepAt, Turn, make_trainable};

use self::product::measured;
use self::report::{Measured, Report};
use super::replaced::{Output, check_replaced};
use crate::cli::BenchArgs;
use crate::env;
use crate::exit::Exit;
use crate::pipeline::check_offloading;
use crate::shell::Shell;

/// Runs the command: optimizer steps of one sequence each, as the recipe that `--set` describes would make them.
///
/// # Errors
/// An invalid model or device, or a loss that is not finite.
pub(crate) fn run(args: &BenchArgs, shell: &Shell) -> anyhow::Result<Exit> {
    let recipe = recipe(args)?;
    check(args)?;
    if let Some(path) = &args.gradients {
        check_replaced(path, Output::GRADIENTS, &[])?;
    }
    if args.gradients.is_some() && recipe.lora.lora_dropout > 0.0 {
        let message = "--gradients with dropout: another trainer draws other masks";
        return Err(Complaint::usage(message).hint("add --set lora.lora_dropout=0").into());
    }
    device::set_threads(recipe.model.num_threads);
    let on = device::open(&recipe.model.device, recipe.model.dtype)?;
    if args.profile && on.is_cpu() {
        return Err(Complaint::usage("--profile counts kernels of a GPU; the device is the CPU").into());
    }
    check_offloading(&recipe, &on)?;
    let begin = Instant::now();
    let mut model = load(args, &recipe, &on, shell)?;
    let load_seconds = begin.elapsed().as_secs_f64();
    if let Some(prompts) = args.generate {
        generation::check(&args.tokens, prompts, model.config().context_length())?;
    }
    make_trainable(&mut model, &recipe)?;

    let mut runs = Vec::new();
    let counter = shell.printer.counter("measuring", args.tokens.len() * (args.warmup + args.steps));
    for &tokens in &args.tokens {
        let mut optimizer = AdamWOptimizer::new(&recipe.train);
        let mut steps = Steps { recipe: &recipe, model: &mut model, optimizer: &mut optimizer, number: 0 };
        let mut seconds = Vec::new();
        for _ in 0..args.warmup + args.steps {
            let begin = Instant::now();
            steps.next(tokens, args.completion)?;
            seconds.push(begin.elapsed().as_secs_f64());
            counter.add(1);
        }
        let profile = args.profile.then(|| steps.profiled(tokens, args.completion)).transpose()?;
        let (seconds, device_bytes) = (median(&mut seconds[args.warmup..]), on.reserved_bytes());
        let generation = args.generate.map(|prompts| {
            let ids = |prompt| random_ids(&recipe, model.config(), prompt, tokens);
            generation::measured(&model, &(0..prompts).map(ids).collect::<Result<Vec<_>, _>>()?, &on, args)
        });
        let generation = generation.transpose()?;
        runs.push(Measured { tokens, seconds, device_bytes, profile, generation });
    }
    drop(counter);
    if let Some(path) = &args.gradients {
        let ids = random_ids(&recipe, model.config(), 0, args.tokens[0])?;
        gradients::write(&mut model, &ids, args.completion, path)?;
    }
    let report = Report {
        args,
        recipe: &recipe,
        device: &on.name,
        load_seconds,
        flops_per_token: flops_per_token(model.config(), recipe.train.method),
        peak_rss_mib: env::peak_memory_mib(),
        runs,
        products: args.products.iter().map(|product| measured(*product, &on)).collect(),
    };
    shell.printer.result(if args.json { format!("{:#}", report.as_json()) } else { report.table() })?;
    Ok(Exit::Done)
}

fn check(args: &BenchArgs) -> anyhow::Result<()> {
    let longer = |tokens: &usize| *tokens > args.completion;
    if args.completion == 0 || args.steps == 0 || !args.tokens.iter().all(longer) {
        let message = "--steps and --completion must be above 0, --completion below --tokens";
        return Err(Complaint::usage(message).into());
    }
    if args.peak_tflops.is_some_and(|peak| !(peak > 0.0 && peak.is_finite())) {
        return Err(Complaint::usage("--peak-tflops must be above 0").into());
    }
    Ok(())
}

/// A recipe without data: all that matters here is the model and how it is trained.
fn recipe(args: &BenchArgs) -> anyhow::Result<Recipe> {
    let model = args.model.clone().unwrap_or_else(|| "random".to_owned());
    let text = format!(
        "[model]\nmodel_name_or_path = {model:?}\n[lora]\nr = {}\n[data]\ntrain = \"none\"\n[eval]\nload_best_model_at_end = false\n",
        args.r
    );
    Ok(emotrain_recipe::parse(&text, Path::new("bench.toml"), &args.set)?)
}

fn load(args: &BenchArgs, recipe: &Recipe, on: &OpenDevice, shell: &Shell) -> anyhow::Result<CausalLm> {
    let seed = recipe.train.seed;
    if let Some(path) = &args.random {
        let config = ModelConfig::from_json(&emotrain_base::read_to_string(path, limits::CONFIG)?, path)?;
        let storage = Storage::new(on, &recipe.quantization)?;
        let model = CausalLm::random_on_device(&config, &on.device, storage, seed);
        return Ok(model.attending(recipe.model.attn_implementation));
    }
    let base = Base::find(&recipe.model, shell.hub())?;
    base.description()?.warnings.iter().for_each(|warning| shell.printer.warn(warning));
    Ok(base.load(shell.hub(), seed, on, &recipe.quantization)?.0)
}

/// Floating-point operations of a training step for each token: two for each weight forward, two for the gradient of
/// its input, and two for its own where the base is trained. Only the decoder blocks' matrices count.
fn flops_per_token(config: &ModelConfig, method: TrainMethod) -> f64 {
    let (hidden, inner) = (config.hidden_size, config.intermediate_size);
    let query = config.num_attention_heads * config.head_dim;
    let key_value = config.num_key_value_heads * config.head_dim;
    let layer = hidden * (2 * query + 2 * key_value + 3 * inner);
    let per_weight = match method {
        TrainMethod::Lora => 4,
        TrainMethod::Full => 6,
    };
    (per_weight * config.num_hidden_layers * layer) as f64
}

/// Training steps on random tokens, one after the other.
struct Steps<'a> {
    recipe: &'a Recipe,
    model: &'a mut CausalLm,
    optimizer: &'a mut AdamWOptimizer,
    number: usize,
}

impl Steps<'_> {
    fn next(&mut self, tokens: usize, completion: usize) -> anyhow::Result<()> {
        let (recipe, number) = (self.recipe, self.number);
        self.number += 1;
        let ids = random_ids(recipe, self.model.config(), number, tokens)?;
        let batch = Batch::sequences(&[Sequence { ids: &ids, supervised_from: tokens - completion }]);
        let at = StepAt { number, learning_rate: recipe.train.learning_rate };
        let (section, model, optimizer) = (&recipe.train, &mut *self.model, &mut *self.optimizer);
        emotrain_train::step(Turn { section, model, replicas: &mut [], optimizer, batches: &[batch], at })?;
        Ok(())
    }

    fn profiled(&mut self, tokens: usize, completion: usize) -> anyhow::Result<Profile> {
        let (result, profile) = device::profiled(|| self.next(tokens, completion));
        result.map(|()| profile)
    }
}

fn random_ids(recipe: &Recipe, config: &ModelConfig, step: usize, tokens: usize) -> anyhow::Result<Vec<u32>> {
    let key = Key::new(recipe.train.seed).with(step as u64);
    let vocabulary = config.vocab_size as u64;
    let id = |at: usize| {
        u32::try_from(key.with(at as u64).bits() % vocabulary).context("vocabularies fit 32 bits")
    };
    (0..tokens).map(id).collect()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert!((median(&mut [3.0, 1.0, 2.0]) - 2.0).abs() < 1e-12);
        assert!((median(&mut [4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-12);
    }

    #[test]
    fn the_operations_of_an_8b_model_are_those_of_its_blocks() {
        let text = r#"{"model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"], "vocab_size": 151936,
            "hidden_size": 4096, "intermediate_size": 12288, "num_hidden_layers": 36, "num_attention_heads": 32,
            "num_key_value_heads": 8, "head_dim": 128, "rms_norm_eps": 1e-6, "rope_theta": 1000000.0,
            "max_position_embeddings": 40960, "tie_word_embeddings": false, "hidden_act": "silu"}"#;
        let config = ModelConfig::from_json(text, Path::new("config.json")).unwrap();
        let weights = 36.0 * 192_937_984.0;
        assert!((flops_per_token(&config, TrainMethod::Lora) / (4.0 * weights) - 1.0).abs() < 1e-12);
        assert!((flops_per_token(&config, TrainMethod::Full) / (6.0 * weights) - 1.0).abs() < 1e-12);
    }
}
