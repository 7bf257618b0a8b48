//! `emotrain RECIPE...`: trains, or counts what would be trained.

use std::path::PathBuf;

use emotrain_base::Problems;
use emotrain_prepare::PreparedTraining;
use emotrain_recipe::{Recipe, ResumeFrom};
use emotrain_runs::{OnDifference, RunDir};

use super::check::check_device;
use crate::cli::TrainArgs;
use crate::exit::{self, Exit};
use crate::interrupt::Interrupt;
use crate::pipeline::{self, Terms};
use crate::shell::{Shell, quoted};

/// Runs the command.
///
/// # Errors
/// See [`pipeline::train`]; that of a run that is the only one.
pub(crate) fn run(args: &TrainArgs, shell: &Shell) -> anyhow::Result<Exit> {
    let mut recipes = load(args)?;
    for recipe in &mut recipes {
        if (args.resume || args.resume_anyway) && recipe.save.resume_from_checkpoint.is_none() {
            recipe.save.resume_from_checkpoint = Some(ResumeFrom::Latest);
        }
    }
    if args.dry_run {
        return dry_run(&recipes, shell);
    }
    let interrupt = Interrupt::install()?;
    let on_difference = if args.resume_anyway { OnDifference::GoOn } else { OnDifference::Refuse };
    let terms = Terms { on_difference, watch: &mut pipeline::unwatched };
    let mut ends = pipeline::train(&recipes, terms, shell, &interrupt)?;
    let exit = if ends.len() == 1 { ends.remove(0)? } else { tell(&pipeline::names(&recipes), &ends, shell) };
    if interrupt.is_stopped() && exit != Exit::Done {
        shell.printer.say(format_args!("resume with: {}", how_to_resume(&args.recipes, &args.set)));
    }
    Ok(exit)
}

/// The recipes, or the problems of all.
fn load(args: &TrainArgs) -> anyhow::Result<Vec<Recipe>> {
    let load = |path: &PathBuf| emotrain_recipe::load(path, &args.set);
    if let [path] = &args.recipes[..] {
        return Ok(vec![load(path)?]);
    }
    let mut problems = Problems::default();
    let recipes = args.recipes.iter().filter_map(|path| problems.take(load(path))).collect();
    problems.finish()?;
    Ok(recipes)
}

/// A line for each run on how it ended; returns the exit code of the first that is not done.
fn tell(names: &[String], ends: &[anyhow::Result<Exit>], shell: &Shell) -> Exit {
    let mut first = Exit::Done;
    for (name, end) in names.iter().zip(ends) {
        let (exit, text) = match end {
            Ok(Exit::Done) => (Exit::Done, "done".to_owned()),
            Ok(exit) => (*exit, "stopped; the state is saved".to_owned()),
            Err(error) => (exit::of(error), format!("failed: {error}")),
        };
        shell.printer.named(name).say(text);
        if first == Exit::Done {
            first = exit;
        }
    }
    first
}

fn dry_run(recipes: &[Recipe], shell: &Shell) -> anyhow::Result<Exit> {
    let names = pipeline::names(recipes);
    pipeline::check_alike(recipes, &names)?;
    for (recipe, name) in recipes.iter().zip(&names) {
        let shell = if recipes.len() > 1 { shell.named(name) } else { shell.clone() };
        let mut problems = Problems::default();
        let on = problems.take(check_device(recipe));
        let place = problems.take(RunDir::check_place(recipe));
        let measured = PreparedTraining::measured(recipe);
        let prepared = problems.take(PreparedTraining::new(recipe, &measured, shell.hub()));
        let (Some(on), Some(()), Some(prepared)) = (on, place, prepared) else {
            return problems.finish().map(|()| Exit::Done).map_err(Into::into);
        };
        prepared.opened.base.check_weights()?;
        prepared.tell(&shell.printer);
        let (plan, cost) = pipeline::plan(&prepared)?;
        shell.printer.result(plan)?;
        shell.printer.result(format_args!("{:<11} {on}", "device"))?;
        let warnings = pipeline::warnings_on_rare_labels(recipe).into_iter().chain(cost.warning());
        warnings.for_each(|warning| shell.printer.warn(warning));
    }
    Ok(Exit::Done)
}

/// The command that resumes runs, quoted for a shell.
fn how_to_resume(recipes: &[PathBuf], set: &[String]) -> String {
    let recipes = recipes.iter().map(|recipe| quoted(&recipe.display().to_string()));
    let set = set.iter().flat_map(|set| ["--set".to_owned(), quoted(set)]);
    let words = ["emotrain".to_owned()].into_iter().chain(recipes);
    words.chain(set).chain(["--resume".to_owned()]).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_resume_can_be_pasted() {
        let set = ["train.seed=7".to_owned(), "data.labels=[\"a b\"]".to_owned()];
        assert_eq!(
            how_to_resume(&["my runs/a.toml".into(), "b.toml".into()], &set),
            "emotrain 'my runs/a.toml' b.toml --set train.seed=7 --set 'data.labels=[\"a b\"]' --resume"
        );
    }
}
