//! What a training will be, counted before it begins.

use emotrain_curriculum::{DifficultySource, source};
use emotrain_model::{ModelConfig, tensor_shapes};
use emotrain_prepare::{PreparedTraining, described, kinds};
use emotrain_recipe::{Recipe, TrainMethod};
use emotrain_train::{SampleOrder, TrainError, fresh_size, init_size};

use super::cost::Cost;

/// Samples, tokens, steps and parameters for people to read, and what the run costs.
///
/// # Errors
/// An adapter that does not fit the model.
pub(crate) fn plan(prepared: &PreparedTraining<'_>) -> Result<(String, Cost), TrainError> {
    let mut lines = Vec::new();
    for split in prepared.splits() {
        lines.push(format!("{:<11} {}", split.name.as_str(), split.counted()));
        lines.extend(kinds(&split.samples).map(|kinds| format!("{:<11} of these {kinds}", "")));
        lines.extend(split.known.summary().into_iter().map(|line| format!("{:<11} {line}", "")));
    }
    let recipe = prepared.opened.recipe;
    let (section, schedule) = (&recipe.train, &prepared.schedule);
    let lengths: Vec<usize> = prepared.train.samples.iter().map(|sample| sample.ids.len()).collect();
    let samples = lengths.len();
    let order = SampleOrder::new(section, lengths, schedule);
    let order = order.with_sampling(recipe.data.sampling, &prepared.train.samples);
    let window = section.per_device_train_batch_size * section.gradient_accumulation_steps;
    let (steps, epoch) = (order.total_steps(), order.steps_in(schedule.epochs.len() - 1));
    lines.push(format!("{:<11} {steps}, {epoch} per epoch, {window} samples each", "steps"));
    let cost = Cost::of(prepared, &order);
    lines.extend(cost.lines());
    lines.push(format!("{:<11} {}", "curriculum", recipe.curriculum.name));
    if source(&recipe.curriculum) == DifficultySource::Loss {
        lines.push("the order depends on the base model's losses, which the run measures first".to_owned());
    } else {
        lines.extend(described(schedule, samples));
    }
    let (all, trained) = parameters(&prepared.opened.config, recipe)?;
    lines.push(format!("{:<11} {trained} trained, {all} in the base model", "parameters"));
    lines.push(format!("{:<11} {}", "output", section.output_dir.display()));
    Ok((lines.join("\n"), cost))
}

/// The base model's parameters, and those that are trained.
fn parameters(config: &ModelConfig, recipe: &Recipe) -> Result<(usize, usize), TrainError> {
    let shapes = tensor_shapes(config);
    let all = shapes.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
    if recipe.train.method == TrainMethod::Full {
        return Ok((all, all));
    }
    if let Some(folder) = &recipe.lora.init_from {
        return Ok((all, init_size(folder)));
    }
    Ok((all, fresh_size(&recipe.lora, config)?))
}
