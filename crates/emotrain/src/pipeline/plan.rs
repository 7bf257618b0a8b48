//! What a training will be, counted before it begins.

use emotrain_curriculum::{DifficultySource, source};
use emotrain_model::{ModelConfig, tensor_shapes};
use emotrain_recipe::{Recipe, TargetModules, TrainMethod};
use emotrain_train::SampleOrder;

use super::{Prepared, Purpose, course, kinds, start};

/// Samples, tokens, steps and parameters for people to read.
pub(crate) fn plan(prepared: &Prepared) -> String {
    let mut lines = Vec::new();
    for material in &prepared.materials {
        lines.push(format!("{:<11} {}", material.name.as_str(), material.counted()));
        lines.extend(kinds(&material.samples).map(|kinds| format!("{:<11} of these {kinds}", "")));
        lines.extend(material.known.summary().into_iter().map(|line| format!("{:<11} {line}", "")));
    }
    let section = &prepared.recipe.train;
    let train = prepared.materials.iter().find(|material| material.purpose == Purpose::Training);
    let lengths: Vec<usize> =
        train.iter().flat_map(|material| &material.samples).map(|sample| sample.ids.len()).collect();
    if let Some(course) = &prepared.course {
        let samples = lengths.len();
        let plan = SampleOrder::new(section, lengths, course);
        let window = section.per_device_train_batch_size * section.gradient_accumulation_steps;
        let (steps, epoch) = (plan.total_steps(), plan.steps_in(course.epochs.len() - 1));
        lines.push(format!("{:<11} {steps}, {epoch} per epoch, {window} samples each", "steps"));
        let curriculum = &prepared.recipe.curriculum;
        lines.push(format!("{:<11} {}", "curriculum", curriculum.name));
        if source(curriculum) == DifficultySource::Loss {
            lines.push("the order follows when the base model's losses are known".to_owned());
        } else {
            lines.extend(course::described(course, samples));
        }
    }
    let (all, trained) = parameters(&prepared.config, prepared.recipe);
    lines.push(format!("{:<11} {trained} trained, {all} in the base model", "parameters"));
    lines.push(format!("{:<11} {}", "output", section.output_dir.display()));
    lines.join("\n")
}

/// The base model's parameters, and those that are trained.
fn parameters(config: &ModelConfig, recipe: &Recipe) -> (usize, usize) {
    let shapes = tensor_shapes(config);
    let all = shapes.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
    if recipe.train.method == TrainMethod::Full {
        return (all, all);
    }
    if let Some(folder) = &recipe.lora.init_from {
        return (all, start::size(folder));
    }
    let adapted = |name: &str| {
        let module = name.strip_suffix(".weight").and_then(|path| path.rsplit('.').next());
        module.is_some_and(|module| match &recipe.lora.target_modules {
            TargetModules::AllLinear => TargetModules::NAMES.contains(&module),
            TargetModules::List(names) => names.iter().any(|name| name == module),
        })
    };
    let trained = shapes.iter().filter(|(name, _)| adapted(name));
    (all, trained.map(|(_, shape)| recipe.lora.r * shape.iter().sum::<usize>()).sum())
}
