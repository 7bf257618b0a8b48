//! `emotrain RECIPE`: trains, or counts what would be trained.

use emotrain_prepare::PreparedTraining;
use emotrain_recipe::{Recipe, ResumeFrom};
use emotrain_runs::OnDifference;

use crate::cli::{RecipeArgs, TrainArgs};
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::pipeline;
use crate::shell::Shell;

/// Runs the command.
///
/// # Errors
/// See [`pipeline::train`].
pub(crate) fn run(args: &TrainArgs, shell: &Shell) -> anyhow::Result<Exit> {
    let mut recipe = emotrain_recipe::load(&args.recipe.recipe, &args.recipe.set)?;
    if (args.resume || args.resume_anyway) && recipe.save.resume_from_checkpoint.is_none() {
        recipe.save.resume_from_checkpoint = Some(ResumeFrom::Latest);
    }
    if args.dry_run {
        return dry_run(&recipe, shell);
    }
    let interrupt = Interrupt::install()?;
    let on_difference = if args.resume_anyway { OnDifference::GoOn } else { OnDifference::Refuse };
    let exit = pipeline::train(&recipe, on_difference, shell, &interrupt)?;
    if exit != Exit::Done {
        shell.printer.say(format_args!("resume with: {}", how_to_resume(&args.recipe)));
    }
    Ok(exit)
}

fn dry_run(recipe: &Recipe, shell: &Shell) -> anyhow::Result<Exit> {
    let prepared = PreparedTraining::new(recipe, &PreparedTraining::measured(recipe), shell.hub())?;
    prepared.opened.base.check_weights()?;
    prepared.tell(&shell.printer);
    shell.printer.result(pipeline::plan(&prepared))?;
    Ok(Exit::Done)
}

/// The command that resumes a run, quoted for a shell.
fn how_to_resume(args: &RecipeArgs) -> String {
    let set = args.set.iter().flat_map(|set| ["--set".to_owned(), quoted(set)]);
    let words = ["emotrain".to_owned(), quoted(&args.recipe.display().to_string())].into_iter();
    words.chain(set).chain(["--resume".to_owned()]).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./=:,+".contains(c);
    if word.chars().all(is_plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_resume_can_be_pasted() {
        let set = vec!["train.seed=7".to_owned(), "data.labels=[\"a b\"]".to_owned()];
        let args = RecipeArgs { recipe: "my runs/a.toml".into(), set };
        assert_eq!(
            how_to_resume(&args),
            "emotrain 'my runs/a.toml' --set train.seed=7 --set 'data.labels=[\"a b\"]' --resume"
        );
    }
}
