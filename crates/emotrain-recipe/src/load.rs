//! From a file to a resolved recipe: layers are read, merged, resolved and checked.

use std::path::{Path, PathBuf};

use emotrain_base::limits;
use toml::Value;

use crate::check;
use crate::extends::Layers;
use crate::merge::Merged;
use crate::other_file;
use crate::places::Places;
use crate::problem::{Fault, Findings, Origin, Position, RecipeError};
use crate::recipe::Recipe;

/// Reads the recipe at `path` and applies `overrides` (`section.key=value`).
///
/// Input paths in the file are relative to the file's folder, those in overrides to the current
/// directory; both come out absolute, so that [`Recipe::to_toml`] can be saved anywhere.
///
/// # Errors
///
/// [`RecipeError::Read`] if the file cannot be read, [`RecipeError::Problems`] with all problems.
pub fn load(path: &Path, overrides: &[String]) -> Result<Recipe, RecipeError> {
    load_in(path, overrides, Path::new("."))
}

/// Like [`load`], with overrides that are written in a file of the folder `working`: their input paths are relative to
/// it.
///
/// # Errors
///
/// As [`load`].
pub fn load_in(path: &Path, overrides: &[String], working: &Path) -> Result<Recipe, RecipeError> {
    if let Some(problem) = other_file::place(path) {
        return Err(RecipeError::Problems(vec![problem]));
    }
    let bytes = emotrain_base::read(path, limits::RECIPE)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (recipe, working) = (fs_err::canonicalize(folder)?, fs_err::canonicalize(working)?);
    let places = Places { recipe, bases: Vec::new(), working };
    let mut findings = Findings::new(path.to_path_buf());
    for folder in [&places.recipe, &places.working] {
        if folder.to_str().is_none() {
            let fault = Fault::new(format!("the folder {} has a name that is not UTF-8", folder.display()));
            findings.add(Origin::Default, None, fault);
        }
    }
    if let Err(error) = std::str::from_utf8(&bytes) {
        let start = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
        let last_line = start.rsplit('\n').next().unwrap_or_default();
        let position =
            Position { line: start.matches('\n').count() + 1, column: last_line.chars().count() + 1 };
        findings.add(
            Origin::File(position),
            None,
            Fault::new("not UTF-8 text").hint("save the file as UTF-8"),
        );
    }
    let text = String::from_utf8_lossy(&bytes);
    if let Some(problem) = other_file::text(path, &text) {
        return Err(RecipeError::Problems(vec![problem]));
    }
    read(Source { text: &text, file: path, places }, overrides, findings)
}

/// Like [`load`], for a recipe in memory: only a recipe that `extends` names and a file that `curriculum.name` names
/// are read from disk.
///
/// `file` gives the name of the recipe, the name in problems, and the folder that input paths are relative to; relative
/// paths stay relative if `file` is.
///
/// # Errors
///
/// [`RecipeError::Problems`] with all problems.
pub fn parse(text: &str, file: &Path, overrides: &[String]) -> Result<Recipe, RecipeError> {
    let recipe = file.parent().map(Path::to_path_buf).unwrap_or_default();
    let places = Places { recipe, bases: Vec::new(), working: PathBuf::new() };
    read(Source { text, file, places }, overrides, Findings::new(file.to_path_buf()))
}

struct Source<'s> {
    text: &'s str,
    file: &'s Path,
    places: Places,
}

fn read(source: Source<'_>, overrides: &[String], mut findings: Findings) -> Result<Recipe, RecipeError> {
    let Source { text, file, mut places } = source;
    let layers = Layers::read(text, file, &mut places, &mut findings);
    let is_whole = layers.are_whole;
    let mut merged = Merged::new(layers, overrides, &places, &mut findings);
    let name = file.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    fill_in(&mut merged, &name);
    merged.resolve(&places);
    let recipe = Recipe::from_table(merged.table(), name);
    match &recipe {
        Ok(recipe) if is_whole && merged.is_whole() => check::check(recipe, &merged, &mut findings),
        Ok(_) => {}
        Err(fault) => findings.add(Origin::Default, None, fault.clone()),
    }
    match recipe {
        Ok(recipe) if findings.is_empty() => Ok(recipe),
        _ => Err(RecipeError::Problems(findings.into_problems())),
    }
}

/// Fills in the defaults that depend on other keys.
fn fill_in(merged: &mut Merged, name: &str) {
    if let Some(Value::String(folder)) = merged.value_mut("train.output_dir")
        && folder.is_empty()
    {
        *folder = format!("checkpoints/{name}");
    }
    let steps = merged.value("train.warmup_steps").and_then(Value::as_integer).unwrap_or(0);
    if steps > 0
        && merged.origin("train.warmup_ratio") == Origin::Default
        && let Some(ratio) = merged.value_mut("train.warmup_ratio")
    {
        *ratio = Value::Float(0.0);
    }
}
