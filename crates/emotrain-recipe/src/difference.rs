//! What differs between two recipes.

use std::collections::BTreeMap;

use toml::{Table, Value};

use crate::DEFAULT_TOML;
use crate::recipe::Recipe;

/// A key that has another value in another recipe.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct KeyDifference {
    /// `section.key`, or `knowledge.NAME.key`.
    pub key: String,
    /// Its value as TOML; `None` if the recipe has no such source of knowledge.
    pub here: Option<String>,
    /// The other recipe's.
    pub there: Option<String>,
}

impl Recipe {
    /// The keys that have other values in `other`, in alphabetical order. `train.output_dir` and
    /// `save.resume_from_checkpoint`, which say where a run is stored, are not compared.
    ///
    /// # Panics
    ///
    /// If [`Recipe::to_toml`] does.
    pub fn differences(&self, other: &Self) -> Vec<KeyDifference> {
        let (here, there) = (flat(&table(self)), flat(&table(other)));
        let mut keys: Vec<&String> = here.keys().chain(there.keys()).collect();
        keys.sort();
        keys.dedup();
        let differs = |key: &&String| here.get(*key) != there.get(*key);
        let difference = |key: &String| KeyDifference {
            key: key.clone(),
            here: here.get(key).cloned(),
            there: there.get(key).cloned(),
        };
        keys.into_iter().filter(differs).map(difference).collect()
    }

    /// The keys that have other values than `recipes/default.toml`, which are in [`KeyDifference::there`].
    ///
    /// # Panics
    ///
    /// If [`Recipe::to_toml`] does.
    pub fn differences_from_defaults(&self) -> Vec<KeyDifference> {
        let defaults: Table = DEFAULT_TOML.parse().expect("the embedded file is TOML");
        let (here, there) = (flat(&table(self)), flat(&defaults));
        let differs = |(key, value): &(String, String)| there.get(key) != Some(value);
        let difference = |(key, value): (String, String)| {
            let there = there.get(&key).cloned();
            KeyDifference { key, here: Some(value), there }
        };
        here.into_iter().filter(differs).map(difference).collect()
    }
}

fn table(recipe: &Recipe) -> Table {
    let mut table = Table::try_from(recipe).expect("numbers of a recipe fit into TOML");
    for (section, key) in [("train", "output_dir"), ("save", "resume_from_checkpoint")] {
        if let Some(Value::Table(keys)) = table.get_mut(section) {
            keys.remove(key);
        }
    }
    table
}

/// Every key by its whole name, with its value as TOML.
fn flat(table: &Table) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for (section, value) in table {
        match value {
            Value::Table(keys) => add(&mut all, section, keys),
            Value::Array(sources) => {
                for source in sources.iter().filter_map(Value::as_table) {
                    let name = source.get("name").and_then(Value::as_str).unwrap_or_default();
                    add(&mut all, &format!("{section}.{name}"), source);
                }
            }
            Value::String(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Datetime(_) => {}
        }
    }
    all
}

fn add(all: &mut BTreeMap<String, String>, prefix: &str, keys: &Table) {
    all.extend(keys.iter().map(|(key, value)| (format!("{prefix}.{key}"), value.to_string())));
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const TEXT: &str =
        "[model]\nmodel_name_or_path = \"o/n\"\n[data]\ntrain = \"a.jsonl\"\nvalid = \"b.jsonl\"\n";

    fn recipe(overrides: &[&str]) -> Recipe {
        let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
        crate::parse(TEXT, Path::new("r.toml"), &overrides).unwrap()
    }

    #[test]
    fn what_differs_is_named_with_both_values() {
        let (one, other) = (recipe(&["train.seed=1"]), recipe(&["train.seed=2", "train.output_dir=x"]));
        let difference = KeyDifference {
            key: "train.seed".to_owned(),
            here: Some("1".to_owned()),
            there: Some("2".to_owned()),
        };
        assert_eq!(one.differences(&other), [difference]);
        let from_defaults: Vec<String> =
            one.differences_from_defaults().into_iter().map(|one| one.key).collect();
        assert_eq!(from_defaults, ["data.train", "data.valid", "model.model_name_or_path", "train.seed"]);
    }

    #[test]
    fn an_identity_is_of_contents_not_of_places() {
        let same = |_: &Path| Ok::<_, ()>("digest".to_owned());
        let identity = |overrides: &[&str]| recipe(overrides).identity(same).unwrap();
        let one = identity(&[]);
        assert_eq!(one, identity(&["data.train=elsewhere.jsonl", "train.output_dir=x", "save.save_steps=7"]));
        assert_ne!(one, identity(&["train.seed=7"]));
        assert_ne!(one, identity(&["save.dtype=float16"]));
        let other = recipe(&[]).identity(|path| Ok::<_, ()>(path.display().to_string())).unwrap();
        assert_ne!(one, other);
        assert_eq!(recipe(&[]).identity(|_| Err::<String, _>("gone")), Err("gone"));
    }
}
