//! Difficulties compared with independent computations.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod brute_force;
mod golden;
mod published_data;

use emotrain_curriculum::{Components, DifficultyScorer, Wheel};
use emotrain_data::{Dialogue, LabelSet};

/// The components of a dialogue with these keys of `[curriculum]`.
fn components(keys: &str, labels: &LabelSet, dialogues: &[Dialogue]) -> Vec<Components> {
    let text = format!(
        "[model]\nmodel_name_or_path = \"tiny\"\n[data]\ntrain = \"a.jsonl\"\nvalid = \"b.jsonl\"\n\
         [curriculum]\n{keys}\n"
    );
    let recipe = emotrain_recipe::parse(&text, "erc.toml".as_ref(), &[]).unwrap();
    let section = recipe.curriculum;
    let wheel = Wheel::from_section(&section).unwrap();
    DifficultyScorer::new(&section, labels, &wheel, recipe.train.seed).unwrap().all(dialogues).unwrap()
}
