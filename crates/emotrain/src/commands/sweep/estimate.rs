//! What a sweep will cost, counted before it begins.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;

use emotrain_prepare::PreparedTraining;
use emotrain_recipe::{Recipe, SharedPrefix};
use emotrain_runs::{RunRecord, RunState, StoredRun, TrainingRecord, find_runs};
use emotrain_sweep::{PlannedRun, SweepFile};
use emotrain_train::{Packing, SampleOrder};

use crate::exit::described;
use crate::printer::duration;
use crate::shell::Shell;

/// Runs with measured speed are looked for this many folders deep.
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
    lines.push(match measured(&file.output_dir, runs) {
        Some((speed, folder)) => format!(
            "about {} in one process, evaluations and loading included, at the {speed:.0} tokens a second of {folder}",
            duration(tokens as f64 / speed)
        ),
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

/// The seconds of all starts of a run; at least those of its training, which a start that was killed has not recorded.
fn whole_seconds(record: &RunRecord, training: &TrainingRecord) -> f64 {
    let resumed: f64 = record.resumed.iter().map(|start| start.elapsed_s).sum();
    (record.elapsed_s + resumed).max(training.seconds)
}

/// Tokens trained in a second of the newest finished run of the same base model, method and device near the sweep, with
/// its folder. Its seconds are all that it took: loading, evaluations before, during and after training, and writing.
fn measured(output_dir: &Path, runs: &[PlannedRun]) -> Option<(f64, String)> {
    let recipe = &runs.first()?.recipe;
    let near = output_dir.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folders = find_runs(near.unwrap_or(Path::new(".")), DEPTH).ok()?;
    let fits = |run: &StoredRun| {
        run.state == RunState::Finished
            && run.recipe().is_ok_and(|other| {
                let same_model = other.model.model_name_or_path == recipe.model.model_name_or_path;
                same_model
                    && other.model.device == recipe.model.device
                    && other.model.dtype == recipe.model.dtype
                    && other.quantization == recipe.quantization
                    && other.train.method == recipe.train.method
            })
    };
    let stored = folders.iter().filter_map(|folder| StoredRun::open(folder).ok()).filter(fits);
    let newest = stored.max_by(|one, other| one.record.begun_unix_s.total_cmp(&other.record.begun_unix_s))?;
    let training = newest.record.training.as_ref()?;
    let speed = training.tokens as f64 / whole_seconds(&newest.record, training);
    (speed.is_finite() && speed > 0.0).then(|| (speed, newest.folder.display().to_string()))
}

#[cfg(test)]
mod tests {
    use emotrain_runs::ResumptionRecord;

    use super::*;

    #[test]
    fn a_run_takes_longer_than_its_training() {
        let training = TrainingRecord { seconds: 60.0, ..TrainingRecord::default() };
        let resumed = vec![ResumptionRecord { elapsed_s: 30.0, ..ResumptionRecord::default() }];
        let record = RunRecord { elapsed_s: 70.0, resumed, ..RunRecord::default() };
        assert!((whole_seconds(&record, &training) - 100.0).abs() < 1e-9);
        let unknown = RunRecord { elapsed_s: 0.0, ..record };
        assert!((whole_seconds(&unknown, &training) - 60.0).abs() < 1e-9);
    }
}
