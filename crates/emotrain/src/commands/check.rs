//! `emotrain check`: all problems of recipes and of what they name, in one go.

use std::path::Path;

use emotrain_data::SplitKind;

use crate::cli::CheckArgs;
use crate::exit::{Exit, Problems};
use crate::pipeline::{self, Purpose};
use crate::shell::Shell;

/// Runs the command: a line on standard output for every recipe that is sound.
///
/// # Errors
/// The problems of all recipes.
pub(crate) fn run(args: &CheckArgs, shell: &Shell) -> anyhow::Result<Exit> {
    let mut problems = Problems::default();
    for path in &args.recipes {
        match check(path, &args.set, shell) {
            Ok(summary) => shell.printer.result(format_args!("{}: {summary}", path.display()))?,
            Err(error) => problems.add_of(path, error),
        }
    }
    problems.finish()?;
    Ok(Exit::Done)
}

fn check(path: &Path, set: &[String], shell: &Shell) -> anyhow::Result<String> {
    let recipe = emotrain_recipe::load(path, set)?;
    let all = [
        (SplitKind::Train, Purpose::Training),
        (SplitKind::Valid, Purpose::Answering),
        (SplitKind::Test, Purpose::Answering),
    ];
    let named: Vec<_> = all.into_iter().filter(|(name, _)| name.file(&recipe.data).is_some()).collect();
    let prepared = pipeline::prepare(&recipe, &named, shell)?;
    prepared.base.check_weights()?;
    let counts = prepared.materials.iter().map(|material| {
        let dropped = material.counts().shortened;
        let shortened = if dropped > 0 { format!(" ({dropped} shortened to fit)") } else { String::new() };
        let kinds = pipeline::kinds(&material.samples).map_or(String::new(), |kinds| format!(" ({kinds})"));
        let told = material.content.remarkable().into_iter().filter(|(count, _)| *count > 0);
        let told: Vec<String> = told.map(|(count, what)| format!("{count} {what}")).collect();
        let told = if told.is_empty() { String::new() } else { format!(" ({})", told.join(", ")) };
        format!("{} {}{kinds}{told}{shortened}", material.name.as_str(), material.samples.len())
    });
    Ok(format!("sound; samples: {}", counts.collect::<Vec<_>>().join(", ")))
}
