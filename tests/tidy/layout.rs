//! The layout of the repository.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use crate::expect_none;
use crate::tree::{files, files_with, root};

/// What the root may contain besides hidden files and folders.
const TOP: [&str; 11] = [
    "Cargo.toml",
    "Cargo.lock",
    "LICENSE-MIT",
    "LICENSE-APACHE",
    "README.md",
    "crates",
    "recipes",
    "curriculum",
    "retrieval_bank",
    "checkpoints",
    "tests",
];
/// The largest file, in bytes: 9 MB.
const LARGEST: u64 = 9_000_000;

#[test]
fn the_top_holds_what_the_map_shows() {
    let top = files().into_iter().filter_map(|file| match file.components().next() {
        Some(Component::Normal(name)) => name.to_str().map(str::to_owned),
        _ => None,
    });
    let names: BTreeSet<String> = top.collect();
    let known = |name: &&String| name.starts_with('.') || TOP.contains(&name.as_str());
    let strangers: Vec<String> = names.iter().filter(|name| !known(name)).cloned().collect();
    expect_none("the root of the repository has only what README.md lists", &strangers);
}

#[test]
fn files_are_small() {
    let size = |file: &PathBuf| root().join(file).metadata().map_or(0, |data| data.len());
    let large = files().into_iter().map(|file| (size(&file), file)).filter(|(size, _)| *size > LARGEST);
    let violations: Vec<String> =
        large.map(|(size, file)| format!("{}: {size} bytes", file.display())).collect();
    expect_none("no file is larger than 9 MB", &violations);
}

#[test]
fn golden_numbers_come_with_their_maker() {
    let mut folders: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    for file in files() {
        if let Ok(inside) = file.strip_prefix("tests/golden")
            && let (Some(folder), Some(_)) = (inside.iter().next(), inside.iter().nth(1))
        {
            folders.entry(PathBuf::from(folder)).or_default().push(inside.to_path_buf());
        }
    }
    let is_script = |file: &PathBuf| file.extension().is_some_and(|extension| extension == "py");
    let orphans = folders
        .into_iter()
        .filter(|(folder, files)| !files.iter().all(is_script) && !files.contains(&folder.join("make.py")));
    let violations: Vec<String> =
        orphans.map(|(folder, _)| format!("tests/golden/{}", folder.display())).collect();
    expect_none("a folder of golden numbers holds the make.py that made them", &violations);
}

#[test]
fn every_recipe_loads() {
    let mut violations = Vec::new();
    for file in recipes() {
        // The file of defaults lacks the keys that have no default.
        let complete = [
            "model.model_name_or_path=\"./model\"",
            "data.train=\"train.jsonl\"",
            "data.valid=\"valid.jsonl\"",
        ];
        let complete = complete.map(str::to_owned);
        let overrides: &[String] = if file.ends_with("default.toml") { &complete } else { &[] };
        if let Err(error) = emotrain_recipe::load(&root().join(&file), overrides) {
            violations.push(error.to_string());
        }
    }
    expect_none("every recipe loads", &violations);
}

/// The recipes, relative to the top.
pub(crate) fn recipes() -> Vec<PathBuf> {
    let parts = ["recipes/prompts", "recipes/queries", "recipes/sweeps"].map(Path::new);
    let is_recipe =
        |file: &PathBuf| file.starts_with("recipes") && !parts.iter().any(|part| file.starts_with(part));
    files_with("toml").into_iter().filter(is_recipe).collect()
}
