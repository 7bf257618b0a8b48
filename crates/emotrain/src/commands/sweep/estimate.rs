//! What a sweep will cost, counted before it begins.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use emotrain_prepare::PreparedTraining;
use emotrain_recipe::{Recipe, SharedPrefix};
use emotrain_sweep::{PlannedRun, SweepFile};
use emotrain_train::{Packing, SampleOrder};

use crate::exit::described;
use crate::pipeline::Speed;
use crate::shell::Shell;

/// Runs with measured speed are looked for this many folders deep: those of other sweeps, too.
const DEPTH: usize = 4;

/// A recipe of the sweep, counted once for all its seeds.
struct Counted<'r> {
    first: &'r PlannedRun,
    seeds: usize,
    steps: usize,
    tokens: u64,
}

/// Prints the recipes with their runs, steps and tokens, and the time to expect.
///
/// # Errors
/// A recipe that cannot be prepared; standard output that cannot be written.
pub(super) fn show(file: &SweepFile, runs: &[PlannedRun], shell: &Shell) -> anyhow::Result<()> {
    let mut counted: Vec<Counted> = Vec::new();
    let (mut places, mut counts) = (HashMap::<&str, usize>::new(), HashMap::new());
    for run in runs {
        if let Some(place) = places.get(run.name.as_str()) {
            counted[*place].seeds += 1;
            continue;
        }
        let (steps, tokens) = match counts.entry(what_counts(&run.recipe, &runs[0].recipe)) {
            Entry::Occupied(counts) => *counts.get(),
            Entry::Vacant(place) => *place.insert(count(run, shell)?),
        };
        places.insert(&run.name, counted.len());
        counted.push(Counted { first: run, seeds: 1, steps, tokens });
    }
    let mut lines = vec![format!("{:>5}  {:>9}  {:>14}  recipe", "seeds", "steps", "tokens a run")];
    for one in &counted {
        lines.push(format!("{:>5}  {:>9}  {:>14}  {}", one.seeds, one.steps, one.tokens, one.first.name));
    }
    let steps: usize = counted.iter().map(|one| one.seeds * one.steps).sum();
    let tokens: u64 = counted.iter().map(|one| one.seeds as u64 * one.tokens).sum();
    lines.push(format!("\n{} runs, {steps} steps, {tokens} tokens", runs.len()));
    let speed = runs.first().and_then(|run| Speed::measured(&file.output_dir, DEPTH, &run.recipe));
    lines.push(match speed {
        Some(speed) => format!("in one process {}", speed.estimate(tokens)),
        None => "how long it takes is not known: no finished run of this model and device is near".to_owned(),
    });
    shell.printer.result(lines.join("\n"))
}

/// The recipe as far as steps and tokens depend on it; the rest is that of another recipe.
fn what_counts(recipe: &Recipe, other: &Recipe) -> String {
    let packing = Packing::of(recipe);
    let mut recipe = recipe.clone();
    recipe.train.shared_prefix = match packing {
        Packing::Shared => SharedPrefix::Always,
        Packing::Apart => SharedPrefix::Never,
    };
    recipe.lora = other.lora.clone();
    recipe.eval = other.eval.clone();
    recipe.save = other.save.clone();
    recipe.logging = other.logging.clone();
    let (train, other) = (&mut recipe.train, &other.train);
    train.learning_rate = other.learning_rate;
    train.lr_scheduler_type = other.lr_scheduler_type;
    train.warmup_ratio = other.warmup_ratio;
    train.warmup_steps = other.warmup_steps;
    train.weight_decay = other.weight_decay;
    train.max_grad_norm = other.max_grad_norm;
    train.neftune_noise_alpha = other.neftune_noise_alpha;
    train.seed = other.seed;
    train.output_dir.clone_from(&other.output_dir);
    recipe.to_toml()
}

/// The steps and tokens of a run.
fn count(run: &PlannedRun, shell: &Shell) -> anyhow::Result<(usize, u64)> {
    let recipe = &run.recipe;
    let prepared =
        PreparedTraining::new(recipe, &PreparedTraining::measured(recipe), shell.hub()).map_err(|error| {
            let error = anyhow::Error::from(error);
            let text = described(&error);
            error.context(format!("{}: {text}", run.name))
        })?;
    let lengths: Vec<usize> = prepared.train.samples.iter().map(|sample| sample.ids.len()).collect();
    let samples = &prepared.train.samples;
    let order = SampleOrder::new(&recipe.train, recipe.data.sampling, samples, &prepared.schedule);
    let steps = order.total_steps();
    let tokens = order.tokens(&lengths) - order.shared_tokens(samples, Packing::of(recipe));
    Ok((steps, tokens))
}
