//! `emotrain check`: all problems of recipes and of what they name, in one go.

use emotrain_base::Problems;
use emotrain_data::SplitKind;
use emotrain_model::device;
use emotrain_prepare::{PrepareError, PreparedTraining, kinds};
use emotrain_recipe::{ModelSection, Recipe};
use emotrain_runs::RunDir;

use crate::cli::CheckArgs;
use crate::exit::Exit;
use crate::pipeline;
use crate::shell::Shell;

/// Runs the command: a line on standard output for every recipe that is sound.
///
/// # Errors
/// The problems of all recipes.
pub(crate) fn run(args: &CheckArgs, shell: &Shell) -> anyhow::Result<Exit> {
    let mut problems = Problems::default();
    for path in &args.recipes {
        let Some(recipe) = problems.take(emotrain_recipe::load(path, &args.set)) else { continue };
        let path = path.display().to_string();
        let mut found = Problems::default();
        found.take(check_device(&recipe));
        found.take(RunDir::check_place(&recipe));
        for warning in pipeline::warnings_on_rare_labels(&recipe) {
            shell.printer.warn(format_args!("{path}: {warning}"));
        }
        let checked = found.take(check(&recipe, shell));
        for warning in checked.iter().flat_map(|checked| &checked.missing_labels) {
            shell.printer.warn(format_args!("{path}: {warning}"));
        }
        let summary = checked.map(|checked| checked.summary);
        match (summary, found.finish()) {
            (Some(summary), Ok(())) => shell.printer.result(format_args!("{path}: {summary}"))?,
            (_, Err(found)) => problems.add(found.about(&path)),
            (None, Ok(())) => unreachable!("a check fails with a problem"),
        }
    }
    problems.finish()?;
    Ok(Exit::Done)
}

/// Looks whether the recipe could compute here; returns the names of its devices.
///
/// # Errors
/// A device that this build or machine does not have, a type that it does not compute in.
pub(super) fn check_device(recipe: &Recipe) -> Result<String, Problems> {
    let ModelSection { device, num_devices, dtype, .. } = &recipe.model;
    let devices = device::open_all(device, *num_devices, *dtype)?;
    for on in &devices {
        pipeline::check_precision(recipe, on)?;
        pipeline::check_offloading(recipe, on)?;
    }
    let names: Vec<String> = devices.into_iter().map(|on| on.name).collect();
    Ok(names.join(", "))
}

/// What was found of a recipe that is sound.
pub(super) struct Checked {
    /// A line on what it names.
    summary: String,
    /// A line for each split that lacks labels.
    missing_labels: Vec<String>,
}

/// Looks at all that a recipe names.
///
/// # Errors
/// Everything that is wrong with it.
pub(super) fn check(recipe: &Recipe, shell: &Shell) -> Result<Checked, PrepareError> {
    let measured = [SplitKind::Valid, SplitKind::Test].into_iter();
    let named: Vec<SplitKind> = measured.filter(|split| split.file(&recipe.data).is_some()).collect();
    let prepared = PreparedTraining::new(recipe, &named, shell.hub())?;
    prepared.opened.base.check_weights()?;
    pipeline::parameters(&prepared.opened.config, recipe)?;
    let counts = prepared.splits().map(|split| {
        let dropped = split.counts().shortened;
        let shortened = if dropped > 0 { format!(" ({dropped} shortened to fit)") } else { String::new() };
        let kinds = kinds(&split.samples).map_or(String::new(), |kinds| format!(" ({kinds})"));
        let told = split.content.remarkable().into_iter().filter(|(count, _)| *count > 0);
        let told: Vec<String> = told.map(|(count, what)| format!("{count} {what}")).collect();
        let told = if told.is_empty() { String::new() } else { format!(" ({})", told.join(", ")) };
        format!("{} {}{kinds}{told}{shortened}", split.name.as_str(), split.samples.len())
    });
    let summary = format!("sound; samples: {}", counts.collect::<Vec<_>>().join(", "));
    Ok(Checked { summary, missing_labels: pipeline::missing_labels(&prepared) })
}
