//! Links, paths, tests and recipes named in documents exist.

use std::path::{Path, PathBuf};

use crate::expect_none;
use crate::layout::recipes;
use crate::tree::{files_with, read, root};

/// A link of a Markdown text.
#[derive(Debug, PartialEq, Eq)]
struct Link<'t> {
    text: &'t str,
    target: &'t str,
}

/// The links `[text](target)` of a Markdown text, outside blocks of code.
fn links(markdown: &str) -> Vec<Link<'_>> {
    let mut found = Vec::new();
    for mut rest in prose(markdown) {
        while let Some(middle) = rest.find("](") {
            let text = rest[..middle].rfind('[').map_or("", |open| &rest[open + 1..middle]);
            let after = &rest[middle + 2..];
            let end = after.find(')').unwrap_or(after.len());
            found.push(Link { text, target: &after[..end] });
            rest = &after[end..];
        }
    }
    found
}

/// The lines of a Markdown text outside blocks of code.
fn prose(markdown: &str) -> impl Iterator<Item = &str> {
    let mut in_code = false;
    markdown.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        !fence && !in_code
    })
}

/// The paths from the top of the repository that a Markdown text names in backquotes.
fn named_paths(markdown: &str) -> Vec<&str> {
    let places = [
        "crates/",
        "recipes/",
        "tests/",
        "curriculum/",
        "retrieval_bank/",
        "checkpoints/nano",
        ".ci/",
        ".cargo/",
    ];
    let plain = |path: &&str| path.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c));
    let quoted = prose(markdown).flat_map(|line| line.split('`').skip(1).step_by(2));
    quoted.filter(|quoted| places.iter().any(|place| quoted.starts_with(place))).filter(plain).collect()
}

#[test]
fn links_lead_somewhere() {
    let mut violations = Vec::new();
    for file in files_with("md") {
        let text = read(&file);
        for Link { target, .. } in links(&text) {
            let path = target.split('#').next().unwrap_or_default();
            if !path.is_empty() && !path.contains(':') && !beside(&file, path).exists() {
                violations.push(format!("{}: {target}", file.display()));
            }
        }
        let gone = named_paths(&text).into_iter().filter(|path| !root().join(path).exists());
        violations.extend(gone.map(|path| format!("{}: `{path}`", file.display())));
    }
    expect_none("every link and path of a document exists", &violations);
}

/// The tests that a Markdown text names, as links `[`name`](file.rs)`.
fn named_tests(markdown: &str) -> Vec<(&str, &str)> {
    let mut tests = Vec::new();
    for Link { text, target } in links(markdown) {
        let name = text.strip_prefix('`').and_then(|text| text.strip_suffix('`'));
        tests.extend(
            name.filter(|name| is_rust(target) && !name.contains(['/', '.', ':'])).map(|name| (name, target)),
        );
    }
    tests
}

fn is_rust(file: &str) -> bool {
    Path::new(file).extension().is_some_and(|extension| extension == "rs")
}

#[test]
fn documents_name_tests_that_exist() {
    let mut violations = Vec::new();
    for file in files_with("md") {
        for (test, target) in named_tests(&read(&file)) {
            let source = fs_err::read_to_string(beside(&file, target)).unwrap_or_default();
            if !source.contains(&format!("fn {test}(")) {
                violations.push(format!("{}: no `{test}` in {target}", file.display()));
            }
        }
    }
    expect_none("a test that a document names exists", &violations);
}

#[test]
fn every_promise_names_its_test() {
    let text = read(Path::new("tests/promises.md"));
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).skip(2).collect();
    assert!(!rows.is_empty(), "tests/promises.md has a table of promises");
    let bare: Vec<String> =
        rows.into_iter().filter(|row| named_tests(row).is_empty()).map(str::to_owned).collect();
    expect_none("every row of tests/promises.md names a test", &bare);
}

#[test]
fn every_recipe_is_described() {
    let text = read(Path::new("recipes/README.md"));
    let name =
        |recipe: &PathBuf| recipe.strip_prefix("recipes").unwrap_or(recipe).to_string_lossy().into_owned();
    let sweeps = files_with("toml").into_iter().filter(|file| file.starts_with("recipes/sweeps"));
    let all: Vec<PathBuf> = recipes().into_iter().chain(sweeps).collect();
    let violations: Vec<String> = all.iter().map(name).filter(|name| !text.contains(name)).collect();
    expect_none("recipes/README.md has a row for every recipe", &violations);
}

#[test]
fn examples_of_recipes_load() {
    let mut violations = Vec::new();
    for file in files_with("md") {
        let text = read(&file);
        let blocks = text.split("\n```toml\n").skip(1).filter_map(|rest| rest.split("\n```").next());
        for block in blocks.filter(|block| block.contains("model_name_or_path")) {
            violations.extend(emotrain_recipe::parse(block, &file, &[]).err().map(|error| error.to_string()));
        }
    }
    expect_none("every recipe in a document loads", &violations);
}

fn beside(document: &Path, target: &str) -> PathBuf {
    root().join(document.parent().unwrap_or(Path::new(""))).join(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_and_paths_are_found() {
        let text = "a [b](c.md#d) and [`e`](f.rs) `crates/x`\n```\n[no](link) `crates/no`\n```\n`crates/*` `tests/y.rs`\n";
        let expected = [Link { text: "b", target: "c.md#d" }, Link { text: "`e`", target: "f.rs" }];
        assert_eq!(links(text), expected);
        assert_eq!(named_paths(text), ["crates/x", "tests/y.rs"]);
        assert_eq!(named_tests(text), [("e", "f.rs")]);
    }
}
