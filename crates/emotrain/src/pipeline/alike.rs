//! Recipes that train in one process, on one base: what they must have in common, and what they are called.

use std::path::PathBuf;

use emotrain_base::{Complaint, Problems, one_name};
use emotrain_recipe::{Recipe, TrainMethod};
use serde_json::{Map, Value, json};

/// What each recipe is called: its name, or what tells it from one of the same name.
pub(crate) fn names(recipes: &[Recipe]) -> Vec<String> {
    let folder = |recipe: &Recipe| recipe.train.output_dir.display().to_string();
    let last = |recipe: &Recipe| {
        let name = recipe.train.output_dir.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    };
    let named = |name: &dyn Fn(&Recipe) -> String| recipes.iter().map(name).collect::<Vec<_>>();
    let ways = [named(&|recipe| recipe.name().to_owned()), named(&last), named(&folder)];
    ways.into_iter().find(|names| are_distinct(names)).unwrap_or_else(|| named(&folder))
}

fn are_distinct(names: &[String]) -> bool {
    names.iter().enumerate().all(|(at, name)| !names[..at].contains(name))
}

/// Refuses recipes that cannot share a base; one recipe can be any.
///
/// # Errors
/// Everything in which they differ and must not, with two recipes and the key.
pub(crate) fn check(recipes: &[Recipe], names: &[String]) -> anyhow::Result<()> {
    let mut problems = Problems::default();
    let Some((first, others)) = recipes.split_first().filter(|(_, others)| !others.is_empty()) else {
        return Ok(());
    };
    if let Some(at) = recipes.iter().position(|recipe| recipe.train.method == TrainMethod::Full) {
        let (one, other, name) = (&names[at.saturating_sub(1)], &names[at.max(1)], &names[at]);
        let method = TrainMethod::Full;
        let message =
            format!("{one} and {other} cannot train together: {name} has train.method = \"{method}\"");
        problems
            .add(Complaint::usage(message).hint("a base that is trained belongs to one run: train it alone"));
    }
    if let Some(at) = recipes.iter().position(|recipe| recipe.model.num_devices > 1) {
        let (devices, name) = (recipes[at].model.num_devices, &names[at]);
        let message =
            format!("{name} cannot train together with others: it has model.num_devices = {devices}");
        problems.add(Complaint::usage(message).hint("set model.num_devices = 1, or train it alone"));
    }
    let expected = shared(first);
    for (recipe, name) in others.iter().zip(&names[1..]) {
        for ((key, one), (_, other)) in
            expected.iter().zip(&shared(recipe)).filter(|(one, other)| one != other)
        {
            let message = format!(
                "{} and {name} cannot train together: {key} is {one} in {} and {other} in {name}",
                names[0], names[0]
            );
            problems.add(Complaint::usage(message).hint("give both the same, or train one after the other"));
        }
    }
    let places: Vec<PathBuf> = recipes.iter().map(|recipe| one_name(&recipe.train.output_dir)).collect();
    for (at, recipe) in recipes.iter().enumerate() {
        let folder = &recipe.train.output_dir;
        if let Some(before) = places[..at].iter().position(|other| *other == places[at]) {
            let message = format!(
                "{} and {} cannot train together: both have train.output_dir = \"{}\"",
                names[before],
                names[at],
                folder.display()
            );
            problems.add(Complaint::usage(message).hint("give each a folder of its own"));
        }
    }
    Ok(problems.finish()?)
}

/// A text that is the same for recipes that may share a base.
pub(crate) fn shape(recipe: &Recipe) -> String {
    Value::Object(shared(recipe)).to_string()
}

/// The keys that recipes of one base have in common, with their values.
fn shared(recipe: &Recipe) -> Map<String, Value> {
    let Recipe { model, quantization, lora, train, .. } = recipe;
    let mut keys = Map::new();
    for (name, section) in [("model", json!(model)), ("quantization", json!(quantization))] {
        if let Value::Object(section) = section {
            keys.extend(section.into_iter().map(|(key, value)| (format!("{name}.{key}"), value)));
        }
    }
    keys.insert("lora.r".to_owned(), json!(lora.r));
    keys.insert("lora.target_modules".to_owned(), json!(lora.target_modules));
    keys.insert("lora.rank_pattern".to_owned(), json!(lora.rank_pattern));
    keys.insert("lora.layers_to_transform".to_owned(), json!(lora.layers_to_transform));
    keys.insert("train.gradient_checkpointing".to_owned(), json!(train.gradient_checkpointing));
    let every = json!(train.gradient_checkpointing_every);
    keys.insert("train.gradient_checkpointing_every".to_owned(), every);
    keys.insert("train.activation_offloading".to_owned(), json!(train.activation_offloading));
    keys
}
