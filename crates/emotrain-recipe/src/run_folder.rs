//! Recipes that are named in the place of their runs.

use std::path::{Path, PathBuf};

use crate::load::load;

/// The folder of the run of the recipe at `path`, where a run is expected; `None` if it is no recipe.
pub fn run_of_recipe(path: &Path) -> Option<PathBuf> {
    let is_toml = path.extension().is_some_and(|ending| ending == "toml") && path.is_file();
    let recipe = is_toml.then(|| load(path, &[]).ok()).flatten()?;
    Some(recipe.train.output_dir)
}
