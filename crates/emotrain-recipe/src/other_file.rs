//! Files that are named in the place of a recipe.

use std::path::Path;

use toml::{Table, Value};

use crate::problem::Problem;
use crate::section::Section;

/// How files with dialogues end.
const DATA: [&str; 8] = ["csv", "tsv", "jsonl", "json", "txt", "xlsx", "parquet", "ndjson"];

/// The file of a recipe in the folder of a run.
const RECIPE: &str = "recipe.toml";

/// Keys at the top of a sweep file beside its base.
const SWEEP: [&str; 6] = ["grid", "random", "list", "seeds", "asha", "runs_per_process"];

/// What is at a path in the place of a recipe, as far as its name and kind show it.
pub(crate) fn place(path: &Path) -> Option<Problem> {
    let name = path.display();
    if path.is_dir() {
        let recipe = path.join(RECIPE);
        let hint = if recipe.is_file() {
            format!("name the recipe in it: {}", recipe.display())
        } else {
            "name a recipe, a TOML file".to_owned()
        };
        let what = if recipe.is_file() { "is the folder of a run" } else { "is a folder" };
        return Some(problem(path, format!("{what}, not a recipe"), hint));
    }
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    let is_data = DATA.contains(&ending.as_str()) && path.is_file();
    is_data.then(|| problem(path, "looks like data, not a recipe".to_owned(), init(&name.to_string())))
}

/// What a file that is not TOML, or is another TOML, is in the place of a recipe.
pub(crate) fn text(path: &Path, text: &str) -> Option<Problem> {
    let name = path.display().to_string();
    let Ok(table) = text.parse::<Table>() else {
        let begin = text.trim_start();
        let header = begin.lines().next().unwrap_or_default();
        let is_table = header.matches([',', '\t']).count() > 1
            && !header.contains('=')
            && !header.starts_with(['[', '#']);
        let is_json = begin.starts_with('{') || begin.starts_with("[{");
        return (is_table || is_json)
            .then(|| problem(path, "looks like data, not a recipe".to_owned(), init(&name)));
    };
    is_sweep(&table).then(|| {
        let hint = format!("emotrain sweep {name} trains its runs");
        problem(path, "is a sweep file, not a recipe".to_owned(), hint)
    })
}

fn is_sweep(table: &Table) -> bool {
    let has_axes = SWEEP.iter().any(|key| table.contains_key(*key));
    let has_sections = table.keys().any(|key| Section::find(key).is_some());
    table.get("base").is_some_and(Value::is_str) && has_axes && !has_sections
}

fn init(name: &str) -> String {
    format!("`emotrain init {name}` writes a recipe for it")
}

fn problem(path: &Path, message: String, hint: String) -> Problem {
    let (key, line, column, file) = (None, None, None, path.to_owned());
    Problem { key, file, line, column, message, hint: Some(hint) }
}
