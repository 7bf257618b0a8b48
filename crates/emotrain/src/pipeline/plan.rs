//! What a training will be, counted before it begins.

use std::sync::Arc;

use emotrain_curriculum::{DifficultySource, source};
use emotrain_model::{ModelConfig, tensor_shapes};
use emotrain_prepare::{Opened, PreparedTraining, described, kinds};
use emotrain_recipe::{Recipe, TrainMethod};
use emotrain_train::{EpochSamples, SampleOrder, SampleSchedule, TrainError, fresh_size, init_size};

use super::cost::Cost;
use super::memory::{Lengths, Memory};
use super::rare;
use super::speed::Speed;

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
    let schedule = &prepared.schedule;
    let samples = &prepared.train.samples;
    let order = SampleOrder::new(&recipe.train, recipe.data.sampling, samples, schedule);
    let cost = Cost::of(prepared, &order);
    lines.extend(steps(prepared, &order, &cost));
    lines.push(format!("{:<11} {}", "curriculum", recipe.curriculum.name));
    if source(&recipe.curriculum) == DifficultySource::Loss {
        let start = if recipe.lora.init_from.is_some() { "adapter of lora.init_from" } else { "base model" };
        lines.push(format!("the order depends on the losses of the {start}, which the run measures first"));
    } else {
        lines.extend(described(schedule, samples.len(), epochs_begun(&order)));
        lines.extend(never_reached(&order, schedule).map(|text| format!("{:<11} {text}", "")));
    }
    lines.extend(rare::line(prepared));
    let (all, trained) = parameters(&prepared.opened.config, recipe)?;
    lines.push(format!("{:<11} {trained} trained, {all} in the base model", "parameters"));
    lines.push(format!("{:<11} {}", "memory", memory(prepared, trained).summary()));
    lines.push(time(recipe, &cost));
    lines.push(format!("{:<11} {}", "output", recipe.train.output_dir.display()));
    Ok((lines.join("\n"), cost))
}

/// Steps, tokens and time of a training for people to read, a line each.
pub(crate) fn counted(prepared: &PreparedTraining<'_>) -> Vec<String> {
    let recipe = prepared.opened.recipe;
    let samples = &prepared.train.samples;
    let order = SampleOrder::new(&recipe.train, recipe.data.sampling, samples, &prepared.schedule);
    let cost = Cost::of(prepared, &order);
    let mut lines = steps(prepared, &order, &cost);
    lines.push(time(recipe, &cost));
    lines
}

/// The lines on steps and tokens.
fn steps(prepared: &PreparedTraining<'_>, order: &SampleOrder, cost: &Cost) -> Vec<String> {
    let (section, schedule) = (&prepared.opened.recipe.train, &prepared.schedule);
    let window = section.per_device_train_batch_size * section.gradient_accumulation_steps;
    let (steps, epoch) = (order.total_steps(), order.steps_in(schedule.epochs.len() - 1));
    let mut lines = vec![format!("{:<11} {steps}, {epoch} per epoch, {window} samples each", "steps")];
    lines.extend(ended_early(order, schedule).map(|text| format!("{:<11} {text}", "")));
    lines.extend(cost.lines());
    lines
}

/// The line on time.
fn time(recipe: &Recipe, cost: &Cost) -> String {
    const NOT_KNOWN: &str =
        "not known: no run like this has finished here; emotrain bench measures tokens a second";
    let speed = Speed::measured(&recipe.train.output_dir, 1, recipe);
    let time = speed.map_or_else(|| NOT_KNOWN.to_owned(), |speed| speed.estimate(cost.training()));
    format!("{:<11} {time}", "time")
}

/// What the longest samples take.
pub(crate) fn memory<'a>(prepared: &'a PreparedTraining<'_>, adapter: usize) -> Memory<'a> {
    let all = prepared.splits().flat_map(|split| &split.samples);
    let longest = all.map(|sample| sample.ids.len()).max().unwrap_or(0);
    let targets = prepared.train.samples.iter().map(|sample| sample.ids.len() - sample.prompt_len);
    let lengths = Lengths { longest, targets: targets.max().unwrap_or(0) };
    let Opened { config, codes, recipe, .. } = &prepared.opened;
    Memory { config, codes: codes.as_ref(), recipe, adapter, lengths }
}

/// Epochs of which at least one step is trained.
fn epochs_begun(order: &SampleOrder) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of epochs")]
    let begun = order.epochs_after(order.total_steps()).ceil() as usize;
    begun
}

/// What a run of `max_steps` leaves out, to be said before it begins: epochs, and phases of the curriculum.
pub(super) fn left_out(prepared: &PreparedTraining<'_>) -> (Option<String>, Option<String>) {
    let recipe = prepared.opened.recipe;
    let schedule = &prepared.schedule;
    let order = SampleOrder::new(&recipe.train, recipe.data.sampling, &prepared.train.samples, schedule);
    let is_known = source(&recipe.curriculum) != DifficultySource::Loss;
    (ended_early(&order, schedule), is_known.then(|| never_reached(&order, schedule)).flatten())
}

/// Says that the last step comes before the last epoch ends, if it does.
fn ended_early(order: &SampleOrder, schedule: &SampleSchedule) -> Option<String> {
    let (steps, epochs) = (order.total_steps(), schedule.epochs.len());
    let is_early = steps < (0..epochs).map(|epoch| order.steps_in(epoch)).sum();
    is_early.then(|| {
        let begun = epochs_begun(order);
        format!("train.max_steps = {steps} ends in epoch {begun} of {epochs}")
    })
}

/// Says that phases of the curriculum come after the last step, if any do.
fn never_reached(order: &SampleOrder, schedule: &SampleSchedule) -> Option<String> {
    let begun = epochs_begun(order);
    let last = |epochs: &[Arc<EpochSamples>]| epochs.last().map_or(0, |epoch| epoch.phase + 1);
    let reached = last(&schedule.epochs[..begun.min(schedule.epochs.len())]);
    let all = last(&schedule.epochs);
    (reached < all && !schedule.places.is_empty()).then(|| {
        let missed = if reached + 1 == all {
            format!("phase {all} is")
        } else {
            format!("phases {} to {all} are", reached + 1)
        };
        format!("{missed} never reached: train.max_steps = {} ends in epoch {begun}", order.total_steps())
    })
}

/// The base model's parameters, and those that are trained.
pub(crate) fn parameters(config: &ModelConfig, recipe: &Recipe) -> Result<(usize, usize), TrainError> {
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
