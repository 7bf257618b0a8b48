//! The crate's public interface: messages about invalid recipes, and resolved valid ones.

#![expect(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]
#![expect(clippy::needless_pass_by_value, reason = "expectations are handed over, as expect-test has it")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod adapters;
mod auxiliary;
mod curricula;
mod disagreements;
mod extends;
mod foreign_names;
mod good_recipes;
mod interpret;
mod knowledge;
mod names;
mod numbers;
mod overrides;
mod own_data;
mod prompt;
mod retrieval;
mod schema;
mod schema_agrees;
mod syntax;
mod typos;
mod words;

use std::path::Path;

use emotrain_recipe::{Problem, Recipe, RecipeError, parse};
use expect_test::Expect;

const MODEL: &str = "[model]\nmodel_name_or_path = \"tiny\"\n";
const DATA: &str = "[data]\ntrain = \"train.jsonl\"\nvalid = \"valid.jsonl\"\n";

/// `snippet`, with the sections that a recipe needs appended if it lacks them.
fn completed(snippet: &str) -> String {
    let mut text = snippet.trim_start().to_owned();
    for section in [MODEL, DATA] {
        let header = section.lines().next().unwrap();
        if !text.contains(header) {
            text = format!("{}\n{section}", text.trim_end());
        }
    }
    text
}

fn recipe(snippet: &str, overrides: &[&str]) -> Result<Recipe, Vec<Problem>> {
    let overrides: Vec<_> = overrides.iter().map(ToString::to_string).collect();
    match parse(&completed(snippet), Path::new("erc.toml"), &overrides) {
        Ok(recipe) => Ok(recipe),
        Err(RecipeError::Problems(problems)) => Err(problems),
        Err(error @ RecipeError::Read(_)) => panic!("nothing is read: {error}"),
    }
}

fn good(snippet: &str) -> Recipe {
    recipe(snippet, &[]).unwrap_or_else(|problems| panic!("{}", rendered(&problems)))
}

fn rendered(problems: &[Problem]) -> String {
    let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n") + "\n"
}

/// Compares the problems of an invalid recipe as displayed.
#[track_caller]
fn check(snippet: &str, expected: Expect) {
    check_overridden(snippet, &[], expected);
}

/// As [`check`], with overrides.
#[track_caller]
fn check_overridden(snippet: &str, overrides: &[&str], expected: Expect) {
    match recipe(snippet, overrides) {
        Ok(_) => expected.assert_eq("no problem\n"),
        Err(problems) => expected.assert_eq(&rendered(&problems)),
    }
}
