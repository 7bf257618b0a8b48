//! Whether a run may be resumed with a recipe.

use std::fmt::Write as _;
use std::path::Path;

use emotrain_recipe::{DeviceChoice, KeyDifference, Recipe};

use crate::error::RunError;
use crate::identity::Identity;
use crate::run_record::RunRecord;

/// Sections, and keys of others, that decide when to save, log or stop, or that training does not read.
const FREE: [&str; 7] = [
    "data.max_test_samples",
    "data.test",
    "eval.test",
    "interpret.",
    "logging.",
    "model.num_threads",
    "save.",
];

/// A run is resumed with its own recipe. It may be another of several GPUs that computes, and a run may become longer: the
/// keys of that are returned. Its files may lie elsewhere, as in a folder that was moved: what they hold is compared with
/// the run's record once they are read.
///
/// # Errors
/// All other keys that differ, of those that training reads.
pub(crate) fn same_recipe(
    saved: &Path,
    record: &RunRecord,
    recipe: &Recipe,
) -> Result<Vec<KeyDifference>, RunError> {
    let before = emotrain_recipe::load(saved, &[])
        .map_err(|error| RunError::unfit(saved, format!("the saved recipe does not load: {error}")))?;
    let differences = before.differences(recipe).into_iter().filter(|one| !is_free(one));
    let (longer, others): (Vec<KeyDifference>, Vec<KeyDifference>) =
        differences.partition(|one| is_longer(one, &before, recipe));
    let identity = Identity::of(record);
    if others.iter().all(|one| is_compared_by_contents(one, &identity)) {
        return Ok(longer);
    }
    let hint = "resume with the recipe of the run, or start a new run in another train.output_dir; \
                train.num_train_epochs and train.max_steps may become larger";
    let message = format!("the run started with another recipe{}", listed(&others));
    Err(RunError::unfit(saved, message).and_hint(hint))
}

fn is_free(difference: &KeyDifference) -> bool {
    let key = difference.key.as_str();
    let is_query = key.starts_with("knowledge.") && key.rsplit('.').next() == Some("query");
    let device = |value: &Option<String>| {
        let device = value.as_deref()?.trim_matches('"').parse::<DeviceChoice>().ok()?;
        Some(device.any_of_its_kind())
    };
    let is_other_gpu = key == "model.device" && device(&difference.here) == device(&difference.there);
    is_query
        || is_other_gpu
        || FREE.iter().any(|free| key == *free || free.ends_with('.') && key.starts_with(free))
}

/// Whether a key names something else to read, and the run's record has the digest of what it named then.
fn is_compared_by_contents(difference: &KeyDifference, record: &Identity) -> bool {
    let is_named = |value: &Option<String>| value.as_deref().is_some_and(|value| value != "\"\"");
    let is_recorded = match difference.key.as_str() {
        // What a curriculum says is in the other keys of its section.
        "curriculum.name" => true,
        key => record.has_contents_of(key),
    };
    is_recorded && is_named(&difference.here) && is_named(&difference.there)
}

/// Whether a key makes the run longer. Without `max_steps` the epochs decide; how many steps they are is not known here.
fn is_longer(difference: &KeyDifference, before: &Recipe, now: &Recipe) -> bool {
    match difference.key.as_str() {
        "train.num_train_epochs" => now.train.num_train_epochs > before.train.num_train_epochs,
        "train.max_steps" => match (before.train.max_steps, now.train.max_steps) {
            (Some(before), Some(now)) => now > before,
            (None, _) | (_, None) => true,
        },
        _ => false,
    }
}

/// A line for each.
fn listed(differences: &[KeyDifference]) -> String {
    let mut text = String::new();
    for KeyDifference { key, here, there } in differences {
        let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
        // Writing to a string cannot fail.
        let _ = write!(text, "\n  {key}: {} then, {} now", value(here), value(there));
    }
    text
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use serde_json::json;

    use super::*;

    const RECIPE: &str = "[model]\nmodel_name_or_path = \"owner/tiny\"\ndevice = \"cuda:0\"\n[data]\ntrain = \"/a\"\n\
                          valid = \"/b\"\n[[knowledge]]\nname = \"mood\"\npath = \"/c\"\n";

    fn resumed(set: &[&str]) -> Result<Vec<KeyDifference>, RunError> {
        let folder = tempfile::tempdir().unwrap();
        let saved = folder.path().join("recipe.toml");
        let recipe = |set: &[&str]| {
            let set: Vec<String> = set.iter().map(|set| (*set).to_owned()).collect();
            emotrain_recipe::parse(RECIPE, Path::new("/erc.toml"), &set).unwrap()
        };
        fs_err::write(&saved, recipe(&["train.max_steps=8"]).to_toml()).unwrap();
        let digest = "a".repeat(64);
        let mood = json!({
            "name": "mood", "level": "utterance", "availability": "online", "path": "/c", "sha256": digest,
            "wanted": 1, "missing": 0, "extra": 0,
        });
        let record = json!({
            "data": { "train": { "path": "/a", "sha256": digest }, "valid": { "path": "/b", "sha256": "" } },
            "knowledge": { "train": [mood] },
            "template": { "sha256": digest },
            "model": { "sha256": digest },
        });
        let record = serde_json::from_value(record).unwrap();
        same_recipe(&saved, &record, &recipe(&[&["train.max_steps=8"], set].concat()))
    }

    #[test]
    fn files_may_lie_elsewhere_if_the_record_knows_what_they_held() {
        let moved = [
            "data.train=/moved/a",
            "knowledge.mood.path=/moved/c",
            "prompt.template=/moved/prompt.jinja",
            "model.model_name_or_path=/moved/tiny",
        ];
        assert_eq!(resumed(&moved).unwrap(), []);
        for (set, told) in [
            ("data.valid=/moved/b", "data.valid: \"/b\" then, \"/moved/b\" now"),
            ("retrieval.bank=/bank", "retrieval.bank: \"\" then, \"/bank\" now"),
            ("lora.init_from=/adapter", "lora.init_from: \"\" then, \"/adapter\" now"),
        ] {
            let refused = resumed(&[&moved[..], &[set]].concat()).unwrap_err().to_string();
            assert!(refused.contains(told), "{refused}");
        }
    }

    #[test]
    fn all_differences_are_told_at_once() {
        let error = resumed(&[
            "train.learning_rate=1e-3",
            "lora.r=4",
            "knowledge.mood.level=dialogue",
            "model.device=cpu",
            "train.num_train_epochs=2",
            "train.max_steps=7",
        ])
        .unwrap_err();
        let text = error.to_string();
        let (_, listed) = text.split_once("recipe.toml: ").unwrap();
        expect![[r#"
            the run started with another recipe
              knowledge.mood.level: "utterance" then, "dialogue" now
              lora.r: 32 then, 4 now
              model.device: "cuda:0" then, "cpu" now
              train.learning_rate: 0.0003 then, 0.001 now
              train.max_steps: 8 then, 7 now
              train.num_train_epochs: 4 then, 2 now"#]]
        .assert_eq(listed);
    }

    #[test]
    fn what_training_does_not_read_may_differ() {
        let set = [
            "interpret.model=other",
            "save.save_steps=7",
            "logging.logging_steps=1",
            "model.num_threads=2",
            "model.device=cuda:1",
            "train.output_dir=elsewhere",
            "data.test=/d",
            "eval.test=true",
            "knowledge.mood.query=interpretation",
        ];
        assert_eq!(resumed(&set).unwrap(), []);
    }

    #[test]
    fn a_run_may_become_longer() {
        let keys = |set: &[&str]| -> Vec<String> {
            resumed(set).unwrap().into_iter().map(|difference| difference.key).collect()
        };
        assert_eq!(keys(&["train.num_train_epochs=9"]), ["train.num_train_epochs"]);
        let both = ["train.max_steps", "train.num_train_epochs"];
        assert_eq!(keys(&["train.max_steps=0", "train.num_train_epochs=9"]), both);
        assert_eq!(keys(&["train.max_steps=9"]), ["train.max_steps"]);
    }
}
